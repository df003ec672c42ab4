#!/usr/bin/env python3
"""The walk over the replies: each row of daemon/worker/reply.c is provoked on running instances, and code, cause and reply are printed.

A row that nothing here provokes fails, unless it stands in LATER with its reason. The rows come from tests/tools/replies,
which also says what man/postern-replies.7 must be.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import (ALICE, BOB, IS_ROOT, PASSWORD, REPO, SLOW, Client, Instance, base64, free_ports, main, message,  # noqa: E402
                     program, wait_for)

RCPT = 'rcpt@example.net'
LATER = {
    'NO_RECIPIENTS': 'DATA is refused without a recipient before; the spool says it only when auth and worker disagree',
}


def own_address():
    """An IPv4 address of this machine beside loopback; nothing is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(('198.51.100.1', 9))
            return s.getsockname()[0]
        except OSError:
            return None


def table():
    out = subprocess.run([program('tests/tools/replies')], check=True, stdout=subprocess.PIPE, timeout=10).stdout.decode()
    rows = {}
    for line in out.splitlines():
        row, code, enhanced, text, rfc_code, rfc_text, cause = line.split('\t')
        rows[row] = {'code': code, 'enhanced': enhanced, 'text': text, 'cause': cause,
                     'rfc': (rfc_code, rfc_text) if rfc_code != '-' else None}
    return rows


def pattern(row, rfc=False):
    """What a reply's line must be."""
    code, text = row['rfc'] if rfc and row['rfc'] else (row['code'], row['text'])
    text = re.escape(text).replace(re.escape('$'), '.+')
    enhanced = re.escape(row['enhanced']) if code == row['code'] else code[0] + r'\.\d+\.\d+'
    return '%s[ -]%s%s' % (code, '' if row['enhanced'] == '-' else enhanced + ' ', text)


class Walk:
    """Instances one after the other, and what each row was answered with."""

    def __init__(self):
        self.seen, self.rfc_seen, self.why_not = {}, {}, dict(LATER)
        self.instance = None

    def client(self, kind='plain', source=None, login=ALICE, **more):
        """A client; limits are so low here that the session before must have gone first."""
        end = time.monotonic() + 5 * SLOW
        while True:
            try:
                return self.instance.client(kind, source=source, login=login, **more)
            except (AssertionError, EOFError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def note(self, row, lines):
        self.seen[row] = lines[0]

    def say(self, c, text, row):
        """One command whose answer is the row's."""
        c.send(text if isinstance(text, bytes) else text + '\r\n')
        self.note(row, c.reply()[1])

    def say_rfc(self, c, text, row):
        c.send(text + '\r\n')
        self.rfc_seen[row] = c.reply()[1][0]

    def greeting(self, kind, row, source=None, address='127.0.0.1'):
        port = self.instance.port(kind)
        with Client((address, port), source=source) as c:
            self.note(row, c.reply()[1])

    def transaction(self, c, sender=ALICE):
        c.command('RSET', 250)
        c.command('MAIL FROM:<%s>' % sender, 250)
        c.command('RCPT TO:<%s>' % RCPT, 250)

    def data(self, c, octets, row):
        self.transaction(c)
        c.command('DATA', 354)
        self.say(c, octets, row)

    # The main instance

    def dialogue(self):
        self.greeting('plain', 'GREETING')
        with self.client(login=None) as c:
            self.say(c, 'HELO client.example.org', 'HELLO')
            self.say(c, 'HELP', 'HELP')
            self.say(c, 'HELP NONSENSE', 'UNKNOWN_TOPIC')
            self.say(c, 'NOOP', 'OK')
            self.say(c, 'FROBNICATE', 'UNKNOWN_COMMAND')
            self.say(c, 'NOOP ' + 'x' * 5000, 'LINE_TOO_LONG')
            self.say(c, 'EHLO', 'BAD_ARGUMENT')
            self.say(c, 'STARTTLS', 'NOT_IMPLEMENTED')
            self.say(c, 'RSET x', 'NO_ARGUMENT_ALLOWED')
            self.say(c, 'MAIL FROM:<%s>' % ALICE, 'AUTH_REQUIRED')
            self.say(c, 'AUTH GSSAPI', 'UNKNOWN_MECHANISM')
            self.say(c, 'AUTH PLAIN !', 'BAD_BASE64')
            self.say(c, 'AUTH PLAIN ' + base64('\0%s\0wrong' % ALICE), 'AUTH_INVALID')
            self.say(c, 'AUTH PLAIN', 'AUTH_CONTINUE')
            self.say(c, '*', 'AUTH_CANCELLED')
            self.say(c, 'AUTH LOGIN', 'AUTH_USER')
            self.say(c, base64(ALICE), 'AUTH_PASSWORD')
            self.say(c, base64(PASSWORD), 'AUTH_OK')
            self.say(c, 'AUTH PLAIN', 'ALREADY_AUTHENTICATED')
            self.say(c, 'QUIT', 'BYE')
        with Client.local(os.path.join(self.instance.root, 'run', 'submit')) as c:
            c.expect(220)
            c.ehlo()
            self.say(c, 'MAIL FROM:<%s>' % ALICE, 'LOCAL_UNKNOWN')
        with self.client('submission', tls=False, login=None) as c:
            self.say(c, 'MAIL FROM:<%s>' % ALICE, 'TLS_REQUIRED')
            self.say(c, 'AUTH PLAIN', 'ENCRYPTION_REQUIRED')
            self.say(c, 'STARTTLS', 'TLS_READY')

    def mail(self):
        i = self.instance
        with self.client() as c:
            self.say(c, 'HELP STATUS', 'STATUS')
            self.say(c, 'VRFY postmaster', 'CANNOT_VRFY')
            self.say(c, 'DATA', 'BAD_SEQUENCE')
            self.say(c, 'MAIL FROM:%s' % ALICE, 'NEEDS_BRACKETS')
            self.say(c, 'MAIL FROM:<a..b@example.org>', 'INVALID_ADDRESS')
            self.say(c, 'MAIL FROM:<%s> SIZE=1 SIZE=1' % ALICE, 'DUPLICATE_PARAMETER')
            self.say(c, 'MAIL FROM:<%s> COLOUR=red' % ALICE, 'UNKNOWN_PARAMETER')
            self.say(c, 'MAIL FROM:<%s> BODY=BINARYMIME' % ALICE, 'BAD_PARAMETER_VALUE')
            self.say(c, 'MAIL FROM:<%s> SIZE=999999999' % ALICE, 'MESSAGE_TOO_BIG')
            self.say(c, 'MAIL FROM:<%s>' % BOB, 'SENDER_NOT_ALLOWED')
            self.say(c, 'MAIL FROM:<%s>' % ALICE, 'SENDER_OK')
            self.say(c, 'RCPT TO:<%s>' % RCPT, 'RECIPIENT_OK')
            c.command('RCPT TO:<second@example.net>', 250)
            self.say(c, 'RCPT TO:<third@example.net>', 'TOO_MANY_RECIPIENTS')
            self.say(c, 'DATA', 'START_DATA')
            self.say(c, message('replies') + b'.\r\n', 'QUEUED')
            self.data(c, message('two') + b'a\nb\r\n.\r\n', 'BAD_OCTETS')
            self.data(c, b'From: %s\r\n' % ALICE.encode() + message('three') + b'.\r\n', 'MALFORMED_MESSAGE')
            self.data(c, b'Received: from x by y; Sat, 21 Nov 2026 22:10:17 +0000\r\n' * 101 + message('loop') + b'.\r\n', 'LOOP')
            self.data(c, message('four', sender=BOB) + b'.\r\n', 'HEADER_SENDER_NOT_ALLOWED')
            self.transaction(c)
            self.say(c, b'BDAT 3\r\nX: ', 'CHUNK_OK')
            c.command('RSET', 250)
            self.data(c, self.with_type(message('parts'), b'multipart/mixed') + b'.\r\n', 'MALFORMED_MESSAGE')
            self.data(c, self.with_type(message('five'), b'image/png') + (b'x' * 70 + b'\r\n') * 600 + b'.\r\n', 'ATTACHMENT_TOO_BIG')
            c.command('RSET', 250)
            i.adm('credential', 'change', ALICE, '--name', 'password', '--rcpt', '*@example.org')
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            self.say(c, 'RCPT TO:<%s>' % RCPT, 'MAILBOX_UNAVAILABLE')
            i.adm('credential', 'change', ALICE, '--name', 'password', '--rcpt', 'any')
            c.command('RSET', 250)
            i.adm('account', 'limit', ALICE, 'messages_per_hour=1')
            self.say(c, 'MAIL FROM:<%s>' % ALICE, 'SENDER_THROTTLED')
            i.adm('account', 'limit', ALICE, 'messages_per_hour=default')
            i.adm('account', 'disable', ALICE)
            self.say(c, 'MAIL FROM:<%s>' % ALICE, 'LOGIN_VOID')
            i.adm('account', 'enable', ALICE)

    @staticmethod
    def with_type(text, kind):
        return text.replace(b'\r\n\r\n', b'\r\nMIME-Version: 1.0\r\nContent-Type: %s\r\n\r\n' % kind, 1)

    def sessions(self):
        with self.client():
            with self.client(login=None) as c:
                self.say(c, 'AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD)), 'TOO_MANY_SESSIONS')
        with self.client(login=None, source='127.9.0.1'), self.client(login=None, source='127.9.0.1'):
            self.greeting('plain', 'TOO_MANY_FROM_ADDRESS', '127.9.0.1')
        if self.address is None:
            self.why_not['CLOSED_TO_CLIENT'] = 'this machine has no address but loopback'
        else:
            port = next(port for _, address, port in self.instance.listen if address == self.address)
            with Client((self.address, port)) as c:
                self.note('CLOSED_TO_CLIENT', c.reply()[1])

    def throttle(self):
        """Wrong passwords, from an address of its own, until one is answered otherwise."""
        for _ in range(8):
            with self.client(login=None, source='127.9.1.1') as c:
                for _ in range(10):
                    c.send('AUTH PLAIN ' + base64('\0%s\0wrong' % BOB) + '\r\n')
                    code, lines = c.reply()
                    if code == 450:
                        return self.note('LOGIN_THROTTLED', lines)

    def crash(self):
        """A worker that ends by a fault's signal has its client's network refused."""
        with self.client(login=None, source='127.9.2.1') as c:
            worker = self.instance.worker_of(c) if IS_ROOT else None
            if worker is None:
                self.why_not['BANNED'] = 'finding the worker of a connection needs root'
                return
            os.kill(worker.pid, signal.SIGILL)	# which no sanitizer reports
            wait_for(lambda: not postern.is_alive(worker.pid, worker.started), 5)
        self.instance.logged('ban|crash')
        self.greeting('plain', 'BANNED', '127.9.2.1')

    def failures(self):
        """What ends with a service: so these come last."""
        i = self.instance
        with self.client() as c:
            folder = os.path.join(i.spool, 'tmp')
            wait_for(lambda: not os.listdir(folder), 3)
            mode = os.stat(folder)
            os.rmdir(folder)
            self.data(c, message('local error') + b'.\r\n', 'LOCAL_ERROR')
            os.mkdir(folder, 0o700)
            os.chown(folder, mode.st_uid, mode.st_gid)
        with self.client(login=None) as c:
            os.kill(i.kind('postern-auth')[0].pid, signal.SIGKILL)
            self.say(c, 'AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD)), 'AUTH_UNAVAILABLE')
        key = os.path.join(i.root, 'tls', 'key.pem')
        os.rename(key, key + '.away')
        os.kill(i.kind('postern-keys')[0].pid, signal.SIGKILL)
        wait_for(self.ask_for_tls, 10)
        os.rename(key + '.away', key)
        with self.client(login=None) as c:
            i.signal(signal.SIGTERM)
            self.note('SHUTDOWN', c.reply()[1])

    def ask_for_tls(self):
        """Accepted when the master has waited for 3 s; who comes in the moment of a service's death is closed, and comes again."""
        try:
            with Client(('127.0.0.1', self.instance.port('submission'))) as c:
                c.expect(220)
                c.ehlo()
                self.say(c, 'STARTTLS', 'TLS_UNAVAILABLE')
        except EOFError:
            return False
        return True

    # Others

    def small(self):
        """One worker, few errors, little time, and the RFCs' codes."""
        with self.client(login=None) as c:
            self.say_rfc(c, 'AUTH PLAIN', 'AUTH_CONTINUE')
            c.command(base64('\0%s\0%s' % (ALICE, PASSWORD)), 235)
            self.say_rfc(c, 'MAIL FROM:<a..b@example.org>', 'INVALID_ADDRESS')
            with self.client(login=None) as d:
                self.say_rfc(d, 'AUTH PLAIN ' + base64('\0%s\0%s' % (ALICE, PASSWORD)), 'TOO_MANY_SESSIONS')
            with self.client(login=None) as d:
                self.greeting('plain', 'OVERLOADED')
                d.send('FOO\r\nFOO\r\nFOO\r\n')
                for _ in range(3):
                    d.expect(500)
                self.note('TOO_MANY_ERRORS', d.reply()[1])
        with self.client(login=None) as c:
            self.note('TIMEOUT', c.reply()[1])

    def full(self, folder):
        with open(os.path.join(folder, 'filler'), 'wb') as f:
            try:
                while True:
                    f.write(b'x' * 65536)
                    f.flush()
            except OSError:
                pass
        with self.client() as c:
            c.send('MAIL FROM:<%s>\r\n' % ALICE)
            code, lines = c.reply()
            if code == 250:	# noticed only when it is written
                c.command('RCPT TO:<%s>' % RCPT, 250)
                c.command('DATA', 354)
                c.send(message('full', b'x' * 900 + b'\r\n') + b'.\r\n')
                code, lines = c.reply()
            self.note('NO_STORAGE', lines)

    def run(self):
        self.rows = table()
        self.address = own_address()
        ports = free_ports(4)
        listen = [(kind, '127.0.0.1', port) for kind, port in zip(('submission', 'submissions', 'plain'), ports)]
        settings = {'limits.sessions_per_account': 1, 'limits.sessions_per_address': 2, 'limits.recipients': 2,
                    'limits.message_size': '100K', 'limits.attachment_size': '20K', 'auth.failure_delay': '100ms',
                    'limits.errors': 40}
        with Instance(settings=settings, accounts=(BOB,), listen=listen, start=False) as self.instance:
            if self.address is not None:
                self.instance.listen.append(('networks', self.address, ports[3]))
                with open(os.path.join(self.instance.root, 'postern.conf'), 'a') as f:
                    f.write('\n[listener networks]\nkind = plain\naddress = %s:%d\nnetworks = 203.0.113.0/24\n' %
                            (self.address, ports[3]))
            self.instance.launch()
            wait_for(lambda: all(self.instance.answers(*l) for l in listen[:3]), 10)
            self.instance.tree()
            for step in (self.dialogue, self.mail, self.sessions, self.throttle, self.crash, self.failures):
                step()
        settings = {'limits.sessions_per_account': 1, 'limits.errors': 3, 'limits.command_timeout': '2500ms', 'workers.max': 2,
                    'replies': 'rfc'}
        with Instance(settings=settings, listen=[('plain', '127.0.0.1', ports[2])]) as self.instance:
            self.small()
        self.routes(*ports[:2])
        self.storage()

    def routes(self, port, dead):
        """With a next hop that is not there: so messages wait."""
        with Instance(listen=[('plain', '127.0.0.1', port)], start=False) as self.instance:
            i = self.instance
            with open(os.path.join(i.root, 'postern.conf'), 'a') as f:
                f.write('\n[delivery]\nretry = 1h\n[route one]\nurl = smtp://127.0.0.1:%d\ntls = none\nto_domain = one.example\n'
                        '[route two]\nurl = smtp://127.0.0.1:%d\ntls = none\nto_domain = two.example three.example\n'
                        '[route rest]\nurl = smtp://127.0.0.1:%d\ntls = none\n' % (dead, dead, dead))
            i.start()
            domains = ('one.example', 'two.example', 'rest.example', 'none.example')
            for domain in domains:
                i.adm('sender', 'add', ALICE, '*@' + domain)
            with self.client() as c:
                self.say(c, 'ETRN other.example', 'ETRN_NOT_ALLOWED')
                self.say(c, 'ETRN one.example', 'ETRN_NONE')
                c.submit(message('etrn'), recipients=['x@' + domain for domain in domains[:3]])
                wait_for(lambda: i.names('cur'), 5)
                self.say(c, 'ETRN one.example', 'ETRN_COUNTED')
                self.say(c, 'ETRN two.example', 'ETRN_PENDING')
                self.say(c, 'ETRN rest.example', 'ETRN_STARTED')
                i.adm('pause', 'delivery')
                self.say(c, 'ETRN one.example', 'ETRN_UNABLE')

    def storage(self):
        if not IS_ROOT:
            self.why_not['NO_STORAGE'] = 'a small disk needs root'
            return
        folder = tempfile.mkdtemp(prefix='postern-test-replies-')
        try:
            if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'none', folder]).returncode != 0:
                self.why_not['NO_STORAGE'] = 'no small disk can be mounted'
                return
            with Instance(settings={'spool.path': folder + '/spool'}, listen=[('plain', '127.0.0.1', free_ports(1)[0])]) \
                    as self.instance:
                self.full(folder)
        finally:
            wait_for(lambda: subprocess.run(['umount', folder], stderr=subprocess.DEVNULL).returncode == 0, 5, 0.2)
            shutil.rmtree(folder, ignore_errors=True)


class Replies(unittest.TestCase):
    def test_walk(self):
        walk, problem = Walk(), None
        try:
            walk.run()
        except Exception as e:
            problem = e
        for name, row in sorted(walk.rows.items(), key=lambda item: (item[1]['code'], item[0])):
            print('%s %-7s %-27s %-58s | %s' % (row['code'], row['enhanced'].replace('-', ''), name, row['cause'],
                                             walk.seen.get(name) or 'not here: ' + walk.why_not.get(name, '-')))
            if row['rfc']:
                print('%s %-7s %-27s %-58s | %s' % (row['rfc'][0], '', name, 'the same with replies = rfc', walk.rfc_seen.get(name)))
        sys.stdout.flush()
        if problem is not None:
            raise problem
        for name, row in walk.rows.items():
            with self.subTest(row=name):
                if name in walk.seen:
                    self.assertRegex(walk.seen[name], r'\A%s\Z' % pattern(row))
                    self.assertNotIn(name, LATER, 'has its cause by now')
                else:
                    self.assertIn(name, walk.why_not, 'this row was not provoked')
                if row['rfc']:
                    self.assertRegex(walk.rfc_seen.get(name, ''), r'\A%s\Z' % pattern(row, True))

    def test_manual_page_is_what_the_table_says(self):
        made = subprocess.run([program('tests/tools/replies'), '--mdoc'], check=True, stdout=subprocess.PIPE, timeout=10).stdout
        with open(os.path.join(REPO, 'man', 'postern-replies.7'), 'rb') as f:
            self.assertTrue(f.read() == made, 'make man/postern-replies.7 brings it up to date')


if __name__ == '__main__':
    main()
