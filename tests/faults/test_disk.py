#!/usr/bin/env python3
"""What runs out: space on the disk, inodes, descriptors, processes. Nothing is lost, nothing is left behind, and service comes back."""
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
from postern import ALICE, IS_ROOT, IS_SAN, Client, Instance, main, message, wait_for  # noqa: E402


class Disk(postern.Case):
    """A spool on a small disk of its own."""
    mount = 'size=8m'	# of which the journal has 2
    settings = {}
    folder = None

    @classmethod
    def setUpClass(cls):
        if not IS_ROOT:
            raise unittest.SkipTest('mounting a small disk needs root')
        cls.folder = tempfile.mkdtemp(prefix='postern-test-disk-')
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', cls.mount, 'none', cls.folder], stderr=subprocess.PIPE)
        if done.returncode != 0:
            os.rmdir(cls.folder)
            cls.folder = None
            raise unittest.SkipTest('no tmpfs can be mounted here: ' + done.stderr.decode().strip())
        try:
            cls.instance = Instance(settings={'spool.path': cls.folder + '/spool', **cls.settings})
        except BaseException:
            cls.unmount()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.unmount()

    @classmethod
    def unmount(cls):
        if cls.folder:
            wait_for(lambda: subprocess.run(['umount', cls.folder], stderr=subprocess.DEVNULL).returncode == 0, 5, 0.2)
            shutil.rmtree(cls.folder, ignore_errors=True)

    def attempt(self, c, mark, size):
        """The code of the first reply that is not good, or 250."""
        for text, good in (('MAIL FROM:<%s>' % ALICE, 250), ('RCPT TO:<rcpt@example.net>', 250), ('DATA', 354)):
            c.send(text + '\r\n')
            code, lines = c.reply()
            if code != good:
                c.command('RSET', 250)
                return code
        c.send(message(mark, (b'x' * 70 + b'\r\n') * (size // 72)) + b'.\r\n')
        code, lines = c.reply()
        return code

    def check(self, good, refused):
        """All that were acknowledged, once and whole; none of the others; nothing half in tmp/."""
        files = self.instance.stored()
        marks = sorted(re.search(rb'Subject: (\S+)', f.message).group(1).decode() for f in files)
        self.assertEqual(marks, sorted(good))
        self.assertTrue(all(f.is_whole for f in files))
        self.assertFalse(set(marks) & set(refused))
        self.assertTrue(wait_for(lambda: self.instance.names('tmp') == [], 3), 'nothing is left in tmp/')
        self.assertEqual(self.instance.names('failed', 'hold'), [])

    def fill_up(self, size, most):
        """Sends until it is refused, then a few more; the refusals are all 452."""
        good, refused = [], []
        with self.instance.client('plain', login=ALICE) as c:
            for n in range(most):
                code = self.attempt(c, 'disk-%d' % n, size)
                (good if code == 250 else refused).append('disk-%d' % n)
                if code != 250:
                    self.assertEqual(code, 452)
                if len(refused) == 3:
                    break
        self.assertGreaterEqual(len(refused), 1, 'the disk was never full')
        return good, refused

    def comes_back(self):
        self.instance.empty_spool()
        with self.instance.client('plain', login=ALICE) as c:
            code = wait_for(lambda: self.attempt(c, 'back', 1000) == 250, 6, 0.2)
        self.assertTrue(code, 'service comes back when there is room again')
        self.assertEqual(len(self.instance.names()), 1)
        self.instance.empty_spool()


class Full(Disk):
    """With no floor: writes fail in the middle of messages."""
    settings = {'spool.min_free': '0'}

    def test_full_in_the_middle_of_a_message(self):
        good, refused = self.fill_up(1300000, 10)
        self.assertGreaterEqual(len(good), 2)
        self.check(good, refused)
        self.comes_back()

    def test_small_messages_until_it_is_full(self):
        with open(self.folder + '/ballast', 'wb') as f:
            f.write(b'x' * 5 * 1024 * 1024)
        try:
            good, refused = self.fill_up(20000, 100)
            self.assertGreaterEqual(len(good), 3)
            self.check(good, refused)
        finally:
            os.unlink(self.folder + '/ballast')
        self.comes_back()

    def test_full_before_the_start(self):
        self.instance.stop()
        with open(self.folder + '/ballast', 'wb') as f:
            try:
                while f.write(b'x' * 65536):
                    f.flush()
            except OSError:
                pass
        try:
            self.instance.start()
            with self.instance.client('plain', login=ALICE) as c:
                self.assertEqual(self.attempt(c, 'none', 3000), 452)
            self.check([], ['none'])
        finally:
            os.unlink(self.folder + '/ballast')
        self.comes_back()


class FullWithoutJournal(Full):
    mount = 'size=6m'
    settings = {'spool.min_free': '0', 'spool.journal': '0'}


class Floor(Disk):
    """With the floor: refused at MAIL, before any octet is written."""
    mount = 'size=40m'
    settings = {'spool.min_free': '16M'}

    def test_refused_at_mail(self):
        self.assertEqual(len(self.instance.names()), 0)
        with open(self.folder + '/ballast', 'wb') as f:
            f.write(b'x' * (37 * 1024 * 1024))	# a twentieth of the disk is 2 MB
        try:
            def refused():
                with self.instance.client('plain', login=ALICE) as c:
                    c.send('MAIL FROM:<%s>\r\n' % ALICE)
                    return c.reply()[0] == 452
            self.assertTrue(wait_for(refused, 8, 0.2), '452 at MAIL')
        finally:
            os.unlink(self.folder + '/ballast')
        self.comes_back()


class Inodes(Disk):
    mount = 'size=40m,nr_inodes=40'
    settings = {'spool.min_free': '0'}

    def test_no_inodes(self):
        good, refused = self.fill_up(500, 60)
        self.check(good, refused)
        self.comes_back()


class Descriptors(unittest.TestCase):
    """A low limit of descriptors: refused at start with a clear word, or fewer sessions; nothing lost."""
    instance = None

    def limited(self, limit):
        i = self.instance = Instance(start=False, nofile=limit, settings={'workers.spare': 2})
        try:
            i.launch()
            port = i.port('plain')
            up = wait_for(lambda: i.daemon.poll() is not None or i.answers('plain', '127.0.0.1', port), 10)
            if not up or i.daemon.poll() is not None:
                self.assertIsNotNone(i.daemon.poll(), 'neither up nor ended')
                self.assertGreater(i.daemon.returncode, 0)
                self.assertRegex(i.log(), r'(?i)descriptor|open files|RLIMIT_NOFILE|EMFILE|too many')
                return
            self.crowd(i)
        finally:
            i.nofile = None
            i.close()

    def crowd(self, i):
        good, clients = 0, []
        for n in range(120):
            try:
                c = Client(('127.0.0.1', i.port('plain')), timeout=0.3 if n > 5 else 5)
                clients.append(c)
                if c.reply()[0] == 220:
                    c.sock.settimeout(3)
                    c.ehlo()
                    if good < 8:
                        c.login()
                        c.submit(message('few-%d' % n))
                        good += 1
            except (OSError, EOFError, AssertionError):
                pass
        for c in clients:
            c.close()
        self.assertGreater(good, 0)
        self.assertIsNone(i.daemon.poll(), 'the master lives')
        self.assertEqual(len(i.names()), good)

        def served():
            try:
                with i.client('plain', login=ALICE) as c:
                    c.submit(message('later'))
                return True
            except (OSError, EOFError, AssertionError):
                return False
        self.assertTrue(wait_for(served, 10, 0.3), 'service comes back')
        self.assertTrue(all(f.is_whole for f in i.stored()))

    @unittest.skipIf(IS_SAN, 'the limit is that of the release build')
    def test_sixty_four(self):
        self.limited(64)

    @unittest.skipIf(IS_SAN, 'the limit is that of the release build')
    def test_twelve(self):
        self.limited(12)

    @unittest.skipIf(IS_ROOT, 'root has no limit of processes')
    def test_processes(self):
        ours = sum(os.stat('/proc/' + name).st_uid == os.getuid() for name in os.listdir('/proc') if name.isdigit())
        i = self.instance = Instance(start=False, settings={'workers.spare': 2, 'spool.commit_threads': 2})
        soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        try:
            resource.setrlimit(resource.RLIMIT_NPROC, (ours + 30, hard))
            i.launch()
        finally:
            resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
        try:
            port = i.port('plain')
            wait_for(lambda: i.daemon.poll() is not None or i.answers('plain', '127.0.0.1', port), 10)
            if i.daemon.poll() is not None:
                self.assertGreater(i.daemon.returncode, 0)
                self.assertTrue(i.log().strip())
                return
            time.sleep(0.2)
            self.crowd(i)
        finally:
            i.close()


if __name__ == '__main__':
    main()
