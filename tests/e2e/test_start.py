#!/usr/bin/env python3
"""Starts that must be refused with a clear message and nothing lost, and what a start does with a damaged spool."""
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, IS_ROOT, IS_SAN, SLOW, main, make_certificate, message, queue_id, wait_for  # noqa: E402


class Refused(postern.Case):
    """Starts that must be refused, with a message that names the object; mended, it starts."""

    @classmethod
    def options(cls):
        return {'start': False}

    def refused(self, *names):
        code, text = self.instance.refusal()
        self.assertIsNotNone(code, 'it started; log:\n' + text)
        self.assertGreater(code, 0, 'ended by a signal; log:\n' + text)
        for name in names:
            self.assertRegex(text, name)
        wait_for(lambda: not self.instance.strays(), 6)
        self.assertEqual(self.instance.strays(), [], 'processes are left')

    def path(self, *parts):
        return os.path.join(self.instance.root, *parts)

    def with_changed(self, path, change, *names):
        """Refused after change(path); path is put back as it was."""
        keep = path + '.keep'
        shutil.copy2(path, keep)
        s = os.stat(path)
        os.chown(keep, s.st_uid, s.st_gid)
        try:
            change(path)
            self.refused(*names)
        finally:
            os.rename(keep, path)

    def tearDown(self):
        self.instance.start()
        with self.instance.client('submission', login=ALICE) as c:
            c.submit(message('mended'))
        self.instance.stop()

    def test_port_in_use(self):
        port = self.instance.port('submission')
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('127.0.0.1', port))
            s.listen()
            self.refused(str(port))

    def test_key_missing(self):
        self.with_changed(self.path('tls', 'key.pem'), os.unlink, r'key\.pem')

    def test_certificate_missing(self):
        self.with_changed(self.path('tls', 'certificate.pem'), os.unlink, r'certificate\.pem')

    def test_certificate_is_garbage(self):
        def change(path):
            with open(path, 'w') as f:
                f.write('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
        self.with_changed(self.path('tls', 'certificate.pem'), change, r'certificate\.pem')

    def test_key_does_not_match(self):
        with tempfile.TemporaryDirectory() as folder:
            _, key = make_certificate(folder)

            def change(path):
                shutil.copyfile(key, path)
                os.chmod(path, 0o600)
            self.with_changed(self.path('tls', 'key.pem'), change, r'key\.pem|certificate\.pem')

    def test_key_readable_by_others(self):
        self.with_changed(self.path('tls', 'key.pem'), lambda path: os.chmod(path, 0o644), r'key\.pem', r'chmod')

    def append(self, text):
        def change(path):
            with open(path, 'a') as f:
                f.write(text)
        with open(self.path('postern.conf')) as f:
            return change, f.read().count('\n')

    def test_unknown_setting(self):
        change, lines = self.append('\n[limits]\nrecipents = 5\n')
        self.with_changed(self.path('postern.conf'), change, r'postern\.conf:%d\b' % (lines + 3), r'limits\.recipents',
                          r'limits\.recipients')

    def test_bad_value(self):
        change, lines = self.append('\n[workers]\nspare = many\n')
        self.with_changed(self.path('postern.conf'), change, r'postern\.conf:%d\b' % (lines + 3), r'workers\.spare')

    def test_plain_listener_for_the_world(self):
        change, _ = self.append('\n[listener open]\nkind = plain\naddress = 0.0.0.0:%d\n' % postern.free_ports(1)[0])
        self.with_changed(self.path('postern.conf'), change, r'postern\.conf:\d+', r'open')

    def test_no_configuration(self):
        self.with_changed(self.path('postern.conf'), os.unlink, r'postern\.conf')

    def test_registry_of_a_newer_version(self):
        path = self.path('registry', 'registry.db')

        def set_version(n):
            db = sqlite3.connect(path)
            old = db.execute('PRAGMA user_version').fetchone()[0]
            db.execute('PRAGMA user_version = %d' % n)
            db.commit()
            db.close()
            owner = os.stat(self.path('registry'))
            for name in os.listdir(self.path('registry')):
                os.chown(self.path('registry', name), owner.st_uid, owner.st_gid)
            return old
        old = set_version(99)
        try:
            self.refused(r'registry', r'version')
        finally:
            set_version(old)

    def test_registry_missing(self):
        self.with_changed(self.path('registry', 'registry.db'), os.unlink, r'registry')

    @unittest.skipUnless(IS_ROOT, 'an ordinary user is not held to every part of the sandbox')
    @unittest.skipIf(IS_SAN or not shutil.which('strace'), 'needs strace, and no sanitizers')
    def test_kernel_without_landlock(self):
        trial = subprocess.run(['strace', '-f', '-qq', '-o', '/dev/null', '/bin/true'], stderr=subprocess.PIPE)
        if trial.returncode != 0:
            self.skipTest('strace does not work here: %s' % trial.stderr.decode().strip())
        call = 'landlock_create_ruleset'
        i = self.instance
        i.wrap = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=' + call, '-e', 'inject=%s:error=ENOSYS' % call]
        try:
            self.refused(r'(?i)landlock')
            i.set(sandbox__require='off')
            i.start()
            with i.client('submission', login=ALICE) as c:
                c.submit(message('without'))
            self.assertRegex(i.log(), r'(?i)level=(warning|error|alarm).*landlock', 'it is named at start')
            i.stop()
        finally:
            i.wrap = []
            i.set(sandbox__require='on')

    def test_started_twice(self):
        i = self.instance
        i.start()
        with open(os.path.join(i.base, 'second'), 'w+') as log:
            second = subprocess.Popen(i.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      preexec_fn=postern.die_with_parent)
            try:
                self.assertGreater(second.wait(10 * SLOW), 0)
            finally:
                if second.poll() is None:
                    second.kill()
            log.seek(0)
            self.assertTrue(log.read().strip(), 'it says why')
        with i.client('plain', login=ALICE) as c:
            c.submit(message('first goes on'))
        i.stop()


class Corrupt(postern.Case):
    """A corrupt file in the spool is set aside in failed/, named in the log, never deleted; the others are unharmed."""

    def test_corrupt_files(self):
        i = self.instance
        with i.client('plain', login=ALICE) as c:
            ids = [queue_id(c.submit(message('corrupt-%d' % n, b'line %d\r\n' % n * 50))) for n in range(5)]
        i.stop()
        by_id = {name: next(p for p in i.names() if name in p) for name in ids}
        with open(by_id[ids[0]], 'r+b') as f:	# a flipped octet
            f.seek(-20, os.SEEK_END)
            octet = f.read(1)
            f.seek(-20, os.SEEK_END)
            f.write(bytes([octet[0] ^ 1]))
        with open(by_id[ids[1]], 'r+b') as f:	# truncated
            f.truncate(os.path.getsize(by_id[ids[1]]) - 100)
        with open(by_id[ids[2]], 'r+b') as f:	# emptied
            f.truncate(0)
        size = {n: os.path.getsize(by_id[n]) for n in ids[:3]}
        i.start()
        for n in ids[:3]:
            found = wait_for(lambda: [p for p in i.names('failed') if n in p], 5)
            self.assertTrue(found, 'set aside in failed/: %s' % ids.index(n))
            self.assertEqual(os.path.getsize(found[0]), size[n], 'not changed')
            self.assertTrue(i.logged(n), 'named in the log')
        good = [f for f in i.stored() if f.is_whole]
        self.assertEqual({f.split()[1] for f in good}, {message('corrupt-%d' % n, b'line %d\r\n' % n * 50) for n in (3, 4)})
        self.assertEqual(len(i.names()), 2)
        with i.client('plain', login=ALICE) as c:
            c.submit(message('new mail'))
        listed = {r['queue_id'] for r in i.queue()}
        self.assertTrue(set(ids[3:]) <= listed)

    def test_left_overs_in_tmp(self):
        i = self.instance
        i.stop()
        before = i.names('new', 'cur')
        path = os.path.join(i.spool, 'tmp', '1763763000.M1P1Q1.left-over')
        with open(path, 'wb') as f:
            f.write(b'Postern-Spool: v=1; size=')
        owner = os.stat(os.path.join(i.spool, 'tmp'))
        os.chown(path, owner.st_uid, owner.st_gid)
        i.start()
        self.assertEqual(i.names('new', 'cur'), before)
        with i.client('plain', login=ALICE) as c:
            c.submit(message('after a left-over'))


if __name__ == '__main__':
    main()
