#!/usr/bin/env python3
"""Routes as the admin sees them (smtpadm route), and the relay as the master sees it: started, replaced, restarted, ended."""
import json
import os
import pty
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from admin import LISTEN, ORDINARY, Admin
from dns import Dns
from next_hop import NextHop
from postern import ALICE, IS_ROOT, PASSWORD, SLOW, Instance, is_alive, main, program, wait_for
from tls import Authority

SECRET = 'hunter 2;#\\"x'


def send(instance, recipient='bob@example.net', text='hello'):
    with instance.client(login=ALICE) as c:
        c.command('MAIL FROM:<%s>' % ALICE, 250)
        c.command('RCPT TO:<%s>' % recipient, 250)
        c.command('DATA', 354)
        c.send('From: %s\r\nSubject: %s\r\n\r\n%s\r\n.\r\n' % (ALICE, text, text))
        c.expect(250)


class Commands(Admin):
    def setUp(self):
        super().setUp()
        self.on('setup', '--hostname', 'mail.example.org', '--self-signed', *LISTEN)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def conf(self):
        with open(self.path('postern.conf')) as f:
            return f.read()

    def test_add_show_remove(self):
        with open(self.path('postern.conf'), 'a') as f:
            f.write('\n# the end, with a comment\n')
        before = self.conf()
        self.on('route', 'add', 'house', 'lmtp://127.0.0.1:2003', '--to-domain', 'Example.org', '--to-domain', '*.example.org')
        self.on('route', 'add', 'provider', 'smtp://mail.example.net:587', '--user', 'joe@example.org', '--stdin', input=SECRET + '\n')
        self.on('route', 'add', 'old', 'smtp://10.0.0.1', '--tls', 'none', '--account', ALICE, '--from-domain', 'example.com')
        self.assertTrue(self.conf().startswith(before))
        self.assertNotIn('hunter', self.conf())
        secret = self.path('routes', 'provider.secret')
        with open(secret) as f:
            self.assertEqual(f.read(), SECRET + '\n')
        self.assertEqual(os.stat(secret).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(secret)).st_mode & 0o777, 0o700)
        rows = {row['route']: row for row in self.rows('route', 'list')}
        self.assertEqual(list(rows), ['house', 'provider', 'old'])
        self.assertEqual(rows['house']['to_domain'], ['example.org', '*.example.org'])
        self.assertEqual([rows[name]['is_default'] for name in rows], [False, True, False])
        self.assertEqual([rows[name]['tls'] for name in rows], ['none', 'verified', 'none'])
        self.assertEqual(rows['provider']['url'], 'smtp://mail.example.net:587')
        self.assertEqual((rows['old']['account'], rows['old']['from_domain']), ([ALICE], ['example.com']))
        self.assertIn('all other mail', self.on('route', 'list'))
        shown = self.on('route', 'show', 'provider')
        self.assertIn('routes/provider.secret', shown)
        self.assertNotIn('hunter', shown + self.on('config', 'show') + self.on('--json', 'route', 'list'))
        self.on('config', 'check')
        self.assertEqual(self.on('config', 'get', 'route.house.to_domain'), 'example.org *.example.org\n')
        self.on('config', 'set', 'route.old.tls', 'opportunistic')
        self.assertEqual(self.on('config', 'get', 'route.old.tls'), 'opportunistic\n')
        self.assertIn('route.old.sessions', self.on('config', 'explain', 'route.old.sessions'). replace('NAME', 'old'))
        self.on('route', 'rm', 'provider', '--yes')
        self.assertFalse(os.path.exists(secret))
        self.assertNotIn('provider', self.conf())
        self.on('route', 'remove', 'house', '--yes')
        self.assertEqual(self.rows('route', 'remove', 'old', '--yes'), [{'v': 1, 'route': 'old', 'action': 'removed', 'dry_run': False}])
        self.assertEqual(self.rows('route', 'list'), [])
        self.assertEqual(re.sub(r'\n+', '\n', self.conf()), re.sub(r'\n+', '\n', before))

    def test_refused(self):
        self.on('route', 'add', 'main', 'discard:')
        before = self.conf()
        for code, args in ((73, ('main', 'mx:')), (65, ('a b', 'mx:')), (65, ('..', 'mx:')), (65, ('x' * 37, 'mx:')), (65, ('x', 'nonsense')),
                           (65, ('x', 'smtp://joe:%s@h' % 'secret')), (65, ('x', 'mx: ;')), (78, ('x', 'mx:')),
                           (78, ('x', 'smtp://h', '--tls', 'maybe', '--to-domain', 'x')),
                           (78, ('x', 'smtp://h', '--to-domain', 'a@b')), (65, ('x', 'smtp://h', '--to-domain', 'a\nb = c')),
                           (78, ('x', 'smtp://h', '--user', 'joe', '--tls', 'none', '--to-domain', 'x', '--stdin')),
                           (64, ('x', 'smtp://h', '--to-domain', 'x', '--stdin')),
                           (64, ('x', 'smtp://joe@h', '--to-domain', 'x')),	# no terminal
                           (65, ('x', 'smtp://joe@h', '--to-domain', 'x', '--stdin'))):
            with self.subTest(args=args):
                text = self.refused(code, 'route', 'add', *args, input='\n' if args[-1] == '--stdin' and 'joe@' in args[1] else 'word\n')
                self.assertNotIn('secret', text.replace('.secret', ''))
                self.assertEqual(self.conf(), before)
                self.assertFalse(os.path.exists(self.path('routes')))
        self.assertIn('route list', self.error(68, 'route', 'show', 'nobody')['fix'])
        self.error(68, 'route', 'remove', 'nobody')
        self.error(68, 'route', 'test', 'nobody')
        self.assertIn("did you mean 'sessions'", self.refused(64, 'config', 'set', 'route.main.session', '3'))

    def test_dry_run(self):
        before = self.conf()
        row = self.rows('--dry-run', 'route', 'add', 'main', 'smtp://joe@h', '--stdin', input='word\n')[0]
        self.assertEqual((row['v'], row['route'], row['user'], row['dry_run']), (1, 'main', 'joe', True))
        self.assertEqual(self.conf(), before)
        self.assertFalse(os.path.exists(self.path('routes')))
        self.on('route', 'add', 'main', 'smtp://joe@h', '--stdin', input='word\n')
        before = self.conf()
        self.assertEqual(self.rows('--dry-run', '--yes', 'route', 'remove', 'main'),
                         [{'v': 1, 'route': 'main', 'action': 'removed', 'dry_run': True}])
        self.assertEqual(self.conf(), before)
        self.assertTrue(os.path.exists(self.path('routes', 'main.secret')))

    def test_secret_typed(self):
        """Asked on the terminal, without echo."""
        ours, theirs = pty.openpty()
        p = subprocess.Popen([program('smtpadm'), '--root', self.root, 'route', 'add', 'main', 'smtp://joe@mail.example.net:587'],
                             stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
                             **({} if self.user is None else {'user': self.user, 'group': self.user, 'extra_groups': []}))
        os.close(theirs)
        seen = b''
        while b'Password of joe at mail.example.net: ' not in seen:
            seen += os.read(ours, 1000)
        time.sleep(0.2)
        os.write(ours, SECRET.encode() + b'\n')
        try:
            while True:
                data = os.read(ours, 1000)
                if not data:
                    break
                seen += data
        except OSError:
            pass
        os.close(ours)
        self.assertEqual(p.wait(10 * SLOW), 0, seen)
        self.assertNotIn(b'hunter', seen)
        with open(self.path('routes', 'main.secret')) as f:
            self.assertEqual(f.read(), SECRET + '\n')

    def test_check(self):
        """config check looks at what routes rely on."""
        self.on('route', 'add', 'main', 'smtp://joe@h', '--stdin', input='word\n')
        secret = self.path('routes', 'main.secret')
        self.on('config', 'check')
        os.chmod(secret, 0o640)
        self.assertIn('chmod 600', self.refused(77, 'config', 'check'))
        os.chmod(secret, 0o600)
        with open(secret, 'w'):
            pass
        self.assertIn('empty', self.refused(78, 'config', 'check'))
        os.unlink(secret)
        self.assertIn("route 'main'", self.refused(66, 'config', 'check'))
        self.on('route', 'remove', 'main', '--yes')
        self.on('route', 'add', 'main', 'smtp://h', '--tls', 'verified', '--ca', 'tls/nothing.pem')
        self.assertIn('nothing.pem', self.refused(66, 'config', 'check'))

    def test_setup(self):
        """setup --route makes the first route, once; setup and status say so when there is none."""
        self.assertIn('none: accepted mail waits', self.on('setup', '--self-signed'))
        out = self.on('setup', '--route', 'smtp://mail.example.net')
        self.assertIn('main smtp://mail.example.net:25', out)
        before = self.conf()
        self.on('setup', '--route', 'mx:')
        self.assertEqual(self.conf(), before)

    def test_lists_in_several_lines(self):
        self.on('route', 'add', 'a', 'mx:', *(word for n in range(40) for word in ('--to-domain', 'domain-%02d.example.org' % n)))
        self.assertEqual(len(self.rows('route', 'list')[0]['to_domain']), 40)
        self.assertIn('several lines', self.refused(65, 'config', 'set', 'route.a.to_domain', 'x'))


@unittest.skipUnless(IS_ROOT, "needs root")
class CommandsOrdinary(Commands):
    user = ORDINARY


class Trials(unittest.TestCase):
    """smtpadm route test against servers of our own."""

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.pair = cls.authority.make('hop.example.net')
        cls.dns = Dns({'hop.example.net': {'A': ['127.0.0.1']}, 'example.net': {'MX': ['10 hop.example.net', '20 gone.example.net']},
                       'null.example': {'MX': ['0 .']}, 'servfail.example': {'do': 'servfail'}})
        cls.instance = Instance(start=False)
        with open(os.path.join(cls.instance.root, 'postern.conf'), 'a') as f:
            f.write('\n[dns]\nservers = %s\ndnssec = off\n[delivery]\nconnect_timeout = 3s\ntimeout = 3s\n' % cls.dns.setting)

    @classmethod
    def tearDownClass(cls):
        cls.instance.close()
        cls.dns.close()
        cls.authority.close()

    def try_route(self, url, *options, to=None, sender=None, code=0, secret=None):
        """({step: [(result, text), ...]}, standard error)"""
        i = self.instance
        i.adm('route', 'add', 'trial', url, '--to-domain', 'x', *options, *(['--stdin'] if secret else []), input=secret)
        try:
            args = ['--json', 'route', 'test', 'trial'] + (['--to', to] if to else []) + (['--from', sender] if sender else [])
            done = i.run(*args, timeout=60 * SLOW)
            self.assertEqual(done.returncode, code, done.stdout.decode() + done.stderr.decode())
            steps = {}
            for line in done.stdout.decode().splitlines():
                row = json.loads(line)
                steps.setdefault(row['step'], []).append((row['result'], row['text']))
            return steps, done.stderr.decode()
        finally:
            i.adm('route', 'remove', 'trial', '--yes')

    def test_good(self):
        with NextHop() as hop:
            steps, _ = self.try_route('smtp://127.0.0.1:%d' % hop.port)
            self.assertEqual(list(steps), ['connect', 'greeting', 'hello', 'tls', 'quit'])
            self.assertTrue(all(result == 'ok' for rows in steps.values() for result, _ in rows))
            steps, _ = self.try_route('smtp://hop.example.net:%d' % hop.port, to='bob@example.net', sender='joe@example.org')
            self.assertEqual(list(steps), ['resolve', 'connect', 'greeting', 'hello', 'tls', 'mail', 'rcpt', 'quit'])
            self.assertIn('MAIL FROM:<joe@example.org>', hop.lines)
            self.assertEqual(hop.lines[-2:], ['RSET', 'QUIT'])
            steps, _ = self.try_route('mx:%d' % hop.port, to='bob@example.net')
            self.assertIn('10 hop.example.net 20 gone.example.net', steps['resolve'][0][1])
            self.assertEqual(hop.messages, [])
            self.assertNotIn('DATA', hop.lines)
        with tempfile.TemporaryDirectory() as folder, NextHop(lmtp=True, path=os.path.join(folder, 's')) as hop:
            os.chmod(folder, 0o755)
            steps, _ = self.try_route('lmtp:' + os.path.join(folder, 's'), to='bob@example.net')
            self.assertIn('LHLO mail.example.org', hop.lines)
        self.try_route('discard:')

    def test_tls_and_login(self):
        with NextHop(tls=self.pair, mechanisms=('PLAIN', 'SCRAM-SHA-256'), users={'joe': SECRET}) as hop:
            url = 'smtp://hop.example.net:%d' % hop.port
            ca = ('--ca', self.authority.root)
            steps, _ = self.try_route(url, '--tls', 'verified', *ca)
            self.assertRegex(steps['tls'][0][1], r'^TLSv1\.[23] \S+ verified$')
            self.assertRegex(steps['certificate'][0][1], r'^for hop\.example\.net, by Test Authority, good for \d+ days$')
            steps, _ = self.try_route(url, '--user', 'joe', *ca, secret=SECRET)
            self.assertEqual(hop.logins[-1], ('SCRAM-SHA-256', 'joe'))
            self.assertEqual(steps['login'], [('ok', 'as joe')])
            steps, err = self.try_route(url, '--user', 'joe', *ca, secret='wrong', code=68)
            self.assertEqual(list(steps)[-1], 'login')
            self.assertRegex(steps['login'][0][1], '^535 ')
            self.assertIn('route add', err)
            self.assertNotIn('wrong\n', err + str(steps))
            # By the system's authorities, and by another name, it is not accepted; and `required` does not ask.
            steps, err = self.try_route(url, '--tls', 'verified', code=68)
            self.assertEqual(steps['tls'][0][0], 'failed')
            self.assertIn('certificate', steps['tls'][0][1])
            self.assertIn('.ca FILE', err)
            steps, err = self.try_route('smtp://127.0.0.1:%d' % hop.port, '--tls', 'verified', *ca, code=68)
            self.assertIn('certificate', steps['tls'][0][1])
            self.assertIn('.url URL, with a host name', err)
            steps, _ = self.try_route('smtp://127.0.0.1:%d' % hop.port, '--tls', 'required')
            self.assertIn('unverified', steps['tls'][0][1])
        with NextHop() as hop:
            steps, err = self.try_route('smtp://127.0.0.1:%d' % hop.port, '--tls', 'required', code=68)
            self.assertIn('STARTTLS', steps['tls'][0][1])
        with NextHop(tls=self.pair, implicit=True) as hop:
            steps, _ = self.try_route('smtps://hop.example.net:%d' % hop.port, '--ca', self.authority.root)
            self.assertIn('verified', steps['tls'][0][1])
            steps, err = self.try_route('smtp://hop.example.net:%d' % hop.port, code=68)
            self.assertIn('smtps://', err)

    def test_bad(self):
        with socket.create_server(('127.0.0.1', 0)) as closed:
            port = closed.getsockname()[1]
        steps, err = self.try_route('smtp://127.0.0.1:%d' % port, code=68)
        self.assertEqual(steps['connect'][0][0], 'failed')
        self.assertIn('refused', steps['connect'][0][1])
        self.assertIn('.url URL', err)
        for url, said in (('smtp://gone.example.net', 'no such name'), ('smtp://servfail.example', 'server failure')):
            steps, err = self.try_route(url, code=68)
            self.assertIn(said, steps['resolve'][0][1])
        steps, _ = self.try_route('mx:', to='a@null.example', code=1)
        self.assertEqual(steps['resolve'][0][0], 'refused')
        _, err = self.try_route('mx:', to='a@gone.example.net', code=68)
        self.assertIn('another --to', err)
        steps, err = self.try_route('mx:', code=64)
        self.assertIn('--to ADDRESS', err)
        steps, _ = self.try_route('lmtp:/nowhere/socket', code=68)
        self.assertIn('No such file', steps['connect'][0][1])
        for rules, last, result, code in (({'GREETING': '554 5.7.1 go away'}, 'greeting', 'failed', 68),
                                          ({'GREETING': b'\xff\x00\x1b[2Jnonsense\r\n'}, 'greeting', 'failed', 68),
                                          ({'GREETING': None}, 'greeting', 'failed', 68),
                                          ({'EHLO': '421 later', 'HELO': '421 later'}, 'hello', 'failed', 68),
                                          ({'MAIL': '550 5.7.1 no'}, 'mail', 'refused', 1),
                                          ({'RCPT': '550 5.1.1 nobody'}, 'rcpt', 'refused', 1),
                                          ({'RCPT': '450 4.2.1 later'}, 'rcpt', 'refused', 1)):
            with self.subTest(rules=rules), NextHop(rules=rules) as hop:
                steps, err = self.try_route('smtp://127.0.0.1:%d' % hop.port, to='bob@example.net', code=code)
                self.assertEqual((list(steps)[-1], steps[last][-1][0]), (last, result))
                self.assertNotIn('\x1b', err + str(steps))


class Life(unittest.TestCase):
    """What the master does with the relay."""

    def relay(self, instance):
        return [p.pid for p in instance.kind('postern-relay')]

    def services(self, instance):
        return {s['name']: s for s in instance.adm_json('status')[0]['services']}

    def test_reload(self):
        """A relay comes with the first route, is replaced by a reload, and goes with the last route; mail that waits goes out."""
        with NextHop() as first, NextHop() as second, Instance() as i:
            self.assertEqual(self.relay(i), [])
            self.assertNotIn('relay', self.services(i))
            self.assertIn('accepted mail waits', i.adm('status'))
            send(i, text='waits')
            self.assertEqual(len(i.names()), 1)
            i.adm('route', 'add', 'main', 'smtp://127.0.0.1:%d' % first.port)
            i.adm('reload')
            self.assertTrue(self.services(i)['relay']['ready'])
            self.assertTrue(wait_for(lambda: len(first.messages) == 1, 5))
            self.assertTrue(wait_for(lambda: i.names() == [], 5))
            old = self.relay(i)
            i.adm('config', 'set', 'route.main.url', 'smtp://127.0.0.1:%d' % second.port)
            i.adm('reload')
            self.assertTrue(wait_for(lambda: not any(is_alive(pid) for pid in old), 5))
            self.assertEqual(len(self.relay(i)), 1)
            send(i)
            self.assertTrue(wait_for(lambda: len(second.messages) == 1, 5))
            self.assertEqual(len(first.messages), 1)
            i.adm('route', 'remove', 'main', '--yes')
            i.adm('reload')
            self.assertTrue(wait_for(lambda: self.relay(i) == [], 5))
            send(i)
            self.assertEqual(len(i.names()), 1)
            self.assertNotIn('relay', self.services(i))
            self.assertEqual(i.strays(), [(p, n) for p, n in i.strays() if n != 'postern-relay'])

    def test_reload_refused(self):
        """A relay that can't start on the new configuration: nothing changes, and the reason is told."""
        with NextHop() as hop, Instance() as i:
            i.adm('route', 'add', 'main', 'smtp://127.0.0.1:%d' % hop.port)
            i.adm('reload')
            old = self.relay(i)
            i.adm('route', 'add', 'more', 'smtp://joe@127.0.0.1', '--to-domain', 'x', '--stdin', input='word')
            secret = os.path.join(i.root, 'routes', 'more.secret')
            os.rename(secret, secret + '.away')
            # smtpadm looks itself, before it asks; the master finds out by itself, too.
            self.assertNotEqual(i.run('reload').returncode, 0)
            i.signal(signal.SIGHUP)
            self.assertTrue(i.logged('config.rejected.*more.secret'))
            self.assertTrue(wait_for(lambda: self.relay(i) == old, 3), 'the one that could not start is gone')
            send(i)
            self.assertTrue(wait_for(lambda: len(hop.messages) == 1, 5))
            os.rename(secret + '.away', secret)
            i.adm('reload')
            self.assertTrue(wait_for(lambda: self.relay(i) not in ([], old), 5))

    def test_start_refused(self):
        """The same at the start: posternd ends with the reason."""
        i = Instance(start=False)
        try:
            i.adm('route', 'add', 'main', 'smtp://joe@127.0.0.1', '--tls', 'none', '--stdin', input='word')
            os.unlink(os.path.join(i.root, 'routes', 'main.secret'))
            code, said = i.refusal()
            self.assertEqual(code, 66)
            self.assertRegex(said, 'postern-relay: .*main.secret')
        finally:
            i.close()

    def test_killed(self):
        """kill -9 of the relay: started again, mail goes on; sessions of clients do not notice."""
        with NextHop() as hop, Instance(settings={'delivery.retry': '500ms'}) as i:
            i.adm('route', 'add', 'main', 'smtp://127.0.0.1:%d' % hop.port)
            i.adm('reload')
            with i.client(login=ALICE) as c:
                for n in range(3):
                    os.kill(self.relay(i)[0], signal.SIGKILL)
                    c.command('MAIL FROM:<%s>' % ALICE, 250)
                    c.command('RCPT TO:<bob@example.net>', 250)
                    c.command('DATA', 354)
                    c.send('From: %s\r\nSubject: %d\r\n\r\nx\r\n.\r\n' % (ALICE, n))
                    c.expect(250)
                    self.assertTrue(wait_for(lambda: len(hop.messages) == n + 1, 10))
                    self.assertTrue(wait_for(lambda: self.relay(i), 5))
            self.assertEqual(self.services(i)['relay']['restarts'], 3)
            self.assertIn('postern_service_restarts_total{service="relay"} 3\n', i.adm('metrics'))

    def test_cannot_be_started_again(self):
        """A relay that fails for good while the service runs: mail is taken and waits, status says so, and it mends by itself."""
        with NextHop(mechanisms=('PLAIN',), users={'joe': 'word'}) as hop, Instance() as i:
            i.adm('route', 'add', 'main', 'smtp://joe@127.0.0.1:%d' % hop.port, '--tls', 'none', '--stdin', input='word')
            i.adm('reload')
            secret = os.path.join(i.root, 'routes', 'main.secret')
            os.rename(secret, secret + '.away')
            os.kill(self.relay(i)[0], signal.SIGKILL)
            self.assertTrue(i.logged('service.failed.*service=relay.*main.secret'))
            for _ in range(3):
                send(i)
                time.sleep(0.5)
            self.assertFalse(self.services(i)['relay']['ready'])
            self.assertIn('relay, NOT READY', i.adm('status'))
            self.assertEqual(len(i.names()), 3)
            # Not again and again: after 1, 2, 4 seconds.
            self.assertLessEqual(len(re.findall('service.failed.*service=relay', i.log())), 4)
            os.rename(secret + '.away', secret)
            self.assertTrue(wait_for(lambda: len(hop.messages) == 3, 15))
            self.assertTrue(wait_for(lambda: i.names() == [], 5))

    def test_resolver_killed(self):
        """The relay ends with its resolver, and is started again with another."""
        with NextHop() as hop, Instance() as i:
            i.adm('route', 'add', 'main', 'smtp://localhost:%d' % hop.port)
            i.adm('reload')
            relay = self.relay(i)[0]
            resolver = [p for p in i.tree() if p.parent == relay and p.comm == 'resolver']
            self.assertEqual(len(resolver), 1)
            os.kill(resolver[0].pid, signal.SIGKILL)
            self.assertTrue(wait_for(lambda: self.relay(i) not in ([], [relay]), 10))
            send(i)
            self.assertTrue(wait_for(lambda: len(hop.messages) == 1, 10))

    def test_master_killed(self):
        """All end with the master, the resolver and session processes too."""
        with NextHop(rules={'MAIL': 1.0}) as hop, Instance() as i:
            i.adm('route', 'add', 'main', 'smtp://127.0.0.1:%d' % hop.port)
            i.adm('reload')
            send(i)
            self.assertTrue(wait_for(lambda: hop.sessions, 5))
            seen = i.tree()
            self.assertTrue(any(p.comm == 'resolver' for p in seen))
            i.signal(signal.SIGKILL)
            self.assertTrue(wait_for(lambda: not i.left(), 20), [p.name for p in seen if is_alive(p.pid, p.started)])

    def test_stop(self):
        """TERM with a delivery under way that has not come to its end: it is given up at once, and goes out after the next start."""
        with NextHop(rules={'RCPT': 20.0}) as hop, Instance() as i:
            i.adm('route', 'add', 'main', 'smtp://127.0.0.1:%d' % hop.port)
            i.adm('reload')
            send(i)
            self.assertTrue(wait_for(lambda: any(line.startswith('RCPT') for line in hop.lines), 5))
            self.assertLess(i.stop(), 5 * SLOW)
            self.assertEqual(len(i.names()), 1)
            hop.rules.clear()
            i.start()
            self.assertTrue(wait_for(lambda: len(hop.messages) == 1, 10))

    @unittest.skipUnless(IS_ROOT, 'needs root')
    def test_rights(self):
        """The relay and its resolver: a user of their own, an empty root, sealed; the password is in no other process's reach."""
        with NextHop() as hop, Instance() as i:
            i.adm('route', 'add', 'main', 'smtp://127.0.0.1:%d' % hop.port)
            i.adm('reload')
            relay = i.kind('postern-relay')
            for p in relay + [p for p in i.tree() if p.parent == relay[0].pid]:
                status = p.status()
                self.assertEqual(set(status['Uid'].split()), {'60604'})
                self.assertEqual(set(status['Gid'].split()), {'60604'})
                self.assertEqual(status['Groups'].split(), [])
                self.assertEqual(status['Seccomp'].strip(), '2')
                self.assertEqual(int(status['CapEff'], 16), 0)
                self.assertEqual(os.readlink('/proc/%d/root' % p.pid), os.path.join(i.root, 'run', 'empty'))


if __name__ == '__main__':
    main(240)
