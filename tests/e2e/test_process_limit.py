#!/usr/bin/env python3
"""Starts under a limit of processes that is too low: the message names the limit, its value and what raises it."""
import ctypes
import os
import re
import resource
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, HOST, IS_ROOT, IS_SAN, PASSWORD, SLOW, free_ports, is_alive, main, program, wait_for  # noqa: E402

USER = 61234	# somebody who runs nothing else
PROGRAMS = ('posternd', 'postern-auth', 'postern-keys', 'postern-spool', 'postern-relay', 'smtpadm')
NAMED = re.compile(r'limit of processes and threads is reached \(RLIMIT_NPROC is (\d+) for user (\d+);.*ulimit -u.*LimitNPROC=.*TasksMax=')


class PrivateUsers(postern.Instance):
    """One whose services have users of their own, for the processes of a user are counted together."""

    def setup(self, certificate):
        os.makedirs(self.root)
        with open(os.path.join(self.root, 'postern.conf'), 'w') as f:
            f.write('[users]\nbase = %d\n' % (USER + 100))
        super().setup(certificate)


@unittest.skipUnless(IS_ROOT, 'only root can start programs as a user who runs nothing else')
@unittest.skipIf(IS_SAN, 'the sanitizers have threads of their own')
class Limit(unittest.TestCase):
    def setUp(self):
        self.instance = None
        self.base = None
        ctypes.CDLL(None).prctl(36, 1)	# PR_SET_CHILD_SUBREAPER

    def tearDown(self):
        if self.instance:
            self.instance.close()
        if self.base:
            shutil.rmtree(self.base, ignore_errors=True)

    def attempt(self, argv, limit, log, user=None):
        """Starts posternd; (exit code or None when it is ready, what it said)."""
        def prepare():
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
            if user is not None:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
        with open(log, 'w') as f:
            daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f, cwd='/', preexec_fn=prepare)

        def state():
            with open(log, errors='replace') as f:
                return daemon.poll() is not None or 'event=ready' in f.read()
        try:
            self.assertTrue(wait_for(state, 15), 'it neither starts nor ends')
            with open(log, errors='replace') as f:
                text = f.read()
            if 'event=ready' in text:
                return None, text
            return daemon.wait(10), text
        finally:
            if daemon.poll() is None:
                daemon.terminate()
                daemon.wait(15 * SLOW)
            self.assertFalse(is_alive(daemon.pid))
            # What still waits to be reaped is counted, too: orphans come to this process.
            self.assertTrue(wait_for(self.reap, 10), 'processes are left')

    @staticmethod
    def reap():
        """True when there is no child any more."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
            return False
        except ChildProcessError:
            return True

    def climb(self, argv, log, user, highest):
        """Each limit that is too low is named; then it starts."""
        refused = 0
        for limit in range(1, highest):
            code, text = self.attempt(argv, limit, log, user)
            if code is None:
                return refused
            refused += 1
            self.assertEqual(code, 71, text)
            last = text.rstrip().splitlines()[-1]
            found = NAMED.search(last)
            self.assertTrue(found, 'limit %d:\n%s' % (limit, text))
            self.assertEqual(int(found.group(1)), limit)
            if user is not None:
                self.assertEqual(int(found.group(2)), user)
            self.assertNotIn('selftest sandbox', last)
        self.fail('it does not start below a limit of %d:\n%s' % (highest, text))

    def test_ordinary_user(self):
        self.base = '/tmp/postern-limit-%d' % os.getpid()
        os.makedirs(self.base + '/bin')
        for name in PROGRAMS:
            if os.path.exists(program(name)):
                shutil.copy(program(name), self.base + '/bin')
        os.mkdir(self.base + '/home')
        os.chown(self.base + '/home', USER, USER)
        for path in (self.base, self.base + '/bin'):
            os.chmod(path, 0o755)
        root = self.base + '/home/instance'
        subprocess.run([self.base + '/bin/smtpadm', '--root', root, 'setup', '--hostname', HOST, '--account', ALICE,
                        '--password-stdin', '--self-signed', '--listen', 'submission=127.0.0.1:%d' % free_ports(1)[0]],
                       input=PASSWORD.encode(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=USER,
                       group=USER, extra_groups=[], cwd='/', timeout=30)
        refused = self.climb([self.base + '/bin/posternd', '--root', root], self.base + "/log", USER, 80)
        self.assertGreater(refused, 3)

    def test_users_of_the_services(self):
        """The limit is each user's: root may start what it likes, and a service's threads are one too many."""
        self.instance = i = PrivateUsers(start=False)
        refused = self.climb([program('posternd'), '--root', i.root], os.path.join(i.base, 'limit.log'), None, 40)
        self.assertGreater(refused, 0)


if __name__ == '__main__':
    main()
