#!/usr/bin/env python3
"""smtpadm: every command, exit code and form of output, as root and as an ordinary user."""
import glob
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, BOB, HOST, IS_ROOT, PASSWORD, SLOW, main, make_certificate, message, program  # noqa: E402

ORDINARY = 65534
LISTEN = ('--listen', 'submission=127.0.0.1:5870', '--listen', 'submissions=127.0.0.1:4650', '--listen', 'plain=127.0.0.1:2525')
NOUNS = {'account': ('add', 'list', 'show', 'remove', 'disable', 'enable', 'passwd'), 'sender': ('add', 'list', 'remove'),
         'config': ('show', 'get', 'set', 'explain', 'check'), 'queue': ('list', 'count', 'show', 'cat', 'verify'),
         'selftest': ('sandbox',), 'setup': (), 'status': (), 'reload': ()}


class Admin(unittest.TestCase):
    """A folder for each test, and smtpadm run in it. Class `Ordinary` repeats all of it as another user."""
    user = None

    def setUp(self):
        self.base = tempfile.mkdtemp(prefix='postern-admin-')
        os.chmod(self.base, 0o755)
        if self.user is not None:
            os.chown(self.base, self.user, self.user)
            try:
                self.adm('--version')
            except (AssertionError, OSError):
                self.skipTest('the programs are out of reach for user %d' % self.user)
        self.root = os.path.join(self.base, 'instance')

    def tearDown(self):
        shutil.rmtree(self.base, ignore_errors=True)

    def popen(self, *args, **more):
        who = {} if self.user is None else {'user': self.user, 'group': self.user, 'extra_groups': []}
        return subprocess.Popen([program('smtpadm'), *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.base, **who, **more)

    def run_adm(self, *args, input=None, **more):
        """(exit code, standard output, standard error)"""
        p = self.popen(*args, **more)
        try:
            out, err = p.communicate((input or '').encode(), timeout=30 * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise
        self.assertNotRegex(out.decode() + err.decode(), 'Sanitizer|runtime error')
        return p.returncode, out.decode(), err.decode()

    def adm(self, *args, input=None, code=0, **more):
        """Its standard output; the exit code must be as expected, and a failure must have words."""
        got, out, err = self.run_adm(*args, input=input, **more)
        self.assertEqual(got, code, '%s: %s' % (' '.join(args), err))
        if code > 1:
            self.assertTrue(err.strip(), 'an error without words')
        return out

    def on(self, *args, **more):
        return self.adm('--root', self.root, *args, **more)

    def refused(self, code, *args, **more):
        """Its standard error."""
        got, _, err = self.run_adm('--root', self.root, *args, **more)
        self.assertEqual(got, code, '%s: %s' % (' '.join(args), err))
        return err

    def rows(self, *args, **more):
        lines = self.on('--json', *args, **more).splitlines()
        for line in lines:
            self.assertTrue(line.startswith('{"v":1'), line)
        return [json.loads(line) for line in lines]

    def error(self, code, *args, **more):
        """The JSON error."""
        lines = self.refused(code, '--json', *args, **more).splitlines()
        found = json.loads(lines[-1])
        self.assertEqual(list(found), ['v', 'error'])
        self.assertEqual(list(found['error']), ['code', 'name', 'message', 'fix'])
        self.assertEqual(found['error']['code'], code)
        return found['error']

    def setup(self, *more, input=PASSWORD + '\n'):
        return self.on('setup', '--hostname', HOST, '--account', ALICE, '--self-signed', *LISTEN, '--password-stdin', *more,
                       input=input)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def read(self, *parts):
        with open(self.path(*parts)) as f:
            return f.read()

    def write(self, text):
        with open(self.path('postern.conf'), 'w') as f:
            f.write(text)

    def snapshot(self):
        """Everything that a refused command must leave alone."""
        found = {}
        for folder, _, files in os.walk(self.root):
            for name in files:
                if not name.startswith('registry.db'):
                    with open(os.path.join(folder, name), 'rb') as f:
                        found[os.path.join(folder, name)] = f.read()
        return found


class Setup(Admin):
    def modes(self, *names):
        return [oct(stat.S_IMODE(os.lstat(self.path(*name.split('/'))).st_mode)) for name in names]

    def test_whole(self):
        for mask in (0o077, 0, 0o777):	# the umask must not matter
            shutil.rmtree(self.root, ignore_errors=True)
            old = os.umask(mask)
            try:
                out = self.setup()
            finally:
                os.umask(old)
            self.assertIn('posternd --root ' + self.root, out)
            self.assertNotIn(PASSWORD, out)
            self.assertEqual(self.modes('.', 'tls', 'tls/key.pem', 'run', 'run/empty', 'registry', 'registry/registry.db', 'spool',
                                        'spool/new', 'postern.conf'),
                             ['0o755', '0o700', '0o600', '0o755', '0o555', '0o700', '0o600', '0o700', '0o700', '0o644'])
        text = self.read('postern.conf')
        self.assertLess(text.index('hostname = ' + HOST), text.index('['))
        self.assertIn('[listener submission]\naddress = 127.0.0.1:5870\n', text)
        self.on('config', 'check')

    def test_as_the_specification_writes_it(self):
        self.setup()
        self.on('account', 'add', BOB, '--stdin', input=PASSWORD)
        self.on('sender', 'add', BOB, 'sales@example.org')
        self.on('config', 'set', 'limits.command_timeout', '5s')
        self.assertEqual(self.on('--json', 'queue', 'list', '--all'), '')

    def test_folders(self):
        for name, make, wanted in (('new/deep', False, 0o755), ('there', True, 0o700)):
            self.root = os.path.join(self.base, name)
            if make:
                os.mkdir(self.root, 0o700)
                if self.user is not None:
                    os.chown(self.root, self.user, self.user)
            self.adm('--root', name, 'setup', '--hostname', HOST, '--self-signed', *LISTEN)	# relative
            self.assertEqual(stat.S_IMODE(os.stat(self.root).st_mode), wanted)
            self.on('config', 'check')
        self.root = os.path.join(self.base, 'file')
        open(self.root, 'w').close()
        self.assertIn(self.refused(71, 'setup', '--self-signed')[:1], 's')

    def test_in_the_environment(self):
        self.setup()
        env = dict(os.environ, POSTERN_ROOT=self.root)
        self.assertEqual(self.adm('config', 'get', 'hostname', env=env), HOST + '\n')

    def test_twice(self):
        self.setup()
        before = self.snapshot()
        out = self.setup()
        self.assertEqual(self.snapshot(), before)
        self.assertIn('(kept)', out)
        self.assertEqual(len(self.rows('account', 'list')), 1)
        shutil.rmtree(self.path('run'))
        os.unlink(self.path('tls', 'key.pem'))
        self.assertIn('key.pem', self.refused(78, 'setup', '--self-signed'))
        os.unlink(self.path('tls', 'certificate.pem'))
        self.setup()	# what is missing is added
        self.on('config', 'check')

    def test_conflicts_are_named(self):
        self.setup()
        with open(self.path('postern.conf'), 'a') as f:
            f.write('# mine\n')
        err = self.refused(0, 'setup', '--hostname', 'mx.example.org', '--listen', 'submission=127.0.0.1:5871', '--listen',
                           'submissions=127.0.0.1:4650', '--listen', 'submission=[::1]:5872')
        self.assertRegex(err, r'hostname was mail\.example\.org, becomes mx\.example\.org')
        self.assertRegex(err, r'listener submission was at 127\.0\.0\.1:5870, becomes 127\.0\.0\.1:5871')
        self.assertIn('does not name mx.example.org', err)
        for key, value in (('hostname', 'mx.example.org'), ('listener.submission.address', '127.0.0.1:5871'),
                           ('listener.submission-2.address', '[::1]:5872'), ('listener.submission-2.kind', 'submission'),
                           ('listener.submissions.address', '127.0.0.1:4650'), ('listener.plain.address', '127.0.0.1:2525')):
            self.assertEqual(self.on('config', 'get', key), value + '\n')
        self.assertIn('# mine\n', self.read('postern.conf'))

    def test_passwords(self):
        def digest():
            with sqlite3.connect('file:%s?mode=ro' % self.path('registry', 'registry.db'), uri=True) as db:
                return db.execute("SELECT group_concat(hash) FROM credential").fetchone()

        out = self.on('setup', '--hostname', HOST, '--account', ALICE, '--self-signed', *LISTEN)	# nobody to ask
        self.assertEqual(len(re.search(r'(?m)^Password +(\S+)$', out).group(1)), 24)
        first = digest()
        self.assertIn('(kept)', self.on('setup', '--account', ALICE))
        self.assertEqual(digest(), first)
        self.assertIn('password changed', self.setup())
        second = digest()
        self.assertNotEqual(second, first)
        self.assertIn('(kept)', self.setup())	# the same one
        self.assertEqual(digest(), second)
        self.assertEqual(self.error(65, 'setup', '--account', BOB, '--password-stdin', input='\n')['name'], 'empty_password')
        self.error(65, 'setup', '--account', BOB, '--password-stdin', input='x' * 512)
        self.error(64, 'setup', '--password-stdin', input='x')
        self.error(64, 'setup', '--account', BOB, '--account', ALICE)
        self.error(65, 'setup', '--account', 'no one@example.org', '--password-stdin', input='x')

    def test_certificates(self):
        cert, key = make_certificate(self.base, name=HOST)
        rsa, rsa_key = make_certificate(self.base, 'rsa', 'other.example.org')
        broken, locked, gone = (os.path.join(self.base, n) for n in ('broken', 'locked', 'gone'))
        with open(broken, 'w') as f:
            f.write('-----BEGIN CERTIFICATE-----\nnonsense\n')
        subprocess.run(['openssl', 'ec', '-in', key, '-out', locked, '-aes128', '-passout', 'pass:x'], check=True,
                       stderr=subprocess.DEVNULL)
        for path in (cert, key, rsa, rsa_key, locked):
            os.chmod(path, 0o644)
        for code, c, k, words in ((66, gone, key, 'gone'), (66, cert, gone, 'gone'), (65, broken, key, 'PEM'), (65, cert, broken, 'PEM'),
                                  (65, cert, rsa_key, 'belong together'), (65, cert, locked, 'encrypted'), (65, cert, self.base, 'file')):
            self.assertIn(words, self.refused(code, 'setup', '--hostname', HOST, '--cert', c, '--key', k, *LISTEN))
            self.assertFalse(os.path.exists(self.root), 'something was made')
        self.refused(64, 'setup', '--cert', cert)
        self.refused(64, 'setup', '--cert', cert, '--key', key, '--self-signed')
        self.assertIn('--self-signed', self.refused(64, 'setup', '--hostname', HOST, *LISTEN))
        err = self.refused(0, 'setup', '--hostname', HOST, '--cert', cert, '--key', key, *LISTEN)
        self.assertIn('chmod 600', err)
        self.assertEqual(stat.S_IMODE(os.stat(self.path('tls', 'key.pem')).st_mode), 0o600)
        with open(cert) as f:
            self.assertEqual(self.read('tls', 'certificate.pem'), f.read())
        self.on('config', 'check')
        old = self.read('tls', 'key.pem')
        err = self.refused(0, 'setup', '--cert', rsa, '--key', rsa_key)
        self.assertIn('does not name', err)
        self.assertIn('key.pem.old', err)
        self.assertEqual(self.read('tls', 'key.pem.old'), old)
        self.on('setup', '--cert', rsa, '--key', rsa_key)	# again: nothing to replace
        self.assertEqual(self.read('tls', 'key.pem.old'), old)

    def test_self_signed(self):
        self.setup()
        text = subprocess.run(['openssl', 'x509', '-noout', '-text', '-in', self.path('tls', 'certificate.pem')], check=True,
                              stdout=subprocess.PIPE).stdout.decode()
        for words in ('DNS:' + HOST, 'prime256v1', 'TLS Web Server Authentication', 'Version: 3'):
            self.assertIn(words, text)

    def test_bad_lines(self):
        for listen in ('submission', 'smtp=127.0.0.1:25', 'plain=localhost:25', 'plain=127.0.0.1', 'plain=127.0.0.1:0', 'plain=::1:25'):
            self.error(64, 'setup', '--self-signed', '--listen', listen)
        self.assertIn('networks', self.refused(78, 'setup', '--self-signed', '--listen', 'plain=0.0.0.0:2525'))
        self.error(65, 'setup', '--self-signed', '--hostname', 'no host')
        self.error(78, 'setup', '--self-signed', '--listen', 'plain=127.0.0.1:25', '--listen', 'submission=127.0.0.1:25')
        self.assertFalse(os.path.exists(self.root), 'something was made')

    def test_defaults(self):
        self.on('setup', '--self-signed', '--hostname', HOST)
        self.assertRegex(self.on('config', 'get', 'listener.submission.address'), r'^(\[::\]|0\.0\.0\.0):587$')
        self.assertRegex(self.on('config', 'get', 'listener.submissions.address'), r'^(\[::\]|0\.0\.0\.0):465$')

    def test_plain_only_needs_no_certificate(self):
        self.on('setup', '--hostname', HOST, '--listen', 'plain=127.0.0.1:2525')
        self.assertFalse(os.path.exists(self.path('tls', 'key.pem')))

    def test_dry_run(self):
        out = self.setup('--dry-run')
        self.assertIn('nothing was changed', out)
        self.assertFalse(os.path.exists(self.root))

    def test_spool_elsewhere(self):
        self.setup()
        elsewhere = os.path.join(self.base, 'elsewhere', 'spool')
        self.on('config', 'set', 'spool.path', elsewhere)
        self.setup()
        self.assertEqual(sorted(os.listdir(elsewhere)), ['cur', 'failed', 'hold', 'new', 'tmp'])

    def test_json(self):
        got = self.rows('setup', '--hostname', HOST, '--account', ALICE, '--self-signed', *LISTEN)[0]
        self.assertEqual(got['account']['action'], 'added')
        self.assertEqual(len(got['account']['password']), 24)
        self.assertEqual([x['kind'] for x in got['listeners']], ['submission', 'submissions', 'plain'])


class People(Admin):
    def setUp(self):
        super().setUp()
        self.setup()

    def test_life_of_an_account(self):
        self.on('account', 'add', BOB, '--stdin', input=PASSWORD + '\r\nmore\n')
        self.assertEqual(self.error(73, 'account', 'add', BOB, '--stdin', input='x')['name'], 'exists')
        self.error(73, 'account', 'add', BOB.upper(), '--stdin', input='x')
        self.assertEqual([r['account'] for r in self.rows('account', 'list')], [ALICE, BOB])
        self.assertEqual(self.rows('account', 'show', BOB)[0]['senders'], [{'pattern': BOB}])
        self.assertEqual(self.rows('account', 'show', BOB)[0]['credentials'][0]['method'], 'yescrypt')
        self.assertLess(abs(self.rows('account', 'show', BOB)[0]['created_time'] - time.time()), 60)
        self.on('account', 'disable', BOB)
        self.assertEqual(self.rows('account', 'show', BOB)[0]['state'], 'disabled')
        self.on('account', 'enable', BOB)
        self.assertEqual(self.rows('account', 'show', BOB)[0]['state'], 'enabled')
        self.on('account', 'remove', BOB)
        for args in (('show', BOB), ('remove', BOB), ('disable', BOB), ('enable', BOB), ('passwd', BOB, '--generate')):
            found = self.error(67, 'account', *args)
            self.assertEqual(found['name'], 'no_account')
            self.assertIn(BOB, found['message'])
            self.assertIn('account list', found['fix'])

    def test_ways_of_passwords(self):
        made = self.on('account', 'add', BOB, '--generate')
        self.assertRegex(made, r'^\S{24}\n$')
        self.assertEqual(len(self.rows('account', 'passwd', BOB, '--generate')[0]['password']), 24)
        crypt = subprocess.run(['openssl', 'passwd', '-6', '-salt', 'abcdefgh', PASSWORD], check=True,
                               stdout=subprocess.PIPE).stdout.decode()
        self.on('account', 'passwd', BOB, '--hash-stdin', input=crypt)
        self.assertEqual(self.rows('account', 'show', BOB)[0]['credentials'][0]['method'], 'sha512crypt')
        for bad in ('', 'secret', '$1$abc$0123456789012345678901', '*'):
            self.error(65, 'account', 'passwd', BOB, '--hash-stdin', input=bad)
        self.error(64, 'account', 'passwd', BOB, '--stdin', '--generate', input='x')
        self.error(64, 'account', 'passwd', BOB)	# nobody to ask
        self.error(65, 'account', 'passwd', BOB, '--stdin', input='')
        self.error(65, 'account', 'passwd', BOB, '--stdin', input='a\0b')

    def test_bad_names(self):
        for name in ('', 'a b', 'a@', '@b', 'a@b@c', 'a@-b', 'x' * 300, 'a@b\n'):
            self.assertEqual(self.error(65, 'account', 'add', name, '--stdin', input='x')['name'], 'bad_address', name)
        self.on('account', 'add', 'printer-2', '--stdin', input='x')

    def test_removing_several(self):
        for name in 'abcd':
            self.on('account', 'add', name, '--generate')
        self.error(64, 'account', 'remove', 'a', 'b', 'c')
        self.error(67, 'account', 'remove', 'a', 'nobody', '--yes')
        self.assertEqual(len(self.rows('account', 'list')), 5)
        self.on('account', 'remove', 'a', 'b', 'c', '--yes')
        self.assertEqual([r['account'] for r in self.rows('account', 'list')], [ALICE, 'd'])

    def test_senders(self):
        self.on('sender', 'add', ALICE, 'sales@example.org', '*@example.net', 'alice+*@example.org', '<>')
        self.assertEqual(sorted(r['sender'] for r in self.rows('sender', 'list', ALICE)),
                         sorted([ALICE, 'sales@example.org', '*@example.net', 'alice+*@example.org', '<>']))
        self.error(73, 'sender', 'add', ALICE, 'sales@example.org')
        for pattern in ('', 'sales', '*', 'a b@c', '*@*', 'a*b@example.org'):
            self.assertEqual(self.error(65, 'sender', 'add', ALICE, pattern)['name'], 'bad_pattern', pattern)
        self.error(73, 'sender', 'add', ALICE, 'new@example.org', '<>')	# all or nothing
        self.error(67, 'sender', 'remove', ALICE, 'new@example.org')
        self.error(67, 'sender', 'add', BOB, 'x@example.org')
        self.error(67, 'sender', 'list', BOB)
        self.on('sender', 'rm', ALICE, '<>')
        self.assertNotIn('<>', self.on('sender', 'ls'))

    def test_dry_run(self):
        before = self.on('account', 'show', ALICE)
        self.on('-n', 'account', 'add', BOB, '--stdin', input='x')
        self.on('-n', 'account', 'remove', ALICE)
        self.on('-n', 'account', 'disable', ALICE)
        self.on('-n', 'account', 'passwd', ALICE, '--stdin', input='x')
        self.on('-n', 'sender', 'add', ALICE, 'x@example.org')
        self.on('-n', 'sender', 'remove', ALICE, ALICE)
        self.assertEqual(self.on('account', 'show', ALICE), before)
        self.assertEqual(len(self.rows('account', 'list')), 1)
        self.error(73, '-n', 'sender', 'add', ALICE, ALICE)

    def test_locked(self):
        with sqlite3.connect(self.path('registry', 'registry.db'), isolation_level=None) as db:
            db.execute('BEGIN IMMEDIATE')
            began = time.monotonic()
            found = self.error(75, 'account', 'disable', ALICE)
            self.assertLess(time.monotonic() - began, 15 * SLOW)
            self.assertEqual(found['name'], 'locked')
            self.assertIn(ALICE, self.on('account', 'list'))	# reading goes on
            db.execute('ROLLBACK')
        db.close()
        self.on('account', 'disable', ALICE)

    def test_newer_version(self):
        db = sqlite3.connect(self.path('registry', 'registry.db'))
        db.execute('PRAGMA user_version = 99')
        db.commit()
        db.close()
        for args in (('account', 'list'), ('account', 'disable', ALICE), ('setup', '--account', BOB)):
            self.assertEqual(self.error(78, *args)['name'], 'newer_version')

    def test_not_a_registry(self):
        for name in glob.glob(self.path('registry', 'registry.db-*')):
            os.unlink(name)
        with open(self.path('registry', 'registry.db'), 'r+b') as f:
            f.write(b'no database at all' * 100)
        self.error(65, 'account', 'list')

    def test_password_is_never_seen(self):
        """Not on the command line, not in the environment, not in the output."""
        secret = 'S3cret-never-seen'
        p = self.popen('--root', self.root, 'account', 'passwd', ALICE, '--stdin')
        p.stdin.write(secret.encode() + b'\n')
        p.stdin.flush()
        seen = b''
        while p.poll() is None:
            for name in ('cmdline', 'environ'):
                try:
                    with open('/proc/%d/%s' % (p.pid, name), 'rb') as f:
                        seen += f.read()
                except OSError:
                    pass
        out, err = p.communicate()
        self.assertEqual(p.returncode, 0, err)
        self.assertIn(b'passwd', seen)
        self.assertNotIn(secret.encode(), seen + out + err)
        err = self.refused(64, 'account', 'passwd', ALICE, secret)	# in the wrong place: not repeated
        self.assertNotIn(secret, err)

    def test_no_hash_is_shown(self):
        for args in (('account', 'show', ALICE), ('account', 'list')):
            self.assertNotIn('$y$', self.on(*args) + self.on('-j', *args))


class Config(Admin):
    def setUp(self):
        super().setUp()
        self.setup()

    def test_comments_stay(self):
        text = ('\n# head\n\nhostname = mail.example.org ; why\r\n# before\n\n[limits]\n  # ten\n  errors=20\n\n# the queue\n'
                '[listener submission]\naddress = 127.0.0.1:5870\n# end')
        self.write(text)
        for key, value, old, new in (
                ('hostname', 'mx.example.org', 'hostname = mail.example.org ; why\r\n', 'hostname = mx.example.org ; why\r\n'),
                ('limits.errors', '7', 'errors=20\n', 'errors= 7\n'),
                ('limits.recipients', '5', 'errors= 7\n', 'errors= 7\nrecipients = 5\n'),
                ('replies', 'rfc', '; why\r\n', '; why\r\nreplies = rfc\n'),
                ('auth.hashers', '3', '# end', '# end\n\n[auth]\nhashers = 3\n'),
                ('listener.submission.kind', 'submission', '5870\n', '5870\nkind = submission\n')):
            self.on('config', 'set', key, value)
            text = text.replace(old, new)
            self.assertEqual(self.read('postern.conf').replace('\r', ''), text.replace('\r', ''))
            self.assertEqual(self.on('config', 'get', key), value + '\n')

    def test_top_level_key_goes_before_the_first_section(self):
        self.write('# head\n\n[limits]\nerrors = 5\n')
        self.on('config', 'set', 'hostname', 'mx.example.org')
        self.assertEqual(self.read('postern.conf'), '# head\n\nhostname = mx.example.org\n[limits]\nerrors = 5\n')
        self.write('[limits]\nerrors = 5')
        self.on('config', 'set', 'replies', 'rfc')
        self.on('config', 'set', 'limits.recipients', '9')
        self.assertEqual(self.read('postern.conf'), 'replies = rfc\n[limits]\nerrors = 5\nrecipients = 9\n')

    def test_every_setting_can_be_set(self):
        for row in self.rows('config', 'explain'):
            if row['key'].startswith('listener.'):
                continue
            value = row.get('max') or row.get('words', '').split('|')[0] or row['default'] or 'x'
            self.on('config', 'set', row['key'], value)
            self.assertEqual(self.on('config', 'get', row['key']), value + '\n')

    def test_refusals_change_nothing(self):
        before = self.snapshot()
        found = self.error(64, 'config', 'set', 'limits.comand_timeout', '5s')
        self.assertIn("did you mean 'limits.command_timeout'", found['message'])
        self.assertIn("'limits.errors'", self.refused(64, 'config', 'get', 'limit.errors'))
        self.assertIn('address', self.refused(64, 'config', 'set', 'listener.submission.adress', '127.0.0.1:1'))
        self.error(78, 'config', 'set', 'limits.errors', 'many')
        self.error(78, 'config', 'set', 'limits.errors', '0')
        self.error(78, 'config', 'set', 'listener.submission.address', 'nowhere')
        self.error(78, 'config', 'set', 'listener.new.address', '127.0.0.1:9')	# no kind
        self.error(78, 'config', 'set', 'listener.submission.networks', '10.0.0.0/8')
        self.error(65, 'config', 'set', 'spool.path', 'a\nb = c')
        self.error(65, 'config', 'set', 'spool.path', '/a ;b')
        self.error(78, 'config', 'set', 'spool.path', '/' + 'x' * 300)
        self.error(67, 'config', 'get', 'listener.none.address')
        self.error(64, 'config', 'set', 'hostname')
        self.on('-n', 'config', 'set', 'limits.errors', '5')
        self.assertEqual(self.snapshot(), before)

    def test_owner_and_mode_stay(self):
        os.chmod(self.path('postern.conf'), 0o640)
        if IS_ROOT and self.user is None:
            os.chown(self.path('postern.conf'), 0, 4242)
        self.on('config', 'set', 'limits.errors', '5')
        s = os.stat(self.path('postern.conf'))
        self.assertEqual(stat.S_IMODE(s.st_mode), 0o640)
        if IS_ROOT and self.user is None:
            self.assertEqual((s.st_uid, s.st_gid), (0, 4242))

    def test_two_admins_at_once(self):
        wanted = {'limits.errors': '5', 'limits.recipients': '6', 'workers.spare': '7', 'auth.hashers': '3', 'replies': 'rfc'}
        running = [self.popen('--root', self.root, 'config', 'set', *item) for item in wanted.items()]
        for p in running:
            p.communicate(timeout=30)
            self.assertEqual(p.returncode, 0)
        for key, value in wanted.items():
            self.assertEqual(self.on('config', 'get', key), value + '\n')

    def test_a_bad_file_can_be_mended(self):
        self.write('hostname = mail.example.org\n[limits]\nerrors = many\n')
        for args in (('config', 'check'), ('config', 'show'), ('account', 'list'), ('setup', '--self-signed')):
            self.assertRegex(self.refused(78, *args), r'postern\.conf:3: ')
        self.on('config', 'set', 'limits.errors', '5')
        self.write('limits = 5\n')
        self.assertRegex(self.refused(78, 'config', 'check'), r'postern\.conf:1: ')

    def test_show(self):
        rows = {r['key']: r for r in self.rows('config', 'show')}
        self.assertEqual(rows['workers.spare']['value'], '8')
        self.assertFalse(rows['workers.spare']['changed'])
        self.on('config', 'set', 'workers.spare', '9')
        self.on('config', 'set', 'listener.plain.networks', '10.0.0.0/8, fd00::/8')
        out = self.on('config', 'show', '--changed')
        self.assertIn('workers.spare = 9\n', out)
        self.assertIn('listener.plain.networks = 10.0.0.0/8 fd00::/8\n', out)
        self.assertNotIn('workers.max', out)
        self.assertIn('default 8', self.on('config', 'explain', 'workers.spare'))

    def test_check_finds(self):
        def put_back():
            shutil.rmtree(self.root)
            self.setup()

        def loose(*parts, mode):
            return lambda: os.chmod(self.path(*parts), mode)

        def mismatch():
            _, key = make_certificate(self.base)
            shutil.copyfile(key, self.path('tls', 'key.pem'))

        def linked():
            os.rename(self.path('tls', 'key.pem'), self.path('tls', 'real.pem'))
            os.symlink('real.pem', self.path('tls', 'key.pem'))

        def litter():
            os.chmod(self.path('run', 'empty'), 0o755)
            open(self.path('run', 'empty', 'litter'), 'w').close()
            os.chmod(self.path('run', 'empty'), 0o555)

        for change, words in ((loose('tls', 'key.pem', mode=0o640), 'chmod 600'), (loose('tls', mode=0o755), 'chmod 700'),
                              (loose('postern.conf', mode=0o666), 'postern.conf'), (loose('spool', mode=0o755), 'spool'),
                              (loose('registry', mode=0o755), 'registry'), (loose('run', 'empty', mode=0o755), 'run/empty'),
                              (mismatch, 'belong together'), (linked, 'no link'), (litter, 'empty'),
                              (lambda: os.unlink(self.path('tls', 'certificate.pem')), 'certificate.pem'),
                              (lambda: os.unlink(self.path('tls', 'key.pem')), 'key.pem')):
            change()
            self.assertIn(words, self.refused(78, 'config', 'check'))
            self.error(78, 'config', 'check')
            os.chmod(self.path('run', 'empty'), 0o755)
            put_back()
        self.assertEqual(self.rows('config', 'check')[0]['ok'], True)

    def test_no_daemon(self):
        self.assertEqual(self.error(69, 'reload')['name'], 'not_running')
        self.assertIn('not running', self.on('status', code=1))
        self.assertEqual(json.loads(self.on('-j', 'status', code=1))['running'], False)
        with open(self.path('run', 'posternd.pid'), 'w') as f:
            f.write('%d\n' % os.getpid())	# another program's number by now
        self.error(69, 'reload')


class Grammar(Admin):
    def test_no_instance(self):
        for args in (('config', 'show'), ('config', 'set', 'limits.errors', '5'), ('account', 'list'), ('queue', 'list', '--all'),
                     ('status',), ('reload',), ('selftest', 'sandbox')):
            found = self.error(66, *args)
            self.assertIn('setup', found['fix'])

    def test_usage(self):
        for args, words in (((), 'what'), (('acount', 'list'), "'account'"), (('account', 'lst'), "'list'"), (('account',), 'verb'),
                            (('account', 'l'), 'list'), (('acc', 'list'), 'unknown'), (('account', 'add'), 'ACCOUNT'),
                            (('account', 'list', 'x'), 'no argument'), (('--jsn', 'status'), '--json'), (('-x',), '-x'),
                            (('account', 'list', '--cert', 'x'), '--cert'), (('--root',), 'DIR'), (('--color', 'red', 'status'), 'red'),
                            (('--time', 'soon', 'status'), 'soon'), (('account', 'list', '--json=yes'), 'no value'),
                            (('queue', 'list'), '--all'), (('queue', 'count'), '--all'), (('queue', 'list', '--size', '5'), '+N'),
                            (('queue', 'list', '--older', 'long'), 'long'), (('queue', 'list', '--state', 'x'), 'held'),
                            (('queue', 'list', '--all', '--sort', 'x'), 'age'), (('queue', 'list', '--all', '--limit', 'x'), 'number')):
            got, out, err = self.run_adm(*args)
            self.assertEqual(got, 64, args)
            self.assertIn(words, err)
            self.assertEqual(out, '')

    def test_options_stand_anywhere(self):
        self.setup()
        for args in (('--root', self.root, '-j', 'account', 'list'), ('account', '--json', 'list', '--root=' + self.root),
                     ('account', 'list', '-qj', '--root', self.root), ('user', 'ls', '-j', '--root', self.root)):
            self.assertTrue(self.adm(*args).startswith('{"v":1,"account":'))
        self.assertEqual(self.adm('--root', self.root, 'config', 'get', '--', 'hostname'), HOST + '\n')

    def test_help(self):
        text = self.adm('--help')
        for noun, verbs in NOUNS.items():
            self.assertIn('  ' + noun, text)
            self.adm(noun, '--help')
            for verb in verbs:
                self.assertIn('  %s %s' % (noun, verb), text)
                self.assertIn('smtpadm %s %s' % (noun, verb), self.adm(noun, verb, '--help'))
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertEqual(self.adm('help', 'queue'), self.adm('queue', '--help'))
        self.assertRegex(self.adm('--version'), r'^smtpadm \(Postern\) \d')
        self.assertIn('version', json.loads(self.adm('--version', '-j')))

    def test_quiet_and_full_output(self):
        self.setup()
        self.assertEqual(self.refused(0, '-q', 'config', 'set', 'limits.errors', '5'), '')
        with open('/dev/full', 'w') as full:
            p = subprocess.run([program('smtpadm'), '--root', self.root, 'config', 'show'], stdout=full, stderr=subprocess.PIPE) \
                if self.user is None else None
        if p is not None:
            self.assertEqual(p.returncode, 74)


class Queue(postern.Case):
    """A running instance with messages in it."""

    @classmethod
    def options(cls):
        return {'accounts': (BOB,)}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for sender, subject, lines in ((ALICE, 'first', 1), (ALICE, 'second', 70), (BOB, 'third', 2)):
            with cls.instance.client('submission', login=sender) as c:
                c.submit(message(subject, 'y' * 70 + '\r\n' + 'z\r\n' * lines, sender), sender,
                         ('rcpt@example.net', 'second@example.net'))

    def rows(self, *args):
        return self.instance.adm_json('queue', 'list', *args)

    def code(self, *args):
        return self.instance.run(*args).returncode

    def test_list(self):
        rows = self.rows('--all')
        self.assertEqual(len(rows), 3)
        for row in rows:
            self.assertEqual(list(row)[:6], ['v', 'queue_name', 'queue_id', 'arrival_time', 'message_size', 'sender'])
            self.assertLess(abs(row['arrival_time'] - time.time()), 600)
            self.assertEqual(row['state'], 'active')
            self.assertRegex(row['session_id'], '^[0-9a-f]{16}$')
            self.assertTrue(all('@' in r['address'] for r in row['recipients']))
        text = self.instance.adm('queue', 'list', '--all')
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertEqual(len(text.splitlines()), 4)

    def test_filters(self):
        first = self.rows('--all')[0]
        domain = first['recipients'][0]['address'].rpartition('@')[2]
        for args, n in ((('--id', first['queue_id']), 1), (('--account', ALICE), sum(r['account'] == ALICE for r in self.rows('--all'))),
                        (('--from', '*@EXAMPLE.org'), 3), (('--to', '*'), 3), (('--domain', domain), 3), (('--state', 'active'), 3),
                        (('--state', 'active', '--state', 'held'), 3), (('--newer', '1h'), 3), (('--size', '+1'), 3),
                        (('--size', '-1G', '--size', '+1'), 3), (('--all', '--limit', '2'), 2)):
            self.assertEqual(len(self.rows(*args)), n, args)
            if '--limit' not in args:
                self.assertEqual(self.instance.adm('queue', 'count', *args), '%d\n' % n)
        for args in (('--id', 'nope'), ('--state', 'held'), ('--older', '1h'), ('--size', '+1G'), ('--from', '<>'), ('--to', 'no'),
                     ('--account', ALICE, '--account', BOB, '--domain', 'no')):
            done = self.instance.run('queue', 'list', *args)
            self.assertEqual((done.returncode, done.stdout), (1, b''), args)
            self.assertEqual(self.code('queue', 'count', *args), 1)
        sizes = [r['message_size'] for r in self.rows('--all', '--sort', 'size')]
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        accounts = [r['account'] for r in self.rows('--all', '--sort', 'account')]
        self.assertEqual(accounts, sorted(accounts))

    def test_one(self):
        row = self.rows('--all')[0]
        name = row['queue_id']
        path = next(p for p in self.instance.names() if name in p)
        with open(path, 'rb') as f:
            data = f.read()
        cat = [self.instance.run('queue', 'cat', name, *a).stdout for a in ((), ('--envelope',), ('--headers',), ('--body',))]
        self.assertEqual(cat[0], data)
        self.assertEqual(b''.join(cat[1:]), data)
        self.assertEqual(len(cat[2]) + len(cat[3]), row['message_size'])
        self.assertTrue(cat[2].endswith(b'\r\n\r\n'))
        self.assertNotIn(b'Subject:', cat[1] + cat[3])
        self.assertIn(b'Subject:', cat[2])
        self.assertIn(name, self.instance.adm('queue', 'show', name))
        self.assertEqual(self.instance.adm_json('queue', 'show', name)[0], row)
        for verb in ('show', 'cat'):
            done = self.instance.run('-j', 'queue', verb, 'nope')
            self.assertEqual(done.returncode, 67)
            self.assertEqual(json.loads(done.stderr)['error']['name'], 'no_message')

    def test_status_and_reload(self):
        got = self.instance.adm_json('status')[0]
        self.assertEqual((got['running'], got['pid'], got['accounts'], got['queued']), (True, self.instance.master, 2, 3))
        self.assertIn('running', self.instance.adm('status'))
        before = self.instance.log().count('event=reload') + self.instance.log().count('reload')
        self.instance.adm('reload')
        self.assertTrue(postern.wait_for(lambda: self.instance.log().count('reload') > before, 3))
        done = self.instance.run('config', 'set', 'limits.errors', '19')
        self.assertIn(b'reload', done.stderr)

    def test_sandbox(self):
        done = self.instance.run('--json', 'selftest', 'sandbox', timeout=60 * SLOW)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([r for r in rows if r['result'] == 'absent'], [], done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        programs = {r['program'] for r in rows}
        self.assertLessEqual({'worker', 'auth', 'keys', 'spool'}, programs)
        for name in ('worker', 'postern-auth', 'postern-keys', 'postern-spool'):	# the running ones
            self.assertTrue(any(re.match(name + r'\[\d+\]$', p) for p in programs), name)
        self.assertEqual({r['result'] for r in rows if r['part'] == 'chroot' and '[' in r['program']}, {'ok'} if IS_ROOT else set())
        self.instance.adm('selftest', 'sandbox')

    def test_verify(self):
        """Last by name: one file is damaged."""
        self.assertEqual(self.code('queue', 'verify', '--all'), 0)
        path = self.instance.names()[-1]
        with open(path, 'r+b') as f:
            f.seek(-5, os.SEEK_END)
            kept = f.read(1)
            f.seek(-5, os.SEEK_END)
            f.write(b'#')
        try:
            done = self.instance.run('queue', 'verify', '--all')
            self.assertEqual(done.returncode, 65)
            self.assertIn(os.path.basename(path), done.stderr.decode())
            with open(path, 'r+b') as f:
                f.truncate(os.path.getsize(path) - 1)
            done = self.instance.run('-j', 'queue', 'list', '--all')
            self.assertEqual(done.returncode, 65)
            self.assertEqual(len(done.stdout.splitlines()), 3)
        finally:
            with open(path, 'ab') as f:
                f.write(b'\n')
            with open(path, 'r+b') as f:
                f.seek(-5, os.SEEK_END)
                f.write(kept)
        self.assertEqual(self.code('queue', 'verify', '--all'), 0)


def ordinary(case):
    """The same cases by a user without rights."""
    return type(case.__name__ + 'Ordinary', (case,), {'user': ORDINARY, '__module__': case.__module__})


if IS_ROOT:
    SetupOrdinary, PeopleOrdinary, ConfigOrdinary, GrammarOrdinary = map(ordinary, (Setup, People, Config, Grammar))

    class Denied(Admin):
        """A user without rights on root's instance."""

        def test_denied(self):
            self.setup()
            self.user = ORDINARY
            try:
                self.adm('--version')
            except (AssertionError, OSError):
                self.skipTest('the programs are out of reach for user %d' % ORDINARY)
            for args in (('account', 'list'), ('account', 'disable', ALICE), ('queue', 'list', '--all'), ('config', 'set', 'limits.errors', '5'),
                         ('config', 'check'), ('status',)):
                self.assertEqual(self.error(77, *args)['name'], 'not_allowed', args)
            self.on('config', 'show')


if __name__ == '__main__':
    main(limit=220)
