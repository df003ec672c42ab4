#!/usr/bin/env python3
"""The processes of a running instance as /proc shows them: users, roots, filters, descriptors; one worker a session."""
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, BOB, IS_ROOT, IS_SAN, SLOW, Client, main, message, program, wait_for  # noqa: E402

KINDS = ('worker', 'postern-auth', 'hasher', 'postern-keys', 'postern-spool')
root_only = unittest.skipUnless(IS_ROOT, 'separate users need root')


def sockets(process):
    return {int(m.group(1)) for t in process.descriptors().values() for m in [re.fullmatch(r'socket:\[(\d+)\]', t)] if m}


def listening(besides=None):
    """Inodes of listening sockets, but for Unix sockets of this name."""
    found = set()
    for name in ('tcp', 'tcp6'):
        with open('/proc/net/' + name) as f:
            found |= {int(row.split()[9]) for row in f.readlines()[1:] if row.split()[3] == '0A'}
    with open('/proc/net/unix') as f:	# flag __SO_ACCEPTCON
        found |= {int(row.split()[6]) for row in f.readlines()[1:] if int(row.split()[3], 16) & 0x10000 and
                  not (besides and row.rstrip().endswith('/' + besides))}
    return found


class Processes(postern.Case):
    @classmethod
    def options(cls):
        return {'settings': {'workers.spare': 3}}

    def each(self):
        """(kind, process) of every process but the master; fails if a kind has none. Not while workers of earlier sessions are ending."""
        wait_for(lambda: len(self.instance.kind('worker')) == 3, 5)
        for kind in KINDS:
            found = wait_for(lambda: self.instance.kind(kind), 3)
            self.assertTrue(found, 'there is no %s process' % kind)
            for p in found:
                # A worker that was forked this instant is on its way into the sandbox; no client is given to it before.
                wait_for(lambda: p.status()['Seccomp'].strip() == '2', 2)
                yield kind, p

    def test_every_kind_is_there(self):
        counts = {kind: len(self.instance.kind(kind)) for kind in KINDS}
        self.assertGreaterEqual(counts['hasher'], 2)
        for kind in ('postern-auth', 'postern-keys', 'postern-spool'):
            self.assertEqual(counts[kind], 1)
        self.assertTrue(wait_for(lambda: len(self.instance.kind('worker')) == 3, 3), 'workers.spare idle workers')

    @root_only
    def test_users_are_distinct_and_have_no_groups(self):
        uids = {}
        for kind, p in self.each():
            with self.subTest(kind=kind):
                uid, gid = p.numbers('Uid'), p.numbers('Gid')
                self.assertEqual((len(set(uid)), len(set(gid))), (1, 1), 'real, effective, saved, file system')
                self.assertNotEqual((uid[0], gid[0]), (0, 0))
                self.assertEqual(p.numbers('Groups'), [])
                uids.setdefault('postern-auth' if kind == 'hasher' else kind, set()).add((uid[0], gid[0]))
        self.assertTrue(all(len(v) == 1 for v in uids.values()), uids)
        self.assertEqual(len(set.union(*uids.values())), 4, uids)

    @root_only
    def test_no_capabilities(self):
        for kind, p in self.each():
            with self.subTest(kind=kind):
                for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
                    self.assertEqual(int(p.status()[name], 16), 0, name)

    @root_only
    def test_root_is_an_empty_folder(self):
        empty = os.path.join(self.instance.root, 'run', 'empty')
        for kind, p in self.each():
            with self.subTest(kind=kind):
                self.assertEqual(os.readlink('/proc/%d/root' % p.pid), empty)
                self.assertEqual(os.readlink('/proc/%d/cwd' % p.pid), empty)
                self.assertEqual(os.listdir('/proc/%d/root/' % p.pid), [])
        s = os.stat(empty)
        self.assertEqual((s.st_uid, s.st_mode & 0o222), (0, 0), 'nobody may write there')

    def test_seccomp_and_no_new_privs(self):
        for kind, p in self.each():
            with self.subTest(kind=kind):
                self.assertEqual(p.numbers('Seccomp'), [2])
                self.assertEqual(p.numbers('NoNewPrivs'), [1])

    def test_every_thread_is_sealed(self):
        for kind, p in self.each():
            for task in os.listdir('/proc/%d/task' % p.pid):
                with open('/proc/%d/task/%s/status' % (p.pid, task)) as f:
                    self.assertRegex(f.read(), r'NoNewPrivs:\t1\nSeccomp:\t2\n', '%s thread %s' % (kind, task))

    def test_not_dumpable(self):
        for kind, p in self.each():
            with self.subTest(kind=kind):
                self.assertEqual(os.stat('/proc/%d/status' % p.pid).st_uid, 0, 'owned by root, as the kernel does then')

    def test_no_core_files(self):
        for kind, p in self.each():
            with open('/proc/%d/limits' % p.pid) as f:
                self.assertRegex(f.read(), r'Max core file size +0 +0 ', kind)

    def test_master_has_no_database_and_no_password_code(self):
        with open('/proc/%d/maps' % self.instance.master) as f:
            maps = f.read()
        self.assertNotRegex(maps, r'libsqlite3|libcrypt\.so|registry\.db')
        self.assertRegex(maps, r'libssl', 'the workers inherit it')

    @root_only
    def test_libraries_of_each_program(self):
        for kind, absent in (('postern-spool', r'libsqlite3|libcrypt\.so|libssl'), ('postern-keys', r'libsqlite3|libcrypt\.so'),
                             ('postern-auth', r'libssl'), ('worker', r'libsqlite3|libcrypt\.so|registry\.db')):
            for p in self.instance.kind(kind):
                with open('/proc/%d/maps' % p.pid) as f:
                    self.assertNotRegex(f.read(), absent, kind)

    @root_only
    def test_workers_hold_only_their_sockets(self):
        with self.instance.client('submission', login=ALICE) as c, self.instance.client('plain') as idle:
            busy, other = self.instance.worker_of(c), self.instance.worker_of(idle)
            closed = listening()
            for p in self.instance.kind('worker'):
                held = p.descriptors()
                for fd, what in held.items():
                    fine = what.startswith('socket:[') or what == '/dev/null'
                    if IS_SAN and fd == 2:	# for the sanitizers' reports
                        fine = fine or what.startswith('pipe:')
                    self.assertTrue(fine, 'worker holds %d %s' % (fd, what))
                self.assertFalse(sockets(p) & closed, 'a worker holds a listening socket: %s' % held)
            self.assertFalse(sockets(busy) & sockets(other), 'two sessions share a socket')
            # client, master, auth, spool; the socket to the keys is closed after the handshake
            self.assertLessEqual(len(sockets(busy)), 4, busy.descriptors())
            # client, master, auth: no way to the spool before login
            self.assertLessEqual(len(sockets(other)), 3, other.descriptors())

    @root_only
    def test_services_hold_no_listening_socket_and_no_file_of_others(self):
        allowed = {'postern-auth': r'registry', 'hasher': r'$^', 'postern-keys': r'$^', 'postern-spool': r'/spool'}
        common = r'socket:|anon_inode:\[(eventpoll|eventfd|signalfd|timerfd)\]|/dev/null|pipe:|/memfd:|%s|%s/run/empty' % (
            re.escape(self.instance.log_file), re.escape(self.instance.root))
        for kind, p in self.each():
            if kind == 'worker':
                continue
            with self.subTest(kind=kind):
                # postern-spool is asked by smtpadm; nobody else by anybody.
                self.assertFalse(sockets(p) & listening('spool-control' if kind == 'postern-spool' else None))
                for fd, what in p.descriptors().items():
                    self.assertTrue(re.match(common, what) or re.search(allowed[kind], what), '%s holds %d %s' % (kind, fd, what))

    def test_a_fresh_worker_for_each_session(self):
        if not IS_ROOT:
            self.skipTest('whose socket is whose can be seen by root only')
        seen = []
        for _ in range(6):
            with self.instance.client('plain', login=ALICE) as c:
                p = self.instance.worker_of(c)
                self.assertIsNotNone(p)
                seen.append(p.pid)
                c.submit(message('fresh'))
                c.quit()
            self.assertTrue(wait_for(lambda: not postern.is_alive(p.pid, p.started), 3), 'the worker ends with its session')
        self.assertEqual(len(set(seen)), 6)

    def test_a_worker_ends_when_the_client_goes(self):
        before = {p.pid for p in self.instance.kind('worker')}
        clients = [self.instance.client('plain') for _ in range(5)]
        self.assertTrue(wait_for(lambda: len(self.instance.kind('worker')) == 8, 3), 'five sessions and three spare ones')
        for c in clients:
            c.close()
        self.assertTrue(wait_for(lambda: len(self.instance.kind('worker')) <= 8 - 5 + 2, 4), 'the five have gone')
        self.assertTrue(before)

    def test_selftest(self):
        done = self.instance.run('selftest', 'sandbox')
        text = done.stdout.decode()
        self.assertEqual(done.returncode, 0, text + done.stderr.decode())
        for name in ('worker', 'auth', 'keys', 'spool'):
            for part in ('no_new_privs', 'seccomp', 'landlock', 'undumpable'):
                self.assertRegex(text, r'(?m)^\S*%s\S* +%s +ok' % (name, part))
            if IS_ROOT:
                for part in ('user', 'chroot'):
                    self.assertRegex(text, r'(?m)^\S*%s\S* +%s +ok' % (name, part))

    def without(self, *calls):
        if shutil.which('strace') is None:
            self.skipTest('strace is not installed')
        if IS_SAN:
            self.skipTest('the sanitizers do not run below strace')
        inject = [a for c in calls for a in ('-e', 'inject=%s:error=ENOSYS' % c)]
        trial = subprocess.run(['strace', '-f', '-qq', '-o', '/dev/null', '/bin/true'], stderr=subprocess.PIPE)
        if trial.returncode != 0:
            self.skipTest('strace does not work here: %s' % trial.stderr.decode().strip())
        return subprocess.run(['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=' + ','.join(calls), *inject,
                               program('smtpadm'), '--root', self.instance.root, 'selftest', 'sandbox'],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW)

    def test_selftest_fails_without_landlock(self):
        done = self.without('landlock_create_ruleset')
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout.decode(), r'(?m)^\S+ +landlock +absent')

    def test_the_master_outlives_a_flood_of_connections(self):
        clients = []
        for _ in range(60):
            clients.append(Client(('127.0.0.1', self.instance.port('plain'))))
        for c in clients:
            c.expect(220)
        for c in clients:
            c.close()
        with self.instance.client('plain', login=ALICE) as c:
            c.submit(message('after'))
        self.assertIsNone(self.instance.daemon.poll())


class Crash(postern.Case):
    """A worker that dies by a signal is an alarm, and its peer's network is refused for a while."""

    @classmethod
    def options(cls):
        return {'settings': {'workers.crash_ban': '2s'}, 'accounts': (BOB,)}

    @root_only
    @unittest.skipIf(IS_SAN, 'the sanitizers catch the signal')
    def test_alarm_and_ban(self):
        other = self.instance.client('plain', login=BOB)
        c = self.instance.client('plain', login=ALICE)
        os.kill(self.instance.worker_of(c).pid, signal.SIGSEGV)
        with self.assertRaises(EOFError):
            c.line()
        self.assertTrue(self.instance.logged(r'level=alarm.*127\.0\.0\.1'), 'an alarm that names the peer')
        with Client(('127.0.0.1', self.instance.port('plain'))) as banned:
            try:
                code, lines = banned.reply()
                self.assertIn(code, (421, 554), lines)
            except EOFError:
                pass
        other.submit(message('other', sender=BOB), sender=BOB)	# the other session is none the wiser
        other.close()
        self.assertTrue(wait_for(lambda: self.instance.answers('plain', '127.0.0.1', self.instance.port('plain')), 5, 0.2),
                        'served again')


if __name__ == '__main__':
    main()
