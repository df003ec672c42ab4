#!/usr/bin/env python3
"""smtpadm: setup, config and its grammar, as root and as an ordinary user."""
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys

sys.dont_write_bytecode = True
from admin import LISTEN, ORDINARY, Admin, ordinary  # noqa: E402
from postern import ALICE, BOB, HOST, IS_ROOT, PASSWORD, REPO, main, make_certificate, program  # noqa: E402

NOUNS = {'account': ('add', 'list', 'show', 'remove', 'disable', 'enable', 'passwd', 'limit', 'usage', 'logins', 'test'),
         'sender': ('add', 'list', 'remove', 'who', 'check'), 'credential': ('add', 'list', 'show', 'revoke', 'rotate'),
         'config': ('show', 'get', 'set', 'explain', 'check'), 'queue': ('list', 'count', 'summary', 'remove', 'show', 'cat', 'verify'),
         'completion': ('bash', 'zsh', 'fish'),
         'tls': ('show', 'check', 'reload'), 'selftest': ('sandbox', 'spool', 'tls'), 'setup': (), 'status': (), 'reload': ()}


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
        self.assertIn('postern.conf', self.refused(71, 'setup', '--self-signed'))

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
        os.unlink(self.path('postern.conf'))
        self.assertIn('(kept)', self.setup())
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
        self.assertEqual(sorted(os.listdir(elsewhere)), ['cur', 'failed', 'hold', 'new', 'state', 'tmp', 'trace'])

    def test_json(self):
        got = self.rows('setup', '--hostname', HOST, '--account', ALICE, '--self-signed', *LISTEN)[0]
        self.assertEqual(got['account']['action'], 'added')
        self.assertEqual(len(got['account']['password']), 24)
        self.assertEqual([x['kind'] for x in got['listeners']], ['submission', 'submissions', 'plain'])


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

    def test_set_json(self):
        for args, dry_run in ((('-n',), True), ((), False)):
            self.assertEqual(self.rows(*args, 'config', 'set', 'limits.errors', '7'),
                             [{'v': 1, 'key': 'limits.errors', 'value': '7', 'dry_run': dry_run}])

    def test_top_level_key_goes_before_the_first_section(self):
        self.write('# head\n\n[limits]\nerrors = 5\n')
        self.on('config', 'set', 'hostname', 'mx.example.org')
        self.assertEqual(self.read('postern.conf'), '# head\n\nhostname = mx.example.org\n[limits]\nerrors = 5\n')
        self.write('[limits]\nerrors = 5')
        self.on('config', 'set', 'replies', 'rfc')
        self.on('config', 'set', 'limits.recipients', '9')
        self.assertEqual(self.read('postern.conf'), 'replies = rfc\n[limits]\nerrors = 5\nrecipients = 9\n')

    def test_every_setting_can_be_set(self):
        examples = {'addresses': '192.0.2.53 ::1@5353', 'address': 'postmaster@example.org'}
        for row in self.rows('config', 'explain'):
            if row['key'].startswith(('listener.', 'certificate.', 'route.')):
                continue
            value = row.get('max') or row.get('words', '').split('|')[0] or row['default'] or examples.get(row['type'], 'x')
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

    def test_manual(self):
        """postern.conf(5) has each setting with its bounds and default."""
        with open(os.path.join(REPO, 'man', 'postern.conf.5')) as f:
            text = f.read()
        for row in self.rows('config', 'explain'):
            section, _, key = row['key'].rpartition('.')
            if section in ('listener.NAME', 'certificate.NAME', 'route.NAME'):
                self.assertIn('.It Cm %s\n' % key, text)
                continue
            part = text[text.index('.Ss [%s]' % section if section else '.Ss Before'):]
            part = re.split(r'\.It |\.El', part[part.index('.It Cm %s\n' % key) + 4:])[0]
            self.assertIn('Default: %s.\n' % (row['default'] or 'empty'), part)
            self.assertIn(row['help'], part)
            if 'min' in row:
                self.assertIn('from %s to %s.' % (row['min'], row['max']), part)

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

        for change, code, words in (
                (loose('tls', 'key.pem', mode=0o640), 77, 'chmod 600'), (loose('tls', mode=0o755), 77, 'chmod 700'),
                (loose('postern.conf', mode=0o666), 77, 'postern.conf'), (loose('spool', mode=0o755), 77, 'spool'),
                (loose('registry', mode=0o755), 77, 'registry'), (loose('run', 'empty', mode=0o755), 77, 'run/empty'),
                (loose('registry', 'registry.db', mode=0o644), 77, 'chmod 600'),
                (mismatch, 78, 'belong together'), (linked, 77, 'no link'), (litter, 78, 'empty'),
                (lambda: os.unlink(self.path('tls', 'certificate.pem')), 66, 'certificate.pem'),
                (lambda: os.unlink(self.path('tls', 'key.pem')), 66, 'key.pem'),
                (lambda: os.unlink(self.path('registry', 'registry.db')), 66, 'registry.db')):
            change()
            self.assertIn(words, self.refused(code, 'config', 'check'))
            self.error(code, 'config', 'check')
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

    def test_fixes_name_what_is_accepted(self):
        self.setup()
        for args, words in ((('queue', 'list', '--older', 'x'), '--older 5m'), (('queue', 'list', '--size', '5'), '+1M'),
                            (('queue', 'list', '--all', '--sort', 'foo'), '--sort size'), (('session', 'kill'), 'session list'),
                            (('queue', 'list', '--state', 'bogus'), '--state held'), (('credential', 'add', ALICE), '--name phone'),
                            (('queue', 'list', '--all', '--limit', 'x'), '--limit 20'),
                            (('account', 'clientconfig', ALICE, '--for', 'foo'), 'clientconfig ' + ALICE),
                            (('dkim', 'add', 'example.org', '--algorithm', 'foo'), '--algorithm rsa'),
                            (('status', '--color', 'foo'), '--color always'), (('status', '--time', 'foo'), '--time utc')):
            self.assertIn(words, self.error(64, *args)['fix'], args)
        self.on('account', 'add', BOB, '--stdin', input='x')
        self.assertIn('account show', self.error(73, 'account', 'rename', ALICE, BOB)['fix'])
        self.assertIn('letters', self.error(65, 'account', 'rename', ALICE, 'a b')['fix'])
        for args in (('queue', 'show', 'a', 'b'), ('queue', 'list', 'a')):
            self.assertNotIn('password', self.error(64, *args)['message'])
        self.assertIn('command line', self.error(64, 'account', 'passwd', ALICE, 'secret')['message'])

    def test_selftest_spool(self):
        self.setup()
        for args, first in (((), 'ok'), (('-n',), 'off')):
            rows = self.rows('selftest', 'spool', *args)
            self.assertEqual(rows[0]['result'], first)
            self.assertLessEqual({'write', 'space', 'lock'}, {r['part'] for r in rows})
            self.assertEqual(os.listdir(self.path('spool', 'tmp')), [])
        self.assertIn('rename', self.on('selftest', 'spool'))
        os.chmod(self.path('spool', 'tmp'), 0o500)	# for its owner, who never is root
        self.assertEqual(self.error(1, 'selftest', 'spool')['name'], 'fault')
        self.assertIn('"part":"write","result":"fault"', self.on('-j', 'selftest', 'spool', code=1))

    def test_selftest_tls(self):
        self.setup()
        rows = self.rows('selftest', 'tls')
        self.assertEqual([(r['part'], r['result']) for r in rows], [('pair', 'ok'), ('TLSv1.2', 'ok'), ('TLSv1.3', 'ok')])
        with open(self.path('tls', 'key.pem'), 'wb') as f:
            f.write(subprocess.run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'], check=True,
                                   stdout=subprocess.PIPE).stdout)
        self.assertEqual(self.error(1, 'selftest', 'tls')['name'], 'fault')
        self.assertIn('"part":"pair","result":"fault"', self.on('-j', 'selftest', 'tls', code=1))

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
        self.assertIn('account limit ACCOUNT [LIMIT=N...]', text)
        self.assertIn('thunderbird', self.adm('account', 'clientconfig', '--help'))
        self.assertNotIn('2h', self.adm('account', 'clientconfig', '--help'))
        self.assertNotIn('thunderbird', self.adm('ban', 'add', '--help'))
        self.assertNotIn('import', self.adm('queue', 'list', '--help'))
        self.assertIn('passwd|dovecot|csv', self.adm('user', 'import', '--help'))
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


if IS_ROOT:
    SetupOrdinary, ConfigOrdinary, GrammarOrdinary = map(ordinary, (Setup, Config, Grammar))

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
    main()
