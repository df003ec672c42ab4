#!/usr/bin/env python3
"""postern-relay against next hops that behave: what it says to each, what it leaves out, and how long a session lives."""
import os
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
from relay_case import THREE, Case  # noqa: E402
from relay_driver import Relay  # noqa: E402
from runner import main  # noqa: E402
from settings import HOST, SLOW  # noqa: E402

MAIL_BOB = 'MAIL FROM:<alice@example.org>'


class Passes(Case):
    def test_one_write_for_the_envelope(self):
        hop, relay = self.both()
        r = relay.run(THREE)
        self.check(r.outcome, 'delivered', 'end', 250, '2.0.0', 'kept')
        self.assertEqual(r.recipients, {})
        self.assertEqual((r.host, r.address, r.tls, r.dsn, r.is_dead), ('127.0.0.1', '127.0.0.1:%d' % hop.port, '', True, False))
        self.assertEqual(hop.messages, [('alice@example.org', list(THREE), b'Subject: x\r\n\r\nHello\r\n')])
        self.assertEqual(hop.lines[0], 'EHLO ' + HOST)

    def test_step_by_step_without_pipelining(self):
        """A server that offers nothing gets nothing that it does not know, one command at a time."""
        hop, relay = self.both(extensions=())
        r = relay.run(THREE, body=1, ret=1, envid='x')
        self.check(r.outcome, 'delivered', 'end', 250)
        self.assertEqual(hop.lines, ['EHLO ' + HOST, MAIL_BOB] + ['RCPT TO:<%s>' % a for a in THREE] + ['DATA', '.'])
        self.assertFalse(r.dsn)

    def test_each_command_waits_without_pipelining(self):
        """Nothing more is there to be read when a reply is given."""
        early = []

        def look(session, line):
            session.sock.setblocking(False)
            try:
                early.append(session.sock.recv(1, socket.MSG_PEEK))
            except BlockingIOError:
                pass
            session.sock.settimeout(30)
            return True
        hop, relay = self.both(extensions=('8BITMIME',), rules={w: look for w in ('MAIL', 'RCPT', 'DATA')})
        self.check(relay.run(THREE).outcome, 'delivered', 'end', 250)
        self.assertEqual(early, [])

    def test_helo_for_old_servers(self):
        hop, relay = self.both(rules={'EHLO': '500 what?'})
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertEqual(hop.lines[:2], ['EHLO ' + HOST, 'HELO ' + HOST])

    def test_parameters(self):
        hop, relay = self.both()
        relay.run([('bob@example.net', 6, 'rfc822;bob@example.net'), ('carol@example.net', 1, '')], body=1, ret=2, envid='a+2Bb', smtputf8=1)
        self.assertEqual(hop.lines[1:4], [MAIL_BOB + ' SIZE=21 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb',
                                         'RCPT TO:<bob@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.net',
                                         'RCPT TO:<carol@example.net> NOTIFY=NEVER'])

    def test_original_recipient_in_utf8(self):
        """RFC 6533, 3: as it is to who knows SMTPUTF8 and is told of it, else in ASCII with the characters' numbers."""
        raw, ascii_ = 'utf-8;j\u00fc\u20ac\U0001f4e7+2B@b\u00fc.example', 'utf-8;j\\x{FC}\\x{20AC}\\x{1F4E7}+2B@b\\x{FC}.example'
        for extensions, smtputf8, expected in ((None, 1, raw), (None, 0, ascii_), (('DSN',), 0, ascii_), (('DSN', '8BITMIME'), 1, ascii_),
                                               (('SMTPUTF8', '8BITMIME'), 1, None)):
            hop, relay = self.both(**({} if extensions is None else {'extensions': extensions}))
            relay.run([('bob@example.net', 0, raw)], smtputf8=smtputf8)
            rcpt = [line for line in hop.lines if line.startswith('RCPT')]
            self.assertEqual(rcpt, ['RCPT TO:<bob@example.net>' + (' ORCPT=' + expected if expected else '')], (extensions, smtputf8))

    def test_original_recipient_that_is_none(self):
        """What is too long in ASCII, not in UTF-8, or of another type is left out; the address stands."""
        for smtputf8, orcpt, expected in ((0, 'utf-8;' + 100 * '\u00fc', ''), (1, 'utf-8;' + 240 * '\u00fc', None), (0, 'utf-8;' + 81 * '\u00fc', None),
                                          (1, b'utf-8;j\xfcrgen', ''), (1, 'rfc822;j\u00fcrgen', ''), (1, 'utf-8;j\u00fc\x7f', ''),
                                          (1, 'utf-8;a b', '')):
            hop, relay = self.both()
            relay.run([('bob@example.net', 0, orcpt)], smtputf8=smtputf8)
            rcpt = [line for line in hop.lines if line.startswith('RCPT')]
            if expected is None:
                expected = ' ORCPT=' + (orcpt if smtputf8 else orcpt.replace('\u00fc', '\\x{FC}'))
            self.assertEqual(rcpt, ['RCPT TO:<bob@example.net>' + expected], orcpt)

    def test_null_sender_and_utf8(self):
        hop, relay = self.both()
        relay.run(['j\u00f6rg@example.net'], sender='')
        self.assertEqual(hop.lines[1], 'MAIL FROM:<> SIZE=21 BODY=8BITMIME SMTPUTF8')
        self.assertEqual(hop.messages[0][1], ['j\u00f6rg@example.net'])

    def test_a_session_carries_many(self):
        hop, relay = self.both()
        for i in range(5):
            self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertEqual((hop.sessions, len(hop.messages)), (1, 5))
        self.assertNotIn('RSET', hop.lines)
        self.assertEqual(relay.stop(), 0)

    def test_idle_sessions_quit(self):
        hop, relay = self.both()
        relay.run()
        end = time.monotonic() + 6 * SLOW
        while 'QUIT' not in hop.lines and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(hop.lines[-1], 'QUIT')
        relay.run()
        self.assertEqual(hop.sessions, 2)

    def test_a_session_ends_after_a_hundred(self):
        hop, relay = self.both()
        for i in range(101):
            relay.run()
        self.assertEqual((hop.sessions, len(hop.messages)), (2, 101))

    def test_sessions_side_by_side(self):
        """As many as the route permits, and no more; all arrive."""
        now, most = [0], [0]
        lock = threading.Lock()

        def count(session, line):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.1)
            with lock:
                now[0] -= 1
            return True
        hop = self.hop(rules={'END': count})
        relay = self.relay(hop, more='sessions = 3\n')
        deliveries = [relay.deliver(['r%d@example.net' % i]) for i in range(20)]
        for d in deliveries:
            self.check(d.wait(20).outcome, 'delivered', 'end', 250)
        self.assertEqual(len(hop.messages), 20)
        self.assertEqual(most[0], 3)
        self.assertLessEqual(hop.sessions, 4)

    def test_discard(self):
        relay = Relay('[route out]\nurl = discard:\n')
        self.open.append(relay)
        self.check(relay.run().outcome, 'delivered', 'route', 0, '2.0.0', 'discarded')

    def test_unknown_route_waits(self):
        hop, relay = self.both()
        self.check(relay.run(route='gone').outcome, 'deferred', 'route', 0, '4.3.5')


if __name__ == '__main__':
    if os.environ.get('KEEP'):
        print(os.getpid())
    main()
