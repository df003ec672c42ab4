#!/usr/bin/env python3
"""smtpadm: accounts, senders, and the queue of a running instance, as root and as an ordinary user."""
import glob
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import postern  # noqa: E402
from admin import Admin, ordinary  # noqa: E402
from postern import ALICE, BOB, IS_ROOT, PASSWORD, SLOW, main, message, program  # noqa: E402


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

    def test_who_may_send(self):
        self.on('account', 'add', BOB, '--stdin', input='x')
        self.on('sender', 'add', BOB, '*@example.net', 'bob+*@example.org', '<>')
        self.assertEqual([r['account'] for r in self.rows('sender', 'who', ALICE.upper())], [ALICE])
        self.assertEqual([r['sender'] for r in self.rows('sender', 'who', 'x@example.net')], ['*@example.net'])
        self.assertEqual(self.on('sender', 'who', 'x@example.com', code=1), '')
        self.assertIn(BOB, self.on('sender', 'who', '<>'))
        for address, pattern in (('any@EXAMPLE.net', '*@example.net'), ('bob+x@example.org', 'bob+*@example.org'), ('<>', '<>')):
            row = self.rows('sender', 'check', BOB, address)[0]
            self.assertEqual((row['allowed'], row['pattern']), (True, pattern))
        self.assertIn('"allowed":false,"pattern":null', self.on('-j', 'sender', 'check', ALICE, BOB, code=1))
        self.error(65, 'sender', 'check', ALICE, 'nonsense')
        self.error(65, 'sender', 'who', 'nonsense')
        self.error(67, 'sender', 'check', 'nobody', ALICE)
        self.on('account', 'disable', BOB)
        self.assertIn('disabled', self.on('sender', 'check', BOB, BOB, code=1))
        self.assertIn('disabled', self.on('sender', 'who', BOB, code=1))

    def test_password_is_tried(self):
        self.on('credential', 'add', ALICE, '--name', 'phone', '--stdin', input='phoned')
        self.on('credential', 'add', ALICE, '--name', 'old', '--stdin', '--expires', '1s', input='expires')
        for password, code, result, name in ((PASSWORD, 0, 'right', 'password'), ('phoned', 0, 'right', 'phone'), ('x', 1, 'wrong', None)):
            text = self.on('-j', 'account', 'test', ALICE, '--stdin', input=password + '\n', code=code)
            row = json.loads(text)
            self.assertEqual((row['result'], row['credential'], row['accepted']), (result, name, code == 0))
            self.assertNotIn(password + '\n', self.on('account', 'test', ALICE, '--stdin', input=password, code=code))
        time.sleep(1.2)
        self.assertIn('expired', self.on('account', 'test', ALICE, '--stdin', input='expires', code=1))
        self.on('account', 'disable', ALICE)
        self.assertIn('disabled', self.on('account', 'test', ALICE, '--stdin', input='phoned', code=1))
        self.error(67, 'account', 'test', 'nobody', '--stdin', input='x')
        self.error(64, 'account', 'test', ALICE)
        self.assertEqual({r['used_time'] for r in self.rows('account', 'logins', ALICE)}, {0})
        row = self.rows('credential', 'show', ALICE, '--name', 'PHONE')[0]
        self.assertEqual((row['name'], row['kind'], row['method']), ('phone', 'app', 'yescrypt'))
        self.assertNotIn('$', self.on('credential', 'show', ALICE, '--name', 'phone'))
        self.error(67, 'credential', 'show', ALICE, '--name', 'none')
        self.error(64, 'credential', 'show', ALICE)
        for word in ('rm', 'del', 'delete', 'remove', 'drop'):
            self.on('creds', word, ALICE, '--name', 'phone', '-n')
        self.on('credential', 'rm', ALICE, '--name', 'phone')
        self.error(67, 'credential', 'rm', ALICE, '--name', 'phone')

    def test_dry_run_makes_no_password(self):
        for args in (('account', 'add', BOB, '--generate'), ('account', 'passwd', ALICE, '--generate'),
                     ('credential', 'add', ALICE, '--name', 'x'), ('credential', 'rotate', ALICE, '--name', 'password')):
            self.assertEqual(self.on('-n', *args), '', args)
            self.assertNotIn('password', self.rows('-n', *args)[0], args)

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
            self.assertEqual(self.error(65, *args)['name'], 'newer_version')

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

    def typed(self, lines, *args):
        """On a terminal: (exit code, all that it showed)."""
        master, slave = pty.openpty()
        who = {} if self.user is None else {'user': self.user, 'group': self.user, 'extra_groups': []}
        p = subprocess.Popen([program('smtpadm'), '--root', self.root, *args], stdin=slave, stdout=slave, stderr=slave,
                             cwd=self.base, start_new_session=True, **who)
        os.close(slave)
        shown = b''
        for line in lines:
            while not re.search(rb'(: |\] )$', shown):
                shown += os.read(master, 1000)
            time.sleep(0.05)	# until the echo is off
            os.write(master, line.encode() + b'\n')
            shown += b'|'
        try:
            while True:
                more = os.read(master, 1000)
                if not more:
                    break
                shown += more
        except OSError:
            pass
        os.close(master)
        return p.wait(10 * SLOW), shown.decode()

    def test_terminal(self):
        code, shown = self.typed((PASSWORD, PASSWORD), 'account', 'add', BOB)
        self.assertEqual(code, 0, shown)
        self.assertNotIn(PASSWORD, shown)
        code, shown = self.typed((PASSWORD, 'other'), 'account', 'passwd', BOB)
        self.assertEqual(code, 65, shown)
        self.assertEqual(self.typed(('n',), 'account', 'remove', BOB)[0], 1)
        self.on('account', 'show', BOB)
        self.assertEqual(self.typed(('y',), 'account', 'remove', BOB)[0], 0)
        self.error(67, 'account', 'show', BOB)
        self.on('account', 'add', BOB, '--generate')
        self.assertEqual(self.typed((), 'account', 'remove', BOB, '--yes')[0], 0)


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


if IS_ROOT:
    PeopleOrdinary = ordinary(People)


if __name__ == '__main__':
    main()
