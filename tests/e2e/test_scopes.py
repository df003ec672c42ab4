#!/usr/bin/env python3
"""Credentials that are narrowed, from end to end: senders, recipients, networks, limits, canaries, those of local users; an account
in wrong hands; an account's new name in running sessions."""
import csv
import io
import json
import os
import pwd
import sys

sys.dont_write_bytecode = True
import postern  # noqa: E402
from admin import Admin, ordinary  # noqa: E402
from postern import ALICE, BOB, PASSWORD, main, message, wait_for  # noqa: E402

USER = 'daemon'		# which every system has


class Running(postern.Case):
    """A running instance; each test has an account of its own."""

    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {'auth.failure_delay': '100ms', 'auth.remember': '0s', 'auth.throttle_after': 6,
                                                 'auth.throttle_time': '1h'}}

    def adm(self, *args, **more):
        return self.instance.adm(*args, **more)

    def person(self, name):
        self.adm('account', 'add', name, '--stdin', input=PASSWORD)
        return name

    def client(self, source=None):
        return self.instance.client('plain', source=source)

    def try_login(self, user, password=PASSWORD, source=None):
        with self.client(source) as c:
            return int(c.login(user, password, codes=())[0][:3])

    def test_senders_and_recipients(self):
        who = self.person('shop@example.org')
        self.adm('sender', 'add', who, '*@shop.example')
        made = self.adm('credential', 'add', who, '--name', 'web', '--sender', 'orders@shop.example', '--rcpt', '*@example.org',
                        '--rcpt', 'boss@example.net').strip()
        with self.client() as c:
            c.login(who, made)
            self.assertIn('553', c.command('MAIL FROM:<%s>' % who)[0])
            c.command('MAIL FROM:<orders@shop.example>', 250)
            self.assertRegex(c.command('RCPT TO:<x@example.net>')[0], r'550 5\.7\.1 Requested action not taken: mailbox unavailable; .*'
                             r'credential change')
            c.command('RCPT TO:<boss@example.net>', 250)
            c.command('RCPT TO:<any@example.org>', 250)
            c.command('DATA', 354)
            c.send(message('as another', sender=who) + b'.\r\n')
            self.assertEqual(c.reply()[0], 553)		# the header From, too
            c.submit(message('as itself', sender='orders@shop.example'), 'orders@shop.example', ('any@example.org',))
            # A change is felt at the next command; the password stays.
            self.adm('credential', 'change', who, '--name', 'web', '--rcpt', '*@example.net', '--sender', 'any')
            c.command('MAIL FROM:<%s>' % who, 250)
            c.command('RCPT TO:<x@example.net>', 250)
            self.assertIn('550', c.command('RCPT TO:<any@example.org>')[0])
        # The account's own password is not narrowed.
        with self.client() as c:
            c.login(who)
            c.submit(message('free', sender=who), who, ('x@example.com',))

    def test_networks(self):
        who = self.person('scanner@example.org')
        made = self.adm('credential', 'add', who, '--name', 'hall', '--net', '127.4.0.0/16', '--device').strip()
        self.assertEqual(self.try_login(who, made, '127.4.0.9'), 235)
        self.assertEqual(self.try_login(who, made, '127.5.0.9'), 535)
        self.assertTrue(self.instance.logged('event=login.failed.*user=%s.*reason=network' % who))
        with self.client('127.4.0.9') as c:
            c.login(who, made)
            self.adm('credential', 'change', who, '--name', 'hall', '--net', '10.0.0.0/8')
            self.assertIn('530', c.command('MAIL FROM:<%s>' % who)[0])
        self.assertEqual(self.try_login(who, made, '127.4.0.9'), 535)

    def test_canary(self):
        who = self.person('bait@example.org')
        made = self.adm('credential', 'add', who, '--name', 'note', '--canary').strip()
        for _ in range(2):
            self.assertEqual(self.try_login(who, made, '127.6.0.1'), 535)
        self.assertTrue(self.instance.logged('level=alarm.*event=credential.canary account=%s credential=note peer=127.6.0.1' % who))
        self.assertNotIn(made, self.instance.log())

    def status(self, c):
        return ' '.join(c.command('HELP STATUS', 211))

    def test_limits(self):
        who = self.person('limited@example.org')
        made = self.adm('credential', 'add', who, '--name', 'app', '--limit', 'recipients=1', '--limit', 'message_size=2K', '--limit',
                        'messages_per_hour=2').strip()
        with self.client() as c:
            c.login(who, made)
            self.assertIn('Messages of the last hour: 0 of 2', self.status(c))
            self.assertIn('the limit is 2048 octets', c.command('MAIL FROM:<%s> SIZE=2049' % who, 552)[0])
            c.command('MAIL FROM:<%s>' % who, 250)
            c.command('RCPT TO:<a@example.net>', 250)
            self.assertIn('452', c.command('RCPT TO:<b@example.net>')[0])
            c.command('DATA', 354)
            c.send(message('large', b'x' * 70 + b'\r\n' + b'y' * 2000 + b'\r\n', who) + b'.\r\n')
            code, lines = c.reply()
            self.assertEqual((code, 'the limit is 2048 octets' in lines[0]), (552, True))
            for mark in ('one', 'two'):
                c.submit(message(mark, sender=who), who)
            self.assertIn('Messages of the last hour: 2 of 2', self.status(c))
            got = c.command('MAIL FROM:<%s>' % who, 450)[0]
            self.assertRegex(got, r'450 4\.7\.0 Requested mail action not taken: mailbox unavailable; too many messages, '
                                  r'try again in 3\d\d\d seconds')
            self.adm('credential', 'change', who, '--name', 'app', '--limit', 'messages_per_hour=default')
            c.submit(message('three', sender=who), who)
            self.assertNotIn('last hour', self.status(c))
        # The account's limit counts what all its credentials have sent, before it was set, too.
        self.adm('account', 'limit', who, 'messages_per_hour=4')
        with self.client() as c, self.client() as other:
            c.login(who, made)
            other.login(who)
            self.assertIn('Messages of the last hour: 3 of 4', self.status(c))
            c.submit(message('four', sender=who), who)
            other.command('MAIL FROM:<%s>' % who, 450)

    def test_own_wrong_password(self):
        """A program with the old password locks nobody out who has the new one; guesses do."""
        who = self.person('office@example.org')
        here = '127.7.0.1'
        self.assertEqual(self.try_login(who, source=here), 235)
        for _ in range(14):		# twice as many as auth.throttle_after
            self.assertEqual(self.try_login(who, 'the old one', here), 535)
        self.assertEqual(self.try_login(who, source=here), 235)
        for i in range(6):
            self.try_login(who, 'guess %d' % i, here)
        self.assertEqual(self.try_login(who, source=here), 450)
        self.assertEqual(self.try_login(who, source='127.7.0.2'), 235)

    def test_contain(self):
        who = self.person('taken@example.org')
        with self.client() as c, self.client() as idle:
            c.login(who)
            idle.login(who)
            c.submit(message('before', sender=who), who)
            c.command('MAIL FROM:<%s>' % who, 250)
            got = self.instance.adm_json('account', 'contain', who, '--reason', 'phished')
            self.assertEqual((got[-1]['action'], got[-1]['sessions'], got[-1]['messages']), ('contained', 2, 1))
            self.assertEqual((len(got), got[0]['result']), (2, 'held'))
            for one in (c, idle):
                self.assertEqual(one.reply()[0], 421)
        self.assertEqual(self.try_login(who), 535)
        self.assertEqual(self.instance.adm_json('account', 'show', who)[0]['contained_reason'], 'phished')
        waiting = ('queue', 'list', '--account', who)
        held = self.instance.adm_json(*waiting)
        self.assertEqual([m['state'] for m in held], ['held'])
        self.assertIn('account restore %s' % who, self.adm('why', held[0]['queue_id']))
        shown = self.adm('queue', 'show', held[0]['queue_id'])
        self.assertIn('account contained', shown)
        self.assertIn('account restore %s --mail release' % who, shown)
        self.assertIn('queue release %s' % held[0]['queue_id'], shown)
        # Once more, it is as it was, unless there is another reason.
        before = self.instance.adm_json('account', 'show', who)
        self.assertEqual(self.instance.adm_json('account', 'contain', who)[-1]['action'], 'contained')
        self.assertEqual(self.instance.adm_json('account', 'show', who), before)
        self.adm('account', 'contain', who, '--reason', 'its laptop was stolen')
        self.assertEqual(self.instance.adm_json('account', 'show', who)[0]['contained_reason'], 'its laptop was stolen')
        # What somebody else has held for another reason stays so; what contain has held is set free.
        self.adm('account', 'restore', who)
        with self.client() as c:
            c.login(who)
            c.submit(message('other', sender=who), who)
        other = next(m['queue_id'] for m in self.instance.adm_json(*waiting) if m['state'] != 'held')
        self.adm('queue', 'hold', other, '--reason', 'looked at')
        self.adm('account', 'contain', who, '--reason', 'again')
        self.assertEqual(self.instance.adm_json('account', 'restore', who, '--mail', 'release')[-1]['messages'], 1)
        self.assertEqual({m['queue_id']: m['state'] == 'held' for m in self.instance.adm_json(*waiting)}[other], True)
        self.assertEqual(sum(m['state'] == 'held' for m in self.instance.adm_json(*waiting)), 1)
        self.adm('queue', 'release', other)
        self.adm('account', 'contain', who, '--reason', 'once more')
        self.assertEqual(self.instance.adm_json('account', 'restore', who, '--mail', 'drop', '--yes')[-1]['messages'], 2)
        self.assertEqual(self.instance.run(*waiting, '--json').stdout, b'')
        self.assertEqual(self.try_login(who), 235)

    def test_rename_of_a_running_session(self):
        who, name = self.person('before@example.org'), 'after@example.org'
        with self.client() as c, self.client() as idle:
            c.login(who)
            idle.login(who)
            self.adm('account', 'rename', who, name)
            first = c.submit(message('renamed', sender=who), who)
            self.assertEqual(len(self.instance.adm_json('session', 'list', '--account', name)), 1)
            stored = [f for f in self.instance.stored() if f.field('Postern-Account') == [name]]
            self.assertEqual(len(stored), 1, first)
            idle.command('HELP STATUS', 211)
            self.assertEqual(len(self.instance.adm_json('session', 'list', '--account', name)), 2)
            self.assertEqual(self.instance.adm_json('session', 'kill', '--account', name, '--yes')[0]['sessions'], 2)
            self.assertEqual(c.reply()[0], 421)

    def test_vrfy_after_the_login(self):
        who = self.person('asker@example.org')
        with self.client() as c:
            c.login(who)
            c.command('VRFY x@example.net', 252)
            self.adm('account', 'disable', who)
            self.assertIn('530', c.command('VRFY x@example.net')[0])
            self.adm('account', 'enable', who)
            c.command('VRFY x@example.net', 252)


class Folder(Admin):
    def setUp(self):
        super().setUp()
        self.setup()

    def credential(self, name):
        return next(r for r in self.rows('credential', 'list', ALICE) if r['name'] == name)

    def test_shown(self):
        self.on('credential', 'add', ALICE, '--name', 'printer', '--sender', ALICE, '--rcpt', '*@example.org', '--rcpt', 'B@example.net',
                '--net', '192.0.2.7', '--limit', 'recipients=5', '--limit', 'messages_per_hour=20', '--device', '--expires', '90d')
        found = self.credential('printer')
        self.assertEqual((found['senders'], found['recipients'], found['networks'], found['limits'], found['device'], found['canary']),
                         ([ALICE], ['*@example.org', 'B@example.net'], ['192.0.2.7/32'], {'recipients': 5, 'messages_per_hour': 20},
                          True, False))
        self.assertEqual(self.rows('credential', 'show', ALICE, '--name', 'printer')[0], found)
        text = self.on('credential', 'show', ALICE, '--name', 'printer')
        for line in ('only as     ' + ALICE, 'only to     *@example.org', 'only from   192.0.2.7/32', 'limit       recipients=5'):
            self.assertIn(line, text)
        self.assertIn('senders,recipients,networks,limits', self.on('-v', 'credential', 'list', ALICE))
        self.assertLessEqual(max(len(line) for line in self.on('credential', 'list', ALICE).splitlines()), 80)
        # A new password keeps it all.
        self.on('credential', 'rotate', ALICE, '--name', 'printer')
        self.assertEqual({**self.credential('printer'), 'changed_time': 0}, {**found, 'changed_time': 0})
        self.on('credential', 'change', ALICE, '--name', 'printer', '--rcpt', 'any', '--net', '10.0.0.0/8', '--limit', 'recipients=default')
        found = self.credential('printer')
        self.assertEqual((found['senders'], found['recipients'], found['networks'], found['limits']),
                         ([ALICE], [], ['10.0.0.0/8'], {'messages_per_hour': 20}))

    def test_refused(self):
        add = ('credential', 'add', ALICE, '--name', 'x')
        for code, name, args in (
                (65, 'bad_pattern', add + ('--rcpt', 'nowhere')), (65, 'bad_pattern', add + ('--rcpt', '<>')),
                (65, 'bad_pattern', add + ('--sender', '*')), (65, 'bad_network', add + ('--net', '10.0.0.1/8')),
                (65, 'bad_network', add + ('--net', 'office')), (65, 'bad_limit', add + ('--limit', 'recipients=0')),
                (65, 'bad_limit', add + ('--limit', 'messages_per_hour=1000001')), (65, 'bad_limit', add + ('--limit', 'recipients=')),
                (65, 'no_effect', add + ('--limit', 'message_size=9M')), (64, 'usage', add + ('--limit', 'sessions=1')),
                (64, 'usage', add + ('--limit', 'recipients')), (64, 'usage', add + ('--canary', '--device')),
                (64, 'usage', ('credential', 'add', ALICE, '--name', 'password', '--canary')),
                (64, 'usage', ('credential', 'change', ALICE, '--name', 'password')),
                (67, 'no_credential', ('credential', 'change', ALICE, '--name', 'x', '--rcpt', 'any')),
                (67, 'no_account', ('credential', 'change', 'nobody', '--name', 'x', '--rcpt', 'any')),
                (65, 'no_effect', ('account', 'limit', ALICE, 'message_size=9M')),
                (65, 'bad_limit', ('account', 'limit', ALICE, 'messages_per_hour=many')),
                (64, 'usage', ('account', 'contain', ALICE)), (67, 'no_account', ('account', 'contain', 'nobody', '--reason', 'x')),
                (65, 'bad_reason', ('account', 'contain', ALICE, '--reason', 'x' * 300)),
                (64, 'usage', ('account', 'restore', ALICE, '--mail', 'all')),
                (65, 'not_contained', ('account', 'restore', ALICE))):
            with self.subTest(args=args):
                found = self.error(code, *args)
                self.assertEqual(found['name'], name)
                if found['name'] != 'usage' or '--device' not in args:
                    self.assertTrue(found['fix'])
        self.assertEqual([r['name'] for r in self.rows('credential', 'list', ALICE)], ['password'])
        self.assertIn('8M', self.error(65, 'account', 'limit', ALICE, 'message_size=8388609')['message'])
        self.on('account', 'limit', ALICE, 'message_size=8M', 'messages_per_hour=1000000')
        # What permits nothing is done, with a word about it.
        self.assertIn('permits nothing', self.run_adm('--root', self.root, *add, '--sender', 'bob@example.net')[2])
        self.assertNotIn('permits nothing', self.run_adm('--root', self.root, *add[:-1], 'y', '--sender', ALICE)[2])

    def test_dry_run(self):
        before = self.on('account', 'export')
        self.on('-n', 'credential', 'add', ALICE, '--name', 'x', '--rcpt', '*@example.org', '--canary')
        self.on('-n', 'credential', 'add', ALICE, '--local-user', USER)
        self.on('-n', 'credential', 'change', ALICE, '--name', 'password', '--net', '10.0.0.0/8')
        self.on('-n', 'account', 'contain', ALICE, '--reason', 'x')
        self.assertEqual(self.on('account', 'export'), before)

    def test_local_user(self):
        self.assertEqual(self.on('credential', 'add', ALICE, '--local-user', USER), '')		# no password
        found = self.credential('local:' + USER)
        self.assertEqual((found['kind'], found['method'], found['local_user'], found['local_uid']),
                         ('local', 'none', USER, pwd.getpwnam(USER).pw_uid))
        self.assertIn('local user  %s (%d)' % (USER, found['local_uid']), self.on('credential', 'show', ALICE, '--name', found['name']))
        self.assertIn('credential  local:%s (no password' % USER, self.on('account', 'show', ALICE))
        self.on('account', 'add', 'second', '--generate')
        for args, code, name in ((('second', '--local-user', USER), 73, 'exists'), (('second', '--local-user', 'no-such-user'), 67, 'no_user'),
                                 ((ALICE, '--local-user', USER, '--name', 'other'), 73, 'exists'),
                                 (('second', '--local-user', 'bin', '--name', 'a b'), 65, 'bad_name'),
                                 (('second', '--local-user', 'bin', '--stdin'), 64, 'usage'),
                                 (('second', '--local-user', 'bin', '--canary'), 64, 'usage'),
                                 (('second', '--local-user', 'bin', '--net', '10.0.0.0/8'), 64, 'usage'), (('second',), 64, 'usage')):
            with self.subTest(args=args):
                found = self.error(code, 'credential', 'add', *args, input='x\n')
                self.assertEqual(found['name'], name)
        self.assertIn('revoke %s --name local:%s' % (ALICE, USER), self.error(73, 'credential', 'add', 'second', '--local-user', USER)['fix'])
        self.assertEqual(self.error(65, 'credential', 'rotate', ALICE, '--name', 'local:' + USER)['name'], 'no_password')
        for password in ('!', USER):
            self.on('account', 'test', ALICE, '--stdin', input=password + '\n', code=1)
        self.on('credential', 'change', ALICE, '--name', 'local:' + USER, '--rcpt', '*@example.org', '--limit', 'messages_per_hour=60')
        self.on('credential', 'revoke', ALICE, '--name', 'local:' + USER)
        self.on('credential', 'add', 'second', '--local-user', USER, '--name', 'cron')

    def test_contain(self):
        """With nothing running."""
        self.on('account', 'contain', ALICE, '--reason', 'its password was phished')
        self.assertIn('contained', self.on('account', 'list'))
        self.assertIn('its password was phished', self.on('account', 'show', ALICE))
        found = self.rows('account', 'show', ALICE)[0]
        self.assertEqual((found['state'], found['contained'], found['contained_reason']), ('disabled', True, 'its password was phished'))
        self.assertIn('account restore', self.error(65, 'account', 'enable', ALICE)['fix'])
        self.on('account', 'restore', ALICE)
        found = self.rows('account', 'show', ALICE)[0]
        self.assertEqual((found['state'], found['contained']), ('enabled', False))

    def test_export_and_import(self):
        self.on('credential', 'add', ALICE, '--name', 'printer', '--sender', ALICE, '--rcpt', '*@example.org', '--rcpt', '"a b"@example.org',
                '--net', '192.0.2.0/24', '--net', '2001:db8::/32', '--limit', 'recipients=5', '--limit', 'message_size=2M', '--limit',
                'messages_per_hour=20', '--device')
        self.on('credential', 'add', ALICE, '--name', 'bait', '--canary')
        self.on('credential', 'add', ALICE, '--local-user', USER, '--rcpt', '*@example.org')
        self.on('account', 'limit', ALICE, 'messages_per_hour=100', 'sessions=3')
        self.on('account', 'contain', ALICE, '--reason', 'phished, "again"')
        text = self.on('account', 'export')
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual([r['credential'] for r in rows], ['password', 'printer', 'bait', 'local:' + USER])
        self.assertEqual((rows[3]['hash'], rows[3]['local_user'], rows[2]['canary']), ('', USER, 'yes'))
        exported = json.loads(self.on('-j', 'account', 'export'))
        self.root = os.path.join(self.base, 'second')
        self.setup()
        self.on('account', 'remove', ALICE)
        path = os.path.join(self.base, 'people')
        with open(path, 'w') as f:
            f.write(text)
        self.on('account', 'import', path)
        self.assertEqual(self.on('account', 'export'), text)
        self.assertEqual(json.loads(self.on('-j', 'account', 'export')), exported)
        self.assertEqual(self.credential('local:' + USER)['local_uid'], pwd.getpwnam(USER).pw_uid)
        for line, name in (('x,y,%s,,' % USER, 'exists'), ('x,y,no-such-user,,', 'no_user'), ('x,y,,*,', 'bad_line'),
                           ('x,y,,,sometimes', 'bad_line')):
            with open(path, 'w') as f:
                f.write('account,password,local_user,only_recipients,canary\n' + line.replace(',y,%s' % USER, ',,%s' % USER)
                        .replace(',y,no-such', ',,no-such') + '\n')
            found = self.error(73 if name == 'exists' else 65, 'account', 'import', path)
            self.assertEqual((found['name'], 'line 2' in found['fix']), (name, True))
        self.assertEqual(len(self.rows('account', 'list')), 1)
        with open(path, 'w') as f:
            f.write('account,local_user\nnumbered,4711\n')
        self.on('account', 'import', path)
        self.assertEqual(self.rows('credential', 'list', 'numbered')[0]['local_uid'], 4711)
        with open(path, 'w') as f:
            f.write('account,message_size\nbig,1G\n')
        self.assertIn('no effect', self.run_adm('--root', self.root, 'account', 'import', path)[2])

    def test_advice_names_the_instance(self):
        for args in (('account', 'passwd', ALICE, '--bogus'), ('--bogus', 'status'), ('account', 'passwd', '-X')):
            self.assertIn('smtpadm --root %s ' % self.root, self.refused(64, *args))
        self.assertIn('account passwd --help', self.refused(64, 'account', 'passwd', ALICE, '--bogus'))
        got = self.run_adm('account', 'passwd', ALICE, '--bogus', '--root=' + self.root)
        self.assertIn('smtpadm --root %s account passwd --help' % self.root, got[2])

    def test_postfix_keeps_below_the_sessions(self):
        self.assertIn('\nsmtp_destination_concurrency_limit = 9\n', self.on('account', 'clientconfig', ALICE, '--for', 'postfix'))
        self.on('account', 'limit', ALICE, 'sessions=1')
        self.assertIn('\nsmtp_destination_concurrency_limit = 1\n', self.on('account', 'clientconfig', ALICE, '--for', 'postfix'))


FolderOrdinary = ordinary(Folder)


if __name__ == '__main__':
    main()
