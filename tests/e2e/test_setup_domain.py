#!/usr/bin/env python3
"""smtpadm setup --domain: domains in the registry, their DKIM keys, and the records for DNS; as root and as an ordinary user."""
import json
import os
import pty
import select
import subprocess
import time

from admin import LISTEN, Admin, ordinary
from postern import ALICE, BOB, HOST, IS_ROOT, PASSWORD, SLOW, main, program


class Domains(Admin):
    def test_one(self):
        out = self.setup('--domain', 'Example.ORG.')
        keys = self.rows('dkim', 'list')
        self.assertEqual([(k['domain'], k['algorithm'], k['state']) for k in keys],
                         [('example.org', 'rsa', 'active'), ('example.org', 'ed25519', 'active')])
        self.assertEqual([d['domain'] for d in self.rows('domain', 'list')], ['example.org'])
        self.assertIn('Domain         example.org (added)\n', out)
        for key in keys:
            self.assertIn('DKIM key       %s (made, active)\n' % key['record_name'], out)
        # What is printed is what domain dns prints.
        self.assertIn('\nRecords for the DNS of example.org:\n' + self.on('domain', 'dns', 'example.org') + '\n', out)
        self.assertRegex(out, r'\nNext: posternd --root \S+\n +smtpadm --root \S+ domain check')
        self.assertNotIn('setup --domain', out)
        self.on('config', 'check')

    def test_twice(self):
        self.setup('--domain', 'example.org')
        keys, before = self.rows('dkim', 'list'), self.snapshot()
        out = self.on('setup', '--domain', 'example.org')
        self.assertEqual((self.rows('dkim', 'list'), self.snapshot()), (keys, before))
        self.assertIn('example.org (kept)', out)
        self.assertEqual(out.count('(kept, active)'), 2)
        # A retired key is no key, and one that waits is.
        self.on('dkim', 'retire', 'example.org', keys[0]['selector'])
        self.on('setup', '--domain', 'example.org')
        self.assertEqual(sorted((k['algorithm'], k['state']) for k in self.rows('dkim', 'list')),
                         [('ed25519', 'active'), ('rsa', 'active'), ('rsa', 'retired')])
        self.on('domain', 'remove', 'example.org')
        got, = self.rows('setup', '--domain', 'example.org')
        self.assertEqual([got['domains'][0]['action']] + [k['action'] for k in got['domains'][0]['dkim_keys']],
                         ['added', 'kept', 'kept'])
        self.on('dkim', 'add', 'example.net', '--algorithm', 'rsa', '--no-activate')
        got, = self.rows('setup', '--domain', 'example.net')
        self.assertEqual([(k['algorithm'], k['state'], k['action']) for k in got['domains'][0]['dkim_keys']],
                         [('rsa', 'waiting', 'kept'), ('ed25519', 'active', 'added')])

    def test_json(self):
        got, = self.rows('setup', '--hostname', HOST, '--account', ALICE, '--self-signed', *LISTEN, '--domain', 'example.org',
                         '--domain', 'example.net', '--domain', 'EXAMPLE.org')
        self.assertEqual([(d['domain'], d['action'], [k['action'] for k in d['dkim_keys']]) for d in got['domains']],
                         [('example.org', 'added', ['added'] * 2), ('example.net', 'added', ['added'] * 2)])
        self.assertEqual(got['service'], {'action': 'none'})
        self.assertFalse(any('probe' in row for row in got['listeners']))
        for domain in ('example.org', 'example.net'):
            rows = [{k: v for k, v in row.items() if k != 'v'} for row in self.rows('domain', 'dns', domain)]
            self.assertEqual([row for row in got['dns'] if row['domain'] == domain], rows)
            self.assertEqual(sum(row['record'] == 'dkim' for row in rows), 2)
        self.assertEqual(self.rows('setup')[0]['dns'], [])

    def test_dry_run(self):
        out = self.setup('--dry-run', '--domain', 'example.org', '--domain', 'example.net')
        self.assertFalse(os.path.exists(self.root))
        for text in ('example.org (added)', 'example.net (added)', 'rsa (would be made)', 'ed25519 (would be made)',
                     'example.org. IN TXT "v=spf1 a:%s ~all"' % HOST, 'nothing was changed'):
            self.assertIn(text, out)
        self.assertNotIn('_domainkey', out)
        got, = self.rows('setup', '-n', '--hostname', HOST, '--self-signed', '--domain', 'example.org')
        self.assertEqual((got['dry_run'], got['domains'][0]['action']), (True, 'added'))
        self.assertEqual([k['selector'] for k in got['domains'][0]['dkim_keys']], [None, None])
        self.assertEqual({row['record'] for row in got['dns']}, {'spf', 'dmarc', 'mx'})
        self.assertFalse(os.path.exists(self.root))
        # Where something is there, it says what.
        self.setup()
        self.on('dkim', 'add', 'example.org', '--algorithm', 'rsa')
        before = self.snapshot()
        out = self.on('-n', 'setup', '--domain', 'example.org')
        self.assertIn('ed25519 (would be made)', out)
        self.assertNotIn('rsa (would be made)', out)
        self.assertEqual(out.count('(kept, active)'), 1)
        self.assertEqual((self.snapshot(), self.rows('domain', 'list')), (before, []))
        self.on('setup', '--domain', 'example.org')
        out = self.on('-n', 'setup', '--domain', 'example.org')
        self.assertIn('example.org (kept)', out)
        self.assertEqual(out.count('(kept, active)'), 2)

    def test_refused(self):
        for domain in ('', 'a b', '[192.0.2.1]', 'x/../y', 'a..b', 'b\u00fccher.example', '-x', '.'):
            found = self.error(65, 'setup', '--hostname', HOST, '--self-signed', '--domain', 'example.org', '--domain', domain)
            self.assertEqual(found['name'], 'bad_domain')
        many = [a for i in range(17) for a in ('--domain', 'd%d.example' % i)]
        self.assertIn('domain add d16.example', self.error(64, 'setup', '--hostname', HOST, '--self-signed', *many)['fix'])
        self.assertFalse(os.path.exists(self.root))	# before the first change

    def test_nothing_is_guessed(self):
        """The account has a domain, but nobody said that mail is sent from it: it is named at the end."""
        out = self.setup()
        self.assertRegex(out, r'\n +smtpadm --root \S+ setup --domain example\.org')
        self.assertEqual(self.rows('domain', 'list'), [])
        self.assertFalse(os.path.exists(self.path('dkim')))
        self.on('domain', 'add', 'example.org')
        self.assertNotIn('setup --domain', self.on('setup', '--account', ALICE))
        self.assertNotIn('setup --domain', self.on('setup', '--account', 'printer', '--password-stdin', input=PASSWORD))

    def test_a_route_counts(self):
        """The records are those of the configuration that was just made."""
        out = self.on('setup', '--hostname', HOST, '--self-signed', *LISTEN, '--domain', 'example.org', '--route',
                      'smtp://relay.example.net')
        self.assertIn('example.org. IN TXT "v=spf1 a:relay.example.net ~all"', out)
        other = os.path.join(self.base, 'other')
        got = json.loads(self.adm('--root', other, '-j', 'setup', '--hostname', HOST, '--self-signed', '--domain', 'example.org',
                                  '--route', 'mx:'))
        self.assertIn('PTR', [row['type'] for row in got['dns']])

    def test_the_password_is_not_lost(self):
        """A key that can't be made ends it before there is an account with a password that nobody was told."""
        self.setup()
        with open(self.path('dkim'), 'w') as f:
            f.write('in the way')
        got, out, err = self.run_adm('--root', self.root, 'setup', '--account', BOB, '--domain', 'example.org')
        self.assertGreater(got, 1, err)
        self.assertEqual([row['account'] for row in self.rows('account', 'list')], [ALICE])
        os.unlink(self.path('dkim'))
        self.assertIn('(made, active)', self.on('setup', '--account', BOB, '--domain', 'example.org'))

    def type(self, *args, answers):
        """smtpadm on a terminal: (exit code, what it showed)."""
        ours, theirs = pty.openpty()
        who = {} if self.user is None else {'user': self.user, 'group': self.user, 'extra_groups': []}
        p = subprocess.Popen([program('smtpadm'), '--root', self.root, *args], stdin=theirs, stdout=theirs, stderr=theirs, **who)
        os.close(theirs)
        shown, end = '', time.monotonic() + 30 * SLOW
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 65536).decode()
                except OSError:
                    break	# all of it has gone
            if answers and answers[0][0] in shown:
                time.sleep(0.2 * SLOW)	# what is typed before the echo is off is thrown away
                os.write(ours, answers.pop(0)[1].encode())
        os.close(ours)
        code = p.wait(10 * SLOW)
        self.assertEqual(answers, [], shown)
        return code, shown.replace('\r\n', '\n')

    def test_on_a_terminal(self):
        fresh = ('setup', '--hostname', HOST, '--account', ALICE, '--self-signed', *LISTEN)
        passwords = [('New password', 'a good one 1\n'), ('Once more', 'a good one 1\n')]
        question = 'sent from (none: without) [example.org]: '
        for answer, wanted in (('\n', ['example.org']), ('example.net\n', ['example.net']), ('none\n', [])):
            code, shown = self.type(*fresh, answers=[*passwords, (question, answer)])
            self.assertEqual(code, 0, shown)
            self.assertEqual([d['domain'] for d in self.rows('domain', 'list')], wanted)
            self.assertEqual(len(self.rows('dkim', 'list')), 2 * len(wanted))
            # It was asked once; an instance that is there is not asked about it.
            code, shown = self.type(*fresh, answers=[])
            self.assertEqual(code, 0, shown)
            self.assertNotIn(question, shown)
            subprocess.run(['rm', '-rf', self.root], check=True)
        code, shown = self.type(*fresh, answers=[*passwords, (question, 'no domain\n')])
        self.assertEqual(code, 65, shown)
        self.assertFalse(os.path.exists(self.root))
        code, shown = self.type(*fresh, '--domain', 'example.net', answers=[*passwords])
        self.assertEqual(code, 0, shown)
        self.assertNotIn(question, shown)

    def test_completion_and_help(self):
        text = self.on('setup', '--help')
        for option in ('--domain DOMAIN', '--no-start'):
            self.assertIn(option, text)
        for shell in ('bash', 'zsh', 'fish'):
            script = self.adm('completion', shell)
            self.assertIn('no-start', script)
        self.assertIn('domain of a recipient', self.adm('queue', 'list', '--help'))


if IS_ROOT:
    DomainsOrdinary = ordinary(Domains)


if __name__ == '__main__':
    main(240)
