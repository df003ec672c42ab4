#!/usr/bin/env python3
"""People, from end to end: app passwords, limits, rename, import and export, better hashes, the throttle, bans."""
import csv
import glob
import io
import os
import signal
import sqlite3
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import postern  # noqa: E402
from admin import Admin, ordinary  # noqa: E402
from postern import ALICE, BOB, IS_ROOT, PASSWORD, SLOW, main, message, wait_for  # noqa: E402

SHA512 = '$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/'
V1 = '''
    DROP TABLE ban; DROP TABLE scope; DROP TABLE IF EXISTS domain; DROP INDEX credential_local;
    ALTER TABLE credential DROP COLUMN canary; ALTER TABLE credential DROP COLUMN local_user;
    ALTER TABLE credential DROP COLUMN local_uid; ALTER TABLE credential DROP COLUMN max_recipients;
    ALTER TABLE credential DROP COLUMN max_message_size; ALTER TABLE credential DROP COLUMN max_messages_per_hour;
    ALTER TABLE account DROP COLUMN max_messages_per_hour; ALTER TABLE account DROP COLUMN contained_us;
    ALTER TABLE account DROP COLUMN contained_reason;
    ALTER TABLE account DROP COLUMN max_sessions; ALTER TABLE account DROP COLUMN max_recipients;
    ALTER TABLE account DROP COLUMN max_message_size;
    ALTER TABLE credential DROP COLUMN kind; ALTER TABLE credential DROP COLUMN expires_us;
    ALTER TABLE credential DROP COLUMN device; ALTER TABLE credential DROP COLUMN used_us;
    ALTER TABLE credential DROP COLUMN used_network; PRAGMA user_version = 1'''


def crypt(method, password=PASSWORD):
    return subprocess.run(['openssl', 'passwd', method, '-salt', 'abcdefgh', password], check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()


class Running(postern.Case):
    """A running instance; each test has an account of its own where it changes one."""

    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {'auth.failure_delay': '100ms', 'auth.remember': '0s', 'workers.crash_ban': '60s',
                                                 'auth.throttle_after': 12, 'auth.throttle_time': '1h'}}

    def adm(self, *args, **more):
        return self.instance.adm(*args, **more)

    def rows(self, *args):
        return self.instance.adm_json(*args)

    def person(self, name):
        self.adm('account', 'add', name, '--stdin', input=PASSWORD)
        return name

    def client(self, source=None):
        return self.instance.client('plain', source=source)

    def try_login(self, user, password=PASSWORD, source=None):
        """The code of the answer."""
        with self.client(source) as c:
            return int(c.login(user, password, codes=())[0][:3])

    def test_app_passwords(self):
        who = self.person('carol@example.org')
        made = self.adm('credential', 'add', who, '--name', 'phone').strip()
        self.assertEqual(len(made), 24)
        self.adm('credential', 'add', who, '--name', 'printer', '--stdin', input='typed in')
        for password in (PASSWORD, made, 'typed in'):
            self.assertEqual(self.try_login(who, password), 235)
        rows = {r['name']: r for r in wait_for(lambda: self.used(who, 3), 5)}
        self.assertEqual([rows[n]['kind'] for n in ('password', 'phone', 'printer')], ['main', 'app', 'app'])
        self.assertEqual(rows['phone']['used_network'], '127.0.0.1/32')
        self.assertLess(abs(rows['phone']['used_time'] - time.time()), 60)
        with self.client() as c, self.client() as other:
            c.login(who, made)
            other.login(who, 'typed in')
            c.command('MAIL FROM:<%s>' % who, 250)
            self.adm('credential', 'revoke', who, '--name', 'phone')
            self.assertIn('530', c.command('RCPT TO:<x@example.net>')[0])	# felt at the next command
            other.submit(message('still', sender=who), who)
        self.assertEqual(self.try_login(who, made), 535)
        new = self.rows('credential', 'rotate', who, '--name', 'printer')[0]['password']
        self.assertEqual((self.try_login(who, 'typed in'), self.try_login(who, new)), (535, 235))

    def used(self, who, n):
        rows = self.rows('credential', 'list', who)
        return rows if sum(r['used_time'] != 0 for r in rows) == n else None

    def test_expiry(self):
        who = self.person('dave@example.org')
        made = self.adm('credential', 'add', who, '--name', 'short', '--expires', '2s').strip()
        with self.client() as c:
            c.login(who, made)
            c.command('MAIL FROM:<%s>' % who, 250)
            self.assertTrue(wait_for(lambda: c.command('RSET', 250) and '530' in c.command('MAIL FROM:<%s>' % who)[0], 6, 0.3))
        self.assertEqual(self.try_login(who, made), 535)
        self.adm('credential', 'rotate', who, '--name', 'short', '--expires', 'never', '--stdin', input=made)
        self.assertEqual(self.try_login(who, made), 235)

    def test_rename(self):
        who, name = self.person('erin@example.org'), 'erin.new@example.org'
        with self.client() as c:
            c.login(who)
            self.adm('account', 'rename', who, name)
            c.submit(message('old', sender=who), who)
            c.submit(message('new', sender=name), name)
        self.assertEqual((self.try_login(who), self.try_login(name)), (535, 235))
        self.assertEqual(self.instance.run('account', 'rename', name, ALICE).returncode, 73)
        self.assertEqual(self.instance.run('account', 'rename', 'nobody', 'x').returncode, 67)
        self.assertEqual(self.instance.run('account', 'rename', name, 'a b').returncode, 65)

    def test_limits(self):
        who = self.person('frank@example.org')
        with self.client() as c:
            c.login(who)
            self.adm('account', 'limit', who, 'recipients=2', 'message_size=2K')
            self.assertEqual(self.rows('account', 'show', who)[0]['limits'], {'recipients': 2, 'message_size': 2048})
            c.command('MAIL FROM:<%s>' % who, 250)
            c.command('RCPT TO:<a@example.net>', 250)
            c.command('RCPT TO:<b@example.net>', 250)
            self.assertIn('452', c.command('RCPT TO:<c@example.net>')[0])
            c.command('RSET', 250)
            self.assertIn('552', c.command('MAIL FROM:<%s> SIZE=2049' % who)[0])
            c.submit(message('small', b'x' * 70 + b'\r\n', who), who)
            c.submit(message('big', (b'x' * 70 + b'\r\n') * 40, who), who, codes=(552,))
            c.submit(message('again', sender=who), who)
            self.adm('account', 'limit', who, 'recipients=default', 'message_size=default', 'sessions=1')
            c.submit(message('big', (b'x' * 70 + b'\r\n') * 40, who), who)
            self.assertEqual(self.try_login(who), 500)
        self.assertTrue(wait_for(lambda: self.try_login(who) == 235, 5))
        for bad, code in (('recipients=0', 65), ('recipients=10001', 65), ('sessions=x', 65), ('colour=1', 64), ('sessions', 64)):
            self.assertEqual(self.instance.run('account', 'limit', who, bad).returncode, code, bad)

    def test_better_hashes(self):
        """Old hashes are replaced at a good login, and running sessions do not notice."""
        bcrypt = '$2b$04$abcdefghijklmnopqrstuuAs6T84s7NlKypOBGPGXjGPTfuSP2sdO'
        for name, hash in (('sha@example.org', crypt('-6')), ('sha256@example.org', crypt('-5'))):
            self.adm('account', 'add', name, '--hash-stdin', input=hash)
            self.assertIn(hash, self.adm('account', 'export'))
            self.assertEqual(self.try_login(name, 'wrong'), 535)
            with self.client() as c:
                c.login(name)
                self.assertTrue(wait_for(lambda: hash not in self.adm('account', 'export'), 5))
                self.assertEqual(self.rows('credential', 'list', name)[0]['method'], 'yescrypt')
                c.submit(message('rehashed', sender=name), name)
            self.assertEqual((self.try_login(name), self.try_login(name, 'wrong')), (235, 535))
        self.adm('account', 'add', 'bf@example.org', '--hash-stdin', input=bcrypt)
        self.assertEqual(self.rows('credential', 'list', 'bf@example.org')[0]['method'], 'bcrypt')

    def test_throttle(self):
        """Guesses refuse their own network; others, and accounts that are at home there, go on."""
        who = self.person('grace@example.org')
        self.assertEqual(self.try_login(who, source='127.0.0.2'), 235)
        codes = [self.try_login('nobody%d' % i, 'guess', '127.0.0.2') for i in range(14)]
        self.assertEqual(codes, [535] * 12 + [450] * 2)
        self.assertEqual(self.try_login(BOB, source='127.0.0.2'), 450)	# right, but not known there
        self.assertEqual(self.try_login(who, source='127.0.0.2'), 235)	# known there
        self.assertEqual(self.try_login(BOB, source='127.0.0.1'), 235)
        self.assertTrue(self.instance.logged(r'event=login.throttled network=127.0.0.2/32'))
        # A known account is not a way to guess on.
        codes = [self.try_login(who, 'guess %d' % i, '127.0.0.2') for i in range(14)]
        self.assertEqual(codes, [535] * 12 + [450] * 2)
        # An admin's word spares the network.
        self.adm('ban', 'allow', '127.0.0.2')
        self.assertTrue(wait_for(lambda: self.try_login(BOB, source='127.0.0.2') == 235, 4, 0.2))
        self.adm('ban', 'remove', '127.0.0.2')
        self.assertTrue(wait_for(lambda: self.try_login('nobody', 'x', '127.0.0.2') == 450, 4, 0.2))

    def greeting(self, source):
        try:
            c = postern.Client(('127.0.0.1', self.instance.port('plain')), source=source)
        except OSError:
            return None
        with c:
            return c.reply()[0]

    def test_bans(self):
        with self.client('127.0.0.5') as before:
            self.adm('ban', 'add', '127.0.0.4/31', '--reason', 'guesses', '--for', '1h')
            began = time.monotonic()
            self.assertTrue(wait_for(lambda: self.greeting('127.0.0.5') == 554, 2, 0.1))
            self.assertLess(time.monotonic() - began, 2 * SLOW)
            self.assertEqual(int(before.login(BOB, codes=())[0][:3]), 450)	# a session from before, too
        self.assertEqual(self.greeting('127.0.0.6'), 220)
        self.adm('ban', 'allow', '127.0.0.5')
        self.assertTrue(wait_for(lambda: self.greeting('127.0.0.5') == 220, 2, 0.1))
        self.assertEqual(self.greeting('127.0.0.4'), 554)
        rows = {r['network']: r for r in self.rows('ban', 'list')}
        self.assertEqual((rows['127.0.0.4/31']['kind'], rows['127.0.0.4/31']['reason']), ('ban', 'guesses'))
        self.assertLess(abs(rows['127.0.0.4/31']['until_time'] - time.time() - 3600), 60)
        self.assertEqual((rows['127.0.0.5/32']['kind'], rows['127.0.0.5/32']['until_time']), ('allow', 0))
        # A new auth tells the master all of it again.
        os.kill(self.instance.kind('postern-auth')[0].pid, signal.SIGKILL)
        self.assertTrue(wait_for(lambda: self.greeting('127.0.0.6') == 220 and self.greeting('127.0.0.4') == 554, 8, 0.3))
        self.adm('ban', 'remove', '127.0.0.4/31', '127.0.0.5')
        self.assertTrue(wait_for(lambda: self.greeting('127.0.0.4') == 220, 2, 0.1))
        self.adm('ban', 'add', '127.0.0.4', '--for', '3s')
        self.assertTrue(wait_for(lambda: self.greeting('127.0.0.4') == 554, 2, 0.05))
        self.assertTrue(wait_for(lambda: self.greeting('127.0.0.4') == 220, 6, 0.2))
        self.assertEqual(self.rows('ban', 'list'), [])


class Restarted(postern.Case):
    def test_known_after_restart_and_old_registry(self):
        """An older registry is brought up to date by postern-auth; known networks outlive it."""
        self.instance.set(auth__failure_delay='100ms', auth__throttle_after=3)
        self.instance.stop()
        for path in (os.path.join(self.instance.root, 'registry', 'registry.db'),):
            db = sqlite3.connect(path)
            db.executescript(V1)
            db.close()
        self.instance.start()
        with self.instance.client('plain', login=ALICE):
            pass
        self.assertTrue(wait_for(lambda: self.instance.adm_json('credential', 'list', ALICE)[0]['used_time'], 5))
        self.instance.stop()
        self.instance.start()
        codes = []
        for user in ('x', 'y', 'z', 'nobody', ALICE):
            with self.instance.client('plain') as c:
                codes.append(int(c.login(user, 'guess' if user != ALICE else PASSWORD, codes=())[0][:3]))
        self.assertEqual(codes, [535, 535, 535, 450, 235])


class Files(Admin):
    """import, export and the rest of the commands on an instance that does not run."""

    def setUp(self):
        super().setUp()
        self.setup()

    def file(self, text, name='people'):
        path = os.path.join(self.base, name)
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    def names(self):
        return [r['account'] for r in self.rows('account', 'list')]

    def test_import_forms(self):
        got = self.rows('account', 'import', self.file('# people\nuser1:%s\n\nuser2@example.org:%s:1000:1000::/home:\r\n'
                                                       % (SHA512, SHA512)), '--from', 'passwd', '--domain', 'example.org')[0]
        self.assertEqual((got['accounts'], got['credentials'], got['senders']), (2, 2, 2))
        self.on('account', 'import', self.file('u3@example.org:{SHA512-CRYPT}%s:::::\nu4:{plain}s3cret\n' % SHA512), '--from', 'dovecot')
        self.assertEqual(self.names(), [ALICE, 'u3@example.org', 'u4', 'user1@example.org', 'user2@example.org'])
        self.assertEqual(self.rows('credential', 'list', 'u4')[0]['method'], 'yescrypt')
        text = ('\ufeffaccount,hash,credential,senders,state,recipients,message_size,expires\r\n'
                '"five@example.org",%s,,five@example.org *@five.example <>,disabled,5,1M,\r\n'
                'five@example.org,%s,phone,,,,,2031-01-02T03:04:05Z\r\nsix,,,"""a b""@example.org",,,,\r\n' % (SHA512, SHA512))
        self.on('account', 'import', '-', input=text)
        five = self.rows('account', 'show', 'five@example.org')[0]
        self.assertEqual((five['state'], five['limits']), ('disabled', {'recipients': 5, 'message_size': 1 << 20}))
        self.assertEqual({s['pattern'] for s in five['senders']}, {'five@example.org', '*@five.example', '<>'})
        self.assertEqual([(c['name'], c['expires_time']) for c in five['credentials']], [('password', 0), ('phone', 1925089445)])
        six = self.rows('account', 'show', 'six')[0]
        self.assertEqual((six['credentials'], six['senders']), ([], [{'pattern': '"a b"@example.org'}]))

    def test_import_errors(self):
        """The line is named, and nothing is written."""
        head = 'account,hash,senders\n'
        good = 'new@example.org,%s,\n' % SHA512
        for form, text, line, code in (
                ('csv', head + good + 'a b,%s,\n' % SHA512, 3, 65), ('csv', head + good + good, 3, 65),
                ('csv', head + good + 'x,notahash,\n', 3, 65), ('csv', head + good + 'x,%s\n' % SHA512, 3, 65),
                ('csv', head + good + 'x,%s,a@b@c\n' % SHA512, 3, 65), ('csv', head + good + '"x,%s,\n' % SHA512, 3, 65),
                ('csv', head + good + '%s,%s,\n' % (ALICE.upper(), SHA512), 3, 73), ('csv', 'account,color\n', 1, 65),
                ('csv', head + good + '\n\n,%s,\n' % SHA512, 5, 65), ('csv', head + good + '"x"y,,\n', 3, 65),
                ('passwd', 'x:%s\nline\n' % SHA512, 2, 65), ('passwd', 'x:%s\ny:*:\n' % SHA512, 2, 65),
                ('passwd', 'x:%s\nx:%s\n' % (SHA512, SHA512), 2, 65),
                ('dovecot', 'x:{PLAIN}p\ny:{CRAM-MD5}00\n', 2, 65), ('dovecot', 'x:{PLAIN}p\ny:{PLAIN}\n', 2, 65)):
            found = self.error(code, 'account', 'import', self.file(text), '--from', form)
            self.assertRegex(found['message'], r'people:%d: ' % line, text)
            self.assertIn('line %d ' % line, found['fix'])
            self.assertEqual(self.names(), [ALICE], text)
        self.assertTrue(self.error(66, 'account', 'import', '/nonexistent')['fix'])
        self.assertIn('dovecot', self.error(64, 'account', 'import', self.file('x'), '--from', 'ldap')['fix'])
        self.assertTrue(self.error(65, 'account', 'import', self.file(''))['fix'])
        self.assertTrue(self.error(65, 'account', 'import', self.file('account,hash\n'))['fix'])
        self.on('-n', 'account', 'import', self.file(head + good))
        self.assertEqual(self.names(), [ALICE])

    def many(self, n, senders):
        rows = ['account,hash,senders']
        for i in range(n):
            name = 'user%04d@example.org' % i
            rows.append('%s,%s,%s' % (name, SHA512, ' '.join([name] + ['u%04d.%d@example.org' % (i, k) for k in range(1, senders)])))
        return self.file('\n'.join(rows) + '\n', 'many.csv')

    def test_many(self):
        """1,000 accounts and 5,000 senders in under 5 s; what is exported is imported again as it was."""
        path = self.many(1000, 5)
        began = time.monotonic()
        got = self.rows('account', 'import', path)[0]
        self.assertLess(time.monotonic() - began, 5 * SLOW)
        self.assertEqual((got['accounts'], got['senders']), (1000, 5000))
        self.on('credential', 'add', 'user0007@example.org', '--name', 'phone', '--expires', '30d')
        self.on('account', 'limit', 'user0008@example.org', 'sessions=3', 'message_size=3M')
        self.on('account', 'disable', 'user0009@example.org')
        self.on('sender', 'remove', 'user0010@example.org', 'user0010@example.org')
        text = self.on('account', 'export')
        self.assertEqual(len(list(csv.reader(io.StringIO(text)))), 1003)
        self.root = os.path.join(self.base, 'second')
        self.setup()
        self.on('account', 'remove', ALICE)
        self.on('account', 'import', self.file(text, 'export.csv'))
        self.assertEqual(self.on('account', 'export'), text)
        self.assertEqual(len(self.rows('account', 'export')), 1001)

    def test_killed_import(self):
        """kill -9 at any moment leaves all or nothing."""
        path = self.many(1000, 5)
        seen = set()
        for delay in (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
            p = self.popen('--root', self.root, 'account', 'import', path)
            time.sleep(delay * SLOW)
            p.kill()
            p.communicate()
            seen.add(len(self.names()))
            if seen - {1}:
                break
        self.assertLessEqual(seen, {1, 1001})

    def test_credentials(self):
        self.assertEqual(self.error(64, 'credential', 'add', ALICE)['name'], 'usage')
        self.on('credential', 'add', ALICE, '--name', 'phone')
        self.assertEqual(self.error(73, 'credential', 'add', ALICE, '--name', 'Phone')['name'], 'exists')
        self.error(73, 'credential', 'add', ALICE, '--name', 'password')
        self.error(65, 'credential', 'add', ALICE, '--name', 'a b')
        self.error(67, 'credential', 'add', BOB, '--name', 'phone')
        self.error(67, 'credential', 'rotate', ALICE, '--name', 'nothing')
        self.error(67, 'credential', 'revoke', ALICE, '--name', 'nothing')
        self.error(64, 'credential', 'add', ALICE, '--name', 'x', '--expires', 'soon')
        before = self.on('-j', 'credential', 'list', ALICE)
        self.on('-n', 'credential', 'add', ALICE, '--name', 'x')
        self.on('-n', 'credential', 'rotate', ALICE, '--name', 'phone')
        self.on('-n', 'credential', 'revoke', ALICE, '--name', 'phone')
        self.assertEqual(self.on('-j', 'credential', 'list', ALICE), before)
        for i in range(14):
            self.on('credential', 'add', ALICE, '--name', 'n%d' % i, '--hash-stdin', input=SHA512)
        self.assertEqual(self.error(65, 'credential', 'add', ALICE, '--name', 'n99', '--hash-stdin', input=SHA512)['name'], 'too_many')
        text = self.on('app-password', 'ls', ALICE)
        self.assertEqual(len(text.splitlines()), 17)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertNotIn('$', text)

    def test_bans(self):
        for bad in ('nonsense', '192.0.2.1/24', '192.0.2.0/33', '', '::1/129'):
            self.assertEqual(self.error(65, 'ban', 'add', bad)['name'], 'bad_network', bad)
        self.error(64, 'ban', 'add', '192.0.2.1', '--for', 'long')
        self.error(67, 'ban', 'remove', '192.0.2.1')
        for wide in ('0.0.0.0/0', '::/0', '10.0.0.0/7', '127.0.0.0/8', '2000::/15', '::/96'):
            found = self.error(64, 'ban', 'add', wide)
            self.assertIn('--yes', found['fix'], wide)
        self.on('ban', 'add', '0.0.0.0/0', '--yes')
        self.on('ban', 'rm', '0.0.0.0/0')
        self.on('ban', 'add', '192.0.2.0/24', '2001:db8::/32', '--reason', 'caf\u00e9')
        self.on('-n', 'ban', 'add', '198.51.100.7')
        self.error(67, 'ban', 'remove', '192.0.2.0/24', '198.51.100.7')	# all or nothing
        self.assertEqual([r['network'] for r in self.rows('ban', 'list')], ['192.0.2.0/24', '2001:db8::/32'])
        self.on('ban', 'allow', '192.0.2.0/24')
        self.assertEqual([r['kind'] for r in self.rows('ban', 'list')], ['ban', 'allow'])
        self.on('ban', 'rm', '192.0.2.0/24', '2001:db8::/32')
        self.assertEqual(self.on('ban', 'list'), '')
        words = ['10.%d.%d.0/24' % (i // 250, i % 250) for i in range(1000)]
        for i in range(0, 1000, 500):
            self.on('ban', 'add', *words[i:i + 500])
        self.assertEqual(self.error(65, 'ban', 'add', '192.0.2.1')['name'], 'too_many')

    def test_old_registry(self):
        self.on('credential', 'add', ALICE, '--name', 'phone')
        db = sqlite3.connect(self.path('registry', 'registry.db'))
        db.executescript(V1)
        db.close()
        rows = self.rows('credential', 'list', ALICE)
        self.assertEqual([(r['name'], r['kind'], r['expires_time']) for r in rows], [('password', 'main', 0), ('phone', 'app', 0)])
        self.on('ban', 'add', '192.0.2.1')

    def test_two_admins(self):
        many = [self.popen('--root', self.root, 'credential', 'add', ALICE, '--name', 'n%d' % i) for i in range(6)]
        for p in many:
            _, err = p.communicate(timeout=30 * SLOW)
            self.assertEqual(p.returncode, 0, err)
        self.assertEqual(len(self.rows('credential', 'list', ALICE)), 7)
        with sqlite3.connect(self.path('registry', 'registry.db'), isolation_level=None) as db:
            db.execute('BEGIN IMMEDIATE')
            for args in (('ban', 'add', '192.0.2.1'), ('account', 'import', self.file('account,hash\nx,%s\n' % SHA512))):
                self.assertEqual(self.error(75, *args)['name'], 'locked')
            db.execute('ROLLBACK')
        db.close()


class FullDisk(Admin):
    """The registry on a disk of its own that is full: a clear error, nothing half-written, and service again."""

    def setUp(self):
        if not IS_ROOT:
            self.skipTest('mounting needs root')
        super().setUp()
        self.setup()
        folder = self.path('registry')
        self.away = folder + '.away'
        os.rename(folder, self.away)
        os.mkdir(folder)
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', folder]).returncode != 0:
            os.rmdir(folder)
            self.skipTest('tmpfs can not be mounted here')
        owner = os.stat(self.away)
        os.chown(folder, owner.st_uid, owner.st_gid)
        os.chmod(folder, 0o700)
        for path in glob.glob(self.away + '/*'):
            subprocess.run(['cp', '-p', path, folder], check=True)

    def tearDown(self):
        subprocess.run(['umount', self.path('registry')])
        super().tearDown()

    def test_full(self):
        filler = self.path('registry', 'filler')
        subprocess.run(['dd', 'if=/dev/zero', 'of=' + filler, 'bs=4k'], stderr=subprocess.DEVNULL)
        os.truncate(filler, os.path.getsize(filler) - 40960)	# some room: the first changes succeed
        done = 0
        for i in range(1, 40):
            code, _, err = self.run_adm('--root', self.root, 'account', 'limit', ALICE, 'sessions=%d' % i)
            if code != 0:
                self.assertEqual(code, 74, err)
                self.assertIn('disk is full', err)
                break
            done = i
        self.assertLess(done, 39)
        self.assertEqual(self.rows('account', 'show', ALICE)[0]['limits'], {'sessions': done} if done else {})
        os.unlink(filler)
        self.on('account', 'limit', ALICE, 'sessions=77')
        path = os.path.join(self.base, 'many')
        with open(path, 'w') as f:
            f.write('account,hash\n' + ''.join('u%d@example.org,%s\n' % (i, SHA512) for i in range(4000)))
        before = self.on('account', 'export')
        self.assertEqual(self.error(74, 'account', 'import', path)['name'], 'disk_full')
        self.assertEqual(self.on('account', 'export'), before)
        self.on('account', 'limit', ALICE, 'sessions=78')


if IS_ROOT:
    FilesOrdinary = ordinary(Files)


if __name__ == '__main__':
    main()
