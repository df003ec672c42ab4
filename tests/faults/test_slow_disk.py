#!/usr/bin/env python3
"""A disk so slow that every commit can be watched under way: no 4xx for a slow disk, and no lie when a program dies meanwhile."""
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
from postern import ALICE, IS_ROOT, IS_SAN, Instance, main, message, stuff, wait_for  # noqa: E402

DELAY = 0.9	# seconds before each fsync; a commit has two, of the file and of the folder


@unittest.skipUnless(IS_ROOT, 'only root can slow down a process that is not dumpable')
@unittest.skipIf(shutil.which('strace') is None, 'strace is not installed')
@unittest.skipIf(IS_SAN, 'the sanitizers do not run below strace')
class SlowDisk(unittest.TestCase):
    """Each message is synced by itself."""
    journal = '0'

    def setUp(self):
        trial = subprocess.run(['strace', '-f', '-qq', '-o', '/dev/null', '/bin/true'], stderr=subprocess.PIPE)
        if trial.returncode != 0:
            self.skipTest('strace does not work here: ' + trial.stderr.decode().strip())
        self.instance = Instance(settings={'limits.command_timeout': '1s', 'limits.data_timeout': '1s', 'spool.journal': self.journal})
        self.addCleanup(self.instance.close)
        self.spool = self.instance.kind('postern-spool')[0]
        self.strace = subprocess.Popen(
            ['strace', '-f', '-qq', '-o', '/dev/null', '-p', str(self.spool.pid), '-e', 'trace=fsync,fdatasync',
             '-e', 'inject=fsync,fdatasync:delay_enter=%d' % (DELAY * 1e6)], stderr=subprocess.DEVNULL,
            preexec_fn=postern.die_with_parent)
        self.addCleanup(self.end_strace)
        self.assertTrue(wait_for(self.is_traced, 5), 'strace holds every thread of the spool')
        self.answers = {}

    def end_strace(self):
        self.strace.terminate()
        try:
            self.strace.wait(10)
        except subprocess.TimeoutExpired:
            self.strace.kill()
            self.strace.wait(5)

    def is_traced(self):
        folder = '/proc/%d/task' % self.spool.pid
        for task in os.listdir(folder):
            with open('%s/%s/status' % (folder, task)) as f:
                if 'TracerPid:\t0\n' in f.read():
                    return False
        return True

    def submit(self, kind, mark):
        """Sends a message; what came of it is in answers: a code, or None for a connection that ended."""
        with self.instance.client(kind, login=ALICE) as c:
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net>', 250)
            c.command('DATA', 354)
            c.send(stuff(message(mark)))
            try:
                self.answers[mark] = c.reply()[0]
            except (EOFError, OSError):
                self.answers[mark] = None

    def start(self, n=4):
        threads = [threading.Thread(target=self.submit, args=(('plain', 'submission')[i % 2], 'slow-%d' % i)) for i in range(n)]
        for t in threads:
            t.start()
        return threads

    def finish(self, threads, seconds):
        for t in threads:
            t.join(seconds)
        self.assertFalse(any(t.is_alive() for t in threads), 'a client still waits for its answer')
        stored = [f.split()[1] for f in self.instance.stored() if f.is_whole]
        self.assertEqual(len(stored), len(self.instance.names()), 'all are whole')
        for mark, code in self.answers.items():
            n = stored.count(message(mark))
            self.assertIn(n, (0, 1))
            if code is not None:
                self.assertEqual(n, 1 if code == 250 else 0, '%s was answered %d and is there %d times' % (mark, code, n))
        return sorted(self.answers.values(), key=str)

    def test_a_commit_may_take_longer_than_any_time_out(self):
        began = time.monotonic()
        answers = self.finish(self.start(), 20)
        self.assertEqual(answers, [250] * 4)
        self.assertGreater(time.monotonic() - began, 2 * DELAY, 'the disk was not slow')

    def kill_spool(self, after):
        threads = self.start()
        time.sleep(after)
        self.assertEqual(self.answers, {}, 'the commits are under way')
        os.kill(self.spool.pid, signal.SIGKILL)
        return self.finish(threads, 20)

    def test_the_spool_dies_before_the_rename(self):
        answers = self.kill_spool(DELAY * 0.6)
        self.assertEqual(answers, [451] * 4, 'it is asked what became of them')

    def test_the_spool_dies_after_the_rename(self):
        answers = self.kill_spool(DELAY * 1.6)
        self.assertEqual(answers, [250] * 4, 'it is asked what became of them')

    def test_auth_dies_meanwhile(self):
        threads = self.start()
        time.sleep(DELAY)
        os.kill(self.instance.kind('postern-auth')[0].pid, signal.SIGKILL)
        answers = self.finish(threads, 20)
        self.assertEqual([a for a in answers if a not in (250, None)], [])

    def test_term_meanwhile(self):
        threads = self.start()
        time.sleep(DELAY)
        took = self.instance.stop()
        self.assertLess(took, postern.STOP_LIMIT)
        self.assertEqual(self.finish(threads, 5), [250] * 4, 'TERM lets transactions finish')

    def test_the_master_is_killed_meanwhile(self):
        threads = self.start()
        time.sleep(DELAY)
        self.instance.tree()
        os.kill(self.instance.master, signal.SIGKILL)
        self.instance.daemon.wait(5)
        answers = self.finish(threads, 20)
        self.assertEqual([a for a in answers if a not in (250, None)], [])
        self.assertTrue(wait_for(lambda: not self.instance.left(), 10), 'everything ends: %s' % self.instance.left())
        self.assertEqual(len(self.instance.names()), 4, 'the commits in flight were finished')
        self.instance.start()
        self.assertEqual(len(self.instance.names()), 4)

    def test_clients_that_do_not_wait(self):
        """A client that goes away before its answer may find its message stored, once and whole."""
        for n in range(3):
            c = self.instance.client('plain', login=ALICE)
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net>', 250)
            c.command('DATA', 354)
            c.send(stuff(message('gone-%d' % n)))
            c.close()
        wait_for(lambda: len(self.instance.names()) == 3, 2 * DELAY + 3)
        time.sleep(0.3)
        self.assertTrue(all(f.is_whole for f in self.instance.stored()))
        self.assertLessEqual(len(self.instance.names()), 3)
        self.submit('plain', 'next')
        self.assertEqual(self.answers, {'next': 250})


@unittest.skipUnless(IS_ROOT, 'only root can slow down a process that is not dumpable')
@unittest.skipIf(shutil.which('strace') is None, 'strace is not installed')
@unittest.skipIf(IS_SAN, 'the sanitizers do not run below strace')
class SlowJournal(SlowDisk):
    """By the journal: one sync for those who wait at the same time."""
    journal = '16M'

    def test_a_commit_may_take_longer_than_any_time_out(self):
        began = time.monotonic()
        self.assertEqual(self.finish(self.start(), 20), [250] * 4)
        self.assertGreater(time.monotonic() - began, DELAY, 'the disk was not slow')

    def test_the_spool_dies_before_the_rename(self):
        """What was written to the journal is there after a kill: 250; the others were not: 451."""
        answers = self.kill_spool(DELAY * 0.6)
        self.assertLessEqual(set(answers), {250, 451}, 'it is asked what became of them')

    def test_the_spool_dies_after_the_rename(self):
        """Between the two rounds of the journal, or in the second one."""
        threads = self.start()
        time.sleep(DELAY * 1.6)
        os.kill(self.spool.pid, signal.SIGKILL)
        self.assertLessEqual(set(self.finish(threads, 20)), {250, 451})


if __name__ == '__main__':
    main()
