"""A next hop for tests: an SMTP or LMTP server on loopback or a local socket that keeps what it got, or behaves as badly as it is told."""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import threading
import time


class Quit(Exception):
    """The connection is to be closed now."""


class NextHop:
    """
    `rules` maps a word (GREETING, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, END, RSET, QUIT, HELO) to what happens there in place of
    the usual: text is said as it is (CRLF is added unless it ends in a newline), None closes the connection, a number sleeps so many
    seconds and goes on as usual, a callable gets (session, line) and returns one of these, True for the usual, False when it has said all itself.
    """

    def __init__(self, lmtp=False, extensions=('PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'SIZE 1000000'), rules=None, tls=None,
                 implicit=False, users=None, mechanisms=None, address='127.0.0.1', port=0, path=None, raw=None):
        self.lmtp, self.extensions, self.rules, self.users = lmtp, list(extensions), dict(rules or {}), users
        self.mechanisms, self.implicit, self.raw = mechanisms, implicit, raw
        self.context = None
        if tls is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
            if not implicit:
                self.extensions.append('STARTTLS')
        if mechanisms:
            self.extensions.append('AUTH ' + ' '.join(mechanisms))
        self.messages = []		# (sender, [recipients], bytes as they stood in DATA, dots undone)
        self.lines = []			# every command, in order
        self.sessions = 0
        self.names = []			# SNI
        self.logins = []		# (mechanism, user)
        if self.context is not None:
            self.context.sni_callback = lambda sock, name, ctx: self.names.append(name)
        if path is not None:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.bind(path)
            os.chmod(path, 0o666)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((address, port))
            self.port = self.socket.getsockname()[1]
        self.socket.listen(64)
        self.threads = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            self.sessions += 1
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            if self.raw is not None:
                self.raw(sock)
            else:
                Session(self, sock).run()
        except (OSError, Quit, ssl.SSLError):
            pass
        finally:
            sock.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session:
    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.sock.settimeout(30)
        self.file = self.secure = None
        self.number = server.sessions
        self.sender, self.recipients, self.done = None, [], 0

    def say(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        if not data.endswith(b'\n'):
            data += b'\r\n'
        self.sock.sendall(data)

    def wrap(self):
        self.sock = self.server.context.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile('rb')
        self.secure = True

    def read_line(self):
        line = self.file.readline(70000)
        if not line:
            raise Quit
        return line

    def step(self, word, usual, line=b''):
        """Says the usual, or what a rule has instead."""
        what = self.server.rules.get(word, True)
        if callable(what):
            what = what(self, line)
        if isinstance(what, float):
            time.sleep(what)
            what = True
        if what is True:
            what = usual
        if what is None:
            raise Quit
        if what is False:
            return ''
        what = what if isinstance(what, bytes) else what.encode()
        # Kept before the client hears of it, who may look at once.
        if word == 'END' and what.startswith(b'2') and self.recipients:
            self.server.messages.append((self.sender, line.decode().split(','), self.data))
        self.say(what)
        return what.decode(errors='replace')

    def run(self):
        if self.server.implicit:
            self.wrap()
        else:
            self.file = self.sock.makefile('rb')
        self.step('GREETING', '220 next.example hello')
        while True:
            line = self.read_line()
            self.server.lines.append(line.rstrip(b'\r\n').decode(errors='replace'))
            word = line.split()[0].upper().decode(errors='replace') if line.split() else ''
            handler = getattr(self, 'cmd_' + word.lower(), None)
            if handler is None:
                self.say('500 what?')
            else:
                handler(line)

    def cmd_ehlo(self, line):
        lines = ['next.example'] + [e for e in self.server.extensions if not (self.secure and e == 'STARTTLS')]
        self.step('EHLO', ''.join('250%s%s\r\n' % ('-' if i < len(lines) - 1 else ' ', e) for i, e in enumerate(lines)), line)

    def cmd_lhlo(self, line):
        self.cmd_ehlo(line)

    def cmd_helo(self, line):
        self.step('HELO', '250 next.example', line)

    def cmd_starttls(self, line):
        if self.step('STARTTLS', '220 go', line) == '220 go':
            self.wrap()

    def cmd_mail(self, line):
        said = self.step('MAIL', '250 2.1.0 ok', line)
        self.sender, self.recipients = line[10:].split(b'>')[0].strip(b' <').decode(), []
        if not said.startswith('2'):
            self.sender = None

    def cmd_rcpt(self, line):
        address = line[8:].split(b'>')[0].strip(b' <').decode()
        if self.sender is None:
            self.say('503 5.5.1 MAIL first')
        elif self.step('RCPT', '250 2.1.5 ok', line).startswith('2'):
            self.recipients.append(address)

    def cmd_rset(self, line):
        self.step('RSET', '250 ok', line)
        self.sender, self.recipients = None, []

    def cmd_data(self, line):
        if not self.recipients and self.server.rules.get('DATA') is None:
            self.say('503 5.5.1 RCPT first')
            return
        said = self.step('DATA', '354 go on', line)
        if not said.startswith('354'):
            return
        data = bytearray()
        while True:
            line = self.read_line()
            if line == b'.\r\n':
                break
            data += line[1:] if line.startswith(b'.') else line
        self.data = bytes(data)
        self.server.lines.append('.')
        for address in self.recipients if self.server.lmtp else [','.join(self.recipients)]:
            self.step('END', '250 2.0.0 kept', address.encode())
        self.sender, self.recipients = None, []

    def cmd_quit(self, line):
        self.step('QUIT', '221 bye', line)
        raise Quit

    def ask(self, text):
        self.say('334 ' + base64.b64encode(text.encode()).decode())
        return base64.b64decode(self.read_line().strip())

    def cmd_auth(self, line):
        words = line.decode().split()
        if 'AUTH' in self.server.rules and self.step('AUTH', '', line) != '':
            return
        mechanism = words[1].upper()
        if mechanism == 'PLAIN':
            _, user, password = base64.b64decode(words[2]).decode().split('\0')
            ok = self.server.users.get(user) == password
        elif mechanism == 'LOGIN':
            user, password = self.ask('Username:').decode(), self.ask('Password:').decode()
            ok = self.server.users.get(user) == password
        else:
            user, ok = self.scram(base64.b64decode(words[2]).decode(), 'sha256' if '256' in mechanism else 'sha1')
        self.server.logins.append((mechanism, user))
        self.say('235 2.7.0 welcome' if ok else '535 5.7.8 wrong')

    def scram(self, first, digest):
        assert first.startswith('n,,')
        bare = first[3:]
        user, nonce = (part[2:] for part in bare.split(',', 1))
        user = user.replace('=2C', ',').replace('=3D', '=')
        salt, count = os.urandom(12), 4096
        server_first = 'r=%sserver,s=%s,i=%d' % (nonce, base64.b64encode(salt).decode(), count)
        final = self.ask(server_first).decode()
        without, proof = final.rsplit(',p=', 1)
        text = ','.join((bare, server_first, without)).encode()
        salted = hashlib.pbkdf2_hmac(digest, self.server.users.get(user, '?').encode(), salt, count)
        client_key = hmac.digest(salted, b'Client Key', digest)
        signature = hmac.digest(hashlib.new(digest, client_key).digest(), text, digest)
        if bytes(a ^ b for a, b in zip(client_key, signature)) != base64.b64decode(proof):
            return user, False
        own = hmac.digest(hmac.digest(salted, b'Server Key', digest), text, digest)
        if self.server.rules.get('SCRAM') == 'lie':
            own = bytes(len(own))
        return user, self.ask('v=' + base64.b64encode(own).decode()) == b''
