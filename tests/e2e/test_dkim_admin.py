#!/usr/bin/env python3
"""smtpadm dkim and smtpadm domain: keys, the records that DNS needs, and what DNS says."""
import json
import os
import re

from admin import ORDINARY, Admin
from dns import Dns
from postern import ALICE, HOST, IS_ROOT, PASSWORD, main


class Commands(Admin):
    """smtpadm dkim and smtpadm domain without a daemon."""

    def setUp(self):
        super().setUp()
        self.on('setup', '--hostname', HOST, '--account', ALICE, '--password-stdin', '--self-signed', '--listen', 'plain=127.0.0.1:2525',
                input=PASSWORD)

    def configure(self, text):
        with open(os.path.join(self.root, 'postern.conf'), 'a') as f:
            f.write(text)

    def test_add_and_show(self):
        out = self.on('dkim', 'add', 'Example.ORG.', '--selector', 'Sel')
        self.assertIn('sel-ed25519._domainkey.example.org. IN TXT "v=DKIM1; k=ed25519; p=', out)
        rows = self.rows('dkim', 'list')
        self.assertEqual([(r['selector'], r['algorithm'], r['state'], r['retired']) for r in rows],
                         [('sel-rsa', 'rsa', 'active', None), ('sel-ed25519', 'ed25519', 'active', None)])
        self.assertEqual(rows, self.rows('dkim', 'show', 'example.org'))
        zone = self.on('dkim', 'show', 'example.org', 'sel-rsa')
        strings = re.findall(r'"([^"]*)"', zone)
        self.assertTrue(len(strings) > 1 and all(0 < len(s) <= 255 for s in strings))
        self.assertEqual(''.join(strings), rows[0]['record'])
        self.assertIn('\n; ' + rows[0]['record'], zone)
        self.assertIn('sel-rsa', self.on('dkim', 'list', 'example.org'))
        self.adm('--root', self.root, 'dkim', 'list', 'example.net', code=1)

    def test_errors(self):
        self.on('dkim', 'add', 'example.org', '--algorithm', 'ed25519', '--selector', 's')
        self.assertEqual(self.error(73, 'dkim', 'add', 'example.org', '--algorithm', 'ed25519', '--selector', 's')['name'], 'exists')
        self.assertEqual(self.error(73, '-n', 'dkim', 'add', 'example.org', '--algorithm', 'ed25519', '--selector', 's')['name'], 'exists')
        for domain in ('', 'a b', '[192.0.2.1]', 'x/../y', 'a..b', 'b\u00fccher.example', '-x'):
            self.assertEqual(self.error(65, 'dkim', 'add', '--', domain)['code'], 65)
        for selector in ('a b', '../x', 'a/b', '.', 'x' * 80, '_domainkey.x', '\u00fc'):
            self.assertEqual(self.error(65, 'dkim', 'add', 'example.org', '--algorithm', 'rsa', '--selector', selector)['code'], 65)
        self.refused(64, 'dkim', 'add', 'example.org', '--algorithm', 'dsa')
        self.refused(64, 'dkim', 'add', 'example.org', '--activate', '--no-activate')
        for verb in ('activate', 'retire', 'remove'):
            self.assertIn('dkim list', self.error(67, 'dkim', verb, 'example.org', 'none')['fix'])
        self.assertIn('dkim add', self.error(67, 'dkim', 'show', 'example.net')['fix'])
        self.assertIn('retire', self.error(65, 'dkim', 'remove', 'example.org', 's')['message'])
        self.assertEqual(len(self.rows('dkim', 'list')), 1)

    def test_dry_run(self):
        self.on('-n', 'dkim', 'add', 'example.org')
        self.assertFalse(os.path.exists(os.path.join(self.root, 'dkim')))
        self.on('dkim', 'add', 'example.org')
        before = self.rows('dkim', 'list')
        for args in (('add', 'example.org'), ('retire', 'example.org', before[0]['selector']),
                     ('activate', 'example.org', before[0]['selector'])):
            self.assertTrue(self.rows('-n', 'dkim', *args)[0]['dry_run'])
        # An active key would be refused, and so it is here.
        self.assertIn('retire', self.error(65, '-n', 'dkim', 'remove', 'example.org', before[0]['selector'])['message'])
        self.on('dkim', 'retire', 'example.org', before[0]['selector'])
        before = self.rows('dkim', 'list')
        retired, = [row['selector'] for row in before if row['state'] == 'retired']
        self.assertTrue(self.rows('-n', 'dkim', 'remove', 'example.org', retired)[0]['dry_run'])
        self.assertEqual(self.rows('dkim', 'list'), before)

    def test_activate(self):
        a, = self.rows('dkim', 'add', 'example.org', '--algorithm', 'ed25519', '--no-activate')
        self.assertEqual(a['state'], 'waiting')
        b, = self.rows('dkim', 'add', 'example.org', '--algorithm', 'ed25519')
        self.assertEqual(b['state'], 'active')
        c, = self.rows('dkim', 'add', 'example.org', '--algorithm', 'ed25519', '--activate')
        self.assertEqual(c['state'], 'active')
        self.assertEqual(len({a['selector'], b['selector'], c['selector']}), 3)

        def states():
            return {r['selector']: r['state'] for r in self.rows('dkim', 'list')}
        self.assertEqual(states(), {a['selector']: 'waiting', b['selector']: 'retired', c['selector']: 'active'})
        self.on('dkim', 'activate', 'example.org', a['selector'])
        self.on('dkim', 'activate', 'example.org', a['selector'])
        self.assertEqual(states(), {a['selector']: 'active', b['selector']: 'retired', c['selector']: 'retired'})
        self.assertIn('may be removed from DNS on 20', self.on('dkim', 'show', 'example.org', b['selector']))
        # Back to the one before.
        self.on('dkim', 'activate', 'example.org', b['selector'])
        self.assertEqual(states()[b['selector']], 'active')

    def test_domains(self):
        out = self.on('domain', 'add', 'Example.ORG')
        self.assertIn('example.org. IN TXT "v=spf1 a:%s ~all"' % HOST, out)
        self.assertIn('_dmarc.example.org. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.org"', out)
        self.assertIn('smtpadm --root %s dkim add example.org' % self.root, out)
        self.assertEqual(self.error(73, 'domain', 'add', 'example.org')['name'], 'exists')
        self.assertEqual(self.error(65, 'domain', 'add', 'a b')['name'], 'bad_domain')
        self.on('-n', 'domain', 'add', 'example.net')
        self.on('dkim', 'add', 'example.org')
        self.assertEqual([(r['domain'], r['dkim_keys'], r['dkim_keys_active']) for r in self.rows('domain', 'list')], [('example.org', 2, 2)])
        rows = self.rows('domain', 'dns', 'example.org')
        self.assertEqual([r['record'] for r in rows], ['spf', 'dkim', 'dkim', 'dmarc', 'mx'])
        self.assertEqual([r['text'] for r in rows if r['record'] == 'dkim'], [k['record'] for k in self.rows('dkim', 'list')])
        self.assertIn('example.org', self.on('domain', 'show', 'example.org'))
        self.assertEqual(self.error(67, 'domain', 'show', 'example.net')['name'], 'no_domain')
        self.assertTrue(self.rows('-n', 'domain', 'remove', 'example.org')[0]['dry_run'])
        self.assertEqual(self.rows('domain', 'remove', 'example.org')[0]['action'], 'removed')
        self.assertEqual(self.error(67, 'domain', 'remove', 'example.org')['name'], 'no_domain')
        self.assertEqual(self.rows('domain', 'list'), [])
        self.assertEqual(len(self.rows('dkim', 'list')), 2, 'the keys stay')

    def test_advice_by_route(self):
        self.configure('\n[route out]\nurl = smtp://smart.provider.example:587\n')
        spf = self.rows('domain', 'dns', 'example.org')[0]
        self.assertEqual(spf['text'], 'v=spf1 a:smart.provider.example ~all')
        self.assertIn('include:', spf['note'])
        self.configure('\n[route direct]\nurl = mx:\nfrom_domain = example.net\n')
        self.assertEqual([r['record'] for r in self.rows('domain', 'dns', 'example.net')], ['spf', 'dkim', 'dmarc', 'mx', 'address', 'ptr'])

    def statuses(self, code, *args):
        out = self.adm('--root', self.root, '--json', *args, code=code)
        return [(r['record'], r['status']) for r in map(json.loads, out.splitlines())]

    def test_check(self):
        """DNS as it should be, then each record missing and wrong."""
        dns = Dns({})
        self.addCleanup(dns.close)
        self.on('config', 'set', 'dns.servers', dns.setting)
        self.on('config', 'set', 'dns.dnssec', 'off')
        self.configure('\n[route out]\nurl = mx:\n')
        self.on('domain', 'add', 'example.org')
        keys = self.rows('dkim', 'add', 'example.org')
        self.assertEqual(self.statuses(1, 'dkim', 'check', 'example.org'), [('dkim', 'missing')] * 2)
        self.assertEqual(self.statuses(1, 'domain', 'check'), [('spf', 'missing'), ('dkim', 'missing'), ('dkim', 'missing'),
                                                               ('dmarc', 'missing'), ('mx', 'missing'), ('address', 'missing'), ('ptr', 'missing')])
        good = {
            'example.org': {'TXT': ['something else', 'v=spf1 a:%s -all' % HOST], 'MX': ['10 mx.example.org']},
            '_dmarc.example.org': {'TXT': ['v=DMARC1; p=reject']},
            HOST: {'A': ['192.0.2.7']},
            '7.2.0.192.in-addr.arpa': {'PTR': [HOST]},
        }
        for k in keys:
            r = k['record']
            good[k['record_name']] = {'TXT': [[r[i:i + 255] for i in range(0, len(r), 255)]]}
        dns.zone = good
        names = ['spf', 'dkim', 'dkim', 'dmarc', 'mx', 'address', 'ptr']
        self.assertEqual(self.statuses(0, 'domain', 'check', 'example.org'), [(n, 'found') for n in names])
        self.assertEqual(self.statuses(0, 'dkim', 'check', 'example.org'), [('dkim', 'found')] * 2)
        rsa = keys[0]['record_name'].lower()
        for place, entry, wanted in (
                ('example.org', {'TXT': ['v=spf1 ip4:192.0.2.7 -all'], 'MX': ['10 x']}, {}),
                ('example.org', {'TXT': ['v=spf1 ip4:192.0.2.8 -all'], 'MX': ['10 x']}, {'spf': 'different'}),
                ('example.org', {'TXT': ['v=spf1 mx -all'], 'MX': ['10 %s' % HOST]}, {}),
                ('example.org', {'TXT': ['v=spf1 mx -all'], 'MX': ['10 x']}, {'spf': 'different'}),
                ('example.org', {'TXT': ['v=spf1 include:provider.example -all'], 'MX': ['10 x']}, {}),
                ('example.org', {'TXT': ['v=spf1 a:%s' % HOST, 'v=spf1 -all'], 'MX': ['10 x']}, {'spf': 'different'}),
                ('example.org', {'TXT': ['v=spf1 a:%s' % HOST], 'MX': ['0 .']}, {'mx': 'different'}),
                ('example.org', {'TXT': ['v=spf1 a:%s' % HOST], 'A': ['192.0.2.1']}, {}),
                ('example.org', {'do': 'servfail'}, {'spf': 'unknown', 'mx': 'unknown'}),
                ('_dmarc.example.org', {'TXT': ['v=DMARC1; p=none', 'v=DMARC1; p=none']}, {'dmarc': 'different'}),
                (HOST, {'A': ['192.0.2.9']}, {'ptr': 'missing', 'spf': 'found'}),
                ('7.2.0.192.in-addr.arpa', {'PTR': ['elsewhere.example']}, {'ptr': 'different'}),
                (rsa, {'TXT': ['v=DKIM1; k=rsa; p=AAAA']}, {'dkim': 'different'}),
                (rsa, {'TXT': ['v=DKIM1; k=rsa; p=']}, {'dkim': 'different'}),
                (rsa, {'TXT': ['v=DKIM1; k=ed25519; p=AAAA']}, {'dkim': 'different'}),
                (rsa, {'TXT': ['a', 'b']}, {'dkim': 'different'}),
                (rsa, {'TXT': ['nonsense\x1b[31m']}, {'dkim': 'different'})):
            with self.subTest('%s %s' % (place, entry)):
                dns.zone = {**good, place: entry}
                code = 68 if 'unknown' in wanted.values() else 1 if set(wanted.values()) - {'found'} else 0
                found = self.statuses(code, 'domain', 'check', 'example.org')
                for i, (name, status) in enumerate(found):
                    self.assertEqual(status, wanted.get(name, 'found') if name != 'dkim' or i == 1 else 'found', found)
        dns.zone = {**good, rsa: {'TXT': ['nonsense\x1b[31m']}}
        self.assertNotIn('\x1b', self.adm('--root', self.root, 'domain', 'check', 'example.org', code=1))
        # A key that waits need not be published yet.
        dns.zone = good
        self.on('dkim', 'add', 'example.org', '--algorithm', 'ed25519')
        self.assertIn(('dkim', 'missing'), self.statuses(0, 'domain', 'check', 'example.org'))
        self.assertEqual(self.error(67, 'dkim', 'check', 'example.net')['name'], 'no_key')

    def test_check_without_domains(self):
        self.assertEqual(self.error(67, 'domain', 'check')['name'], 'no_domain')


if IS_ROOT:
    class CommandsOrdinary(Commands):
        """The same as a user who has an instance of his own."""
        user = ORDINARY


if __name__ == '__main__':
    main()
