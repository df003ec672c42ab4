#!/usr/bin/env python3
"""kill -9 of each process under load: service is back at once, every acknowledged message is there once and whole, no refused one is."""
import collections
import hashlib
import os
import random
import re
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
from postern import ALICE, BOB, SLOW, main, message, stuff, wait_for  # noqa: E402

BACK = 3.0	# seconds in which service must be back: about 1, and a busy machine
THREADS = 8
SENT, OK, REFUSED = 'no answer', 'acknowledged', 'refused'


class Load:
    """Client threads that send marked messages and keep what they were told about each."""

    def __init__(self, instance):
        self.instance, self.stopping = instance, threading.Event()
        self.said, self.digest, self.good = {}, {}, 0
        self.lock = threading.Lock()
        self.surprises, self.answers = [], collections.Counter()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(THREADS)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for t in self.threads:
            t.join(30)

    def run(self, n):
        kind = ('plain', 'submission')[n % 2]
        user = (ALICE, BOB)[n % 2]
        count = 0
        while not self.stopping.is_set():
            try:
                with self.instance.client(kind, login=user) as c:
                    for _ in range(random.randrange(1, 40)):
                        count += 1
                        self.send(c, 'kill-%d-%d' % (n, count), user)
                        if self.stopping.is_set():
                            break
            except (OSError, EOFError):
                time.sleep(0.01)
            except AssertionError as e:	# a 4xx to a login while a service is away
                self.answers[re.sub(r'\d+\.\d+\.\d+', '', str(e))[:80]] += 1
                time.sleep(0.01)
            except Exception as e:
                self.surprises.append(repr(e))
                return

    def send(self, c, mark, user):
        size = random.choices((100, 2000, 20000, 70000, 400000), (8, 20, 4, 3, 1))[0]
        body = (mark.encode() + b' ' + b'x' * 50 + b'\r\n') * (size // 60 + 1)
        data = message(mark, body, user)
        for text, code in (('MAIL FROM:<%s>' % user, 250), ('RCPT TO:<rcpt@example.net>', 250), ('DATA', 354)):
            c.send(text + '\r\n')
            answer = c.reply()
            if answer[0] != code:
                self.answers[answer[1][0]] += 1
                self.said[mark] = REFUSED
                raise EOFError
        self.said[mark] = SENT
        time.sleep(0.004)	# the disk is not what is tested
        self.digest[mark] = hashlib.sha256(data).hexdigest()
        c.send(stuff(data))
        code, lines = c.reply()
        self.said[mark] = OK if code == 250 else REFUSED
        with self.lock:
            self.good += code == 250
        if code != 250:
            self.answers[lines[0]] += 1
            raise EOFError

    def wait_for_more(self, n, seconds):
        """Until n more messages were acknowledged."""
        goal = self.good + n
        return wait_for(lambda: self.good >= goal, seconds)

    def count(self, what):
        return sum(1 for v in self.said.values() if v == what)


class Kill(postern.Case):
    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {
            'workers.crash_ban': '0s', 'auth.remember': '0s', 'limits.sessions_per_account': 50, 'workers.spare': 4}}

    def check(self, load):
        """The promise, for all that was sent so far."""
        self.assertEqual(load.surprises, [])
        found = collections.defaultdict(list)
        for f in self.instance.stored():
            m = re.search(rb'\r\nSubject: (kill-\d+-\d+)\r\n', f.message)
            self.assertIsNotNone(m, 'a message that nobody sent: %s' % f.path)
            found[m.group(1).decode()].append(f)
        wrong = []
        for mark, said in load.said.items():
            files = found.pop(mark, [])
            if said == OK and len(files) != 1 or said == REFUSED and files or len(files) > 1:
                wrong.append('%s was %s and is there %d times' % (mark, said, len(files)))
            for f in files:
                if not f.is_whole or hashlib.sha256(f.split()[1]).hexdigest() != load.digest[mark]:
                    wrong.append('%s is not whole: %s' % (mark, f.path))
        self.assertEqual(wrong[:10], [])
        self.assertEqual(list(found), [], 'messages that nobody sent')
        self.assertEqual(self.instance.names('failed'), [])
        print('     %d acknowledged, %d refused, %d without an answer; %s' % (
            load.count(OK), load.count(REFUSED), load.count(SENT), dict(load.answers)))

    def setUp(self):
        """Stopped, since what is unlinked behind the spool's back comes back from its journal after a kill."""
        self.instance.stop()
        self.instance.empty_spool()
        self.instance.start()

    def back(self, since, what):
        """A fresh session with TLS, login and message succeeds within BACK seconds of the kill."""
        last = None
        while time.monotonic() - since < BACK * SLOW:
            try:
                with self.instance.client('submission', login=ALICE) as c:
                    c.submit(message('kill-99-%d' % random.randrange(10 ** 9)), codes=(250,))
                    return time.monotonic() - since
            except (OSError, EOFError, AssertionError) as e:
                last = e
                time.sleep(0.02)
        self.fail('no service %.1f s after %s was killed: %r' % (BACK, what, last))

    def kill_one(self, kind):
        """False: there is none, or it had just ended by itself, as workers do."""
        victims = self.instance.kind(kind)
        try:
            if victims:
                os.kill(random.choice(victims).pid, signal.SIGKILL)
            return bool(victims)
        except ProcessLookupError:
            return False

    def rounds(self, kind, n):
        took = []
        with Load(self.instance) as load:
            self.assertTrue(load.wait_for_more(10, 10), 'the load runs')
            for _ in range(n):
                time.sleep(random.random() * 0.2)
                self.assertTrue(wait_for(lambda: self.kill_one(kind), BACK), 'one was killed')
                took.append(self.back(time.monotonic(), kind))
                self.assertTrue(load.wait_for_more(10, 5), 'the load goes on')
        print('     back after %s' % ', '.join('%.2f s' % t for t in took))
        self.forget_probes()
        self.check(load)

    def forget_probes(self):
        """The messages of back() are not the load's."""
        probes = [f for f in self.instance.stored() if b'\r\nSubject: kill-99-' in f.message]
        for f in probes:
            self.assertTrue(f.is_whole)
            os.unlink(f.path)

    def test_worker(self):
        self.rounds('worker', 6)

    def test_spool(self):
        self.rounds('postern-spool', 5)

    def test_auth(self):
        self.rounds('postern-auth', 3)

    def test_hashing_child(self):
        self.rounds('hasher', 3)

    def test_keys(self):
        self.rounds('postern-keys', 3)

    def test_all_services_at_once(self):
        with Load(self.instance) as load:
            self.assertTrue(load.wait_for_more(10, 10))
            for kind in ('postern-spool', 'postern-auth', 'postern-keys'):
                for p in self.instance.kind(kind):
                    os.kill(p.pid, signal.SIGKILL)
            self.back(time.monotonic(), 'every service')
            self.assertTrue(load.wait_for_more(10, 5))
        self.forget_probes()
        self.check(load)

    def test_master(self):
        old = {}
        with Load(self.instance) as load:
            for _ in range(3):
                self.assertTrue(load.wait_for_more(10, 10), 'the load runs')
                time.sleep(random.random() * 0.2)
                self.instance.tree()
                old.update(self.instance.known)
                os.kill(self.instance.master, signal.SIGKILL)
                self.instance.daemon.wait(5)
                began = time.monotonic()
                # Whoever supervises it starts it again at once; it must have the spool's lock within the time for finishing.
                while True:
                    try:
                        self.instance.start()
                        break
                    except AssertionError:
                        self.assertLess(time.monotonic() - began, 8 * SLOW, 'no new start: ' + self.instance.log_tail())
                        time.sleep(0.1)
                print('     started again after %.2f s' % (time.monotonic() - began))
        self.assertTrue(wait_for(lambda: not any(postern.is_alive(*p) for p in old.items()), 8), 'the old tree has gone')
        self.check(load)

    def test_a_session_outlives_its_services(self):
        """Idle sessions go on after each service was started again; keys are not needed after the handshake."""
        for kind in ('postern-keys', 'postern-spool'):
            with self.subTest(kind=kind), self.instance.client('submission', login=ALICE) as c:
                old = self.instance.kind(kind)[0]
                os.kill(old.pid, signal.SIGKILL)
                self.assertTrue(wait_for(lambda: [p for p in self.instance.kind(kind) if p.pid != old.pid], BACK))
                time.sleep(0.3)
                c.submit(message('kill-99-1'))
                c.quit()
        self.forget_probes()

    def test_clean_stop_under_load(self):
        with Load(self.instance) as load:
            self.assertTrue(load.wait_for_more(20, 10))
            self.assertLess(self.instance.stop(), postern.STOP_LIMIT * SLOW)
        self.check(load)
        self.instance.start()


if __name__ == '__main__':
    main(200)
