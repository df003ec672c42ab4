#!/usr/bin/env python3
"""Clients that take their time, that vanish, that never end a line or never read, that are many; and each limit from below to above."""
import re
import socket
import ssl
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, BOB, HOST, IS_ROOT, IS_SAN, PASSWORD, SLOW, Client, base64, main, message, wait_for  # noqa: E402

RCPT = 'rcpt@example.net'
LIMIT = 1.0 * SLOW	# the time-outs of class Dribblers
LOGIN = 'AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD))


class Abuse(postern.Case):
    def client(self, kind='plain', login=ALICE, **more):
        return self.instance.client(kind, login=login, **more)

    def envelope(self, c):
        c.command('MAIL FROM:<%s>' % ALICE, 250)
        c.command('RCPT TO:<%s>' % RCPT, 250)

    def begin_data(self, c):
        self.envelope(c)
        c.command('DATA', 354)

    def check_over(self, stored=0):
        """No session is left, nothing unfinished lies in the spool."""
        self.assertTrue(wait_for(lambda: self.instance.log().count('event=session.begin') ==
                                 self.instance.log().count('event=session.end'), 6, 0.1), 'sessions that never ended')
        self.assertTrue(wait_for(lambda: self.instance.names('tmp') == [], 3), 'left in tmp/')
        files = self.instance.stored()
        self.assertEqual(len(files), stored)
        self.assertTrue(all(f.is_whole for f in files))
        self.instance.empty_spool()


class Dribblers(Abuse):
    @classmethod
    def options(cls):
        ms = '%dms' % (LIMIT * 1000)
        return {'settings': {'limits.command_timeout': ms, 'limits.data_timeout': ms, 'limits.sessions_per_account': 50}}

    def until_end(self, c, octets, pause=0.25):
        """Sends octet by octet until the server ends it: (seconds, what it said)."""
        began = time.monotonic()
        said = b''
        c.sock.settimeout(pause * SLOW)
        for n in range(len(octets) + int(6 * LIMIT / pause)):
            try:
                c.sock.send(octets[n:n + 1])
                data = c.sock.recv(4096)
                if not data:
                    break
                said += data
            except (socket.timeout, TimeoutError, ssl.SSLWantReadError):
                continue
            except (OSError, ssl.SSLError):
                break
        else:
            self.fail('it went on for %.1f s' % (time.monotonic() - began))
        return time.monotonic() - began, said

    def command_line(self, kind='plain'):
        with self.client(kind) as c:
            took, said = self.until_end(c, b'NOOP ' + b'x' * 100)
        self.assertLess(took, 3 * LIMIT)
        self.assertRegex(said, rb'\A421 4\.4\.2 Timeout')

    def command_line_tls(self):
        self.command_line('submission')

    def login(self):
        with self.client(login=None) as c:
            c.command('AUTH LOGIN', 334)
            took, said = self.until_end(c, base64(ALICE).encode())
        self.assertLess(took, 3 * LIMIT)
        self.assertRegex(said, rb'\A421 4\.4\.2 Timeout')

    def silent_in_data(self):
        with self.client() as c:
            self.begin_data(c)
            c.send(message('silent'))
            began = time.monotonic()
            c.expect(421)
        self.assertGreater(time.monotonic() - began, 0.9 * LIMIT)

    def in_data(self):
        """Octets that come keep DATA alive: 90 s without any end it."""
        with self.client() as c:
            self.begin_data(c)
            for octet in b'X: y\r\n\r\n':
                c.send(bytes([octet]))
                time.sleep(LIMIT / 3)
            c.send(b'\r\n.\r\n')
            c.expect(250)

    def in_bdat(self):
        with self.client() as c:
            self.envelope(c)
            c.send(b'BDAT 1000 LAST\r\nX: y\r\n')
            c.expect(421)

    def record(self, data, kind='submission'):
        """A client under TLS whose records we make and send ourselves: (socket, record)."""
        s = socket.create_connection(('127.0.0.1', self.instance.port(kind)), 10 * SLOW)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.instance.context().wrap_bio(incoming, outgoing, server_hostname=HOST)
        if kind == 'submission':
            s.recv(4096)
            s.send(b'EHLO a\r\n')
            s.recv(4096)
            s.send(b'STARTTLS\r\n')
            s.recv(4096)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                s.sendall(outgoing.read())
                incoming.write(s.recv(65536))
        s.sendall(outgoing.read())
        tls.write(data)
        return s, outgoing.read()

    def in_a_tls_record(self):
        s, octets = self.record(b'EHLO ' + b'a' * 100 + b'\r\n')
        began = time.monotonic()
        s.settimeout(0.25 * SLOW)
        for n in range(len(octets)):
            try:
                s.send(octets[n:n + 1])
                if s.recv(4096) == b'':
                    break
            except (socket.timeout, TimeoutError):
                continue
            except OSError:
                break
        self.assertLess(time.monotonic() - began, 4 * LIMIT)
        s.close()

    def in_the_handshake(self, kind='submissions'):
        with socket.create_connection(('127.0.0.1', self.instance.port(kind)), 10 * SLOW) as s:
            class Raw:
                sock = s
            took, _ = self.until_end(Raw, b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'x' * 200)
        self.assertLess(took, 3 * LIMIT)

    def never_reads(self):
        """Replies that nobody takes: the worker does not wait for longer than for a command."""
        with self.client(login=None) as c:
            c.sock.settimeout(0.2)
            end = time.monotonic() + 20 * LIMIT
            try:
                while time.monotonic() < end:
                    try:
                        c.sock.send(b'HELP\r\n' * 1000)
                    except (socket.timeout, TimeoutError):
                        pass
                self.fail('it went on')
            except OSError:
                pass

    def test_all_side_by_side(self):
        found = []

        def run(case):
            try:
                case()
            except BaseException as e:
                found.append('%s: %r' % (case.__name__, e))
        cases = [self.command_line, self.command_line_tls, self.login, self.silent_in_data, self.in_data, self.in_bdat,
                 self.in_a_tls_record, self.in_the_handshake, self.never_reads]
        threads = [threading.Thread(target=run, args=(case,)) for case in cases]
        for t in threads:
            t.start()
        with self.client() as c:	# and one who does as one should is served meanwhile
            began = time.monotonic()
            c.submit(message('meanwhile'))
            self.assertLess(time.monotonic() - began, LIMIT)
        for t in threads:
            t.join(60)
        self.assertEqual(found, [])
        self.check_over(stored=2)


class Vanishing(Abuse):
    """Half-closed and reset at every step: the session ends at once, and nothing is stored but what was acknowledged or whole."""
    STEPS = ['EHLO client.example.org\r\n', 'AUTH LOGIN\r\n', base64(ALICE) + '\r\n', base64(PASSWORD) + '\r\n', 'MAIL FROM:<%s>\r\n' % ALICE,
             'RCPT TO:<%s>\r\n' % RCPT, 'DATA\r\n', message('vanishing').decode(), 'more\r\n.\r']

    def connect(self, n, kind):
        port = self.instance.port(kind)
        c = Client(('127.0.0.1', port), self.instance.context() if kind == 'submissions' else None)
        if n >= 0:
            c.expect(220)
        for text in self.STEPS[:max(n, 0)]:
            c.send(text)
            if text in self.STEPS[:7]:
                c.expect(250, 334, 235, 354)
        return c

    def reset(self, c):
        raw = c.sock
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        raw.close()

    def test_reset(self):
        for kind in ('plain', 'submissions'):
            for n in range(-1, len(self.STEPS) + 1):
                self.reset(self.connect(n, kind))
        self.check_over()

    def test_half_closed(self):
        for n in range(-1, len(self.STEPS) + 1):
            with self.subTest(n=n), self.connect(n, 'plain') as c:
                c.sock.shutdown(socket.SHUT_WR)
                c.sock.settimeout(3 * SLOW)
                data = c.sock.recv(65536)
                while data:
                    data = c.sock.recv(65536)
        self.check_over()

    def test_half_closed_in_a_chunk(self):
        for kind in ('plain', 'submission'):
            for end in (self.reset, lambda c: c.close()):
                c = self.client(kind)
                self.envelope(c)
                c.send(b'BDAT 100000 LAST\r\n' + message('chunk'))
                end(c)
        self.check_over()

    def test_reset_in_the_handshake(self):
        for hello in (b'', b'\x16', b'\x16\x03\x01\x02\x00', b'\x16\x03\x01\x00\x05hello', b'GET / HTTP/1.0\r\n\r\n', b'\x80\x80\x01\x03', b'\0' * 500):
            for kind in ('submissions', 'submission'):
                c = Client(('127.0.0.1', self.instance.port(kind)))
                if kind == 'submission':
                    c.expect(220)
                    c.ehlo()
                    c.command('STARTTLS', 220)
                c.send(hello)
                self.reset(c)
        self.check_over()

    def test_a_whole_dialogue_then_half_closed(self):
        """What a pipe into a socket does: all of it was sent, so all of it is done."""
        with Client(('127.0.0.1', self.instance.port('plain'))) as c:
            c.send(''.join(self.STEPS).replace('.\r', '.\r\n'))
            c.sock.shutdown(socket.SHUT_WR)
            for code in (220, 250, 334, 334, 235, 250, 250, 354, 250):
                c.expect(code)
            with self.assertRaises(EOFError):
                c.line()
        self.check_over(stored=1)

    def test_reset_behind_the_last_dot(self):
        """Stored or not: but whole, and at most once."""
        for n in range(20):
            c = self.client()
            self.begin_data(c)
            c.send(message('last dot') + b'.\r\n')
            time.sleep(n / 5000)
            self.reset(c)
        wait_for(lambda: len(self.instance.names()) >= 20, 2, 0.1)
        self.check_over(stored=len(self.instance.names()))


class Endless(Abuse):
    @classmethod
    def options(cls):
        return {'settings': {'limits.errors': 1000}}

    def peak(self, worker):
        return int(worker.status()['VmHWM'].split()[0])

    def bounded(self, c):
        """The worker of a client, and a check that its memory did not grow by more than 1 MiB."""
        worker = self.instance.worker_of(c) if IS_ROOT and not IS_SAN else None
        before = self.peak(worker) if worker else 0

        def check():
            if worker:
                self.assertLess(self.peak(worker) - before, 1024, 'KiB more than before')
        return check

    def test_command_line(self):
        with self.client(login=None) as c:
            check = self.bounded(c)
            for begin in (b'', b'NOOP ', b'AUTH PLAIN ', b'MAIL FROM:<'):
                c.send(begin)
                for _ in range(10 if begin else 20):
                    c.send(b'A' * 500000)
                c.send('\r\n')
                c.expect(500)
                c.command('NOOP', 250)
            c.command('AUTH LOGIN', 334)
            c.send(b'A' * 5000000 + b'\r\n')
            c.expect(500)
            c.command('NOOP', 250)
            check()

    def test_message(self):
        """A line of 7 MB is one that no next hop takes: 554; endless ones of every octet end the same way."""
        with self.client() as c:
            check = self.bounded(c)
            for octet, code in ((b'x', 554), (b'.', 554), (b'\0', 554), (b'\r', 554), (b'\n', 554), (b'\r\n', 250), (b'.\r\n', 250)):
                if octet == b'.\r\n':	# a line of a dot is the end; stuffed, it is not
                    octet = b'..\r\n'
                with self.subTest(octet=octet):
                    self.begin_data(c)
                    c.send(message('endless') + octet * (7000000 // len(octet)) + b'\r\n.\r\n')
                    c.expect(code)
            check()
        self.check_over(stored=2)

    def test_twenty_megabytes(self):
        """Far beyond the limit, all of it is read, so that the reply is for the message."""
        with self.client('submission') as c:
            self.begin_data(c)
            for _ in range(20):
                c.send((b'x' * 998 + b'\r\n') * 1000)
            c.send('.\r\n')
            c.expect(552)
            c.command('NOOP', 250)
        self.check_over()


class Crowd(Abuse):
    def test_a_hundred_say_nothing(self):
        silent = [socket.create_connection(('127.0.0.1', self.instance.port(kind)), 10) for kind in ('plain', 'submissions') * 50]
        try:
            began = time.monotonic()
            with self.client('submission') as c:
                c.submit(message('crowd'))
                c.quit()
            self.assertLess(time.monotonic() - began, 3 * SLOW)
        finally:
            for s in silent:
                s.close()
        self.check_over(stored=1)


class Limits(Abuse):
    """The last that is allowed, and the first that is not."""

    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {'limits.sessions_per_address': 30}}

    def test_recipients(self):
        for n in (99, 100, 101):
            with self.subTest(n=n), self.client() as c:
                c.command('MAIL FROM:<%s>' % ALICE, 250)
                c.send(''.join('RCPT TO:<r%d@example.net>\r\n' % i for i in range(n)))
                codes = [c.reply()[0] for _ in range(n)]
                self.assertEqual(codes, [250] * min(n, 100) + [452] * max(n - 100, 0))
                c.command('DATA', 354)
                c.send(message('recipients') + b'.\r\n')
                c.expect(250)
                self.assertEqual(len(self.instance.stored()[0].field('Recipient') or
                                     re.findall(r'r\d+@example\.net', str(self.instance.stored()[0].envelope))), min(n, 100))
                self.instance.empty_spool()

    def test_message_size(self):
        head, limit = message('size', b''), 8388608
        for size, code in ((limit - 1, 250), (limit, 250), (limit + 1, 552)):
            body = b'x' * 70 + b'\r\n'
            text = head + body * ((size - len(head)) // len(body))
            text += b'y' * (size - len(text) - 2) + b'\r\n' if size - len(text) > 1 else b''
            text = text if len(text) == size else text[:-3] + b'z' * (size - len(text)) + text[-3:]
            self.assertEqual(len(text), size)
            for way in ('DATA', 'BDAT'):
                with self.subTest(size=size, way=way), self.client('submission' if way == 'DATA' else 'plain') as c:
                    self.envelope(c)
                    if way == 'DATA':
                        c.command('DATA', 354)
                        c.send(text + b'.\r\n')
                    else:
                        c.send(b'BDAT %d LAST\r\n' % size + text)
                    c.expect(code)
                    c.command('NOOP', 250)
                    self.assertEqual([len(f.split()[1]) for f in self.instance.stored()], [size] if code == 250 else [])
                    self.instance.empty_spool()

    def test_line_length(self):
        with self.client() as c:
            for n, code in ((2047, 250), (2048, 250), (2049, 500)):
                c.command('NOOP ' + 'x' * (n - 5), code)
        with self.client(login=None) as c:
            for n, code in ((12287, 501), (12288, 501), (12289, 500)):
                c.command('AUTH PLAIN ' + '!' * (n - 11), code)

    def test_errors(self):
        for n in (18, 19, 20):
            with self.subTest(n=n), self.client() as c:
                c.send('FOO\r\n' * n)
                for _ in range(n):
                    c.expect(500)
                if n < 20:
                    c.command('NOOP', 250)
                else:
                    self.assertIn('too many errors', c.expect(421)[0])
                    with self.assertRaises(EOFError):
                        c.line()

    def test_recipients_that_do_not_exist(self):
        with self.client() as c:
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.send('RCPT TO:<nobody>\r\n' * 20)
            for _ in range(20):
                c.expect(530)
            c.expect(421)

    def test_sessions_of_an_account(self):
        held = [self.client(('plain', 'submission')[n % 2]) for n in range(9)]
        try:
            held.append(self.client())
            with self.client(login=None) as c:
                began = time.monotonic()
                c.command(LOGIN, 500)
                self.assertGreater(time.monotonic() - began, 1.5)
                with self.assertRaises(EOFError):
                    c.line()
            with self.client(login=None) as c:	# one that ends in time makes room
                threading.Timer(0.5, held.pop().close).start()
                c.command(LOGIN, 235)
            with self.client(login=BOB):	# others have their own
                pass
        finally:
            for c in held:
                c.close()

    def test_sessions_of_an_address(self):
        held = [Client(('127.0.0.1', self.instance.port('plain')), source='127.30.0.1') for _ in range(30)]
        try:
            for c in held:
                c.expect(220)
            with Client(('127.0.0.1', self.instance.port('plain')), source='127.30.0.1') as c:
                self.assertIn('too many sessions from your address', c.expect(421)[0])
            with Client(('127.0.0.1', self.instance.port('plain')), source='127.30.0.2') as c:
                c.expect(220)
            held.pop().close()

            def again():
                with Client(('127.0.0.1', self.instance.port('plain')), source='127.30.0.1') as c:
                    return c.reply()[0] == 220
            self.assertTrue(wait_for(again, 3))
        finally:
            for c in held:
                c.close()


if __name__ == '__main__':
    main()
