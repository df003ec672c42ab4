#!/usr/bin/env python3
"""Clients as people have them: curl, swaks, msmtp and Python's smtplib, over STARTTLS, implicit TLS and the plain listener."""
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings

sys.dont_write_bytecode = True
warnings.simplefilter('ignore', DeprecationWarning)	# TLS 1.1 is tried on purpose
import postern  # noqa: E402
from postern import ALICE, BOB, HOST, PASSWORD, SLOW, base64, main, message, queue_id  # noqa: E402

RCPT = 'rcpt@example.net'
BODIES = {
    'text': b'hello\r\n',
    'dots': b'.\r\n..\r\n.dot\r\n...three\r\nx.\r\n.\r\n',
    'eight-bit': bytes(b for b in range(1, 256) if b not in b'\r\n') + b'\r\n' + 'gr\u00fc\u00dfe \u20ac\r\n'.encode(),
    'long-lines': b'x' * 998 + b'\r\n' + b'y' * 20000 + b'\r\n' + b'.' * 3000 + b'\r\n',
    'blank-lines': b'\r\n\r\n\r\nx\r\n\r\n\r\n',
}


class Stored(postern.Case):
    """What every test ends with: the message is there once, whole, with the octets that were sent."""

    def check(self, sent, before, sender=ALICE, recipients=(RCPT,)):
        files = [f for f in self.instance.stored() if f.path not in before]
        self.assertEqual(len(files), 1, 'stored once')
        f = files[0]
        self.assertTrue(f.is_whole, f.path)
        received, rest = f.split()
        self.assertTrue(received, 'a Received field stands first')
        self.assertIn(HOST.encode(), received)
        if sent is not None:
            self.assertTrue(rest == sent, 'octets differ: stored %r..., sent %r...' % (rest[:300], sent[:300]))
        envelope = ' '.join(value for _, value in f.envelope)
        for address in (sender, *recipients):
            self.assertIn(address, envelope)
        return f

    def check_listed(self, f, sender=ALICE, recipients=(RCPT,)):
        rows = [r for r in self.instance.queue() if r['queue_id'] in f.name]
        self.assertEqual(len(rows), 1, 'listed once by smtpadm queue list')
        self.assertEqual((rows[0]['v'], rows[0]['sender']), (1, sender))
        self.assertEqual([r['address'] for r in rows[0]['recipients']], list(recipients))
        return rows[0]

    def before(self):
        return set(self.instance.names())

    def file(self, data):
        path = os.path.join(self.instance.base, 'message')
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def tool(self, *command, input=None):
        if shutil.which(command[0]) is None:
            self.skipTest('%s is not installed' % command[0])
        done = subprocess.run(command, input=input, stdin=None if input is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * SLOW, cwd=self.instance.base)
        self.assertEqual(done.returncode, 0, done.stdout.decode(errors='replace')[-3000:])
        return done.stdout.decode(errors='replace')


class SelfSigned(Stored):
    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {'log.level': 'debug'}}

    def curl(self, scheme, kind, *more, sent=None):
        sent, before = sent or message('curl'), self.before()
        port = self.instance.port(kind)
        self.tool('curl', '-sS', '--url', '%s://%s:%d/client.example.org' % (scheme, HOST, port),
                  '--connect-to', '%s:%d:127.0.0.1:%d' % (HOST, port, port), '--cacert', self.instance.certificate,
                  '--mail-from', ALICE, '--mail-rcpt', RCPT, '--user', '%s:%s' % (ALICE, PASSWORD),
                  '--upload-file', self.file(sent), *more)
        self.check_listed(self.check(sent, before))

    def test_curl_starttls(self):
        self.curl('smtp', 'submission', '--ssl-reqd')

    def test_curl_starttls_login(self):
        self.curl('smtp', 'submission', '--ssl-reqd', '--login-options', 'AUTH=LOGIN')

    def test_curl_starttls_plain_with_initial_response(self):
        self.curl('smtp', 'submission', '--ssl-reqd', '--login-options', 'AUTH=PLAIN', '--sasl-ir')

    def test_curl_implicit_tls(self):
        self.curl('smtps', 'submissions')

    def test_curl_plain_listener(self):
        self.curl('smtp', 'plain')

    def test_curl_dots(self):
        self.curl('smtps', 'submissions', sent=message('dots', BODIES['dots']))

    def swaks(self, kind, mechanism, *more):
        before, mark = self.before(), 'swaks-%s-%s' % (kind, mechanism)
        sent = message(mark, b'first\r\n.dot\r\nlast\r\n')
        out = self.tool('swaks', '--server', '127.0.0.1', '--port', str(self.instance.port(kind)), '--auth', mechanism,
                        '--auth-user', ALICE, '--auth-password', PASSWORD, '--from', ALICE, '--to', RCPT,
                        '--ehlo', 'client.example.org', '--data', '@' + self.file(sent.replace(b'\r\n', b'\n')), *more)
        f = self.check(None, before)
        self.assertEqual(f.split()[1].rstrip(), sent.rstrip())
        self.assertIn('queued as', out)

    def test_swaks_starttls_plain(self):
        self.swaks('submission', 'PLAIN', '--tls')

    def test_swaks_starttls_login(self):
        self.swaks('submission', 'LOGIN', '--tls')

    def test_swaks_implicit_tls_plain(self):
        self.swaks('submissions', 'PLAIN', '--tlsc')

    def test_swaks_implicit_tls_login(self):
        self.swaks('submissions', 'LOGIN', '--tlsc')

    def test_swaks_plain_listener(self):
        self.swaks('plain', 'PLAIN')

    def msmtp(self, kind, mechanism, *tls):
        before, sent = self.before(), message('msmtp', b'first\r\n.dot\r\nlast\r\n')
        with open(os.path.join(self.instance.base, 'pw'), 'w') as f:
            f.write(PASSWORD + '\n')
        self.tool('msmtp', '--host=127.0.0.1', '--port=%d' % self.instance.port(kind), '--auth=' + mechanism, '--user=' + ALICE,
                  '--passwordeval=cat pw', '--domain=client.example.org', '--tls-trust-file=' + self.instance.certificate,
                  '--tls-host-override=' + HOST, '--from=' + ALICE, *tls, '--', RCPT, input=sent.replace(b'\r\n', b'\n'))
        self.check(sent, before)

    def test_msmtp_starttls(self):
        self.msmtp('submission', 'plain', '--tls=on', '--tls-starttls=on')

    def test_msmtp_implicit_tls(self):
        self.msmtp('submissions', 'login', '--tls=on', '--tls-starttls=off')

    def smtplib(self, kind, mechanism=None):
        before, sent = self.before(), message('smtplib-' + kind)
        with self.instance.smtplib(kind) as s:
            if mechanism:
                s.ehlo()
                s.user, s.password = ALICE, PASSWORD
                s.auth(mechanism, getattr(s, 'auth_' + mechanism.lower()))
            else:
                s.login(ALICE, PASSWORD)
            self.assertEqual(s.sendmail(ALICE, [RCPT, 'second@example.net'], sent), {})
        self.check_listed(self.check(sent, before), recipients=(RCPT, 'second@example.net'))

    def test_smtplib_starttls(self):
        self.smtplib('submission')

    def test_smtplib_starttls_plain(self):
        self.smtplib('submission', 'PLAIN')

    def test_smtplib_starttls_login(self):
        self.smtplib('submission', 'LOGIN')

    def test_smtplib_implicit_tls_plain(self):
        self.smtplib('submissions', 'PLAIN')

    def test_smtplib_implicit_tls_login(self):
        self.smtplib('submissions', 'LOGIN')

    def test_smtplib_plain_listener(self):
        self.smtplib('plain')

    def test_octets_are_kept(self):
        for kind in ('submission', 'submissions', 'plain'):
            with self.instance.client(kind, login=ALICE) as c:
                for name, body in BODIES.items():
                    with self.subTest(kind=kind, body=name):
                        before, sent = self.before(), message(name, body)
                        lines = c.submit(sent)
                        f = self.check(sent, before)
                        self.assertIn(queue_id(lines), f.name)
                c.quit()

    def test_empty_message(self):
        before = self.before()
        with self.instance.client('submission', login=ALICE) as c:
            c.submit(b'')
        f = self.check(None, before)
        for name in (b'\r\nFrom:', b'\r\nDate:', b'\r\nMessage-ID:'):
            self.assertIn(name.lower(), f.message.lower())

    def test_missing_fields_are_added_and_bcc_is_removed(self):
        before = self.before()
        with self.instance.client('plain', login=ALICE) as c:
            c.submit(b'Subject: repair me\r\nBcc: secret@example.net,\r\n more@example.net\r\nTo: rcpt@example.net\r\n\r\nhello\r\n')
        head, _, body = self.check(None, before).split()[1].partition(b'\r\n\r\n')
        names = [line.split(b':')[0].lower() for line in head.split(b'\r\n') if line[:1] not in b' \t']
        for name in (b'from', b'date', b'message-id', b'subject', b'to'):
            self.assertEqual(names.count(name), 1, name)
        self.assertNotIn(b'bcc', names)
        self.assertNotIn(b'more@', head)
        self.assertEqual(body, b'hello\r\n')

    def test_five_megabytes(self):
        sent = message('5M', b''.join(b'%07d ' % n + b'x' * 60 + b'\r\n' for n in range(75000)))
        self.assertGreater(len(sent), 5000000)
        for kind in ('submission', 'plain'):
            before = self.before()
            with self.instance.client(kind, login=ALICE) as c:
                c.submit(sent)
            f = self.check(sent, before)
            self.assertGreaterEqual(self.check_listed(f)['message_size'], len(sent))

    def test_many_messages_in_one_session_and_many_sessions(self):
        before, failures = self.before(), []

        def send(n):
            try:
                with self.instance.client(('submission', 'plain')[n % 2], login=(ALICE, BOB)[n % 2]) as c:
                    for m in range(5):
                        c.submit(message('many-%d-%d' % (n, m), sender=(ALICE, BOB)[n % 2]), sender=(ALICE, BOB)[n % 2])
                    c.quit()
            except Exception as e:
                failures.append(repr(e))
        threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.assertEqual(failures, [])
        new = [f for f in self.instance.stored() if f.path not in before]
        marks = {line for f in new for line in f.message.split(b'\r\n') if line.startswith(b'Subject: many-')}
        self.assertEqual((len(new), len(marks)), (40, 40))
        self.assertTrue(all(f.is_whole for f in new))

    def test_smtplib_refusals_name_what_is_wrong(self):
        with self.instance.smtplib('submission') as s:
            with self.assertRaises(smtplib.SMTPAuthenticationError) as e:
                s.login(ALICE, 'wrong')
            self.assertEqual(e.exception.smtp_code, 535)
            s.login(ALICE, PASSWORD)
            with self.assertRaises(smtplib.SMTPSenderRefused) as e:
                s.sendmail(BOB, [RCPT], message())
            self.assertEqual(e.exception.smtp_code, 553)

    def test_queue_show_and_cat(self):
        with self.instance.client('plain', login=ALICE) as c:
            sent = message('cat')
            name = queue_id(c.submit(sent))
        done = self.instance.run('queue', 'cat', name)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(sent.replace(b'\r\n', b'\n'), done.stdout.replace(b'\r\n', b'\n'))
        self.assertIn(ALICE, self.instance.adm('queue', 'show', name))

    def test_old_protocols_and_no_encryption_are_refused(self):
        c = self.instance.context()
        try:
            c.set_ciphers('ALL:@SECLEVEL=0')
            c.minimum_version = ssl.TLSVersion.TLSv1
            c.maximum_version = ssl.TLSVersion.TLSv1_1
        except (ssl.SSLError, ValueError) as e:
            self.skipTest('this OpenSSL has no TLS 1.1: %s' % e)
        with socket.create_connection(('127.0.0.1', self.instance.port('submissions')), 5) as s:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                c.wrap_socket(s, server_hostname=HOST)


    def test_no_tickets_and_no_session_cache(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context, session = self.instance.context(version), None
            for _ in range(2):
                with socket.create_connection(('127.0.0.1', self.instance.port('submissions')), 5) as s:
                    with context.wrap_socket(s, server_hostname=HOST, session=session) as t:
                        t.recv(100)
                        session = t.session
                        self.assertFalse(session is not None and session.has_ticket, version)
                        self.assertFalse(t.session_reused, version)

    def test_zz_log(self):
        """After all of the above: no secret in the log, though it is at debug level, and nothing that alarms."""
        log = self.instance.log()
        for secret in (PASSWORD, base64(PASSWORD), base64('\0%s\0%s' % (ALICE, PASSWORD))):
            self.assertNotIn(secret, log)
        self.assertNotRegex(log, r'level=(error|alarm)')
        if not postern.IS_ROOT:
            self.assertEqual(log.count('not started as root'), 1, 'said once')


class Certificates(Stored):
    """The same with certificates made by openssl, on TLS 1.2 and 1.3."""
    kind = None

    @classmethod
    def setUpClass(cls):
        if cls.kind is None:
            raise unittest.SkipTest('a base class')
        with tempfile.TemporaryDirectory() as folder:
            cls.instance = postern.Instance(certificate=postern.make_certificate(folder, cls.kind))

    def send(self, kind, version, name):
        before, sent = self.before(), message('tls')
        with self.instance.smtplib(kind, self.instance.context(version)) as s:
            s.login(ALICE, PASSWORD)
            s.sendmail(ALICE, [RCPT], sent)
            self.assertEqual(s.sock.version(), name)
        self.check(sent, before)

    def tls(self):
        for kind in ('submission', 'submissions'):
            self.send(kind, ssl.TLSVersion.TLSv1_2, 'TLSv1.2')
            self.send(kind, ssl.TLSVersion.TLSv1_3, 'TLSv1.3')

    def check_name(self):
        """curl checks the certificate's name."""
        port = self.instance.port('submissions')
        self.tool('curl', '-sS', '--url', 'smtps://%s:%d/' % (HOST, port), '--connect-to',
                  '%s:%d:127.0.0.1:%d' % (HOST, port, port), '--cacert', self.instance.certificate, '-X', 'NOOP')


class Rsa(Certificates):
    kind = 'rsa'

    def test_tls(self):
        self.tls()

    def test_name(self):
        self.check_name()

    def test_forty_handshakes_in_a_row(self):
        for n in range(40):
            with self.instance.client('submissions') as c:
                c.quit()


class Ecdsa(Certificates):
    kind = 'ecdsa'

    def test_tls(self):
        self.tls()

    def test_name(self):
        self.check_name()


class Ecdsa384(Certificates):
    kind = 'ecdsa384'

    def test_tls(self):
        self.tls()


class Addresses(Stored):
    """Several listeners of a kind, IPv4 and IPv6."""

    @classmethod
    def setUpClass(cls):
        try:
            six = postern.free_ports(2, '::1')
        except (OSError, RuntimeError):
            raise unittest.SkipTest('no IPv6 here')
        four = postern.free_ports(3)
        cls.instance = postern.Instance(listen=[
            ('submission', '127.0.0.1', four[0]), ('submission', '127.0.0.1', four[1]), ('plain', '127.0.0.1', four[2]),
            ('submission', '::1', six[0]), ('submissions', '::1', six[1])])

    def test_each(self):
        for kind, address, port in self.instance.listen:
            with self.subTest(kind=kind, address=address):
                before, sent = self.before(), message('each')
                c = postern.Client((address, port), self.instance.context() if kind == 'submissions' else None)
                with c:
                    c.expect(220)
                    c.ehlo()
                    if kind == 'submission':
                        c.command('STARTTLS', 220)
                        c.starttls(self.instance.context())
                        c.ehlo()
                    c.command('AUTH LOGIN ' + base64(ALICE), 334)
                    c.command(base64(PASSWORD), 235)
                    c.submit(sent)
                received, _ = self.check(sent, before).split()
                self.assertIn(b'ESMTPA' if kind == 'plain' else b'ESMTPSA', received)


if __name__ == '__main__':
    main()
