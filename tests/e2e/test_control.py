#!/usr/bin/env python3
"""The control socket: session list and kill, status, metrics, pause and resume, reload with its result, drain; and what it must survive."""
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, BOB, IS_ROOT, IS_SAN, SLOW, Instance, main, message, program, wait_for  # noqa: E402

SAMPLE = re.compile(r'(postern_[a-z_]+)(?:\{([a-z]+)="([^"\\]*)"\})? (-?[0-9.]+)\Z')
OTHER = 65534


def empty(kind):
    return kind.to_bytes(2, 'big')


SESSIONS, KILL, STATUS, METRICS, RELOAD = 0x80, 0x82, 0x84, 0x86, 0x88


class Control(postern.Case):
    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {'workers.spare': 3}}

    def path(self):
        return os.path.join(self.instance.root, 'run', 'control')

    def sessions(self, *filters):
        done = self.instance.run('--json', 'session', 'list', *filters)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(all(list(r)[0] == 'v' for r in rows))
        return rows

    def error(self, code, *args):
        done = self.instance.run('--json', *args)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stderr.splitlines()[-1])['error']

    def with_account(self, *accounts):
        """The list, once the accounts of these sessions have reached the master."""
        found = wait_for(lambda: sorted(r['account'] or '' for r in self.sessions()) == sorted(accounts) and self.sessions(), 5)
        self.assertTrue(found, self.sessions())
        return found

    def nobody_left(self):
        self.assertTrue(wait_for(lambda: not self.sessions(), 8), self.sessions())

    def metrics(self):
        text = self.instance.adm('metrics')
        self.assertTrue(text.endswith('\n'))
        found, typed = {}, {}
        for line in text.splitlines():
            if line.startswith('# TYPE '):
                _, _, name, kind = line.split(' ')
                self.assertNotIn(name, typed)
                typed[name] = kind
                self.assertIn(kind, ('counter', 'gauge', 'histogram'))
            elif line.startswith('#'):
                self.assertRegex(line, r'\A# HELP postern_[a-z_]+ \S.*\Z')
            else:
                m = SAMPLE.match(line)
                self.assertTrue(m, line)
                family = re.sub(r'_(bucket|sum|count)$', '', m[1])
                self.assertTrue(m[1] in typed or typed.get(family) == 'histogram', line)
                key = m[1] if m[2] is None else (m[1], m[3])
                self.assertNotIn(key, found)
                found[key] = float(m[4])
        return found

    # Sessions

    def test_list_and_kill(self):
        with self.instance.client('submission', login=ALICE) as one, self.instance.client('plain', login=BOB) as two, \
                self.instance.client('plain') as three, self.instance.client('submission', tls=False) as four:
            rows = self.with_account(ALICE, BOB, '', '')
            byport = {r['peer']: r for r in rows}
            peer = lambda c: '127.0.0.1:%d' % c.sock.getsockname()[1]
            a, b, c, d = (byport[peer(x)] for x in (one, two, three, four))
            self.assertEqual((a['account'], a['listener'], a['tls'], a['ending']), (ALICE, 'submission', True, False))
            self.assertEqual((b['account'], b['listener'], b['tls']), (BOB, 'plain', False))
            self.assertEqual((c['account'], c['tls'], d['tls']), (None, False, None))
            self.assertTrue(all(re.fullmatch('[0-9a-f]{16}', r['session_id']) for r in rows))
            self.assertEqual([r['session_id'] for r in rows], sorted(r['session_id'] for r in rows), 'the oldest first')
            self.assertIn('session=' + a['session_id'], self.instance.log())
            self.assertRegex(a['since'], r'^20\d\d-\d\d-\d\dT.*Z$')
            self.assertEqual([r['account'] for r in self.sessions('--account', 'ALICE@*')], [ALICE])
            self.assertEqual(len(self.sessions('--peer', '127.0.0.0/8')), 4)
            self.assertEqual(self.sessions('--peer', '192.0.2.0/24'), [])
            self.assertEqual(self.instance.run('session', 'list', '--peer', '192.0.2.0/24').returncode, 1)
            self.assertEqual(self.instance.run('session', 'ls', '--peer', 'x').returncode, 64)
            table = self.instance.adm('session', 'list')
            self.assertIn(ALICE, table)
            self.assertTrue(all(len(line) <= 80 for line in table.splitlines()), table)

            self.instance.adm('session', 'kill', a['session_id'], '--dry-run')
            one.command('NOOP', 250)
            self.instance.adm('session', 'kill', a['session_id'])
            self.assertIn('421 4.3.2', one.expect(421)[0])
            self.assertRaises(EOFError, one.line)
            self.with_account(BOB, '', '')
            two.submit(message('left alone', sender=BOB), sender=BOB)
            for args in ((), ('-n',)):
                self.assertEqual(self.error(67, *args, 'session', 'kill', a['session_id'])['name'], 'no_session')

            self.assertEqual(self.error(1, 'session', 'kill', '--account', 'nobody@example.org')['name'], 'no_session')
            self.instance.adm('session', 'kill', '--account', BOB.upper())
            two.expect(421)
            three.command('NOOP', 250)
            self.assertTrue(self.instance.logged(r'session=%s .*event=session.killed' % b['session_id']))
        self.nobody_left()
        self.assertEqual(self.instance.run('session', 'list').returncode, 0)

    def test_kill_needs_yes_for_several(self):
        with self.instance.client('plain', login=BOB) as one, self.instance.client('plain', login=BOB) as two:
            self.with_account(BOB, BOB)
            found = self.error(64, 'session', 'kill', '--account', BOB)
            self.assertEqual((found['name'], found['message'].split(':')[0]), ('needs_yes', '2 sessions'))
            one.command('NOOP', 250)
            self.assertEqual(self.instance.adm_json('session', 'kill', '--account', BOB, '--yes')[0]['sessions'], 2)
            one.expect(421)
            two.expect(421)
        self.nobody_left()

    def test_kill_usage(self):
        for args in ((), ('0',), ('x',), ('1' * 17,), ('12', '--account', BOB), ('--account', BOB, '--account', ALICE)):
            self.assertEqual(self.instance.run('session', 'kill', *args).returncode, 64, args)

    def test_kill_by_force(self):
        """A session inside DATA has the grace of a shutdown, and no more."""
        with self.instance.client('plain', login=ALICE) as c:
            rows = self.with_account(ALICE)
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net>', 250)
            c.command('DATA', 354)
            c.send('Subject: half\r\n')
            began = time.monotonic()
            self.instance.adm('session', 'kill', rows[0]['session_id'])
            self.assertTrue(wait_for(lambda: not self.sessions(), 8))
            self.assertLess(time.monotonic() - began, 7 * SLOW)

    # Status and metrics

    def test_status(self):
        with self.instance.client('plain', login=ALICE):
            self.with_account(ALICE)
            got = self.instance.adm_json('status')[0]
            self.assertEqual((got['running'], got['pid'], got['sessions'], got['sessions_max']), (True, self.instance.master, 1, 1000))
            self.assertEqual((got['accepting'], got['paused'], got['draining']), (True, False, False))
            self.assertEqual([s['name'] for s in got['services']], ['auth', 'keys', 'spool'])
            for s in got['services']:
                self.assertEqual((s['ready'], s['restarts']), (True, 0))
                self.assertEqual(s['pid'], self.instance.kind('postern-' + s['name'])[0].pid)
            self.assertTrue(wait_for(lambda: self.instance.adm_json('status')[0]['workers_idle'] == 3, 3))
            text = self.instance.adm('status')
            self.assertRegex(text, r'(?m)^sessions +1 of 1000')
            self.assertRegex(text, r'(?m)^uptime +\d+[smhd]$')
        self.nobody_left()

    def test_metrics_add_up(self):
        time.sleep(1.2 * SLOW)	# the services tell their counts once a second
        before = self.metrics()
        with self.instance.client('plain', login=ALICE) as c:
            for i in range(5):
                c.submit(message('metric %d' % i))
            c.submit(b'From: <eve@example.com>\r\nTo: <rcpt@example.net>\r\n\r\nx\r\n', codes=(553,))
            c.quit()
        with self.instance.client('submissions') as c:
            c.login(ALICE, 'wrong', codes=(535,))
            c.quit()
        octets = sum(len(message('metric %d' % i)) for i in range(5))
        ended = lambda m: m['postern_messages_stored_total'] - before['postern_messages_stored_total'] >= 5 and \
            m[('postern_logins_total', 'invalid')] > before[('postern_logins_total', 'invalid')] and \
            m['postern_sessions_current'] == 0
        self.assertTrue(wait_for(lambda: ended(self.metrics()), 5, step=0.2), self.metrics())
        after = self.metrics()
        more = lambda *key: after[key[0] if len(key) == 1 else key] - before[key[0] if len(key) == 1 else key]
        self.assertEqual(more('postern_messages_stored_total'), 5)
        self.assertEqual(more('postern_octets_stored_total'), octets)
        self.assertEqual(more('postern_messages_refused_total', 'sender_not_allowed'), 1)
        self.assertEqual((more('postern_logins_total', 'ok'), more('postern_logins_total', 'invalid')), (1, 1))
        self.assertEqual((more('postern_sessions_total', 'plain'), more('postern_sessions_total', 'submissions')), (1, 1))
        self.assertEqual(more('postern_sessions_ended_total', 'quit'), 2)
        self.assertEqual(more('postern_commit_seconds_count'), 5)
        self.assertEqual(after[('postern_commit_seconds_bucket', '+Inf')], after['postern_commit_seconds_count'])
        steps = [v for k, v in after.items() if k[0] == 'postern_commit_seconds_bucket']
        self.assertEqual(steps, sorted(steps))
        self.assertEqual(after[('postern_queue_messages', 'active')], len(self.instance.queue()))
        self.assertEqual(after['postern_sessions_max'], 1000)
        self.assertLess(abs(time.time() - after['postern_start_time_seconds']), 600)
        rows = self.instance.adm_json('metrics')
        self.assertEqual(len(rows), len(after))
        self.assertEqual([r['value'] for r in rows if r['name'] == 'postern_octets_stored_total'],
                         ['%d' % after['postern_octets_stored_total']])

    # What the service is told

    def test_pause_and_resume(self):
        with self.instance.client('plain', login=ALICE) as c:
            before = self.metrics()[('postern_sessions_refused_total', 'paused')]
            self.instance.adm('pause', 'submission', '--dry-run')
            self.assertEqual(self.instance.adm_json('status')[0]['paused'], False)
            self.instance.adm('pause', 'submission', '--reason', 'new disks')
            try:
                for kind in ('plain', 'submission'):
                    with postern.Client(('127.0.0.1', self.instance.port(kind))) as other:
                        self.assertIn('421 4.3.2', other.expect(421)[0])
                        self.assertRaises(EOFError, other.line)
                self.assertTrue(self.instance.logged(r'event=session.begin .*refused=paused reason="new disks"'))
                c.submit(message('while paused'))
                self.instance.adm('reload')	# a pause outlives it
                got = self.instance.adm_json('status')[0]
                self.assertEqual((got['paused'], got['paused_reason']), (True, 'new disks'))
                for args, reason in (((), 'new disks'), (('--reason', 'old disks'), 'old disks'), (('--reason', 'new disks'), 'new disks')):
                    self.assertEqual(self.instance.adm_json('pause', 'submission', *args)[0]['reason'], reason)
                    self.assertEqual(self.instance.adm_json('status')[0]['paused_reason'], reason)
                self.assertRegex(self.instance.adm('status'), 'PAUSED: new disks')
                self.assertEqual(self.metrics()['postern_paused'], 1)
            finally:
                self.instance.adm('resume', 'submission')
            self.assertEqual(self.metrics()[('postern_sessions_refused_total', 'paused')], before + 2)
            self.assertEqual(self.metrics()['postern_paused'], 0)
            with self.instance.client('plain', login=ALICE) as again:
                again.quit()
            c.quit()

    def test_reload_tells_what_came_of_it(self):
        conf = os.path.join(self.instance.root, 'postern.conf')
        with open(conf) as f:
            good = f.read()
        try:
            with open(conf, 'a') as f:
                f.write('[limits]\nerors = 5\n')
            found = self.error(78, 'reload')
            self.assertRegex(found['message'], r'postern\.conf:%d: .*erors' % (good.count('\n') + 2))
            # the same from the master, past what smtpadm checks itself
            code, reason = self.ask_reload()
            self.assertEqual(code, 78)
            self.assertRegex(reason, r'postern\.conf:%d: .*erors' % (good.count('\n') + 2))
        finally:
            with open(conf, 'w') as f:
                f.write(good)
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            try:
                with open(conf, 'a') as f:
                    f.write('\n[listener more]\nkind = plain\naddress = 127.0.0.1:%d\n' % taken.getsockname()[1])
                found = self.error(78, 'reload')
                self.assertIn('in use', found['message'])
            finally:
                with open(conf, 'w') as f:
                    f.write(good)
        count = self.instance.log().count('event=config.loaded')
        got = self.instance.adm_json('reload')[0]
        self.assertEqual((got['action'], got['dry_run']), ('reloaded', False))
        self.assertEqual(self.instance.log().count('event=config.loaded'), count + 1, 'done when it is said')
        self.instance.adm('reload', '--dry-run')
        self.assertEqual(self.instance.log().count('event=config.loaded'), count + 1)

    def ask_reload(self):
        with self.connect() as s:
            s.send(empty(RELOAD))
            got = s.recv(65536)
        self.assertEqual(got[:2], empty(RELOAD + 1))
        return got[2], got[9:].decode()

    def test_two_reloads_at_once(self):
        first, second = self.connect(), self.connect()
        with first, second:
            first.send(empty(RELOAD))
            second.send(empty(RELOAD))
            for s in (first, second):
                self.assertEqual(s.recv(65536)[:3], empty(RELOAD + 1) + b'\0')

    # What it must survive

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(self.path())	# waits where the backlog is full
        s.settimeout(10 * SLOW)
        return s

    def mail_works(self):
        with self.instance.client('plain', login=ALICE) as c:
            c.submit(message('still'))
            c.quit()
        self.assertIsNone(self.instance.daemon.poll())

    def test_mode(self):
        s = os.stat(self.path())
        self.assertTrue(stat.S_ISSOCK(s.st_mode))
        self.assertEqual(stat.S_IMODE(s.st_mode), 0o600)

    @unittest.skipUnless(IS_ROOT, 'another user needs root')
    def test_another_user_is_refused(self):
        os.chmod(self.instance.base, 0o755)
        if subprocess.run([program('smtpadm'), '--version'], user=OTHER, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest('the programs are out of reach for user %d' % OTHER)
        for args in (('session', 'list'), ('session', 'kill', '1'), ('metrics',), ('pause', 'submission'), ('drain',)):
            done = subprocess.run([program('smtpadm'), '--root', self.instance.root, *args], user=OTHER, group=OTHER,
                                  extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 77, (args, done.stderr))
        # Even with a way through the mode, the other end's user counts.
        os.chmod(self.path(), 0o666)
        try:
            done = subprocess.run([program('smtpadm'), '--root', self.instance.root, 'session', 'list'], user=OTHER, group=OTHER,
                                  extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertNotIn(done.returncode, (0, 1), done.stdout)
            self.assertEqual(done.stdout, b'')
        finally:
            os.chmod(self.path(), 0o600)
        self.mail_works()

    def test_bad_frames_end_their_connection_only(self):
        name = b'\0\x05alice'
        frames = [b'\0', b'x' * 7, os.urandom(500), empty(SESSIONS + 1), empty(0x10), empty(0xffff), empty(SESSIONS) + b'x',
                  empty(KILL), empty(KILL) + bytes(8), empty(KILL) + bytes(8) + b'\0\0', empty(KILL) + b'\1' * 8 + name,
                  empty(KILL) + bytes(8) + b'\xff\xff' + b'a' * 20, empty(0x8a) + b'\0\x05a', empty(0x8a) + b'\0\x03a\0b',
                  b'\0' * 30000]
        for frame in frames:
            with self.connect() as s:
                s.send(frame)
                self.assertEqual(s.recv(65536), b'', frame[:40])
        with self.connect() as s:	# two questions at once: at most the first is answered
            for _ in range(3):
                try:
                    s.send(empty(SESSIONS))
                except OSError:
                    break
        self.assertEqual(self.instance.adm_json('status')[0]['paused'], False)
        self.mail_works()

    def test_many_and_half_open_clients(self):
        held = []
        try:
            for i in range(100):
                s = self.connect()
                if i % 3 == 1:
                    s.send(empty(METRICS))	# and never reads
                elif i % 3 == 2:
                    s.shutdown(socket.SHUT_WR)
                held.append(s)
            self.assertEqual(self.instance.adm_json('status')[0]['running'], True)
            self.assertIn('sessions', self.instance.adm_json('status')[0], 'the control socket still answers')
            self.mail_works()
            if IS_ROOT and not IS_SAN:
                fds = [t for t in next(p for p in self.instance.tree() if p.pid == self.instance.master).descriptors().values()
                       if t.startswith('socket:')]
                self.assertLess(len(fds), 60, 'bounded')
        finally:
            for s in held:
                s.close()

    def test_many_questions_on_one_connection(self):
        with self.connect() as s:
            answers = 0
            try:
                for _ in range(200):
                    s.send(empty(METRICS))
                    if not s.recv(65536):
                        break
                    answers += 1
            except OSError:
                pass
            self.assertEqual(answers, 64)

    def test_many_sessions_and_a_client_that_does_not_read(self):
        n = 40 if IS_SAN else 140
        sources = ['127.0.0.%d' % k for k in (1, 2, 3)]
        clients = [postern.Client(('127.0.0.1', self.instance.port('plain')), source=source) for source in sources for _ in range(n)]
        try:
            for c in clients:
                c.expect(220)
            peers = {'%s:%d' % c.sock.getsockname() for c in clients}
            with self.connect() as slow:	# more rows than its socket holds
                slow.send(empty(SESSIONS))
                self.mail_works()
                rows = self.sessions()
                self.assertEqual({r['peer'] for r in rows} & peers, peers)
                self.assertEqual(len(self.sessions('--peer', '127.0.0.2')), n)
                got = 0
                while slow.recv(65536)[2:10] != bytes(8):
                    got += 1
                self.assertGreaterEqual(got, len(clients))
                slow.send(empty(STATUS))
                self.assertEqual(slow.recv(65536)[:2], empty(STATUS + 1), 'and then the next question')
        finally:
            for c in clients:
                c.close()
        self.nobody_left()

    @unittest.skipUnless(IS_ROOT and not IS_SAN, "a worker's memory is looked into by root")
    def test_workers_do_not_learn_who_is_logged_in(self):
        """Names of accounts are in memory that a fork does not carry over."""
        with self.instance.client('plain', login=BOB):
            self.with_account(BOB)
            self.assertTrue(self.holds(self.instance.master, BOB), 'or this test sees nothing')
            fresh = [self.instance.client('plain') for _ in range(5)]	# more than were forked before
            try:
                worker = self.instance.worker_of(fresh[-1]).pid
                self.assertTrue(self.holds(worker, postern.HOST), 'a worker has the configuration')
                self.assertFalse(self.holds(worker, BOB))
            finally:
                for c in fresh:
                    c.close()

    @staticmethod
    def holds(pid, text):
        with open('/proc/%d/maps' % pid) as f:
            areas = [line.split() for line in f]
        with open('/proc/%d/mem' % pid, 'rb') as mem:
            for area in areas:
                begin, end = (int(n, 16) for n in area[0].split('-'))
                if 'r' not in area[1] or begin > 1 << 48:
                    continue
                mem.seek(begin)
                try:
                    if text.encode() in mem.read(end - begin):
                        return True
                except OSError:
                    pass
        return False


class Ending(unittest.TestCase):
    def test_drain(self):
        with Instance() as i:
            with i.client('plain', login=ALICE) as c:
                i.adm('drain', '--dry-run')
                i.adm('drain')
                self.assertTrue(wait_for(lambda: not i.answers('plain', '127.0.0.1', i.port('plain')), 3))
                self.assertEqual(i.adm_json('status')[0]['draining'], True)
                i.adm('reload')
                c.submit(message('last'))
                self.assertIsNone(i.daemon.poll())
                self.assertFalse(i.answers('plain', '127.0.0.1', i.port('plain')), 'a reload opens nothing')
                c.quit()
            self.assertEqual(i.daemon.wait(10 * SLOW), 0)
            self.assertEqual(len(i.stored()), 1)

    def test_nobody_to_ask(self):
        with Instance(start=False) as i:
            for args in (('session', 'list'), ('session', 'kill', '1'), ('metrics',), ('pause', 'submission'), ('drain',), ('reload',)):
                done = i.run('--json', *args)
                self.assertEqual(done.returncode, 69, (args, done.stderr))
                self.assertEqual(json.loads(done.stderr)['error']['name'], 'not_running')
            i.start()
            i.adm('metrics')
            i.stop()
            self.assertFalse(os.path.exists(os.path.join(i.root, 'run', 'control')), 'removed at the end')
            # left behind by a kill: taken over
            i.start()
            i.kill_all()
            self.assertTrue(os.path.exists(os.path.join(i.root, 'run', 'control')))
            self.assertEqual(i.run('session', 'list').returncode, 69)
            i.start()
            i.adm('session', 'list')

    def test_restart_of_a_service_is_counted(self):
        with Instance() as i:
            with i.client('plain', login=ALICE) as c:
                c.submit(message('one'))
                c.quit()
            count = lambda: re.search(r'(?m)^postern_messages_stored_total (\d+)$', i.adm('metrics'))[1]
            self.assertTrue(wait_for(lambda: count() == '1', 5, step=0.2))
            os.kill(i.kind('postern-spool')[0].pid, 9)
            self.assertTrue(wait_for(lambda: [s['restarts'] for s in i.adm_json('status')[0]['services']
                                              if s['name'] == 'spool' and s['ready']] == [1], 5))
            self.assertIn('postern_service_restarts_total{service="spool"} 1\n', i.adm('metrics'))
            self.assertEqual(count(), '1', 'what was counted stays')


main()
