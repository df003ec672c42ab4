#!/usr/bin/env python3
"""Through real servers: Postfix as a smarthost with SASL and TLS, Dovecot's LMTP by TCP and by a local socket. Root, with both installed."""
import os
import re
import shutil
import sys
import unittest

from kills import compose
from servers import ARE_THERE, DOMAIN, SECRET, USER, Servers
from dns import Dns
from postern import ALICE, Instance, main, wait_for
from tls import Authority

SETTINGS = {'delivery.retry': '1s 1s 2s'}


@unittest.skipUnless(ARE_THERE, 'needs root, postfix and dovecot-lmtpd')
class RealServers(unittest.TestCase):
    mechanisms = 'plain login scram-sha-256'

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.dns = Dns({'hop.example.net': {'A': ['127.0.0.1']}, DOMAIN: {'MX': ['10 hop.example.net']}})
        cls.servers = Servers(cls.authority.make('hop.example.net'), cls.mechanisms)

    @classmethod
    def tearDownClass(cls):
        cls.servers.close()
        cls.dns.close()
        cls.authority.close()

    def launch(self, **routes):
        """An instance with routes: name=(url, options, password)."""
        i = Instance(settings={**SETTINGS, 'dns.servers': self.dns.setting, 'dns.dnssec': 'off'}, start=False)
        try:
            ca = os.path.join(i.root, 'ca.pem')
            shutil.copy(self.authority.root, ca)
            for name, (url, options, password) in routes.items():
                i.adm('route', 'add', name, url, *options, *(['--stdin'] if password else []), input=password)
            i.start()
        except BaseException:
            i.close()
            raise
        return i

    def send(self, i, number, *recipients, account=ALICE):
        with i.client(login=account) as c:
            c.command('MAIL FROM:<%s>' % account, 250)
            for r in recipients:
                c.command('RCPT TO:<%s>' % r, 250)
            c.command('DATA', 354)
            c.send(re.sub(rb'(?m)^\.', b'..', compose(number, 'servers')) + b'.\r\n')
            c.expect(250)

    def logins(self):
        with open(self.servers.folder + '/postfix.log') as f:
            return f.read().count('sasl_')

    def arrived(self, number, *boxes):
        return [m for m in self.servers.mail(*boxes) if b'\r\nX-Number: %d\r\n' % number in m]

    def expect(self, i, number, *boxes, count=1):
        self.assertTrue(wait_for(lambda: len(self.arrived(number, *boxes)) >= count, 15), i.log_tail(10) + self.servers.log()[-3000:])
        for m in self.arrived(number, *boxes):
            self.assertTrue(m.endswith(compose(number, 'servers')), m)
        self.assertEqual(len(self.arrived(number, *boxes)), count)
        self.assertTrue(wait_for(lambda: not i.names(), 10), i.log_tail(10))
        return self.arrived(number, *boxes)

    def test_smarthost(self):
        """STARTTLS with a verified certificate and a login; and the same port with TLS from the first octet."""
        s = self.servers
        login = ('--user', USER, '--ca', 'ca.pem')
        with self.launch(main=('smtp://hop.example.net:%d' % s.starttls, login, SECRET),
                           other=('smtps://hop.example.net:%d' % s.tls, (*login, '--to-domain', 'second.' + DOMAIN), SECRET)) as i:
            test = {row['step']: row for row in i.adm_json('route', 'test', 'main', '--to', 'bob@' + DOMAIN)}
            self.assertEqual((test['login']['result'], test['rcpt']['result']), ('ok', 'ok'))
            self.assertIn('verified', test['tls']['text'])
            self.assertEqual(i.run('route', 'test', 'main', '--to', 'nobody@' + DOMAIN).returncode, 1)
            self.assertEqual({row['step'] for row in i.adm_json('route', 'test', 'other')} - set(test), set())
            self.send(i, 1, 'bob@' + DOMAIN)
            got = self.expect(i, 1)[0]
            self.assertIn(b' with ESMTPSA id ', got)	# TLS and a login
            self.assertEqual(got.count(b'Return-Path:'), 1)	# Postfix's own
            with open(s.folder + '/postfix.log') as f:
                self.assertIn('sasl_method=SCRAM-SHA-256, sasl_username=' + USER, f.read())

    def test_partly(self):
        """One recipient taken, one refused for good, one for now: the first once, a report for the second, the third waits."""
        with self.launch(main=('smtp://hop.example.net:%d' % self.servers.starttls, ('--user', USER, '--ca', 'ca.pem'), SECRET)) as i:
            self.send(i, 2, 'bob@' + DOMAIN, 'nobody@' + DOMAIN, 'later@' + DOMAIN)
            self.assertTrue(wait_for(lambda: len(self.arrived(2)) >= 1, 15), i.log_tail(10))
            self.assertTrue(wait_for(lambda: re.search(r'delivered=1 deferred=1 failed=1', i.log()), 10), i.log_tail(10))
            # Tried again, for the one that waits only.
            self.assertTrue(wait_for(lambda: len(re.findall(r' delivered=0 deferred=1 failed=0', i.log())) >= 2, 15), i.log_tail(10))
            self.assertEqual(len(self.arrived(2)), 1)
            waits = [row for row in i.queue() if row['sender'] == ALICE]
            self.assertEqual(len(waits), 1)
            shown = i.adm('queue', 'show', waits[0]['queue_id'])
            self.assertIn('later@' + DOMAIN, shown)

    def test_wrong_password(self):
        """Mail waits, and the reason is to be seen; with the right one it goes out."""
        with self.launch(main=('smtp://hop.example.net:%d' % self.servers.starttls, ('--user', USER, '--ca', 'ca.pem'), 'wrong')) as i:
            self.send(i, 3, 'bob@' + DOMAIN)
            self.assertTrue(i.logged('stage=login', 15), i.log_tail(10))
            self.assertEqual(len(i.names()), 1)
            with open(os.path.join(i.root, 'routes', 'main.secret'), 'w') as f:
                f.write(SECRET + '\n')
            i.adm('reload')
            self.expect(i, 3)

    def test_not_verified(self):
        """By the system's authorities this certificate is nobody's: nothing is sent, the password neither."""
        with self.launch(main=('smtp://hop.example.net:%d' % self.servers.starttls, ('--user', USER), SECRET)) as i:
            before = self.logins()
            self.send(i, 4, 'bob@' + DOMAIN)
            self.assertTrue(i.logged('stage=tls .*certificate', 15), i.log_tail(10))
            self.assertEqual(self.arrived(4), [])
            self.assertEqual(self.logins(), before)

    def test_lmtp(self):
        """By TCP and by the socket; one answer a recipient; Return-Path is Dovecot's own."""
        s = self.servers
        with self.launch(tcp=('lmtp://127.0.0.1:%d' % s.lmtp, ('--to-domain', DOMAIN), None),
                           local=('lmtp:' + s.socket, ('--to-domain', 'second.' + DOMAIN), None)) as i:
            self.send(i, 10, 'carol@' + DOMAIN, 'dave@' + DOMAIN)
            for m in self.expect(i, 10, 'carol', 'dave', count=2):
                self.assertEqual(m.count(b'Return-Path:'), 1)
                self.assertIn(b'with LMTP', m)
            self.send(i, 11, 'erin@second.' + DOMAIN)
            self.expect(i, 11, 'erin')
            self.assertIn('ok', i.adm('route', 'test', 'local', '--to', 'erin@second.' + DOMAIN))

    def test_mx(self):
        """By the DNS: Postfix is the mail exchanger, and refuses to relay without a login: a report comes of it."""
        with self.launch(main=('mx:%d' % self.servers.starttls, (), None)) as i:
            self.send(i, 20, 'bob@' + DOMAIN)
            self.assertTrue(i.logged('host=hop.example.net .*stage=rcpt code=554', 15), i.log_tail(10))
            self.assertEqual(self.arrived(20), [])

    def test_many(self):
        """Two hundred over few connections, all there, each once."""
        s = self.servers
        with self.launch(main=('smtp://hop.example.net:%d' % s.starttls, ('--user', USER, '--ca', 'ca.pem'), SECRET),
                           box=('lmtp:' + s.socket, ('--to-domain', 'second.' + DOMAIN), None)) as i:
            with i.client(login=ALICE) as c:
                for n in range(1000, 1200):
                    c.command('MAIL FROM:<%s>' % ALICE, 250)
                    c.command('RCPT TO:<frank@%s%s>' % ('second.' if n % 2 else '', DOMAIN), 250)
                    c.command('DATA', 354)
                    c.send(re.sub(rb'(?m)^\.', b'..', compose(n, 'servers')) + b'.\r\n')
                    c.expect(250)
            self.assertTrue(wait_for(lambda: not i.names(), 60), i.log_tail(10))
            found = lambda: sorted(int(m) for data in self.servers.mail('frank') for m in re.findall(rb'\r\nX-Number: (1[01]\d\d)\r\n', data))
            wait_for(lambda: len(found()) >= 200, 20)
            self.assertEqual(found(), list(range(1000, 1200)))
            for data in self.servers.mail('frank'):
                m = re.search(rb'\r\nX-Number: (1[01]\d\d)\r\n', data)
                if m:
                    self.assertTrue(data.endswith(compose(int(m.group(1)), 'servers')))


class PlainOnly(RealServers):
    """The same with PLAIN alone."""
    mechanisms = 'plain'

    def test_smarthost(self):
        with self.launch(main=('smtp://hop.example.net:%d' % self.servers.starttls, ('--user', USER, '--ca', 'ca.pem'), SECRET)) as i:
            self.send(i, 1, 'bob@' + DOMAIN)
            self.expect(i, 1)
            with open(self.servers.folder + '/postfix.log') as f:
                self.assertIn('sasl_method=PLAIN, sasl_username=' + USER, f.read())

    test_many = test_mx = test_lmtp = test_partly = test_not_verified = None


if __name__ == '__main__':
    main(300)
