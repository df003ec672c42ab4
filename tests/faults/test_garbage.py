#!/usr/bin/env python3
"""Nonsense on every listener: random octets, broken handshakes, dialogues with mutations, clients that do not read. No worker crashes,
no service ends, and what is stored is whole and was acknowledged."""
import os
import random
import re
import socket
import ssl
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
from postern import ALICE, PASSWORD, Client, base64, main, message, stuff, wait_for  # noqa: E402

SEED = int(os.environ.get('POSTERN_SEED') or random.randrange(10 ** 9))
GOOD = [b'EHLO client.example.org\r\n', b'AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD)).encode() + b'\r\n',
        b'MAIL FROM:<alice@example.org> SIZE=1000 BODY=8BITMIME\r\n', b'RCPT TO:<rcpt@example.net>\r\n', b'DATA\r\n',
        stuff(message('garbage')), b'NOOP\r\n', b'RSET\r\n', b'STARTTLS\r\n', b'HELP\r\n', b'VRFY x\r\n', b'QUIT\r\n']


class Garbage(postern.Case):
    @classmethod
    def options(cls):
        return {'settings': {'auth.failure_delay': '100ms', 'limits.sessions_per_account': 1000, 'limits.command_timeout': '2s',
                             'limits.data_timeout': '2s', 'limits.errors': 1000, 'workers.crash_ban': '0s'}}

    def setUp(self):
        self.random = random.Random('%d %s' % (SEED, self.id()))
        self.pids = self.services()

    def services(self):
        return {kind: [p.pid for p in self.instance.kind(kind)] for kind in ('postern-auth', 'postern-keys', 'postern-spool')}

    def tearDown(self):
        hint = 'POSTERN_SEED=%d' % SEED
        self.assertNotRegex(self.instance.log(), r'level=alarm|worker\.killed|service\.died', hint)
        self.assertEqual(self.services(), self.pids, 'no service was started again; ' + hint)
        self.assertTrue(all(f.is_whole for f in self.instance.stored()), hint)
        with self.instance.client('submission', login=ALICE) as c:
            c.submit(message('after the garbage'))

    def octets(self, n):
        return bytes(self.random.randrange(256) for _ in range(n))

    def mutated(self, data):
        r, data = self.random, bytearray(data)
        for _ in range(r.choice((0, 1, 1, 2, 5))):
            at = r.randrange(len(data) + 1)
            what = r.randrange(5)
            if what == 0:
                data[at:at] = self.octets(r.choice((1, 2, 10)))
            elif what == 1:
                del data[at:at + r.choice((1, 2, 10))]
            elif what == 2:
                data[at:at] = r.choice((b'\r\n', b'\n', b'\r', b'\0', b'.\r\n', b'\r\n.\r\n', b'<', b'>', b'=', b' ', b'"', b'\\'))
            elif what == 3:
                data[at:at] = bytes(data[at:at + 20]) * r.choice((1, 3, 200))
            elif at < len(data):
                data[at] ^= 1 << r.randrange(8)
        return bytes(data)

    def talk(self, s, parts, wait):
        """Sends and reads what comes, without caring what it says."""
        s.settimeout(wait)
        try:
            for part in parts:
                s.sendall(part)
                try:
                    if not s.recv(65536):
                        return
                except TimeoutError:
                    pass
        except (OSError, ssl.SSLError):
            pass

    def connect(self, kind):
        return socket.create_connection(('127.0.0.1', self.instance.port(kind)), 5)

    def test_random_octets(self):
        for n in range(90):
            with self.connect(('submission', 'submissions', 'plain')[n % 3]) as s:
                self.talk(s, [self.octets(self.random.choice((1, 5, 50, 2000))) for _ in range(3)], 0.02)

    def test_broken_handshakes(self):
        outgoing, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.instance.context().wrap_bio(incoming, outgoing, server_hostname='mail.example.org')
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = outgoing.read()
        for _ in range(60):
            with self.connect('submissions') as s:
                self.talk(s, [self.mutated(hello), self.octets(20)], 0.02)
        for cut in range(0, len(hello), 25):
            with self.connect('submissions') as s:
                self.talk(s, [hello[:cut]] if cut else [], 0.005)

    def test_mutated_dialogues(self):
        for n in range(150):
            parts = [part if self.random.randrange(3) else self.mutated(part) for part in GOOD]
            if not self.random.randrange(3):
                self.random.shuffle(parts)
            if not self.random.randrange(3):
                parts = [b''.join(parts)]
            with self.connect('plain') as s:
                self.talk(s, parts, 0.03)

    def test_mutated_dialogues_under_tls(self):
        for n in range(60):
            parts = [part if self.random.randrange(3) else self.mutated(part) for part in GOOD]
            with self.connect('submissions') as s:
                try:
                    with self.instance.context().wrap_socket(s, server_hostname='mail.example.org') as t:
                        self.talk(t, parts, 0.03)
                except (OSError, ssl.SSLError):
                    pass

    def test_mutated_messages(self):
        """What is answered 250 is stored, nothing else is."""
        good = 0
        before = len(self.instance.names())
        with self.instance.client('plain', login=ALICE) as c:
            for n in range(120):
                data = self.mutated(message('mutated-%d' % n, b'line\r\n.dot\r\n' * 5))
                data = re.sub(rb'\r\n\.(?=\r\n)', b'\r\n.x', data)	# no end in the middle
                for text in ('MAIL FROM:<%s>' % ALICE, 'RCPT TO:<rcpt@example.net>'):
                    c.command(text, 250)
                c.command('DATA', 354)
                c.send(stuff(data if data.endswith(b'\r\n') else data + b'\r\n'))
                code, lines = c.reply()
                self.assertIn(code, (250, 552, 553, 554), lines)
                good += code == 250
        self.assertEqual(len(self.instance.names()) - before, good)
        self.assertGreater(good, 10)

    def test_clients_that_do_not_read(self):
        """Their session ends by itself, and others do not feel it."""
        clients = []
        for n in range(8):
            s = self.connect('plain')
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.setblocking(False)
            clients.append(s)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            for s in clients:
                try:
                    s.send(b'EHLO client.example.org\r\nHELP\r\n' * 500)
                except OSError:
                    pass
            time.sleep(0.01)
        with self.instance.client('plain', login=ALICE) as c:
            c.submit(message('beside them'))

        def ended():
            with open('/proc/net/tcp') as f:
                port = ':%04X' % self.instance.port('plain')
                return not [row for row in f if row.split()[1].endswith(port) and row.split()[3] == '01']
        self.assertTrue(wait_for(ended, 8), 'their sessions have ended')
        for s in clients:
            s.close()

    def test_connections_that_say_nothing_and_resets(self):
        clients = []
        for n in range(40):
            s = self.connect(('submission', 'submissions', 'plain')[n % 3])
            if n % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')	# a reset instead of an end
            clients.append(s)
        for s in clients:
            s.close()
        with Client(('127.0.0.1', self.instance.port('plain'))) as c:
            c.expect(220)


if __name__ == '__main__':
    main()
