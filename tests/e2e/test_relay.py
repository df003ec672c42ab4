#!/usr/bin/env python3
"""postern-relay against next hops that do not behave: what it makes of every answer, and that what arrives is whole."""
import os
import socket
import sys
import time

sys.dont_write_bytecode = True
from relay_case import THREE, Case  # noqa: E402
from relay_driver import Relay  # noqa: E402
from runner import main  # noqa: E402
from settings import HOST, SLOW  # noqa: E402


class Octets(Case):
    """What arrives: never a bare CR or LF, dots undone, the last line ended."""

    def arrives(self, message, **more):
        hop, relay = self.both()
        self.check(relay.run(message=message, **more).outcome, 'delivered', 'end', 250)
        return hop.messages[0][2]

    def test_dots(self):
        text = b'Subject: x\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n.\r\n'
        self.assertEqual(self.arrives(text), text)

    def test_smuggling(self):
        """Each way to end a message early that some server takes for its end."""
        for end in (b'\n.\n', b'\n.\r\n', b'\r.\r', b'\r\n.\n', b'\r\n.\r', b'\r.\r\n', b'\n.\r', b'\r\r\n.\r\r\n'):
            with self.subTest(end=end):
                text = b'Subject: x\r\n\r\na' + end + b'MAIL FROM:<evil@example.com>\r\n'
                got = self.arrives(text)
                self.assertEqual(got.replace(b'\r\n', b'').count(b'\r') + got.replace(b'\r\n', b'').count(b'\n'), 0)
                self.assertIn(b'MAIL FROM:<evil@example.com>\r\n', got)

    def test_no_end_of_line(self):
        for end, wanted in ((b'x', b'x\r\n'), (b'x\r', b'x\r\n'), (b'x\n', b'x\r\n'), (b'.', b'.\r\n'), (b'', b'')):
            self.assertEqual(self.arrives(b'A: b\r\n\r\n' + end), b'A: b\r\n\r\n' + wanted)

    def test_empty(self):
        self.assertEqual(self.arrives(b''), b'')

    def test_signatures_first(self):
        self.assertEqual(self.arrives(b'A: b\r\n\r\n', signatures=b'DKIM-Signature: x;\r\n\ty\r\n'), b'DKIM-Signature: x;\r\n\ty\r\nA: b\r\n\r\n')

    def test_large(self):
        text = b'Subject: x\r\n\r\n' + b''.join(b'.%d %s\r\n' % (i, b'x' * (i % 900)) for i in range(1700))
        self.assertEqual(self.arrives(text), text)

    def test_return_path_at_final_delivery_only(self):
        for kind, more, wanted in (('lmtp', 'return_path = on\n', b'Return-Path: <alice@example.org>\r\n'), ('lmtp', '', b''), ('smtp', '', b'')):
            with self.subTest(kind=kind, more=more):
                hop, relay = self.both(kind, more)
                relay.run()
                self.assertEqual(hop.messages[0][2], wanted + b'Subject: x\r\n\r\nHello\r\n')

    def test_a_file_that_ends_early(self):
        hop, relay = self.both()
        self.check(relay.run(size=1000).outcome, 'deferred', 'data', 0, '4.3.0', 'could not be read')
        self.assertEqual(hop.messages, [])


class Limits(Case):
    def test_size(self):
        hop, relay = self.both(extensions=('SIZE 1000',))
        self.check(relay.run(message=b'x: y\r\n' * 200).outcome, 'failed', 'mail', 0, '5.3.4', '1200 octets')
        self.assertEqual(hop.lines, ['EHLO ' + HOST])
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        hop, relay = self.both(extensions=('SIZE',))
        self.check(relay.run().outcome, 'delivered', 'end', 250)

    def test_8bit(self):
        hop, relay = self.both(extensions=('PIPELINING',))
        self.check(relay.run(message=b'A: b\r\n\r\n\xc3\xa4\r\n').outcome, 'failed', 'mail', 0, '5.6.3', '8BITMIME')
        self.check(relay.run(body=1).outcome, 'delivered', 'end', 250)	# declared, and yet ASCII
        self.assertNotIn('BODY', hop.lines[1])

    def test_smtputf8(self):
        hop, relay = self.both(extensions=('8BITMIME',))
        self.check(relay.run(['j\u00f6rg@example.net']).outcome, 'failed', 'mail', 0, '5.6.7', 'SMTPUTF8')
        self.check(relay.run(smtputf8=1, message=b'A: \xc3\xa4\r\n\r\nx\r\n').outcome, 'failed', 'mail', 0, '5.6.7')
        # Declared, with an ASCII envelope and header: nothing that the server could not take.
        self.check(relay.run(smtputf8=1, message=b'A: b\r\n\r\n\xc3\xa4\r\n').outcome, 'delivered', 'end', 250)

    def test_too_many_recipients(self):
        """Those beyond the server's limit go in another transaction of the same session (RFC 5321, 4.5.3.1.10)."""
        for refusal in ('452 4.5.3 too many recipients', '452 too many', '552 too many recipients'):
            with self.subTest(refusal=refusal):
                hop, relay = self.both(rules={'RCPT': lambda s, line: refusal if len(s.recipients) == 2 else True})
                r = relay.run(['r%d@example.net' % i for i in range(5)])
                self.assertEqual({r.of(i).verdict for i in range(5)}, {'delivered'})
                self.assertEqual([len(m[1]) for m in hop.messages], [2, 2, 1])
                self.assertEqual(hop.sessions, 1)

    def test_full_mailbox_is_for_good(self):
        hop, relay = self.both(rules={'RCPT': '552 5.2.2 mailbox full'})
        self.check(relay.run().outcome, 'failed', 'rcpt', 552, '5.2.2')


class Answers(Case):
    def test_each_stage(self):
        """4xx defers, 5xx fails; the words and codes are the server's."""
        for word, stage in (('MAIL', 'mail'), ('RCPT', 'rcpt'), ('DATA', 'data'), ('END', 'end')):
            for code, verdict in ((450, 'deferred'), (550, 'failed')):
                for extensions in (('PIPELINING',), ()):
                    with self.subTest(word=word, code=code, extensions=extensions):
                        hop, relay = self.both(extensions=extensions, rules={word: '%d-%d.7.1 not\r\n%d %d.7.1 so' % ((code, code // 100) * 2)})
                        r = relay.run(THREE)
                        for i in range(3):
                            self.check(r.of(i), verdict, stage, code, '%d.7.1' % (code // 100), '%d.7.1 not / %d.7.1 so' % ((code // 100,) * 2))
                        self.assertFalse(r.is_dead)
                        self.assertEqual(hop.messages, [])
                        hop.rules.clear()
                        self.check(relay.run().outcome, 'delivered', 'end', 250)	# the same session is good for the next
                        self.assertEqual(hop.sessions, 1)

    def test_mixed_recipients(self):
        answers = {'bob': True, 'carol': '550 5.1.1 unknown', 'dave': '451 4.2.1 later'}
        for extensions in (('PIPELINING',), ()):
            hop, relay = self.both(extensions=extensions, rules={'RCPT': lambda s, line: answers[line[9:].decode().split('@')[0]]})
            r = relay.run(THREE)
            self.check(r.of(0), 'delivered', 'end', 250)
            self.check(r.of(1), 'failed', 'rcpt', 550, '5.1.1')
            self.check(r.of(2), 'deferred', 'rcpt', 451, '4.2.1')
            self.assertEqual(hop.messages[0][1], ['bob@example.net'])

    def test_all_refused_but_data_accepted(self):
        """RFC 2920, 3.1: an empty message ends what the server began, and none is delivered."""
        hop, relay = self.both(rules={'RCPT': '550 no', 'DATA': '354 go on'})
        self.check(relay.run().outcome, 'failed', 'rcpt', 550, '5.1.1')
        self.assertEqual(hop.lines[-2:], ['DATA', '.'])
        hop.rules.clear()
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertEqual((hop.sessions, [m[2] for m in hop.messages]), (1, [b'Subject: x\r\n\r\nHello\r\n']))

    def test_lmtp_mix(self):
        answers = {b'bob@example.net': '250 2.1.5 ok', b'carol@example.net': '550 5.2.1 no', b'dave@example.net': '452 4.2.2 full'}
        hop, relay = self.both('lmtp', rules={'END': lambda s, address: answers[address]})
        r = relay.run(THREE)
        self.check(r.of(0), 'delivered', 'end', 250, '2.1.5')
        self.check(r.of(1), 'failed', 'end', 550, '5.2.1')
        self.check(r.of(2), 'deferred', 'end', 452, '4.2.2')
        self.assertEqual(hop.lines[0], 'LHLO ' + HOST)
        hop.rules.clear()
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertEqual(hop.sessions, 1)

    def test_lmtp_broken_off_between_replies(self):
        seen = []
        hop, relay = self.both('lmtp', rules={'END': lambda s, a: None if seen else seen.append(a) or '250 2.1.5 ok'})
        r = relay.run(THREE)
        self.check(r.of(0), 'delivered', 'end', 250)
        self.check(r.of(1), 'deferred', 'end', 0, '4.4.2', 'may have arrived')
        self.check(r.of(2), 'deferred', 'end', 0, '4.4.2', 'may have arrived')

    def test_codes_of_our_own(self):
        hop, relay = self.both(rules={'RCPT': '550 no such user'})
        self.check(relay.run().outcome, 'failed', 'rcpt', 550, '5.1.1', 'no such user')
        hop.rules['RCPT'] = '550 4.1.1 another class'	# no code of this reply
        self.check(relay.run().outcome, 'failed', 'rcpt', 550, '5.1.1', '4.1.1 another class')

    def test_words_are_printable(self):
        hop, relay = self.both(rules={'RCPT': b'550 5.1.1 \xffno\x1b[31m\x00\r\n'})
        self.check(relay.run().outcome, 'failed', 'rcpt', 550, '5.1.1', '5.1.1 ?no?[31m?')

    def test_421(self):
        for word, stage in (('MAIL', 'mail'), ('RCPT', 'rcpt'), ('DATA', 'data'), ('END', 'end')):
            for extensions in (('PIPELINING',), ()):
                with self.subTest(word=word, extensions=extensions):
                    hop, relay = self.both(extensions=extensions, rules={word: '421 4.3.2 closing'})
                    r = relay.run(THREE)
                    for i in range(3):
                        self.check(r.of(i), 'deferred', stage, 421, '4.3.2')
                    self.assertEqual(r.is_dead, word == 'MAIL')
                    hop.rules.clear()
                    self.check(relay.run().outcome, 'delivered', 'end', 250)
                    self.assertEqual(hop.sessions, 2)

    def test_421_in_the_middle_of_recipients(self):
        seen = []
        hop, relay = self.both(rules={'RCPT': lambda s, line: '421 4.3.2 closing' if seen else seen.append(1) or '550 5.1.1 no'})
        r = relay.run(THREE)
        self.check(r.of(0), 'failed', 'rcpt', 550)
        self.check(r.of(1), 'deferred', 'rcpt', 421)
        self.check(r.of(2), 'deferred', 'rcpt', 421)

    def test_a_used_session_that_is_over(self):
        """Neither a server that has closed in the meantime nor its 421 counts as an attempt."""
        for rule in ('421 4.3.2 enough', None):
            with self.subTest(rule=rule):
                hop, relay = self.both()
                relay.run()
                hop.rules['MAIL'] = rule
                r = relay.run()
                self.assertEqual(r.outcome.verdict, 'returned')
                hop.rules.clear()
                self.check(relay.run().outcome, 'delivered', 'end', 250)

    def test_greetings(self):
        for text, code in (('421 busy', 421), ('554 no', 554), ('250 wrong', 250)):
            with self.subTest(text=text):
                hop, relay = self.both(rules={'GREETING': text})
                r = relay.run()
                self.check(r.outcome, 'deferred', 'greeting', code)
                self.assertTrue(r.is_dead)
        hop, relay = self.both(rules={'EHLO': '421 busy'})
        self.check(relay.run().outcome, 'deferred', 'hello', 421)
        hop, relay = self.both(rules={'EHLO': '550 no', 'HELO': '550 no'})
        self.check(relay.run().outcome, 'deferred', 'hello', 550)


class Nonsense(Case):
    def test_drops(self):
        """Closed after every command, and before every reply."""
        for word, stage in (('GREETING', 'greeting'), ('EHLO', 'hello'), ('MAIL', 'mail'), ('RCPT', 'rcpt'), ('DATA', 'data')):
            for extensions in (('PIPELINING',), ()):
                with self.subTest(word=word, extensions=extensions):
                    hop, relay = self.both(extensions=extensions, rules={word: None})
                    r = relay.run(THREE)
                    for i in range(3):
                        self.check(r.of(i), 'deferred', stage, 0, '4.4.2')
                    self.assertEqual(hop.messages, [])

    def test_dropped_after_the_dot(self):
        hop, relay = self.both(rules={'END': None})
        r = relay.run(THREE)
        for i in range(3):
            self.check(r.of(i), 'deferred', 'end', 0, '4.4.2', 'may have arrived')
        self.assertFalse(r.is_dead)

    def test_slow(self):
        for word, stage in (('GREETING', 'greeting'), ('EHLO', 'hello'), ('MAIL', 'mail'), ('RCPT', 'rcpt'), ('DATA', 'data'), ('END', 'end')):
            with self.subTest(word=word):
                hop, relay = self.both(rules={word: 3.0}, delivery='timeout = 500ms\n')
                began = time.monotonic()
                self.check(relay.run().outcome, 'deferred', stage, 0, '4.4.2')
                self.assertLess(time.monotonic() - began, 2.5 * SLOW)

    def test_dribbling(self):
        """A reply that comes octet by octet has one deadline for all of it."""
        def dribble(sock):
            try:
                for i in range(200):
                    sock.sendall(b'2')
                    time.sleep(0.05)
            except OSError:
                pass
        hop = self.hop(raw=dribble)
        relay = self.relay(hop, delivery='timeout = 500ms\n')
        began = time.monotonic()
        self.check(relay.run().outcome, 'deferred', 'greeting', 0, '4.4.2', 'in time')
        self.assertLess(time.monotonic() - began, 2.5 * SLOW)

    def test_garbage(self):
        for text in (b'hello\r\n', b'\r\n', b'25 ok\r\n', b'2500 ok\r\n', b'999 ok\r\n', b'099 x\r\n', b'2x0 ok\r\n', b'250*ok\r\n', b'\x00\x01\x02\n',
                     b'HTTP/1.1 400 Bad Request\r\n', b'250-a\r\n550 b\r\n', b'\x16\x03\x01\x00\n'):
            for word, stage in (('GREETING', 'greeting'), ('MAIL', 'mail'), ('DATA', 'data')):
                with self.subTest(text=text, word=word):
                    hop, relay = self.both(rules={word: text})
                    self.check(relay.run().outcome, 'deferred', stage, 0, '4.5.0', 'no reply')
                    self.assertEqual(hop.messages, [])

    def test_garbage_after_the_dot(self):
        hop, relay = self.both(rules={'END': b'OK, thanks\r\n'})
        self.check(relay.run().outcome, 'deferred', 'end', 0, '4.4.2', 'may have arrived')

    def test_huge(self):
        for text in (b'250 ' + b'x' * 5000 + b'\r\n', b'250-x\r\n' * 500 + b'250 x\r\n', (b'250-' + b'y' * 1900 + b'\r\n') * 100 + b'250 z\r\n',
                     b'z' * 200000):
            hop, relay = self.both(rules={'MAIL': text})
            self.check(relay.run().outcome, 'deferred', 'mail', 0, '4.5.0', 'without end')

    def test_a_flood(self):
        """A server that never stops talking is left alone."""
        def flood(sock):
            try:
                sock.sendall(b'220 hello\r\n')
                while True:
                    sock.sendall(b'250-again and again\r\n' * 1000)
            except OSError:
                pass
        hop = self.hop(raw=flood)
        relay = self.relay(hop)
        self.check(relay.run().outcome, 'deferred', 'hello', 0, '4.5.0')

    def test_large_but_permitted(self):
        hop, relay = self.both(rules={'MAIL': b'250-' + b'x' * 1500 + b'\r\n' + b'250-y\r\n' * 150 + b'250 z\r\n'})
        self.check(relay.run().outcome, 'delivered', 'end', 250)

    def test_never_reads(self):
        """A server that takes no octets of a large message."""
        def stuck(session, line):
            session.say('354 go on')
            time.sleep(5)
            return None
        hop, relay = self.both(extensions=(), rules={'DATA': stuck}, delivery='timeout = 700ms\n')
        self.check(relay.run(message=b'x: yyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n' * 600000, seconds=15).outcome, 'deferred', 'data', 0, '4.4.2')


class Connections(Case):
    def test_refused(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        relay = Relay('[route out]\nurl = smtp://127.0.0.1:%d\ntls = none\n' % port)
        self.open.append(relay)
        deliveries = [relay.deliver(['bob@example.net']) for _ in range(5)]
        for d in deliveries:
            r = d.wait()
            self.check(r.outcome, 'deferred', 'connect', 0, '4.4.1', 'refused')
            self.assertTrue(r.is_dead)
            self.assertEqual(r.address, '127.0.0.1:%d' % port)

    def test_never_answered(self):
        """A full queue of connections: the kernel drops what comes."""
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        s.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for f in fill:
            f.setblocking(False)
            f.connect_ex(s.getsockname())
        time.sleep(0.1)
        relay = Relay('[route out]\nurl = smtp://127.0.0.1:%d\ntls = none\n' % s.getsockname()[1], delivery='connect_timeout = 500ms\n')
        self.open += [relay, s] + fill
        began = time.monotonic()
        self.check(relay.run().outcome, 'deferred', 'connect', 0, '4.4.1', 'timed out')
        self.assertLess(time.monotonic() - began, 3 * SLOW)

    def test_ipv6_then_ipv4(self):
        """localhost has both: the first that takes the connection carries it."""
        hop = self.hop()
        relay = Relay('[route out]\nurl = smtp://localhost:%d\ntls = none\n' % hop.port)
        self.open.append(relay)
        r = relay.run()
        self.check(r.outcome, 'delivered', 'end', 250)
        self.assertEqual((r.host, r.address), ('localhost', '127.0.0.1:%d' % hop.port))
        six = self.hop(address='::1', port=hop.port)
        time.sleep(2.5)	# the idle session ends
        r = relay.run()
        self.assertEqual(r.address, '[::1]:%d' % hop.port)
        self.assertEqual(len(six.messages), 1)

    def test_next_address_after_a_bad_greeting(self):
        hop = self.hop()
        six = self.hop(address='::1', port=hop.port, rules={'GREETING': '554 go away'})
        relay = Relay('[route out]\nurl = smtp://localhost:%d\ntls = none\n' % hop.port)
        self.open.append(relay)
        r = relay.run()
        self.check(r.outcome, 'delivered', 'end', 250)
        self.assertEqual((r.address, six.sessions), ('127.0.0.1:%d' % hop.port, 1))

    def test_a_dead_one_delays_no_other(self):
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        s.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for f in fill:
            f.setblocking(False)
            f.connect_ex(s.getsockname())
        hop = self.hop()
        relay = Relay('[route out]\nurl = smtp://127.0.0.1:%d\ntls = none\n[route dead]\nurl = smtp://127.0.0.1:%d\ntls = none\n'
                      'to_domain = dead.example\n' % (hop.port, s.getsockname()[1]))
        self.open += [relay, s] + fill
        dead = [relay.deliver(['x@dead.example'], route='dead') for _ in range(20)]
        began = time.monotonic()
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertLess(time.monotonic() - began, 1.5 * SLOW)
        for d in dead:
            self.check(d.wait().outcome, 'deferred', 'connect', 0, '4.4.1')


if __name__ == '__main__':
    if os.environ.get('KEEP'):
        print(os.getpid())
    main()
