#!/usr/bin/env python3
"""A session process that a hostile next hop has taken over: tests/faults/attack_outbound.c stands in its place, and does against
postern-relay, the spool and the kernel what a session process never does. Everybody else's mail goes on."""
import os
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import settings  # noqa: E402

# The programs, with the attacker's relay in place of the real one.
REAL = settings.BUILD
FOLDER = tempfile.mkdtemp(prefix='postern-attack-')
os.chmod(FOLDER, 0o755)
for name in ('posternd', 'smtpadm', 'postern-auth', 'postern-keys', 'postern-spool'):
    shutil.copy(os.path.join(REAL, name), FOLDER)
shutil.copy(os.path.join(REAL, 'tests/faults/attack-relay'), os.path.join(FOLDER, 'postern-relay'))
settings.BUILD = FOLDER

import postern  # noqa: E402
from next_hop import NextHop  # noqa: E402
from postern import ALICE, main, message, wait_for  # noqa: E402
from relay_driver import Relay  # noqa: E402


class Hop(NextHop):
    """Names its act in the greeting, and keeps what the attacker says of it."""

    def __init__(self, act):
        self.act, self.said, self.ended = act, [], False
        super().__init__(raw=self.talk)

    def talk(self, sock):
        sock.settimeout(20)
        sock.sendall(self.act.encode() + b'\r\n')
        with sock.makefile('rb') as f:
            for line in f:
                self.said.append(line.decode().strip())
        self.ended = True


def tearDownModule():
    shutil.rmtree(FOLDER, ignore_errors=True)


class Parent(unittest.TestCase):
    """Against postern-relay and the kernel: the act comes to nothing, and the other route delivers behind it."""

    def act(self, name, timeout='2s', answer=True):
        hop, good = Hop(name), Hop('behave')
        relay = Relay('[route out]\nurl = smtp://127.0.0.1:%d\ntls = none\n[route good]\nurl = smtp://127.0.0.1:%d\ntls = none\n'
                      'to_domain = good.example\n' % (hop.port, good.port), delivery='timeout = %s\nconnect_timeout = 2s\n' % timeout)
        try:
            result = relay.run(seconds=15) if answer else relay.deliver(['bob@example.net'])
            self.assertTrue(wait_for(lambda: hop.ended or hop.said, 5))
            self.assertFalse([line for line in hop.said if line.startswith('FAIL')], hop.said)
            other = relay.run(['carol@good.example'], route='good')
            self.assertEqual(other.outcome.verdict, 'delivered', other)
            log = relay.read_log()
            return result, hop, log
        finally:
            for thing in (hop, good, relay):
                thing.close()

    def test_bad_frames(self):
        for name in ('garbage', 'descriptors', 'idle-early', 'huge'):
            with self.subTest(name=name):
                result, hop, log = self.act(name)
                self.assertEqual((result.outcome.verdict, result.outcome.stage), ('deferred', 'greeting'))
                self.assertIn('frame-bad', log)

    def test_delivered_before_it_had_anything(self):
        """Nothing that waits is lost by it."""
        result, hop, log = self.act('delivered-early')
        self.assertEqual(result.outcome.verdict, 'deferred')
        self.assertIn('frame-bad', log)

    def test_frames_at_the_wrong_time(self):
        for name in ('failed-late', 'idle-twice', 'idle-of-another'):
            with self.subTest(name=name):
                result, hop, log = self.act(name)
                self.assertTrue(result.ended or result.outcome.verdict in ('deferred', 'returned'), result)
                self.assertIn('frame-bad', log)

    def test_never_ready(self):
        result, hop, log = self.act('silent', timeout='100ms')
        self.assertEqual(result.outcome.verdict, 'deferred')

    def test_system_calls(self):
        for name in ('socket', 'connect', 'execve', 'kill', 'ptrace'):
            with self.subTest(name=name):
                result, hop, log = self.act(name)
                self.assertTrue(wait_for(lambda: hop.ended, 5))
                self.assertEqual(hop.said, [], 'it lived on')
                self.assertRegex(log, r'session-process\.died.* signal=31')
        for name in ('fork', 'open', 'fchdir', 'seccomp') + (() if settings.IS_SAN else ('execute-memory',)):	# a sanitizer needs it
            with self.subTest(name=name):
                result, hop, log = self.act(name)
                self.assertRegex(hop.said[0], '^ok .*(Function not implemented|not permitted|denied)')

    def test_the_message_is_read_only(self):
        result, hop, log = self.act('write-message', answer=False)
        self.assertRegex(hop.said[0], '^ok .*Bad file descriptor')

    def test_never_ends(self):
        """It has the only session that its destination may have: that is free again after a bound of relay's own."""
        for name, verdict in (('stay-busy', None), ('stay-over', 'delivered'), ('stay-unheard', 'deferred')):
            with self.subTest(name=name):
                hop = Hop(name)
                relay = Relay('[route out]\nurl = smtp://127.0.0.1:%d\ntls = none\nsessions = 1\n' % hop.port,
                              delivery='timeout = 2s\nconnect_timeout = 2s\n')
                try:
                    first = relay.deliver(['bob@example.net'])
                    self.assertTrue(wait_for(lambda: hop.said, 5))
                    pids = relay.children()
                    self.assertEqual(len(pids), 1)
                    hop.act = 'behave'
                    result = first.wait(15)
                    self.assertEqual(result.outcome and result.outcome.verdict, verdict, result)
                    self.assertEqual(result.ended, verdict is None)
                    self.assertEqual(relay.run(['carol@example.net'], seconds=15).outcome.verdict, 'delivered')
                    self.assertTrue(wait_for(lambda: not os.path.exists('/proc/%d' % pids[0]), 10), 'it is still there')
                    self.assertRegex(relay.read_log(), r'event=session-process\.killed .*pid=%d ' % pids[0])
                finally:
                    hop.close()
                    relay.close()

    def test_outlives_relay(self):
        """One that was left behind by a relay that has gone ends by the kernel's clock."""
        hop = Hop('stay-busy')
        relay = Relay('[route out]\nurl = smtp://127.0.0.1:%d\ntls = none\n' % hop.port)
        try:
            delivery = relay.deliver(['bob@example.net'])
            self.assertTrue(wait_for(lambda: hop.said, 5))
            relay.kill()
            self.assertTrue(delivery.wait(20).ended)
        finally:
            hop.close()
            relay.close()


class Spool(unittest.TestCase):
    """Against the spool, in a whole instance: its message stays, others leave."""

    @classmethod
    def setUpClass(cls):
        cls.hop, cls.good = Hop('behave'), Hop('behave')
        cls.instance = postern.Instance(settings={'delivery.retry': '1h', 'delivery.timeout': '2s'})
        cls.instance.adm('route', 'add', 'good', 'smtp://127.0.0.1:%d' % cls.good.port, '--tls', 'none')
        cls.instance.adm('route', 'add', 'bad', 'smtp://127.0.0.1:%d' % cls.hop.port, '--tls', 'none', '--to-domain', 'bad.example')
        cls.instance.adm('reload')

    @classmethod
    def tearDownClass(cls):
        cls.instance.close()
        cls.hop.close()
        cls.good.close()

    def submit(self, *recipients):
        c = self.instance.client(login=ALICE)
        c.submit(message('attacked'), recipients=list(recipients))
        c.quit()

    def waiting(self):
        """Recipients of what waits; None while that is changing."""
        try:
            return sorted(str(f.field('Postern-Recipient')) for f in self.instance.stored('new', 'cur'))
        except FileNotFoundError:
            return None

    def spools(self):
        return [p.pid for p in postern.processes() if p.name == 'postern-spool' and self.instance.root in p.arguments]

    def run_act(self, name, n):
        before = self.spools()
        self.hop.act, self.hop.said, self.hop.ended = name, [], False
        self.submit('bob@bad.example')
        self.assertTrue(wait_for(lambda: self.hop.said or self.hop.ended, 10))
        self.assertFalse([line for line in self.hop.said if line.startswith('FAIL')], self.hop.said)
        self.submit('carol@good.example')
        # Its own messages are all there, and nothing else.
        self.assertTrue(wait_for(lambda: self.waiting() == ["['<bob@bad.example>']"] * n, 10), self.waiting())
        self.assertEqual((len(before), self.spools()), (1, before))

    def test_acts(self):
        for n, name in enumerate(('spool-garbage', 'spool-descriptors', 'spool-foreign-result', 'spool-foreign-number',
                                  'spool-finished-twice', 'spool-silent')):
            with self.subTest(name=name):
                self.run_act(name, n + 1)


if __name__ == '__main__':
    main()
