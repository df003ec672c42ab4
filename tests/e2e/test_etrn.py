#!/usr/bin/env python3
"""ETRN (RFC 1985): who may start what waits for a domain, what is answered, and that it is tried then."""
import os
import sys
import time
import unittest

sys.dont_write_bytecode = True
from postern import ALICE, BOB, PASSWORD, SLOW, Client, Instance, base64, free_ports, main, message, wait_for  # noqa: E402

CLUB = 'club.example.org'


class Etrn(unittest.TestCase):
    """A route of its own for club.example.org, an office's two domains on another, and the world by a smarthost: nobody answers there."""

    @classmethod
    def setUpClass(cls):
        port, cls.dead = free_ports(2)
        cls.instance = i = Instance(accounts=(BOB,), listen=[('plain', '127.0.0.1', port)], start=False)
        with open(os.path.join(i.root, 'postern.conf'), 'a') as f:
            f.write('\n[delivery]\nretry = 1h\nconnect_timeout = 2s\n'
                    '[route club]\nurl = smtp://127.0.0.1:%d\ntls = none\nto_domain = %s\n'
                    '[route office]\nurl = smtp://127.0.0.1:%d\ntls = none\nto_domain = one.example.org two.example.org *.two.example.org\n'
                    '[route world]\nurl = smtp://127.0.0.1:%d\ntls = none\n' % (cls.dead, CLUB, cls.dead, cls.dead))
        i.start()
        for domain in (CLUB, 'one.example.org', 'two.example.org', 'other.example'):
            i.adm('sender', 'add', ALICE, '*@' + domain)

    @classmethod
    def tearDownClass(cls):
        cls.instance.close()

    def client(self):
        c = self.instance.client('plain', login=ALICE)
        self.addCleanup(c.close)
        return c

    def deferred(self):
        """Once each message was tried."""
        self.assertTrue(wait_for(lambda: not self.instance.names('new') and all(
            m.get('tries') or m['recipients'][0].get('delay_reason') for m in self.instance.queue()), 10), self.instance.queue())

    def tries(self, domain):
        return self.instance.log().count('deferred')

    def test_1_announced_and_gated(self):
        with Client(('127.0.0.1', self.instance.port('plain'))) as c:
            c.expect(220)
            c.send('ETRN %s\r\n' % CLUB)
            self.assertEqual(c.reply()[0], 503)
            self.assertIn('250-ETRN', c.ehlo())
            self.assertIn('Authentication required', c.command('ETRN %s' % CLUB, 530)[0])
            c.command('AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD)), 235)
            self.assertIn('ETRN', ' '.join(c.command('HELP', 214)))
            for bad in ('', ' a b', ' -', ' @', ' #', ' [192.0.2.1]', ' a..b', ' ' + 'x' * 300, ' bob@example.org'):
                c.command('ETRN' + bad, 501)
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('ETRN %s' % CLUB, 503)

    def test_2_not_allowed(self):
        c = self.client()
        for node in ('example.org', 'sub.' + CLUB, 'org', '@example.net'):
            line = c.command('ETRN ' + node, 459)[0]
            self.assertTrue(line.startswith('459 4.7.1 Node %s not allowed: ' % node), line)
        self.assertTrue(c.command('ETRN #list', 459)[0].startswith('459 4.7.1 Node #list not allowed: '))
        self.instance.adm('account', 'disable', ALICE)
        try:
            c.command('ETRN ' + CLUB, 530)
        finally:
            self.instance.adm('account', 'enable', ALICE)

    def test_3_nothing_waits(self):
        c = self.client()
        for node in (CLUB, CLUB.upper(), '@' + CLUB, 'two.example.org', 'other.example'):
            self.assertEqual(c.command('ETRN ' + node, 251)[0], '251 2.0.0 OK, no messages waiting for node ' + node)

    def test_4_something_waits(self):
        i, c = self.instance, self.client()
        for n in range(3):
            c.submit(message('club%d' % n), recipients=('x@' + CLUB, 'y@' + CLUB))
        c.submit(message('office'), recipients=('x@one.example.org',))
        c.submit(message('world'), recipients=('x@example.net',))
        self.deferred()
        before = i.log().count('event=etrn')
        self.assertEqual(c.command('ETRN ' + CLUB, 253)[0], '253 2.0.0 OK, 3 pending messages for node %s started' % CLUB)
        self.assertEqual(c.command('ETRN @' + CLUB, 252)[0], '252 2.0.0 OK, pending messages for node @%s started' % CLUB)
        self.assertEqual(c.command('ETRN two.example.org', 252)[0], '252 2.0.0 OK, pending messages for node two.example.org started')
        self.assertEqual(c.command('ETRN other.example', 250)[0], '250 2.0.0 OK, queuing for node other.example started')
        self.assertTrue(wait_for(lambda: i.log().count('event=etrn') == before + 4, 3), i.log_tail())
        # They were tried, an hour before their time.
        self.assertTrue(wait_for(lambda: sum(1 for m in i.queue() if m.get('tries', 0) > 1) >= 3, 10), i.queue())

    def test_5_unable(self):
        i, c = self.instance, self.client()
        i.adm('pause', 'delivery')
        try:
            self.assertEqual(c.command('ETRN ' + CLUB, 458)[0], '458 4.3.2 Unable to queue messages for node ' + CLUB)
        finally:
            i.adm('resume', 'delivery')

    def test_6_spool_died(self):
        i, c = self.instance, self.client()
        pid = i.kind('postern-spool')[0].pid
        os.kill(pid, 9)
        c.send('ETRN %s\r\n' % CLUB)
        code, lines = c.reply()
        self.assertIn(code, (250, 252, 253, 458), lines)
        time.sleep(0.5 * SLOW)
        self.assertTrue(wait_for(lambda: self.etrn_code(c) == 253, 10))

    @staticmethod
    def etrn_code(c):
        c.send('ETRN %s\r\n' % CLUB)
        return c.reply()[0]


class WithoutRoutes(unittest.TestCase):
    def test_not_offered(self):
        with Instance(listen=[('plain', '127.0.0.1', free_ports(1)[0])]) as i, i.client('plain', login=ALICE) as c:
            self.assertNotIn('ETRN', ' '.join(c.ehlo()))
            self.assertNotIn('ETRN', ' '.join(c.command('HELP', 214)))
            c.command('ETRN example.org', 502)


if __name__ == '__main__':
    main()
