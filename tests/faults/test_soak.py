#!/usr/bin/env python3
"""Soak: good clients, bad clients, resets and kill -9 of whatever process, round after round. After each round every message that had
its 250 is in the queue exactly once and whole, and no refused one is; over the later rounds, in which the services live on, neither
their memory nor their descriptors grow.

`make soak [SECONDS=600]`; `make check` runs some seconds of it.
"""
# run alone
import collections
import hashlib
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
import test_kill  # noqa: E402
from postern import ALICE, BOB, IS_ROOT, IS_SAN, Client, base64, main, wait_for  # noqa: E402
from test_kill import OK, REFUSED  # noqa: E402

SECONDS = int(os.environ.get('SECONDS') or 16)
ROUND = max(4.0, min(60.0, SECONDS / 4))
ROUNDS = max(4, round(SECONDS / ROUND))
SERVICES = ('postern-auth', 'postern-keys', 'postern-spool', 'postern-relay')
GOOD, BAD = 4, 3	# threads
EXPECTED = re.compile(r'event=(service\.died|hasher\.lost|hasher\.died|hashing\.ended)\b')	# alarms that a kill -9 brings


class BadClients:
    """Threads that do what no client should, until they are told to stop."""

    def __init__(self, instance):
        self.instance, self.stopping, self.done = instance, threading.Event(), collections.Counter()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(BAD)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for t in self.threads:
            t.join(30)

    def run(self):
        deeds = (self.garbage, self.wrong_password, self.half_message, self.reset, self.endless_line, self.half_closed, self.tls_noise,
                 self.dribble, self.many_errors, self.smuggle)
        while not self.stopping.is_set():
            deed = random.choice(deeds)
            try:
                deed()
                self.done[deed.__name__] += 1
            except (OSError, EOFError, AssertionError):
                self.done['ended early'] += 1
            time.sleep(0.01)

    def connect(self, kind='plain'):
        return socket.create_connection(('127.0.0.1', self.instance.port(kind)), 5)

    @staticmethod
    def drain(s, seconds=1.0):
        s.settimeout(seconds)
        while s.recv(65536):
            pass

    def garbage(self):
        with self.connect(random.choice(('plain', 'submission'))) as s:
            s.sendall(random.randbytes(random.randrange(1, 5000)))
            s.shutdown(socket.SHUT_WR)
            self.drain(s)

    def wrong_password(self):
        with self.instance.client('plain') as c:
            c.command('AUTH PLAIN ' + base64(b'\0%s\0wrong' % random.choice((ALICE, BOB, 'nobody')).encode()), 535)
            c.quit()

    def half_message(self):
        with self.instance.client('plain', login=ALICE) as c:
            for line in ('MAIL FROM:<%s>' % ALICE, 'RCPT TO:<rcpt@example.net>', 'DATA'):
                c.command(line)
            c.send(b'Subject: half\r\n\r\n' + b'x' * random.randrange(300000))

    def reset(self):
        """A message whose end was sent, and a reset at once: stored or not, but never half. It is not in the books."""
        c = self.instance.client('plain', login=BOB)
        for line in ('MAIL FROM:<%s>' % BOB, 'RCPT TO:<rcpt@example.net>', 'DATA'):
            c.command(line)
        c.send(b'From: %s\r\nSubject: reset\r\n\r\n%s\r\n.\r\n' % (BOB.encode(), b'y' * random.randrange(900)))
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        c.close()

    def endless_line(self):
        with self.connect() as s:
            for _ in range(40):
                s.sendall(b'x' * 65536)

    def half_closed(self):
        with self.connect() as s:
            s.sendall(b'EHLO x\r\nNOOP\r\n')
            s.shutdown(socket.SHUT_WR)
            self.drain(s)

    def tls_noise(self):
        with self.connect('submissions') as s:
            s.sendall(b'\x16\x03\x01' + random.randbytes(random.randrange(1, 500)))
            s.shutdown(socket.SHUT_WR)
            self.drain(s)

    def dribble(self):
        with self.connect() as s:
            for octet in b'EHLO dribble.example.org\r\n':
                s.sendall(bytes([octet]))
                if self.stopping.wait(0.03):
                    break

    def many_errors(self):
        with Client(('127.0.0.1', self.instance.port('plain'))) as c:
            c.expect(220)
            for _ in range(60):
                c.command('NONSENSE')

    def smuggle(self):
        with self.instance.client('plain', login=BOB) as c:
            for line in ('MAIL FROM:<%s>' % BOB, 'RCPT TO:<rcpt@example.net>', 'DATA'):
                c.command(line)
            c.send(b'Subject: reset\r\n\r\nx\n.\nMAIL FROM:<x@y>\r\n\r.\r\r\n.\r\n')
            c.expect(554)


class Soak(postern.Case):
    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {
            'workers.crash_ban': '0s', 'limits.sessions_per_account': 50, 'limits.sessions_per_address': 200, 'workers.spare': 4,
            'auth.throttle_after': 0, 'auth.failure_delay': '100ms', 'limits.command_timeout': '5s', 'limits.data_timeout': '5s'}}

    def check(self, load):
        """The promise, for this round; then the queue is emptied."""
        self.assertEqual(load.surprises, [])
        found = collections.defaultdict(list)
        for f in self.instance.stored('new', 'cur', 'hold'):
            self.assertTrue(f.is_whole, f.path)
            mark = re.search(rb'\r\nSubject: (\S+)\r\n', f.message).group(1).decode()
            if mark != 'reset':
                found[mark].append(f)
        wrong = []
        for mark, said in load.said.items():
            files = found.pop(mark, [])
            if (said == OK and len(files) != 1) or (said == REFUSED and files) or len(files) > 1:
                wrong.append('%s was %s and is there %d times' % (mark, said, len(files)))
            wrong += ['%s is not what was sent: %s' % (mark, f.path) for f in files
                      if hashlib.sha256(f.split()[1]).hexdigest() != load.digest[mark]]
        self.assertEqual(wrong[:10], [])
        self.assertEqual(list(found), [], 'messages that nobody sent')
        self.assertEqual(self.instance.names('failed'), [])
        self.assertTrue(wait_for(lambda: not self.instance.names('tmp'), 5), 'nothing is left in tmp/')
        if self.instance.queue():
            self.instance.adm('queue', 'remove', '--all', '--yes')
        self.assertEqual(self.instance.queue(), [])

    def rest(self):
        """No session is left; what the services hold then: {name: (pid, descriptors, resident KiB)}."""
        self.assertTrue(wait_for(lambda: self.instance.adm_json('session', 'list') == [], 15, 0.2), 'sessions are left')
        time.sleep(0.5)
        held = {}
        for name in ('master',) + SERVICES:
            for p in self.instance.kind(name):
                resident = int(p.status()['VmRSS'].split()[0])
                held[name] = (p.pid, len(p.descriptors()) if IS_ROOT else 0, resident)
        return held

    def kill(self, names, until):
        killed = collections.Counter()
        while time.monotonic() < until:
            time.sleep(random.uniform(0.2, 1.5) * postern.SLOW)
            name = random.choice(names)
            if name == 'HUP':
                self.instance.signal(signal.SIGHUP)
                killed[name] += 1
                continue
            victims = self.instance.kind(name)
            if victims:
                try:
                    os.kill(random.choice(victims).pid, signal.SIGKILL)
                    killed[name] += 1
                except ProcessLookupError:	# a worker that ended by itself
                    pass
        return killed

    def round(self, number, names):
        with test_kill.Load(self.instance) as load, BadClients(self.instance) as bad:
            killed = self.kill(names, time.monotonic() + ROUND)
        held = self.rest()
        self.assertGreater(load.count(OK), 0, dict(load.answers))
        print('     round %d: %d acknowledged, %d refused, %d without an answer; bad %s; killed %s' % (
            number, load.count(OK), load.count(REFUSED), len(load.said) - load.count(OK) - load.count(REFUSED),
            sum(bad.done.values()), dict(killed)), flush=True)
        self.check(load)
        return held

    def test_soak(self):
        test_kill.THREADS = GOOD
        present = tuple(name for name in SERVICES if self.instance.kind(name))
        early = ROUNDS // 2
        for n in range(early):
            self.round(n, present + ('worker', 'worker', 'hasher', 'HUP'))
        # One more, so that all have done each kind of work once, and what they hold now is what they need.
        before = self.round(early, ('worker',))
        for n in range(early + 1, ROUNDS):
            after = self.round(n, ('worker',))
        for name, (pid, descriptors, resident) in before.items():
            self.assertEqual(after[name][0], pid, '%s lives on' % name)
            print('     %-14s descriptors %d -> %d, resident %d -> %d KiB' % (name, descriptors, after[name][1], resident, after[name][2]))
            self.assertLessEqual(after[name][1], descriptors + 4, '%s: descriptors grow' % name)
            if not IS_SAN:	# whose quarantine grows
                self.assertLessEqual(after[name][2], resident * 1.2 + 4096, '%s: memory grows' % name)
        alarms = [line for line in self.instance.log().splitlines() if 'level=alarm' in line and not EXPECTED.search(line)
                  and not re.search(r'event=worker\.killed\b.*signal=9\b', line)]
        self.assertEqual(alarms[:5], [])
        # 257 is openat: SQLite would sync the folder of a new -wal, which registry_open() has done already.
        unknown = {line for line in self.instance.log().splitlines() if 'unknown system call' in line}
        self.assertLessEqual(unknown, {'sandbox: unknown system call 257 answered ENOSYS'})


if __name__ == '__main__':
    main(200 + 4 * SECONDS)
