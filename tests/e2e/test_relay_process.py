#!/usr/bin/env python3
"""The processes of postern-relay: local sockets, sandboxes, the ends of master, spool, relay and sessions, in any order."""
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
from next_hop import NextHop  # noqa: E402
from relay_driver import ORDINARY, Relay, send, wait_for  # noqa: E402
from runner import main  # noqa: E402
from settings import IS_ROOT, IS_SAN, SLOW, program  # noqa: E402


class Gate:
    """A rule that waits until it is opened."""

    def __init__(self, answer=True):
        self.reached, self.open, self.answer = threading.Event(), threading.Event(), answer

    def __call__(self, session, line):
        self.reached.set()
        self.open.wait(20)
        return self.answer


class Case(unittest.TestCase):
    def setUp(self):
        self.open = []

    def tearDown(self):
        for thing in reversed(self.open):
            thing.close()

    def both(self, more='', kind='smtp', delivery='connect_timeout = 3s\ntimeout = 8s\n', descriptors=None, **hop):
        hop = NextHop(lmtp=kind == 'lmtp', **hop)
        self.open.append(hop)
        relay = Relay('[route out]\nurl = %s://127.0.0.1:%d\ntls = none\n%s' % (kind, hop.port, more), delivery=delivery,
                      descriptors=descriptors)
        self.open.append(relay)
        return hop, relay

    def check(self, outcome, verdict, stage, code=0, words=None):
        self.assertEqual((outcome.verdict, outcome.stage, outcome.code), (verdict, stage, code), outcome)
        if words is not None:
            self.assertIn(words, outcome.reply)


class LocalSockets(Case):
    def deliver(self, user):
        folder = tempfile.mkdtemp(prefix='postern-lmtp-')
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        path = os.path.join(folder, 'lmtp')
        hop = NextHop(lmtp=True, path=path)
        relay = Relay('[route out]\nurl = lmtp:%s\n' % path, user=user)
        self.open += [hop, relay]
        r = relay.run()
        self.check(r.outcome, 'delivered', 'end', 250)
        self.assertEqual((r.host, r.address), (path, ''))
        self.assertEqual(hop.messages[0][1], ['bob@example.net'])
        # A server that is started again makes its socket, and perhaps its folder, anew.
        hop.close()
        os.unlink(path)
        time.sleep(2.3)	# the idle session ends
        r = relay.run()
        self.check(r.outcome, 'deferred', 'connect', 0, 'No such file')
        os.rmdir(folder)
        os.mkdir(folder, 0o755)
        self.open.append(NextHop(lmtp=True, path=path))
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        return relay

    def test_as_started(self):
        relay = self.deliver(None)
        if IS_ROOT:
            self.assertEqual(os.readlink('/proc/%d/cwd' % relay.pid), os.path.realpath(os.path.join(relay.root, 'run/empty')))

    @unittest.skipUnless(IS_ROOT, 'this is an ordinary user already')
    def test_as_an_ordinary_user(self):
        self.deliver(ORDINARY)

    def test_not_permitted(self):
        folder = tempfile.mkdtemp(prefix='postern-lmtp-')
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, 'lmtp')	# mode 0700, the caller's
        self.open.append(NextHop(lmtp=True, path=path))
        relay = Relay('[route out]\nurl = lmtp:%s\n' % path)
        self.open.append(relay)
        if IS_ROOT:
            self.check(relay.run().outcome, 'deferred', 'connect', 0, 'Permission denied')


class Sandboxes(Case):
    def status(self, pid):
        with open('/proc/%d/status' % pid) as f:
            return dict(line.split(':\t', 1) for line in f.read().splitlines() if ':\t' in line)

    def descriptors(self, pid):
        return [os.readlink('/proc/%d/fd/%s' % (pid, n)) for n in os.listdir('/proc/%d/fd' % pid)]

    def test_what_they_have(self):
        """Filters on, no rights, no files but what they were given; the parent keeps no descriptor of a delivery."""
        gate = Gate()
        hop, relay = self.both(rules={'END': gate})
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        children = relay.children()
        self.assertEqual(len(children), 1)
        for pid, filters in ((relay.pid, 1), (children[0], 2)):
            s = self.status(pid)
            self.assertEqual((s['Seccomp'], s['NoNewPrivs']), ('2', '1'))
            self.assertGreaterEqual(int(s['Seccomp_filters']), filters)
            if IS_ROOT:
                self.assertNotEqual(s['Uid'].split()[0], '0')
                self.assertEqual((s['Groups'].strip(), s['CapEff']), ('', '0' * 16))
                self.assertEqual(os.readlink('/proc/%d/root' % pid), os.path.realpath(os.path.join(relay.root, 'run/empty')))
        if IS_ROOT:
            kept = self.descriptors(children[0])
            self.assertEqual(sorted(re.sub(r'\d+', 'N', k) for k in kept if k != '/dev/null' and not (IS_SAN and k == relay.log)),
                             ['/memfd:message (deleted)'] + ['socket:[N]'] * 3)
            # The session process may be quicker with the whole message than its parent with closing it.
            self.assertTrue(wait_for(lambda: '/memfd:message (deleted)' not in self.descriptors(relay.pid)), self.descriptors(relay.pid))
        gate.open.set()
        self.check(d.wait().outcome, 'delivered', 'end', 250)

    def test_proofs(self):
        hop, relay = self.both()
        with open(os.path.join(relay.root, 'postern.conf'), 'w') as f:
            f.write(relay.conf)
        out = subprocess.run([program('postern-relay'), '--root', relay.root, '--selftest'], capture_output=True, text=True)
        rows = [line.split()[:3] for line in out.stdout.splitlines()]
        self.assertEqual(out.returncode, 0, out)
        self.assertEqual({row[0] for row in rows}, {'relay', 'outbound', 'resolver'})
        self.assertEqual({row[2] for row in rows} - {'off'}, {'ok'})


class Ends(Case):
    def test_session_process_killed(self):
        """Its delivery's socket ends without a word, the alarm names it, and the next delivery has another session."""
        gate = Gate()
        hop, relay = self.both(rules={'DATA': gate})
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        os.kill(relay.children()[0], signal.SIGKILL)
        self.assertTrue(d.wait().ended)
        gate.open.set()
        hop.rules.clear()
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertTrue(wait_for(lambda: 'session-process.died' in relay.read_log()))
        self.assertRegex(relay.read_log(), r'level=alarm .*session-process\.died.* signal=9')

    def test_session_process_killed_before_it_is_ready(self):
        gate = Gate()
        hop, relay = self.both(rules={'GREETING': gate})
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(wait_for(relay.children))
        os.kill(relay.children()[0], signal.SIGKILL)
        self.check(d.wait().outcome, 'deferred', 'greeting', 0, 'without a word')

    def test_relay_killed(self):
        """The session goes on with what it has, tells the spool itself, and ends."""
        gate = Gate()
        hop, relay = self.both(rules={'MAIL': gate})
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        child = relay.children()[0]
        relay.kill()
        gate.open.set()
        self.check(d.wait().outcome, 'delivered', 'end', 250)
        self.assertEqual(len(hop.messages), 1)
        self.assertTrue(wait_for(lambda: not os.path.exists('/proc/%d' % child)))

    def test_stop_before_the_dot(self):
        """What is not begun, and what can still be taken back, is returned at once."""
        gate = Gate()
        hop, relay = self.both('sessions = 1\n', rules={'DATA': gate})
        deliveries = [relay.deliver(['bob@example.net']) for _ in range(3)]
        self.assertTrue(gate.reached.wait(5))
        began = time.monotonic()
        relay.control.close()
        relay.control = None
        for d in deliveries:
            self.assertEqual(d.wait().outcome.verdict, 'returned')
        self.assertEqual(relay.wait_end(10), 0)
        self.assertLess(time.monotonic() - began, 3 * SLOW)
        gate.open.set()
        self.assertEqual(hop.messages, [])

    def test_stop_behind_the_dot(self):
        """The answer to a message that was sent is waited for."""
        gate = Gate()
        hop, relay = self.both(rules={'END': gate})
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        relay.control.close()
        relay.control = None
        time.sleep(0.3)
        gate.open.set()
        self.check(d.wait().outcome, 'delivered', 'end', 250)
        self.assertEqual(relay.wait_end(5), 0)

    def test_stop_while_connecting_and_greeting(self):
        gate = Gate()
        hop, relay = self.both(rules={'GREETING': gate})
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        self.assertEqual(relay.stop(), 0)
        self.assertEqual(d.wait().outcome.verdict, 'returned')
        gate.open.set()

    def test_a_delivery_after_the_stop(self):
        gate = Gate()
        hop, relay = self.both(rules={'END': gate})
        first = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        relay.control.close()
        relay.control = None
        time.sleep(0.2)
        self.assertEqual(relay.run().outcome.verdict, 'returned')
        gate.open.set()
        self.check(first.wait().outcome, 'delivered', 'end', 250)

    def test_behind_the_stop_and_unread(self):
        """What the spool sent before it heard of the end goes back to it, whether there is a session or not."""
        hop, relay = self.both()
        relay.connect()
        os.kill(relay.pid, signal.SIGSTOP)
        deliveries = [relay.deliver(['bob@example.net']) for _ in range(20)]
        relay.control.close()
        relay.control = None
        os.kill(relay.pid, signal.SIGCONT)
        for d in deliveries:
            self.assertEqual(d.wait().outcome.verdict, 'returned')
        relay.link.close()
        relay.link = None
        self.assertEqual(relay.wait_end(5), 0)
        self.assertEqual(hop.messages, [])

    def test_another_link(self):
        """A spool that is there, and has another relay now, gets back what was not begun."""
        gate = Gate()
        hop, relay = self.both(rules={'GREETING': gate})
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        relay.link.close()
        relay.link = None
        self.assertEqual(d.wait().outcome.verdict, 'returned')
        gate.open.set()

    def test_stop_and_a_slow_answer(self):
        """While the spool listens the answer to a message that was sent is waited for, beyond the time that a stop has."""
        gate = Gate()
        hop, relay = self.both(rules={'END': gate}, delivery='connect_timeout = 3s\ntimeout = 30s\n')
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        relay.control.close()
        relay.control = None
        with self.assertRaises(socket.timeout):
            d.wait(11.5 / SLOW)	# the gate opens by itself after 20 s
        gate.open.set()
        self.check(d.wait().outcome, 'delivered', 'end', 250)
        self.assertEqual(relay.wait_end(5), 0)

    def test_stop_of_the_spool_and_a_slow_answer(self):
        """When nobody is left who could be told, nobody waits."""
        gate = Gate()
        hop, relay = self.both(rules={'END': gate}, delivery='connect_timeout = 3s\ntimeout = 30s\n')
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        child, = relay.children()
        relay.control.close()
        relay.control = None
        d.sock.close()
        self.assertTrue(wait_for(lambda: not os.path.exists('/proc/%d' % child), 18))
        gate.open.set()

    def test_closed_while_idle(self):
        """A server that closes behind a message: its session process ends at once, and does not turn in circles until its time is up."""
        def end(session, line):
            session.say('250 2.0.0 kept')

        hop, relay = self.both(rules={'END': end})
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        began = time.monotonic()
        self.assertTrue(wait_for(lambda: not relay.children()))
        self.assertLess(time.monotonic() - began, 1.5 * SLOW)

    def test_new_spool(self):
        """It is told what is under way, and gets the results; what no session has is forgotten."""
        for word in ('MAIL', 'END'):
            with self.subTest(word=word):
                gate = Gate()
                hop, relay = self.both('sessions = 1\n', rules={word: gate})
                first = relay.deliver(['bob@example.net', 'carol@example.net'])
                self.assertTrue(gate.reached.wait(5))
                waiting = relay.deliver(['dave@example.net'])
                first.sock.close()
                underway = relay.connect()
                self.assertEqual([(name, indexes) for name, indexes, _ in underway], [('%016x' % 1, [0, 1])])
                self.assertEqual(waiting.wait().outcome.verdict, 'returned')
                gate.open.set()
                r = underway[0][2].wait()
                self.check(r.outcome, 'delivered', 'end', 250)
                self.assertEqual(r.number, 1)
                self.assertEqual(len(hop.messages), 1)
                hop.rules.clear()
                self.check(relay.run().outcome, 'delivered', 'end', 250)
                self.assertEqual(hop.sessions, 1)

    def test_spool_gone_before_the_dot(self):
        """Nobody would know of it: it is not sent."""
        gate = Gate('354 go on')
        hop, relay = self.both(rules={'DATA': gate})
        d = relay.deliver(['bob@example.net'])
        self.assertTrue(gate.reached.wait(5))
        d.sock.close()
        relay.link.close()
        relay.link = None
        gate.open.set()
        time.sleep(0.5)
        self.assertEqual(hop.messages, [])
        underway = relay.connect()
        self.assertEqual(len(underway), 1)
        self.assertEqual(underway[0][2].wait().outcome.verdict, 'returned')

    def test_spool_gone_before_it_answered(self):
        """The results are told again to the next one, as often as it takes."""
        hop, relay = self.both(rules={'RCPT': lambda s, line: '550 5.1.1 no' if b'bob' in line else True})
        d = relay.deliver(['bob@example.net', 'carol@example.net'])
        for _ in range(3):
            r = d.wait(answer=False)
            self.check(r.of(0), 'failed', 'rcpt', 550)
            self.check(r.of(1), 'delivered', 'end', 250)
            d.sock.close()
            (_, indexes, d), = relay.connect()
            self.assertEqual(indexes, [0, 1])
        d.wait()
        self.check(relay.run().outcome, 'failed', 'rcpt', 550)
        self.assertEqual((hop.sessions, len(hop.messages)), (1, 1))

    def test_no_next_one_before_the_answer(self):
        hop, relay = self.both('sessions = 1\n')
        first = relay.deliver(['bob@example.net'])
        number = first.wait(answer=False).number
        second = relay.deliver(['carol@example.net'])
        with self.assertRaises(socket.timeout):
            second.wait(0.5)
        self.assertEqual(len(hop.messages), 1)
        first.answer(number)
        self.check(second.wait().outcome, 'delivered', 'end', 250)

    def test_resolver_killed(self):
        """The relay ends, and is started again by the master."""
        hop, relay = self.both()
        with open('/proc/%d/task/%d/children' % (relay.pid, relay.pid)) as f:
            os.kill(int(f.read().split()[0]), signal.SIGKILL)
        self.assertNotEqual(relay.wait_end(5), 0)
        self.assertIn('resolver.died', relay.read_log())

    def test_bad_frames_of_the_spool(self):
        for data in (b'\x00\xa0', b'\x00\xa2' + bytes(40), b'\x00\xa4', b'x', b'\x00\xa0' + bytes(3000)):
            hop, relay = self.both()
            relay.connect()
            send(relay.link, data)
            self.assertNotEqual(relay.wait_end(5), 0)
            self.assertIn('frame-bad', relay.read_log())

    def test_a_delivery_that_is_cut_off(self):
        """The link ends between a delivery and its recipients: nothing of it is left, and the next one passes."""
        hop, relay = self.both()
        relay.connect()
        d = relay.deliver(['a@example.net'], announced=3)
        relay.connect()
        self.assertTrue(d.wait().ended)
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertEqual(len(hop.messages), 1)

    def test_full_of_sessions(self):
        """delivery.sessions bounds all together: an idle session of one destination makes room for another's."""
        hops = [NextHop() for _ in range(3)]
        self.open += hops
        relay = Relay(''.join('[route r%d]\nurl = smtp://127.0.0.1:%d\ntls = none\n%s' % (i, h.port, 'to_domain = d%d.example\n' % i if i else '')
                              for i, h in enumerate(hops)), delivery='sessions = 1\n')
        self.open.append(relay)
        for i in (0, 1, 2, 0, 1, 2):
            self.check(relay.run(route='r%d' % i).outcome, 'delivered', 'end', 250)
        self.assertEqual([h.sessions for h in hops], [2, 2, 2])

    def test_full_of_deliveries(self):
        """When relay has no room for another delivery it gives that back, and keeps its link, its sessions and itself."""
        gate = Gate()
        hop, relay = self.both(more='sessions = 1\n', rules={'GREETING': gate})
        relay.connect()
        many = [('%s%d@%s.example' % ('a' * 60, i, '.'.join(['b' * 60] * 2)), 0, 'rfc822;' + 'c' * 480) for i in range(100)]
        given = [relay.deliver(many) for _ in range(900)] + [relay.deliver(['bob@example.net']) for _ in range(30)]
        self.assertEqual(given[-1].wait().outcome.verdict, 'returned')
        poll = select.poll()
        for d in given[:-1]:
            poll.register(d.sock, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(0)}
        answered = [d.wait() for d in given[:-1] if d.sock.fileno() in ready]
        self.assertGreater(len(answered), 10)
        self.assertEqual({r.outcome and r.outcome.verdict for r in answered}, {'returned'})
        self.assertNotIn('frame-bad', relay.read_log())
        relay.connect()		# all that wait are given back
        gate.open.set()
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        for d in given:
            d.sock.close()

    def test_without_descriptors(self):
        """A delivery whose descriptors could not be taken breaks off; relay and its link go on."""
        gate = Gate()
        hop, relay = self.both(more='sessions = 1\n', rules={'GREETING': gate}, descriptors=64)
        given = [relay.deliver(['a@example.net', 'b@example.net']) for _ in range(40)]
        self.assertTrue(given[-1].wait().ended)
        self.assertTrue(wait_for(lambda: 'event=descriptors.short' in relay.read_log()))
        gate.open.set()
        results = [d.wait() for d in given]
        self.check(results[0].outcome, 'delivered', 'end', 250)
        self.assertEqual({r.outcome.verdict for r in results if not r.ended}, {'delivered'})
        self.check(relay.run(['c@example.net']).outcome, 'delivered', 'end', 250)
        self.assertNotIn('frame-bad', relay.read_log())

    def test_nothing_leaks(self):
        hop, relay = self.both(rules={'RCPT': lambda s, line: {b'5': '550 no', b'4': '450 no'}.get(line[9:10], True)})
        relay.run()
        before = len(os.listdir('/proc/%d/fd' % relay.pid)) if os.access('/proc/%d/fd' % relay.pid, os.R_OK) else None
        deliveries = [relay.deliver(['%dx@example.net' % (i % 6)]) for i in range(60)]
        for d in deliveries:
            d.wait()
        if before is not None:
            self.assertTrue(wait_for(lambda: not relay.children()))
            self.assertLessEqual(len(os.listdir('/proc/%d/fd' % relay.pid)), before - 1)


if __name__ == '__main__':
    main()
