#!/usr/bin/env python3
"""postern-relay with TLS and logins: every policy against every kind of server; what is never said in the clear."""
import os
import socket
import ssl
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
from next_hop import NextHop  # noqa: E402
from relay_driver import Relay, wait_for  # noqa: E402
from runner import main  # noqa: E402
from tls import Authority  # noqa: E402

USERS = {'post@example.org': 'a secret, of 3=4 words'}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca, cls.other = Authority(), Authority()
        cls.good = cls.ca.make('localhost', 'next.example')
        cls.rsa = cls.ca.make('localhost', kind='rsa')
        cls.wrong = cls.ca.make('elsewhere.example')
        cls.unknown = cls.other.make('localhost')
        cls.old = cls.expired()

    @classmethod
    def tearDownClass(cls):
        cls.ca.close()
        cls.other.close()

    @classmethod
    def expired(cls):
        """Signed by the known authority for the right name, and over since long."""
        cert, key = cls.ca.make('localhost', whole=False)
        request, new = cls.ca.path('old-request'), cls.ca.path('old.pem')
        subprocess.run(['openssl', 'x509', '-x509toreq', '-in', cert, '-signkey', key, '-out', request], check=True, capture_output=True)
        folder = cls.ca.path('old-ca')
        os.mkdir(folder)
        for name, text in (('index', ''), ('serial', '77\n')):
            with open(os.path.join(folder, name), 'w') as f:
                f.write(text)
        with open(os.path.join(folder, 'conf'), 'w') as f:
            f.write('[ca]\ndefault_ca=c\n[c]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\n'
                    'x509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:localhost\n' % ((folder,) * 3))
        subprocess.run(['openssl', 'ca', '-batch', '-notext', '-config', folder + '/conf', '-cert', cls.ca.root, '-keyfile',
                        cls.ca.path('root-key.pem'), '-in', request, '-out', new, '-startdate', '20200101000000Z', '-enddate',
                        '20210101000000Z'], check=True, capture_output=True)
        return new, key

    def setUp(self):
        self.open = []

    def tearDown(self):
        for thing in reversed(self.open):
            thing.close()

    def hop(self, **more):
        hop = NextHop(**more)
        self.open.append(hop)
        return hop

    def relay(self, hop, policy, kind='smtp', host='127.0.0.1', more='', **rest):
        ca = 'ca = %s\n' % self.ca.root if policy == 'verified' else ''
        relay = Relay('[route out]\nurl = %s://%s:%d\ntls = %s\n%s%s' % (kind, host, hop.port, policy, ca, more), **rest)
        self.open.append(relay)
        return relay

    def check(self, outcome, verdict, stage, code=0, enhanced=None, words=None):
        self.assertEqual((outcome.verdict, outcome.stage, outcome.code), (verdict, stage, code), outcome)
        if enhanced is not None:
            self.assertEqual(outcome.enhanced, enhanced)
        if words is not None:
            self.assertIn(words, outcome.reply)


class Policies(Case):
    def test_verified(self):
        for pair in (self.good, self.rsa):
            for kind, implicit in (('smtp', False), ('smtps', True)):
                with self.subTest(pair=pair, kind=kind):
                    hop = self.hop(tls=pair, implicit=implicit)
                    relay = self.relay(hop, 'verified', kind, 'localhost')
                    r = relay.run()
                    self.check(r.outcome, 'delivered', 'end', 250)
                    self.assertRegex(r.tls, r'^TLSv1\.3 TLS_\w+ verified$')
                    self.assertEqual(hop.names, ['localhost'])	# the name that it is called by

    def test_lmtp_with_starttls(self):
        hop = self.hop(tls=self.good, lmtp=True)
        relay = self.relay(hop, 'verified', 'lmtp', 'localhost')
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertEqual([line.split()[0] for line in hop.lines[:3]], ['LHLO', 'STARTTLS', 'LHLO'])

    def test_bad_certificates(self):
        """Verified refuses them and says why; required and opportunistic take them and say that they did."""
        for pair, words in ((self.wrong, 'ostname mismatch'), (self.unknown, 'certificate'), (self.old, 'expired')):
            with self.subTest(words=words):
                hop = self.hop(tls=pair)
                r = self.relay(hop, 'verified', 'smtp', 'localhost').run()
                self.check(r.outcome, 'deferred', 'tls', 0, '4.7.5', words)
                self.assertTrue(r.is_dead)
                self.assertEqual([line for line in hop.lines if line.split()[0] not in ('EHLO', 'STARTTLS')], [])
                for policy in ('required', 'opportunistic'):
                    r = self.relay(self.hop(tls=pair), policy, 'smtp', 'localhost').run()
                    self.check(r.outcome, 'delivered', 'end', 250)
                    self.assertTrue(r.tls.endswith(' unverified'), r.tls)

    def test_address_is_no_name(self):
        r = self.relay(self.hop(tls=self.good), 'verified').run()
        self.check(r.outcome, 'deferred', 'tls', 0, '4.7.5', 'IP address mismatch')

    def test_not_offered(self):
        for policy in ('required', 'verified'):
            hop = self.hop()
            self.check(self.relay(hop, policy).run().outcome, 'deferred', 'tls', 0, '4.7.10', 'STARTTLS')
            self.assertIn([line.split()[0] for line in hop.lines], (['EHLO'], ['EHLO', 'QUIT']))
        r = self.relay(self.hop(), 'opportunistic').run()
        self.check(r.outcome, 'delivered', 'end', 250)
        self.assertEqual(r.tls, '')

    def test_refused(self):
        for policy, verdict in (('required', 'deferred'), ('opportunistic', 'delivered')):
            hop = self.hop(tls=self.good, rules={'STARTTLS': '454 4.7.0 not now'})
            r = self.relay(hop, policy).run()
            self.assertEqual(r.outcome.verdict, verdict)
            self.assertEqual(hop.sessions, 1)
        self.assertEqual(r.tls, 'none, STARTTLS was answered 454')

    def test_broken_handshakes(self):
        """Opportunistic goes on in the clear over a new connection, and tells; the others do not."""
        def answer(session, line):
            session.say('220 go')
            session.sock.recv(1000)
            session.say('500 what?')
            return None
        for policy in ('required', 'verified', 'opportunistic'):
            with self.subTest(policy=policy):
                hop = self.hop(tls=self.good, rules={'STARTTLS': answer})
                r = self.relay(hop, policy, host='localhost').run()
                if policy == 'opportunistic':
                    self.check(r.outcome, 'delivered', 'end', 250)
                    self.assertEqual(r.tls, 'none, after its handshake failed')
                    self.assertEqual(hop.sessions, 2)
                else:
                    self.check(r.outcome, 'deferred', 'tls', 0, '4.7.0', 'handshake')
                    self.assertEqual(hop.messages, [])

    def test_old_versions(self):
        hop = self.hop(tls=self.good)
        hop.context.maximum_version = ssl.TLSVersion.TLSv1_2
        r = self.relay(hop, 'verified', host='localhost').run()
        self.assertRegex(r.tls, r'^TLSv1\.2 \S+ verified$')

    def test_not_wanted(self):
        hop = self.hop(tls=self.good)
        self.check(self.relay(hop, 'none').run().outcome, 'delivered', 'end', 250)
        self.assertNotIn('STARTTLS', hop.lines)

    def test_injection(self):
        """What somebody puts behind the answer to STARTTLS in the clear is not taken for the server's answer in TLS (RFC 3207, 4.2)."""
        for extra in ('250-next.example\r\n250 AUTH PLAIN\r\n', '250 evil.example\r\n250 2.1.0 ok\r\n', '554 no\r\n'):
            hop = self.hop(tls=self.good, users=USERS)

            def inject(session, line):
                session.say('220 go\r\n' + extra)
                session.wrap()
                return '\n'
            hop.rules['STARTTLS'] = inject
            relay = self.relay(hop, 'verified', host='localhost')
            # The server's next line in TLS is empty: it is what is read, not what was injected.
            self.check(relay.run().outcome, 'deferred', 'hello', 0, '4.5.0')
            hop.rules['STARTTLS'] = lambda session, line: bool(session.say('220 go\r\n' + extra) or session.wrap())
            self.check(relay.run().outcome, 'delivered', 'end', 250)

    def test_a_server_that_stalls(self):
        hop = self.hop(raw=lambda sock: (sock.sendall(b'220 x\r\n'), sock.recv(100), sock.sendall(b'250-x\r\n250 STARTTLS\r\n'), sock.recv(100),
                                         sock.sendall(b'220 go\r\n'), sock.recv(1000), sock.recv(1000)))
        self.check(self.relay(hop, 'required', delivery='timeout = 500ms\n').run().outcome, 'deferred', 'tls', 0, '4.7.0')

    def test_large_message(self):
        hop = self.hop(tls=self.good)
        text = b'A: b\r\n\r\n' + b''.join(b'.%d %s\r\n' % (i, b'y' * (i % 990)) for i in range(1800))
        self.check(self.relay(hop, 'verified', host='localhost').run(message=text).outcome, 'delivered', 'end', 250)
        self.assertEqual(hop.messages[0][2], text)

    def test_many_in_one_session(self):
        hop = self.hop(tls=self.good)
        relay = self.relay(hop, 'verified', host='localhost')
        for _ in range(10):
            self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertEqual(hop.sessions, 1)


class Logins(Case):
    def login(self, mechanisms, policy='verified', password=USERS['post@example.org'], host='localhost', rules=None, **more):
        hop = self.hop(tls=self.good if policy != 'none' else None, users=USERS, mechanisms=mechanisms, rules=rules, **more)
        relay = self.relay(hop, policy, host=host, more='user = post@example.org\n', secrets={'out': password})
        return hop, relay

    def test_strongest_first(self):
        order = ['LOGIN', 'PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256']
        for n in range(1, 5):
            hop, relay = self.login(['X-OWN'] + order[:n])
            self.check(relay.run().outcome, 'delivered', 'end', 250)
            self.assertEqual(hop.logins, [(order[n - 1], 'post@example.org')])

    def test_wrong_password_waits(self):
        for mechanism in ('LOGIN', 'PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256'):
            hop, relay = self.login([mechanism], password='another')
            r = relay.run()
            self.check(r.outcome, 'deferred', 'login', 535, '5.7.8')
            self.assertTrue(r.is_dead)
            self.assertEqual(hop.sessions, 1)	# no other address is asked with a wrong password

    def test_a_server_that_does_not_know_the_password(self):
        hop, relay = self.login(['SCRAM-SHA-256'], rules={'SCRAM': 'lie'})
        self.check(relay.run().outcome, 'deferred', 'login', 0, '4.7.0', 'did not prove')
        self.assertEqual(hop.messages, [])

    def test_a_server_that_skips_its_proof(self):
        hop, relay = self.login(['SCRAM-SHA-256'], rules={'AUTH': lambda s, line: s.ask('r=%sx,s=QUJD,i=4096' % __import__('base64').b64decode(
            line.split()[2]).decode().split('r=')[1]) and '235 2.7.0 welcome'})
        self.check(relay.run().outcome, 'deferred', 'login', 0, '4.7.0', 'did not prove')

    def test_few_iterations(self):
        hop, relay = self.login(['SCRAM-SHA-256'], rules={'AUTH': lambda s, line: s.ask('r=%sx,s=QUJD,i=1' % __import__('base64').b64decode(
            line.split()[2]).decode().split('r=')[1]) and '235 2.7.0 welcome'})
        self.check(relay.run().outcome, 'deferred', 'login', 0, '4.7.0', 'not safe')

    def test_none_offered(self):
        for mechanisms in (None, ['GSSAPI', 'NTLM']):
            hop, relay = self.login(mechanisms)
            self.check(relay.run().outcome, 'deferred', 'login', 0, '4.7.0', 'no way to log in')

    def test_no_password_in_the_clear(self):
        """A server, or somebody before it, that hides STARTTLS gets neither a password nor a proof of one."""
        hop = self.hop(users=USERS, mechanisms=['PLAIN', 'LOGIN', 'SCRAM-SHA-256'])
        relay = self.relay(hop, 'opportunistic', more='user = post@example.org\n', secrets={'out': USERS['post@example.org']})
        self.check(relay.run().outcome, 'deferred', 'login', 0, '4.7.0', 'password was not sent')
        self.assertFalse([line for line in hop.lines if line.startswith('AUTH')])

    def test_in_the_clear_to_this_machine(self):
        hop, relay = self.login(['PLAIN'], policy='none', host='127.0.0.1')
        self.check(relay.run().outcome, 'delivered', 'end', 250)
        self.assertEqual(hop.logins, [('PLAIN', 'post@example.org')])

    def test_answers_of_the_wrong_kind(self):
        for answer in ('334 !!!', '334 ' + 'A' * 3000, '250 ok', '334', '421 bye', None):
            with self.subTest(answer=answer):
                hop, relay = self.login(['SCRAM-SHA-256'], rules={'AUTH': answer})
                r = relay.run()
                self.assertEqual((r.outcome.verdict, r.outcome.stage), ('deferred', 'login'), r)

    def test_secrets_are_looked_after(self):
        """A password file that others can read, or that is not there, is refused with the mending command."""
        hop = self.hop()
        for mode, words in ((0o644, 'chmod 600'), (None, 'no such file')):
            relay = Relay('[route out]\nurl = smtp://127.0.0.1:%d\nuser = x\ntls = none\n' % hop.port, secrets={'out': 'x'}, start=False)
            self.open.append(relay)
            path = os.path.join(relay.root, 'routes/out.secret')
            if mode is None:
                os.unlink(path)
            else:
                os.chmod(path, mode)
            with self.assertRaisesRegex(RuntimeError, words):
                relay.start()

    def test_passwords_stay_apart(self):
        """A session process has the password of its own route, the other's is not in its memory, and neither is in the log."""
        def passwords_in(pid):
            found = set()
            with open('/proc/%d/maps' % pid) as maps, open('/proc/%d/mem' % pid, 'rb', 0) as mem:
                for row in maps:
                    fields = row.split()
                    start, end = (int(x, 16) for x in fields[0].split('-'))
                    if 'w' not in fields[1] or end - start > 1 << 30:	# a sanitizer's shadow
                        continue
                    try:
                        mem.seek(start)
                        data = mem.read(end - start)
                    except OSError:
                        continue
                    found |= {word for word in (b'first-password-9', b'other-password-7') if word in data}
            return found
        if os.geteuid() != 0:
            self.skipTest('needs root')
        done = threading.Event()
        hop = self.hop(users={'a': 'first-password-9', 'b': 'other-password-7'}, mechanisms=['PLAIN'],
                       rules={'END': lambda s, line: done.wait(25) or True})
        relay = Relay(''.join('[route %s]\nurl = smtp://127.0.0.1:%d\nuser = %s\ntls = none\n%s' % row for row in
                              (('first', hop.port, 'a', ''), ('other', hop.port, 'b', 'to_domain = other.example\n'))),
                      secrets={'first': 'first-password-9', 'other': 'other-password-7'}, delivery='timeout = 30s\n')
        self.open.append(relay)
        deliveries = [relay.deliver(['bob@example.net'], route='first')]
        self.assertTrue(wait_for(lambda: hop.lines.count('.') == 1))
        deliveries.append(relay.deliver(['bob@example.net'], route='other'))
        self.assertTrue(wait_for(lambda: hop.lines.count('.') == 2))
        children = relay.children()
        self.assertEqual(len(children), 2)
        self.assertEqual([passwords_in(pid) for pid in children], [{b'first-password-9'}, {b'other-password-7'}])
        self.assertEqual(passwords_in(relay.pid), {b'first-password-9', b'other-password-7'})
        self.assertNotIn('password', relay.read_log())
        done.set()
        for d in deliveries:
            self.check(d.wait().outcome, 'delivered', 'end', 250)


if __name__ == '__main__':
    socket.setdefaulttimeout(30)
    main()
