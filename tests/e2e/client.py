"""A small SMTP client for tests, and the messages that they send."""
import base64 as base64_module
import re
import socket
import ssl

from settings import ALICE, HOST, PASSWORD, SLOW


class Client:
    """A small SMTP client that shows every octet. Raises EOFError at the connection's end, AssertionError on surprises."""

    def __init__(self, address, context=None, source=None, timeout=15):
        self.sock = socket.create_connection(address, timeout * SLOW, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b''
        if context:
            self.starttls(context)

    @classmethod
    def local(cls, path, timeout=15):
        """At a local socket, as our own user."""
        c = cls.__new__(cls)
        c.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        c.sock.settimeout(timeout * SLOW)
        c.sock.connect(path)
        c.buffer = b''
        return c

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def starttls(self, context):
        self.sock = context.wrap_socket(self.sock, server_hostname=HOST)

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b'\n' not in self.buffer:
            if len(self.buffer) > 65536:
                raise AssertionError('endless line from the server')
            try:
                data = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                data = b''
            if not data:
                raise EOFError('closed by the server')
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b'\n')
        return (line + b'\n').decode('latin-1')

    def reply(self):
        """(code, [line, ...])"""
        lines = []
        while True:
            line = self.line()
            if not re.match(r'[2-5]\d\d[ -].*\r\n\Z', line):
                raise AssertionError('not a reply line: %r' % line)
            lines.append(line[:-2])
            if line[3] == ' ':
                return int(line[:3]), lines

    def expect(self, *codes):
        code, lines = self.reply()
        if codes and code not in codes:
            raise AssertionError('expected %s, got %s' % (codes, lines))
        return lines

    def command(self, text, *codes):
        self.send(text + '\r\n')
        return self.expect(*codes)

    def ehlo(self):
        return self.command('EHLO client.example.org', 250)

    def login(self, user=ALICE, password=PASSWORD, codes=(235,)):
        return self.command('AUTH PLAIN ' + base64(b'\0%s\0%s' % (user.encode(), password.encode())), *codes)

    def submit(self, message, sender=ALICE, recipients=('rcpt@example.net',), codes=(250,)):
        """One transaction; the last reply's lines. Replies before the message must be good."""
        self.command('MAIL FROM:<%s>' % sender, 250)
        for r in recipients:
            self.command('RCPT TO:<%s>' % r, 250)
        self.command('DATA', 354)
        self.send(stuff(message))
        return self.expect(*codes)

    def quit(self):
        self.command('QUIT', 221)
        self.close()


def base64(data):
    return base64_module.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def stuff(message):
    """The octets that stand for a message after DATA."""
    return re.sub(rb'(?m)(?:(?<=\r\n)|\A)\.', b'..', message) + b'.\r\n'


def message(mark='', body=b'hello\r\n', sender=ALICE):
    """A message that needs no repair, so that what is stored is the Received field and exactly this."""
    if isinstance(body, str):
        body = body.encode()
    return ('From: %s\r\nTo: rcpt@example.net\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n'
            'Message-ID: <%s@client.example.org>\r\n\r\n' % (sender, mark, mark or 'test')).encode() + body


def queue_id(lines):
    m = re.search(r'queued as (\S+)', lines[-1])
    if not m:
        raise AssertionError('no queue id in %r' % lines)
    return m.group(1)
