#!/usr/bin/env python3
"""Certificates: several by server name, renewed while the service runs, shown, checked and replaced by smtpadm."""
import datetime
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from admin import Admin  # noqa: E402
from postern import ALICE, HOST, PASSWORD, SLOW, Client, main, message, openssl, wait_for  # noqa: E402

WATCH = {'tls.watch_interval': '200ms'}
PAUSE = 1.5 * SLOW	# much longer than it takes to see and settle a change


class Authority:
    """A folder with an authority of its own, which makes certificates as fast as they are wanted."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='postern-ca-')
        os.chmod(self.folder, 0o755)
        self.number = 0
        self.root = self.path('root.pem')
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout',
                self.path('root-key.pem'), '-out', self.root, '-days', '30', '-subj', '/CN=Test Authority',
                '-addext', 'keyUsage=critical,keyCertSign')

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(self, *names, kind='ec', days=30, whole=True):
        """(chain file, key file)"""
        self.number += 1
        cert, key, request, extensions = (self.path('%d-%s' % (self.number, part)) for part in
                                          ('cert.pem', 'key.pem', 'request', 'extensions'))
        new = ['rsa:2048'] if kind == 'rsa' else ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
        openssl('req', '-new', '-newkey', *new, '-nodes', '-keyout', key, '-out', request, '-subj', '/CN=' + names[0])
        with open(extensions, 'w') as f:
            f.write('subjectAltName=%s\nbasicConstraints=CA:FALSE\n' % ','.join('DNS:' + n for n in names))
        openssl('x509', '-req', '-in', request, '-CA', self.root, '-CAkey', self.path('root-key.pem'), '-set_serial',
                str(1000 + self.number), '-days', str(days), '-extfile', extensions, '-out', cert)
        if whole:
            with open(self.root) as f, open(cert, 'a') as to:
                to.write(f.read())
        os.chmod(key, 0o600)
        return cert, key


def der(path):
    """The first certificate of a file."""
    with open(path) as f:
        text = f.read()
    end = '-----END CERTIFICATE-----\n'
    return ssl.PEM_cert_to_DER_cert(text[:text.index(end) + len(end)])


def replace(source, to, mode=0o644):
    """As an installer does: beside it, then over it."""
    shutil.copyfile(source, to + '.new')
    os.chmod(to + '.new', mode)
    os.rename(to + '.new', to)


class Case(unittest.TestCase):
    settings = WATCH
    start = True

    @classmethod
    def setUpClass(cls):
        cls.ca = Authority()
        cls.first = cls.ca.make(HOST)
        cls.instance = None
        try:
            cls.instance = postern.Instance(settings=cls.settings, certificate=cls.first, start=cls.start)
        except BaseException:
            cls.ca.close()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            if cls.instance is not None:
                cls.instance.close()
        finally:
            cls.ca.close()

    def tls(self, *parts):
        return os.path.join(self.instance.root, 'tls', *parts)

    def connect(self, name=None, kind='submissions', version=None, sigalgs=None):
        """A Client under TLS that asks for this name."""
        context = ssl.create_default_context(cafile=self.ca.root)
        context.check_hostname = False
        if version:
            context.minimum_version = context.maximum_version = version
        if sigalgs:
            context.set_ciphers(sigalgs)
        c = Client(('127.0.0.1', self.instance.port(kind)))
        try:
            if kind == 'submission':
                c.expect(220)
                c.ehlo()
                c.command('STARTTLS', 220)
            c.sock = context.wrap_socket(c.sock, server_hostname=name)
            if kind == 'submissions':
                c.expect(220)
            c.ehlo()
        except BaseException:
            c.close()
            raise
        return c

    def served(self, *args, **more):
        with self.connect(*args, **more) as c:
            return c.sock.getpeercert(True)

    def wait_served(self, path, seconds=8, **more):
        """Until new sessions get the certificate of this file."""
        wanted = der(path)
        self.assertTrue(wait_for(lambda: self.served(HOST, **more) == wanted, seconds, 0.1), 'it is never served')


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


class Renewal(Case):
    """The files change, and new sessions get the new certificate without a signal; running ones go on."""

    def setUp(self):
        self.paths = self.tls('certificate.pem'), self.tls('key.pem')
        self.rejected = self.instance.log().count('certificate.rejected')
        self.running = self.connect(HOST)
        self.running.login()
        self.before = self.served(HOST)

    def tearDown(self):
        with self.running as c:
            c.submit(message('a session that saw two certificates'))
            self.assertEqual(c.sock.getpeercert(True), self.before)
        self.instance.adm('tls', 'check')

    def test_certificate_first(self):
        new = self.ca.make(HOST)
        replace(new[0], self.paths[0])
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before, 'half a pair harms nobody')
        replace(new[1], self.paths[1], 0o600)
        self.wait_served(new[0])
        self.wait_served(new[0], kind='submission')
        self.assertLessEqual(self.instance.log().count('certificate.rejected') - self.rejected, 1, 'logged once')

    def test_key_first(self):
        new = self.ca.make(HOST, kind='rsa')
        replace(new[1], self.paths[1], 0o600)
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before)
        replace(new[0], self.paths[0])
        self.wait_served(new[0])
        self.assertLessEqual(self.instance.log().count('certificate.rejected') - self.rejected, 1, 'logged once')

    def test_written_slowly_in_place(self):
        """Not how one should do it, but harmless."""
        new = self.ca.make(HOST)
        for source, path in zip(new, self.paths):
            with open(source, 'rb') as f:
                data = f.read()
            with open(path, 'r+b') as to:
                to.truncate(0)
                for at in range(0, len(data), 200):
                    to.write(data[at:at + 200])
                    to.flush()
                    time.sleep(0.05)
            self.assertIn(self.served(HOST), (self.before, der(new[0])))
        self.wait_served(new[0])

    def test_files_gone_and_back(self):
        for path in self.paths:
            os.rename(path, path + '.away')
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before)
        for path in self.paths:
            os.rename(path + '.away', path)
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before)

    def test_mode_of_the_key(self):
        new = self.ca.make(HOST)
        replace(new[0], self.paths[0])
        replace(new[1], self.paths[1], 0o644)
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before)
        self.assertRegex(self.instance.log(), r'certificate\.rejected.*chmod 600')
        self.assertEqual(self.instance.run('tls', 'check').returncode, 78)
        os.chmod(self.paths[1], 0o600)
        self.wait_served(new[0])

    def test_smtpadm_replaces_it(self):
        i, new = self.instance, self.ca.make(HOST)
        snapshot = [open(p, 'rb').read() for p in self.paths]
        out = i.adm_json('-n', 'tls', 'reload', '--cert', new[0], '--key', new[1])
        self.assertEqual((out[0]['changed'], out[0]['reloaded'], out[0]['dry_run']), (True, False, True))
        self.assertEqual([open(p, 'rb').read() for p in self.paths], snapshot)
        # As certbot has it: both are links.
        live = self.ca.path('live')
        os.makedirs(live, exist_ok=True)
        links = [os.path.join(live, n) for n in ('fullchain.pem', 'privkey.pem')]
        for source, link in zip(new, links):
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(source, link)
        out = i.adm_json('tls', 'reload', '--cert', links[0], '--key', links[1])
        self.assertEqual((out[0]['v'], out[0]['changed'], out[0]['reloaded']), (1, True, True))
        self.wait_served(new[0])
        self.assertEqual(os.stat(self.paths[1]).st_mode & 0o7777, 0o600)
        self.assertEqual([open(p + '.old', 'rb').read() for p in self.paths], snapshot)
        out = i.adm_json('tls', 'reload', '--cert', links[0], '--key', links[1])
        self.assertFalse(out[0]['changed'])

    def test_smtpadm_refuses(self):
        i, a, b = self.instance, self.ca.make(HOST), self.ca.make(HOST)
        snapshot = [open(p, 'rb').read() for p in self.paths]
        for code, *args in ((65, '--cert', a[0], '--key', b[1]), (64, '--cert', a[0]), (64, 'name'),
                            (66, '--cert', '/nowhere', '--key', a[1]), (65, '--cert', a[1], '--key', a[1]),
                            (67, 'name', '--cert', a[0], '--key', a[1])):
            done = i.run('tls', 'reload', *args)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertTrue(done.stderr)
        self.assertEqual([open(p, 'rb').read() for p in self.paths], snapshot)

    def test_reload_by_hand(self):
        new = self.ca.make(HOST)
        replace(new[0], self.paths[0])
        replace(new[1], self.paths[1], 0o600)
        self.assertTrue(self.instance.adm_json('tls', 'reload')[0]['reloaded'])
        self.wait_served(new[0])


class Links(Case):
    """A certificate that is a link, as certbot's are, which a renewal points elsewhere."""

    def test_links(self):
        i, live = self.instance, self.ca.path('live')
        os.makedirs(live)
        pairs = [self.ca.make(HOST) for _ in range(2)]
        os.symlink(pairs[0][0], os.path.join(live, 'fullchain.pem'))
        shutil.copy2(pairs[0][1], os.path.join(live, 'key.pem'))
        i.set(tls__certificate=os.path.join(live, 'fullchain.pem'), tls__key=os.path.join(live, 'key.pem'))
        i.adm('config', 'check')
        i.signal(signal.SIGHUP)
        self.wait_served(pairs[0][0])
        with self.connect(HOST) as c:
            c.login()
            replace(pairs[1][1], os.path.join(live, 'key.pem'), 0o600)
            os.symlink(pairs[1][0], os.path.join(live, 'new'))
            os.rename(os.path.join(live, 'new'), os.path.join(live, 'fullchain.pem'))
            self.wait_served(pairs[1][0])
            c.submit(message('through a renewal'))
        # Nothing is copied over a link: it is not smtpadm's.
        more = self.ca.make(HOST)
        done = i.run('tls', 'reload', '--cert', more[0], '--key', more[1])
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertTrue(os.path.islink(os.path.join(live, 'fullchain.pem')))


class NotWatched(Case):
    settings = {'tls.watch_interval': '200ms', 'tls.watch': 'off'}

    def test_only_on_demand(self):
        new = self.ca.make(HOST)
        replace(new[0], self.tls('certificate.pem'))
        replace(new[1], self.tls('key.pem'), 0o600)
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), der(self.first[0]))
        self.instance.signal(signal.SIGHUP)
        self.wait_served(new[0])


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

    def test_mismatch(self):
        self.put(30)
        other = self.ca.make(HOST)
        replace(other[1], self.tls('key.pem'), 0o600)
        done = self.instance.run('--json', 'tls', 'check')
        self.assertEqual(done.returncode, 78)
        self.assertIn('do not belong together', done.stderr.decode())
        self.assertFalse(json.loads(done.stdout.decode().splitlines()[0])['ok'])
        os.unlink(self.tls('key.pem'))
        self.assertEqual(self.instance.run('tls', 'check').returncode, 78)
        self.put(30)
        os.unlink(self.tls('certificate.pem'))
        self.assertEqual(self.instance.run('tls', 'check').returncode, 78)
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
