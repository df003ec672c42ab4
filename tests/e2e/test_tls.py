#!/usr/bin/env python3
"""Certificates: several by server name, shown and checked by smtpadm; what a service without keys says."""
import datetime
import json
import os
import shutil
import signal
import ssl
import sys
import time

sys.dont_write_bytecode = True
import postern  # noqa: E402
from admin import Admin  # noqa: E402
from postern import ALICE, HOST, Client, main, message, wait_for  # noqa: E402
from tls import Case, der, replace  # noqa: E402


class ServerNames(Case):
    """SNI: each name gets its certificate, over STARTTLS and implicit TLS, under TLS 1.2 and 1.3."""
    start = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        i = cls.instance
        cls.web = cls.ca.make('smtp.example.net', 'relay.example.net')
        cls.wild = cls.ca.make('*.example.com', 'Exact.example.org')
        cls.rsa = cls.ca.make('smtp.example.net', 'relay.example.net', kind='rsa')
        for name, pair in (('web', cls.web), ('web-rsa', cls.rsa)):
            i.adm('config', 'set', 'certificate.%s.certificate' % name, 'tls/%s.pem' % name)
            i.adm('tls', 'reload', name, '--cert', pair[0], '--key', pair[1])
        with open(os.path.join(i.root, 'postern.conf'), 'a') as f:
            f.write('\n[certificate wild]\ncertificate = %s\nkey = %s\n' % cls.wild)
        i.start()

    def test_names(self):
        web, wild, first = der(self.web[0]), der(self.wild[0]), der(self.first[0])
        for kind in ('submission', 'submissions'):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                for name, wanted in (('smtp.example.net', web), ('relay.example.net', web), ('SMTP.Example.NET', web),
                                     ('a.example.com', wild), ('exact.example.org', wild), (HOST, first), (None, first),
                                     ('unknown.example.net', first), ('a.b.example.com', first), ('example.com', first)):
                    with self.subTest(name=name, kind=kind, version=version.name):
                        self.assertEqual(self.served(name, kind, version), wanted)

    def test_rsa_and_ec_side_by_side(self):
        """A client of TLS 1.2 that knows no ECDSA gets the RSA certificate of the same names."""
        for name in ('smtp.example.net', 'relay.example.net'):
            got = self.served(name, version=ssl.TLSVersion.TLSv1_2, sigalgs='ECDHE+aRSA')
            self.assertEqual(got, der(self.rsa[0]))

    def test_mail_passes(self):
        with self.connect('a.example.com', 'submission') as c:
            c.login()
            c.submit(message('by another name'))

    def test_config_knows_them(self):
        i = self.instance
        self.assertEqual(i.adm('config', 'get', 'certificate.web.certificate'), 'tls/web.pem\n')
        self.assertEqual(i.adm('config', 'get', 'certificate.web.key'), 'tls/web-key.pem\n')
        self.assertIn('certificate.wild.key = ' + self.wild[1], i.adm('config', 'show'))
        self.assertEqual(i.run('config', 'get', 'certificate.none.key').returncode, 67)
        self.assertEqual(i.run('config', 'set', 'certificate.web.file', 'x').returncode, 64)
        i.adm('config', 'check')

    def test_show(self):
        rows = {r['certificate']: r for r in self.instance.adm_json('tls', 'show')}
        self.assertEqual(list(rows), ['default', 'web', 'web-rsa', 'wild'])
        self.assertEqual(rows['web']['names'], ['smtp.example.net', 'relay.example.net'])
        self.assertEqual(rows['web']['key_type'], 'EC P-256')
        self.assertEqual(rows['web-rsa']['key_type'], 'RSA 2048')
        self.assertEqual(rows['wild']['issuer'], 'CN=Test Authority')
        self.assertEqual(rows['default']['subject'], 'CN=' + HOST)
        self.assertEqual(rows['default']['listeners'], ['submission', 'submissions'])
        self.assertTrue(rows['default']['default'] and not rows['web']['default'])
        self.assertIn(rows['web']['days_left'], (29, 30))
        self.assertFalse(rows['web']['self_signed'] or rows['web']['expired'])
        for key in ('not_before', 'not_after'):
            datetime.datetime.strptime(rows['web'][key], '%Y-%m-%dT%H:%M:%SZ')
        text = self.instance.adm('tls', 'show')
        for part in ('certificate  web\n', 'relay.example.net', 'CN=Test Authority', 'days left', 'EC P-256', 'RSA 2048'):
            self.assertIn(part, text)

    def test_one_bad_pair_of_many(self):
        """A reload with one mismatched pair changes nothing."""
        i = self.instance
        other = self.ca.make('other.example.net')
        path = self.tls('web-key.pem')
        shutil.copy2(path, path + '.keep')
        try:
            replace(other[1], path, 0o600)
            self.assertTrue(i.logged('certificate.rejected.*web-key.pem.*certificate.web.key'))
            self.assertEqual(self.served('smtp.example.net'), der(self.web[0]))
        finally:
            os.rename(path + '.keep', path)
        i.adm('tls', 'check')


class KeysLost(Case):
    """Without a usable key STARTTLS is answered 454, and who needs no TLS is served."""
    settings = {'tls.watch_interval': '200ms'}

    def test_454(self):
        i = self.instance
        path = self.tls('key.pem')
        session = self.connect(HOST)
        session.login()
        os.rename(path, path + '.away')
        os.kill(i.kind('postern-keys')[0].pid, signal.SIGKILL)

        def refused():
            with i.client('submission', tls=False) as c:
                c.send('STARTTLS\r\n')
                code, lines = c.reply()
                if code == 454:
                    self.assertEqual(lines, ['454 4.7.0 TLS not available due to temporary reason'])
                    c.command('MAIL FROM:<%s>' % ALICE, 530)
                    c.command('NOOP', 250)
                    c.quit()
                return code == 454
        try:
            self.assertTrue(wait_for(self.quietly(refused), 10, 0.2), '454 is never said')
            with i.client('plain', login=ALICE) as c:
                c.submit(message('a printer needs no key'))
            session.submit(message('a session has had its signature'))
        finally:
            os.rename(path + '.away', path)
            session.close()
        self.assertTrue(wait_for(self.quietly(lambda: self.served(HOST) == der(self.first[0])), 10, 0.2), 'it never comes back')

    @staticmethod
    def quietly(call):
        def tried():
            try:
                return call()
            except (OSError, EOFError, AssertionError):
                return False
        return tried

    def test_failed_handshakes(self):
        """Clients that break the handshake in every way leave the others alone."""
        i = self.instance
        with i.client('submissions', login=ALICE) as good:
            for n in range(12):
                c = Client(('127.0.0.1', i.port('submissions')))
                c.send((b'', b'\x16\x03\x01', b'EHLO there\r\n', os.urandom(300))[n % 4])
                if n % 3:
                    c.close()
                else:
                    self.addCleanup(c.close)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)	# trusts nobody
            context.check_hostname = False
            with self.assertRaises(ssl.SSLError):
                context.wrap_socket(postern.socket.create_connection(('127.0.0.1', i.port('submissions')), 5))
            good.submit(message('unharmed'))
            self.served(HOST)


class Expiry(Case):
    """Certificates that expire soon, or have expired."""
    start = False

    def put(self, days, name=HOST, whole=True):
        pair = self.ca.make(name, days=days, whole=whole)
        replace(pair[0], self.tls('certificate.pem'))
        replace(pair[1], self.tls('key.pem'), 0o600)
        return pair

    def check(self, code):
        done = self.instance.run('--json', 'tls', 'check')
        self.assertEqual(done.returncode, code, done.stderr)
        rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
        self.assertEqual(rows[0]['ok'], code == 0)
        self.assertEqual(bool(rows[0]['problems']), code == 1)
        return ' '.join(rows[0]['problems'])

    def logged_at_start(self):
        before = len(self.instance.log())
        self.instance.start()
        self.instance.stop()
        return self.instance.log()[before:]

    def test_days(self):
        self.put(25)
        self.assertEqual(self.check(0), '')
        self.assertNotIn('certificate.expire', self.logged_at_start())
        self.put(20)
        self.assertRegex(self.check(1), 'expires in (19|20) days')
        self.assertNotIn('certificate.expire', self.logged_at_start())
        self.put(10)
        self.check(1)
        self.assertRegex(self.logged_at_start(), r'level=warning.*event=certificate\.expires .*days_left=(9|10)\b')
        self.put(-1)
        self.assertRegex(self.check(1), 'expired [12] days ago')
        self.assertRegex(self.logged_at_start(), r'level=error.*event=certificate\.expired ')
        self.assertIn('expired', self.instance.adm('tls', 'show'))
        self.assertTrue(self.instance.adm_json('tls', 'show')[0]['expired'])

    def test_names_and_chain(self):
        self.put(30, 'other.example.net')
        self.assertIn('no certificate names ' + HOST, self.check(1))
        self.put(30, whole=False)
        self.assertIn('the chain is incomplete', self.check(1))
        self.put(30)
        out = self.instance.adm('tls', 'check')
        self.assertIn('in order', out)

    def test_named_pair_is_missing(self):
        """It is refused at start, and the setting that names it is said."""
        i = self.instance
        self.put(30)
        i.adm('config', 'set', 'certificate.extra.certificate', 'tls/extra.pem')
        try:
            code, text = i.refusal()
            self.assertEqual(code, 66)
            self.assertIn('certificate.extra.certificate', text)
            self.assertEqual(i.run('tls', 'check').returncode, 66)
            pair = self.ca.make('extra.example.org')
            i.adm('tls', 'reload', 'extra', '--cert', pair[0], '--key', pair[1])
            shutil.copyfile(self.first[1], self.tls('extra-key.pem'))
            code, text = i.refusal()
            self.assertEqual(code, 78)
            self.assertIn('certificate.extra.key', text)
            i.adm('tls', 'reload', 'extra', '--cert', pair[0], '--key', pair[1])
            i.start()
            self.assertEqual(self.served('extra.example.org'), der(pair[0]))
            i.stop()
        finally:
            path = os.path.join(i.root, 'postern.conf')
            with open(path) as f:
                text = f.read()
            with open(path, 'w') as f:
                f.write(text.replace('[certificate extra]\ncertificate = tls/extra.pem\n', ''))

    def test_two_hangups_at_once(self):
        """A HUP that comes while another is worked on is not lost."""
        i = self.instance
        self.put(30)
        i.start()
        before = i.log().count('event=config.loaded')
        i.set(limits__recipients=7)
        i.signal(signal.SIGHUP)
        time.sleep(0.02)
        i.set(limits__recipients=8)
        i.signal(signal.SIGHUP)
        self.assertTrue(wait_for(lambda: i.log().count('event=config.loaded') > before, 5))
        self.assertTrue(wait_for(lambda: 'RCPTMAX=8' in self.limits(i), 5, 0.1))
        i.stop()

    @staticmethod
    def limits(i):
        with i.client('plain') as c:
            return ' '.join(c.ehlo())

    def test_mismatch(self):
        self.put(30)
        other = self.ca.make(HOST)
        replace(other[1], self.tls('key.pem'), 0o600)
        done = self.instance.run('--json', 'tls', 'check')
        self.assertEqual(done.returncode, 78)
        self.assertIn('do not belong together', done.stderr.decode())
        self.assertFalse(json.loads(done.stdout.decode().splitlines()[0])['ok'])
        os.unlink(self.tls('key.pem'))
        self.assertEqual(self.instance.run('tls', 'check').returncode, 66)
        self.put(30)
        os.unlink(self.tls('certificate.pem'))
        self.assertEqual(self.instance.run('tls', 'check').returncode, 66)
        self.assertEqual(self.instance.run('tls', 'show').returncode, 66)
        self.put(30)


class SelfSigned(Admin):
    def test_made_by_setup(self):
        self.setup()
        self.assertIn('in order', self.on('tls', 'check'))
        row = self.rows('tls', 'show')[0]
        self.assertEqual((row['v'], row['names'], row['self_signed'], row['key_type']), (1, [HOST], True, 'EC P-256'))
        self.assertGreater(row['days_left'], 3600)
        self.refused(69, 'tls', 'reload')
        self.refused(64, 'tls', 'renew')

    def test_hook_without_daemon(self):
        self.setup()
        pair = postern.make_certificate(self.base)
        out = self.rows('tls', 'reload', '--cert', pair[0], '--key', pair[1])[0]
        self.assertEqual((out['changed'], out['reloaded']), (True, False))
        self.assertEqual(self.read('tls', 'certificate.pem'), open(pair[0]).read())
        self.on('config', 'check')


if __name__ == '__main__':
    main()
