#!/usr/bin/env python3
"""Clients that mean harm or know no better: what is no message is not stored, what is no command is not run, and others are served.

test_abuse_slow.py has those that take their time.
"""
import re
import socket
import sys
import time

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, BOB, PASSWORD, SLOW, base64, main, message, stuff  # noqa: E402

RCPT, HIDDEN = 'rcpt@example.net', 'hidden@example.net'
HIDDEN_MESSAGE = b'MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\n' % (ALICE.encode(), HIDDEN.encode(), message('hidden'))

# What other servers have taken for the end of a message (SMTP smuggling), and its kin.
FALSE_ENDS = [
    b'\n.\n', b'\n.\r\n', b'\r\n.\n', b'\r.\r', b'\r.\r\n', b'\r\n.\r', b'\n.\r', b'\r.\n', b'\n\n.\n\n', b'\r\r.\r\r',
    b'\r\n.\r\r\n', b'\r\n.\n\r\n', b'\r\n\r.\r\n', b'\r\n\n.\r\n', b'\r\n.\0\r\n', b'\r\n\0.\r\n',
    b'\r\0\n.\r\n', b'\r\n.\r\0\n', b'\n\0.\0\n', b'\0.\0', b'\r\n.\x1a\r\n\x1a', b'\x85.\x85', b'\xc2\x85.\xc2\x85',
    b'\xe2\x80\xa8.\xe2\x80\xa8', b'\r\n. \r\n', b'\r\n.\t\r\n', b'\r\n .\r\n', b'\r\n..\r\n', b'\r\n.\x0b\r\n', b'\x0b.\x0c',
    b'\r\n.\\r\\n', b'=0D=0A.=0D=0A', b'%0d%0a.%0d%0a',
]
# The real end stands in these: the message before it is refused for its octets, and what follows are commands.
TRUE_ENDS = [b'\r\r\n.\r\n', b'\n\r\n.\r\n', b'\0\r\n.\r\n', b'\r\0\r\n.\r\n', b'a\nb\r\n.\r\n']


def is_bad(octets):
    return b'\0' in octets or re.search(rb'\r(?!\n)|(?<!\r)\n', octets) is not None


class Abuse(postern.Case):
    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {'limits.errors': 100000, 'auth.failure_delay': '100ms'}}

    def client(self, kind='plain', login=ALICE, **more):
        return self.instance.client(kind, login=login, **more)

    def envelope(self, c):
        c.command('MAIL FROM:<%s>' % ALICE, 250)
        c.command('RCPT TO:<%s>' % RCPT, 250)

    def quiet(self, c, seconds=0.2):
        """Nothing more is said."""
        self.assertEqual(c.buffer, b'')
        c.sock.settimeout(seconds * SLOW)
        try:
            data = c.sock.recv(1000)
        except (socket.timeout, TimeoutError):
            c.sock.settimeout(15 * SLOW)
            return
        if not data:
            raise EOFError('closed by the server')
        self.fail('more was said: %r' % data)

    def new(self):
        """What was stored since the last call; the spool is emptied."""
        files = self.instance.stored()
        self.instance.empty_spool()
        for f in files:
            self.assertTrue(f.is_whole)
        return files

    def check_one(self, code, octets, hidden=False):
        files = self.new()
        if is_bad(octets):
            self.assertEqual((code, len(files)), (554, 0))
            return
        self.assertEqual((code, len(files)), (250, 1))
        self.assertNotIn(HIDDEN, ' '.join(value for _, value in files[0].envelope))
        return files[0].split()[1]


class Smuggling(Abuse):
    def through_data(self, c, end, cut):
        first = message('first', b'before') + end
        self.envelope(c)
        c.command('DATA', 354)
        if cut:	# each octet of the sequence in a packet
            c.send(first[:-len(end)])
            for n in range(len(end)):
                c.send(end[n:n + 1])
            c.send(HIDDEN_MESSAGE)
        else:
            c.send(first + HIDDEN_MESSAGE)
        code, _ = c.reply()
        c.command('NOOP', 250)
        self.quiet(c, 0.01)
        return code, first + HIDDEN_MESSAGE

    def test_data(self):
        for kind in ('plain', 'submission'):
            with self.client(kind) as c:
                for end in FALSE_ENDS:
                    for cut in (False, True):
                        with self.subTest(end=end, cut=cut, kind=kind):
                            code, sent = self.through_data(c, end, cut)
                            stored = self.check_one(code, sent)
                            if stored is not None:	# the whole of it, as text, without the stuffing
                                self.assertEqual(stored, re.sub(rb'(?<=\r\n)\.', b'', sent[:-3]))

    def test_real_end_behind_bad_octets(self):
        with self.client() as c:
            for end in TRUE_ENDS:
                with self.subTest(end=end):
                    self.envelope(c)
                    c.command('DATA', 354)
                    c.send(message('first', b'before') + end + b'NOOP\r\n')
                    c.expect(554)
                    c.expect(250)
                    self.assertEqual(self.new(), [])

    def test_bdat(self):
        """In a chunk nothing is an end, and nothing a command."""
        for kind in ('plain', 'submission'):
            with self.client(kind) as c:
                for end in FALSE_ENDS + TRUE_ENDS + [b'\r\n.\r\n']:
                    whole = message('first', b'before') + end + HIDDEN_MESSAGE
                    for at in (0, len(whole) - len(HIDDEN_MESSAGE) - len(end) // 2):
                        with self.subTest(end=end, at=at, kind=kind):
                            self.envelope(c)
                            refused = False
                            if at:
                                c.send(b'BDAT %d\r\n' % at + whole[:at])
                                code, _ = c.reply()
                                refused = code != 250
                            if not refused:
                                c.send(b'BDAT %d LAST\r\n' % (len(whole) - at) + whole[at:])
                                code, _ = c.reply()
                            c.command('NOOP', 250)
                            self.quiet(c, 0.01)
                            stored = self.check_one(code, whole)
                            self.assertIn(stored, (None, whole))

    def test_sizes_that_lie(self):
        for size in ('-1', '+5', '0x10', '1e3', '9' * 30, '18446744073709551616', '18446744073709551615', '9223372036854775808',
                     '5 LAST LAST', '5 FIRST', '5,LAST', '5\0', ''):
            with self.subTest(size=size), self.client() as c:
                self.envelope(c)
                c.send(b'BDAT ' + size.encode() + b'\r\n' + HIDDEN_MESSAGE)
                self.assertIn(c.reply()[0], (501, 552))
                with self.assertRaises(EOFError):	# where the next command begins can't be known
                    self.quiet(c)
                self.assertEqual(self.new(), [])


class Injection(Abuse):
    def test_behind_starttls(self):
        """What is sent behind STARTTLS in the clear is never run."""
        login = 'AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD))
        for injected in ('NOOP', 'EHLO evil.example.org', 'RSET', 'MAIL FROM:<%s>' % ALICE, login, 'QUIT', 'HELP',
                         'NOOP\r\nNOOP\r\nNOOP', 'NOOP\r', 'NO', '\0', '\x16\x03'):
            with self.subTest(injected=injected), self.client('submission', tls=False, login=None) as c:
                tail = '' if injected in ('NO', 'NOOP\r', '\0', '\x16\x03') else '\r\n'
                c.send('STARTTLS\r\n' + injected + tail)
                c.expect(220)
                c.starttls(self.instance.context())
                self.quiet(c, 0.05)
                c.command('MAIL FROM:<%s>' % ALICE, 503)	# a new session, not greeted
                c.ehlo()
                c.command('MAIL FROM:<%s>' % ALICE, 530)
                c.login()
                c.submit(message('after'))
                self.assertEqual(len(self.new()), 1)

    def test_in_one_packet_with_ehlo(self):
        with self.client('submission', tls=False, login=None) as c:
            c.send('EHLO a.example.org\r\nSTARTTLS\r\nNOOP\r\nNOOP\r\n')
            c.expect(250)
            c.expect(220)
            c.starttls(self.instance.context())
            self.quiet(c, 0.05)
            c.ehlo()


class Credentials(Abuse):
    sources = 0

    def other(self, **more):
        """A client from an address that was not seen before, so that no wrong password of another case counts."""
        Credentials.sources += 1
        return self.client(login=None, source='127.20.%d.%d' % (self.sources // 250, self.sources % 250 + 1), **more)

    def test_base64_of_every_kind_of_wrong(self):
        for text in ('!', 'A', 'AA', 'AAA', 'A===', 'AA=A', '====', '==', 'AAAA=', 'AAAAA===', 'AA==AA==', '-_-_', 'AA AA', 'AA\tAA',
                     'AA\0A', '\x80\x80\x80\x80', '\xff', 'AAB=', 'AB==', 'AA==\0', 'AAAA\rAAAA', 'AAAA.', '.', '*A', 'A*==', '\u0410AAA'):
            for mechanism in ('PLAIN', 'LOGIN'):
                with self.subTest(text=text, mechanism=mechanism), self.other() as c:
                    c.send(('AUTH %s ' % mechanism).encode() + text.encode('latin-1', 'replace') + b'\r\n')
                    self.assertEqual(c.reply()[0], 501)
                    c.command('AUTH ' + mechanism, 334)
                    c.send(text.encode('latin-1', 'replace') + b'\r\n')
                    self.assertEqual(c.reply()[0], 501)
                    c.login()

    def test_content_of_every_kind_of_wrong(self):
        user, password = ALICE.encode(), PASSWORD.encode()
        for text in (b'', b'\0', b'\0\0', b'\0\0\0', user, user + b'\0' + password, b'\0' + user, b'\0' + user + b'\0',
                     b'\0%s\0%s\0' % (user, password), b'\0%s\0%s\0x' % (user, password), b'\0\0%s\0%s' % (user, password),
                     b'\0%s\0x%s' % (user, password), b'\0%s\0%s ' % (user, password), b'\0%s \0%s' % (user, password),
                     b'\0%s\n\0%s' % (user, password), b'%s\0%s\0%s' % (BOB.encode(), user, password),
                     b'\0' + b'u' * 9000 + b'\0' + password, b'\0' + user + b'\0' + b'p' * 9000, b'a' * 9000 + b'\0b\0c',
                     b'\0' * 9000, b'\xff\xfe\0\xff\0\xff', b'\0%\0%s', b"\0' OR 1=1 --\0x", b'\0*\0*', b'\0../../x\0x'):
            with self.subTest(text=text[:60]), self.other() as c:
                c.send('AUTH PLAIN ' + (base64(text) or '=') + '\r\n')
                self.assertIn(c.reply()[0], (501, 535))
                c.command('NOOP', 250)
                c.command('MAIL FROM:<%s>' % ALICE, 530)

    def test_nul_in_login(self):
        for user, password in ((ALICE + '\0', PASSWORD), (ALICE + '\0x', PASSWORD), ('\0' + ALICE, PASSWORD), (ALICE, PASSWORD + '\0'),
                               (ALICE, PASSWORD + '\0x'), (ALICE, '\0'), ('', ''), ('', PASSWORD), (ALICE, ''), ('u' * 9000, 'x'),
                               (ALICE, 'p' * 9000)):
            with self.subTest(user=user[:40], password=password[:40]), self.other() as c:
                c.command('AUTH LOGIN', 334)
                c.command(base64(user), 334)
                c.send(base64(password) + '\r\n')
                self.assertIn(c.reply()[0], (501, 535))
                c.command('MAIL FROM:<%s>' % ALICE, 530)

    def test_ten_kilobytes(self):
        """The RFC's 12288 octets for a line in AUTH, and no more: 10 KB of user name are 13 KB of Base64."""
        with self.other() as c:
            c.command('AUTH PLAIN ' + base64('\0%s\0x' % ('u' * 10240)), 500)
            c.command('AUTH LOGIN', 334)
            c.command(base64('u' * 10240), 500)
            for text in ('u' * 10240, 'u@' + 'd' * 10240, '"' + 'q' * 10240, '<' * 10240):
                c.command('MAIL FROM:<%s>' % text, 500)
            c.command('EHLO ' + 'h' * 10240, 500)
            c.command('AUTH %s x' % ('M' * 10240), 504)
            c.login()

    def test_authentication_left_in_the_middle(self):
        for sent in ('AUTH PLAIN\r\n', 'AUTH LOGIN\r\n', 'AUTH LOGIN %s\r\n' % base64(ALICE)):
            with self.other() as c:
                c.send(sent)
                c.expect(334)
        with self.other() as c:
            c.command('AUTH LOGIN', 334)
            c.command('NOOP x', 501)	# is no Base64, and no command here
            c.command('NOOP', 250)


class Moments(Abuse):
    """PROTOCOL, reading 18: verb, its syntax, EHLO, TLS, login, transaction, argument."""
    PHASES = ('start', 'no login', 'no TLS', 'ready', 'mail', 'rcpt', 'bdat')
    LOGIN = 'AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD))
    TABLE = {
        'EHLO a': [250] * 7, 'HELO a': [250] * 7, 'EHLO': [501] * 7, 'HELO': [501] * 7,
        LOGIN: [503, 235, 538, 503, 503, 503, 503], 'AUTH': [501] * 7, 'AUTH FOO': [503, 504, 504, 503, 503, 503, 503],
        'STARTTLS': [503, 502, 220, 502, 503, 503, 503], 'STARTTLS x': [501] * 7,
        'MAIL FROM:<%s>' % ALICE: [503, 530, 530, 250, 503, 503, 503], 'MAIL': [501] * 7,
        'MAIL nonsense': [503, 530, 530, 501, 503, 503, 503], 'MAIL FROM:<%s>' % BOB: [503, 530, 530, 553, 503, 503, 503],
        'RCPT TO:<%s>' % RCPT: [503, 530, 530, 503, 250, 250, 503], 'RCPT': [501] * 7,
        'RCPT nonsense': [503, 530, 530, 503, 501, 501, 503], 'RCPT TO:<a b>': [503, 530, 530, 503, 530, 530, 503],
        'DATA': [503, 530, 530, 503, 503, 354, 503], 'DATA x': [501] * 7,
        'BDAT 0': [503, 530, 530, 503, 503, 250, 250], 'BDAT': [501] * 7,
        'RSET': [250] * 7, 'RSET x': [501] * 7, 'NOOP': [250] * 7, 'NOOP x': [250] * 7, 'HELP': [214] * 7, 'HELP MAIL': [214] * 7,
        'QUIT': [221] * 7, 'QUIT x': [501] * 7, 'VRFY a': [503, 530, 530, 252, 252, 252, 252], 'VRFY': [501] * 7,
        'EXPN a': [503, 530, 530, 502, 502, 502, 502], 'EXPN': [501] * 7, 'TURN': [502] * 7, 'SEND FROM:<a@example.org>': [502] * 7,
        'SOML FROM:<a@example.org>': [502] * 7, 'SAML FROM:<a@example.org>': [502] * 7, 'FROB': [500] * 7, '': [500] * 7,
        'MAILFROM:<a@example.org>': [500] * 7, 'DATA\0': [500] * 7, '\xff\xfe': [500] * 7,
    }

    def at(self, phase):
        if phase == 'no TLS':
            return self.client('submission', tls=False, login=None)
        if phase == 'start':
            c = postern.Client(('127.0.0.1', self.instance.port('plain')))
            c.expect(220)
            return c
        c = self.client(login=None if phase == 'no login' else ALICE)
        begun = ('mail', 'rcpt', 'bdat')
        if phase in begun:
            for text in ('MAIL FROM:<%s>' % ALICE, 'RCPT TO:<%s>' % RCPT, 'BDAT 4\r\nX: y')[:begun.index(phase) + 1]:
                c.send(text if text.startswith('BDAT') else text + '\r\n')
                c.expect(250)
        return c

    def test_every_verb_in_every_phase(self):
        for n, phase in enumerate(self.PHASES):
            for text, codes in self.TABLE.items():
                with self.subTest(phase=phase, text=text), self.at(phase) as c:
                    c.send(text.encode('latin-1') + b'\r\n')
                    self.assertEqual(c.reply()[0], codes[n])
        self.assertEqual(self.new(), [])


class Arguments(Abuse):
    GOOD = ['a@example.net', 'a.b@example.net', "!#$%&'*+-/=?^_`{|}~@example.net", '"a b"@example.net', '"a\\"b"@example.net',
            '"a>b"@example.net', '"a@b"@example.net', '"."@example.net', 'a@[192.0.2.1]', 'a@[IPv6:2001:db8::1]',
            '@one.example,@two.example:a@example.net', 'postmaster', 'Postmaster', 'A@EXAMPLE.NET', 'a@xn--bcher-kva.example',
            'x' * 64 + '@example.net', 'a@' + 'd' * 63 + '.example']
    BAD = ['', ' ', 'a', '@', 'a@', '@example.net', 'a@@example.net', 'a@b@example.net', '.a@example.net', 'a.@example.net', 'a..b@example.net',
           'a b@example.net', 'a@example..net', 'a@.example.net', 'a@-example.net', 'a@example-.net', 'a@exa mple.net',
           'a@exa_mple.net;x', 'a@[192.0.2.256]', 'a@[192.0.2]', 'a@[IPv6:2001:db8:::1]', 'a@[IPv6:1:2:3:4:5:6:7:8:9]', 'a@[',
           'a@[192.0.2.1', 'a@192.0.2.1]', '"a@example.net', '"a"b@example.net', 'a"b"@example.net', '"a\0b"@example.net', 'a\0@example.net',
           'a@exam\0ple.net', '@one.example,a@example.net', '@one.example:', '@:a@example.net', 'x' * 65 + '@example.net',
           'a@' + 'd' * 64 + '.example', 'a@' + '.'.join(['d' * 60] * 5), '<a@example.net', 'a,b@example.net', 'a(comment)@example.net',
           'gr\xc3\xbc\xc3\x9fe@example.net', 'a@b\xc3\xbccher.example', 'a@example.net,b@example.net', 'a\r@example.net', 'a\t@example.net']

    def test_mailboxes(self):
        with self.client() as c:
            for address, code in [(a, 250) for a in self.GOOD] + [(a, 530) for a in self.BAD]:
                with self.subTest(address=address[:80]):
                    c.command('RSET', 250)
                    c.command('MAIL FROM:<%s>' % ALICE, 250)
                    c.send(b'RCPT TO:<' + address.encode('latin-1') + b'>\r\n')
                    self.assertEqual(c.reply()[0], code)

    def test_parameters(self):
        sender, rcpt = 'MAIL FROM:<%s>' % ALICE, 'RCPT TO:<%s>' % RCPT
        table = [(sender + tail, code) for tail, code in (
            (' SIZE=10', 250), (' size=10', 250), (' SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x AUTH=<>', 250), ('\tSIZE=10 ', 250),
            (' SIZE=10 SIZE=10', 501), (' BODY=7BIT BODY=8BITMIME', 501), (' RET=FULL ret=FULL', 501), (' SMTPUTF8 SMTPUTF8', 501),
            (' COLOUR=red', 555), (' COLOUR', 555), (' BODY=BINARYMIME', 504), (' SIZE', 501), (' SIZE=', 501), (' SIZE=-1', 501),
            (' SIZE=1x', 501), (' SIZE=99999999999999999999', 552), (' SIZE=8388608', 250), (' SIZE=8388609', 552),
            (' RET=SOME', 501), (' ENVID=a+2', 501), (' =x', 501), (' SIZE==1', 501), ('SIZE=1', 501), (' SMTPUTF8=x', 501),
            (' SIZE=1\0', 501), (' NOTIFY=NEVER', 555))]
        table += [(rcpt + tail, code) for tail, code in (
            (' NOTIFY=NEVER', 250), (' NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a@example.net', 250), (' NOTIFY=NEVER,DELAY', 501),
            (' NOTIFY=DELAY NOTIFY=DELAY', 501), (' NOTIFY=', 501), (' NOTIFY=NOW', 501), (' ORCPT=a@example.net', 501),
            (' ORCPT=rfc822;a ORCPT=rfc822;a', 501), (' SIZE=1', 555), (' COLOUR', 555))]
        with self.client() as c:
            for text, code in table:
                with self.subTest(text=text):
                    c.command('RSET', 250)
                    if text.startswith('RCPT'):
                        c.command(sender, 250)
                    self.assertEqual((c.send(text + '\r\n'), c.reply()[0])[1], code)


class Packets(Abuse):
    """One dialogue, cut everywhere."""
    DIALOGUE = b'NOOP\r\nMAIL FROM:<%s> SIZE=100\r\nRCPT TO:<%s>\r\nRCPT TO:<nonsense>\r\nDATA\r\n%s.\r\nRSET\r\nFOO\r\n' % (
        ALICE.encode(), RCPT.encode(), stuff(b'From: %s\r\n\r\n.x\r\n' % ALICE.encode())[:-3])
    CODES = [250, 250, 250, 530, 354, 250, 250, 500]

    def check(self, c, *pieces):
        for piece in pieces:
            c.send(piece)
        self.assertEqual([c.reply()[0] for _ in self.CODES], self.CODES)

    def check_stored(self, n):
        files = self.new()
        self.assertEqual(len(files), n)
        self.assertEqual({f.split()[1][-len('\r\n\r\n.x\r\n'):] for f in files}, {b'\r\n\r\n.x\r\n'})

    def test_every_cut(self):
        d = self.DIALOGUE
        for kind in ('plain', 'submission'):
            with self.client(kind) as c:
                for at in range(1, len(d)):
                    c.send(d[:at])
                    time.sleep(0.001)
                    self.check(c, d[at:])
        self.check_stored(2 * (len(d) - 1))

    def test_octet_by_octet(self):
        for kind in ('plain', 'submission'):
            with self.client(kind) as c:
                self.check(c, *(self.DIALOGUE[n:n + 1] for n in range(len(self.DIALOGUE))))
        self.check_stored(2)

    def test_all_at_once(self):
        """Fifty times the dialogue in one piece."""
        with self.client('submission') as c:
            c.send(self.DIALOGUE * 50)
            for _ in range(50):
                self.check(c)
        self.check_stored(50)


if __name__ == '__main__':
    main()
