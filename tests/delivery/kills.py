"""Messages through the whole chain while its processes are killed: each accepted one is delivered, each once, octets as they were.

Used by tests/e2e/test_delivery.py (a short form) and tests/delivery/test_kills.py (ten thousand).
"""
import json
import os
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))

from next_hop import NextHop
from postern import ALICE, PASSWORD, SLOW, Client, Instance, base64, wait_for

SETTINGS = {'delivery.retry': '1s 1s 2s', 'limits.sessions_per_address': '2000', 'limits.sessions_per_account': '2000',
            'workers.crash_ban': '0s'}


def compose(number, seed):
    """A message that a wrong octet anywhere would show in: dots, long lines, blanks at ends, UTF-8."""
    dice = random.Random('%s-%d' % (seed, number))
    lines = [dice.choice(['.', '..', '. x', 'From here', ' blank', 'end \t', '', 'x' * dice.randrange(900), 'grüße', '.%d' % number])
             for _ in range(dice.randrange(1, 12))]
    return ('From: %s\r\nTo: bob@example.net\r\nDate: Sun, 22 Nov 2026 02:00:00 +0000\r\nMessage-ID: <%d@test.example.org>\r\n'
            'Subject: %d\r\nX-Number: %d\r\n\r\n%s\r\n' % (ALICE, number, number, number, '\r\n'.join(lines))).encode()


class Hop(NextHop):
    """Keeps of each session which of its messages were followed by a further command: there the reply to the end has arrived."""

    def __init__(self, slowness=0.0, **options):
        self.kept = []	# [number, data, whether a command followed]
        self.keeping = threading.Lock()
        self.dice, self.slowness = random.Random(1), slowness
        super().__init__(rules={'END': self.end, 'MAIL': self.go_on, 'QUIT': self.go_on, 'RSET': self.go_on}, **options)

    def end(self, session, line):
        self.go_on(session, line)
        m = re.search(rb'^X-Number: (\d+)\r$', session.data, re.M)
        session.entry = [int(m.group(1)), session.data, False]
        with self.keeping:
            self.kept.append(session.entry)
            slow = self.dice.random() < self.slowness
        if slow:	# so that some are killed right there
            time.sleep(0.15)
        return True

    def go_on(self, session, line):
        if getattr(session, 'entry', None) is not None:
            session.entry[2] = True
            session.entry = None
        return True


class Run:
    def __init__(self, total, threads=4, kinds=('spool', 'relay', 'session', 'master'), pause=(0.15, 0.6), seed='postern', slowness=0.1, overlap=False):
        self.total, self.threads, self.kinds, self.pause, self.seed, self.slowness = total, threads, kinds, pause, seed, slowness
        self.overlap = overlap	# whether one may be killed while another is not back yet
        self.lock = threading.Lock()
        self.next = 0
        self.accepted, self.uncertain, self.refused = set(), set(), 0
        self.killed = {kind: 0 for kind in kinds}
        self.failures = []
        self.done = threading.Event()
        self.restarting = threading.Lock()

    # Submitting

    def take(self):
        with self.lock:
            if len(self.accepted) >= self.total:
                return None
            self.next += 1
            return self.next

    def connect(self):
        while not self.done.is_set():
            try:
                c = Client(('127.0.0.1', self.instance.port('plain')), timeout=30)
                c.expect(220)
                c.ehlo()
                c.command('AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD)), 235)
                return c
            except (OSError, EOFError, AssertionError):
                time.sleep(0.1)
        return None

    def submit_one(self, c, number):
        """True: accepted; False: refused for now; an exception: nobody knows."""
        for line in ('MAIL FROM:<%s>' % ALICE, 'RCPT TO:<bob@example.net>', 'DATA'):
            c.send(line + '\r\n')
            if c.reply()[0] not in (250, 354):
                return False
        data = compose(number, self.seed)
        c.send(re.sub(rb'(?m)^\.', b'..', data) + b'.\r\n')
        with self.lock:
            self.uncertain.add(number)
        code = c.reply()[0]
        with self.lock:
            self.uncertain.discard(number)
            if code == 250:
                self.accepted.add(number)
        return code == 250

    def submit(self):
        try:
            c = self.connect()
            while c is not None:
                number = self.take()
                if number is None:
                    break
                try:
                    if self.submit_one(c, number):
                        continue
                    with self.lock:
                        self.refused += 1
                except (OSError, EOFError):
                    pass
                c.close()
                c = self.connect()
            if c is not None:
                c.close()
        except Exception as e:
            self.failures.append(repr(e))

    # Killing

    def victims(self, kind):
        i = self.instance
        if kind == 'master':
            return [i.master]
        if kind == 'session':
            relay = [p.pid for p in i.kind('postern-relay')]
            return [p.pid for p in i.tree() if p.parent in relay and p.comm != 'resolver']
        return [p.pid for p in i.kind('postern-' + kind)]

    def is_whole(self):
        """Whether all are there again."""
        done = self.instance.run('--json', 'status')
        services = json.loads(done.stdout or b'{}').get('services', [])
        return len(services) == 4 and all(s['ready'] for s in services)

    def kill_one(self, dice):
        if not self.overlap:
            if not wait_for(self.is_whole, 20, 0.05):
                raise AssertionError('not all services come back: ' + self.instance.log_tail(20))
            time.sleep(0.1)	# for results that waited for a new spool to be told
        kind = dice.choice([k for k in self.kinds if k != 'master' or dice.random() < 0.35 or len(set(self.kinds)) < 3])
        victims = self.victims(kind)
        if not victims:
            return
        try:
            os.kill(dice.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            return
        self.killed[kind] += 1
        if kind == 'master':
            self.restart()

    def restart(self):
        i = self.instance
        i.daemon.wait(10)
        if not wait_for(lambda: not i.left(), 40):
            raise AssertionError('the services outlive their master: %s' % i.left())
        i.start(30)

    # All of it

    def __call__(self, test):
        dice = random.Random(self.seed)
        with Hop(self.slowness) as hop, Instance(settings=SETTINGS) as self.instance:
            i = self.instance
            i.adm('route', 'add', 'main', 'smtp://127.0.0.1:%d' % hop.port)
            i.adm('reload')
            began = time.monotonic()
            threads = [threading.Thread(target=self.submit, daemon=True) for _ in range(self.threads)]
            for t in threads:
                t.start()
            try:
                while any(t.is_alive() for t in threads) and time.monotonic() - began < (60 + self.total / 10) * SLOW:
                    time.sleep(dice.uniform(*self.pause))
                    self.kill_one(dice)
                # And while the rest goes out.
                for _ in range(5):
                    time.sleep(dice.uniform(*self.pause))
                    self.kill_one(dice)
            finally:
                self.done.set()
            for t in threads:
                t.join(30)
            test.assertEqual(self.failures, [])
            test.assertFalse(any(t.is_alive() for t in threads), 'submission does not come to its end: %d accepted' % len(self.accepted))
            empty = wait_for(lambda: not i.names('new', 'cur'), 90, 0.2)
            took = time.monotonic() - began
            test.assertTrue(empty, '%s still wait; log:\n%s' % (i.names('new', 'cur')[:5], i.log_tail(40)))
            test.assertEqual(i.names('failed', 'hold'), [])
            time.sleep(1)
            self.judge(test, hop, took)
            log = i.log()
            test.assertNotRegex(log, 'bad_frame|frame-bad')

    def judge(self, test, hop, took):
        copies = {}
        for entry in hop.kept:
            copies.setdefault(entry[0], []).append(entry)
        lost = sorted(n for n in self.accepted if n not in copies)
        test.assertEqual(lost, [], 'accepted, and not delivered')
        for number, entries in copies.items():
            test.assertIn(number, self.accepted | self.uncertain, 'delivered, and never given over whole')
            for _, data, _ in entries:
                test.assertTrue(data.endswith(b'\r\n' + compose(number, self.seed)) or data == compose(number, self.seed),
                                'octets of %d differ: %r' % (number, data[-200:]))
                test.assertEqual(data[:len(data) - len(compose(number, self.seed))].count(b'Received: '), 1)
        twice = {n: e for n, e in copies.items() if len(e) > 1}
        # Of each that came again, every copy but the last must be one whose reply may not have been heard and told on.
        unexplained = {n: [followed for _, _, followed in e] for n, e in twice.items() if any(followed for _, _, followed in e[:-1])}
        print('%d messages in %.0f s (%d refused for now, %d of unknown fate, of which %d came); kills: %s; twice: %d' % (
            len(self.accepted), took, self.refused, len(self.uncertain), len([n for n in self.uncertain if n in copies]),
            ', '.join('%s %d' % pair for pair in self.killed.items()), len(twice)))
        # With two dead at once, nobody may be left who could be told of an end that was heard.
        if not self.overlap:
            test.assertEqual(unexplained, {}, 'delivered again although the end of the first was heard')
        test.assertLessEqual(len(twice), sum(self.killed.values()) * 10)
