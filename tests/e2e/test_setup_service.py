#!/usr/bin/env python3
"""smtpadm setup in the system's places: it starts the service, tries each listener, and shows what came of it.

Root only. The system's places are empty file systems in a mount namespace of their own, and systemctl is a script there that starts
posternd; tests/pack/test_systemd.py does it with systemd itself.
"""
import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from postern import ALICE, HOST, IS_ROOT, PASSWORD, SANITIZER, SLOW, free_ports, main, make_certificate, program, wait_for

SYSTEMCTL = '/usr/bin/systemctl'
PREPARE = r'''set -e
mount --make-rprivate /
mkdir $BASE/etc
for name in passwd group nsswitch.conf hosts resolv.conf ld.so.cache ssl; do
    test ! -e /etc/$name || cp -rL /etc/$name $BASE/etc/ 2>/dev/null || true
done
mount --bind $BASE/etc /etc
for folder in /run /var/lib /var/spool; do mount -t tmpfs -o mode=755 none $folder; done
test ! -e /usr/bin/systemctl || mount --bind $BASE/systemctl /usr/bin/systemctl
touch $BASE/ready
exec sleep 600
'''
# Says what it was asked, starts posternd, and waits for it as systemd waits for its READY=1.
FAKE = r'''#!/bin/sh
echo "$*" >>$BASE/asked
case "$*" in
*is-enabled*) test -e $BASE/socket; exit;;
esac
test ! -e $BASE/refuse || { echo "Job for postern.service failed." >&2; exit 1; }
test ! -e $BASE/idle || exit 0
setsid $POSTERND </dev/null >>$BASE/log 2>&1 &
for i in $(seq 100); do grep -q event=ready $BASE/log && exit 0; sleep 0.1; done
exit 1
'''


def can_unshare():
    return shutil.which('unshare') and shutil.which('nsenter') and \
        subprocess.run(['unshare', '--mount', '--pid', '--fork', '--mount-proc', 'mount', '-t', 'tmpfs', 'none', '/var/spool'],
                       stderr=subprocess.DEVNULL).returncode == 0


@unittest.skipUnless(IS_ROOT and can_unshare(), 'a mount namespace needs root, unshare and nsenter')
class Service(unittest.TestCase):
    def setUp(self):
        self.base = tempfile.mkdtemp(prefix='postern-setup-')
        os.chmod(self.base, 0o755)
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8', 'BASE': self.base, 'POSTERND': program('posternd')}
        self.env.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')})
        self.put('systemctl', FAKE, 0o755)
        self.holder = subprocess.Popen(['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', PREPARE],
                                       env=self.env, stdin=subprocess.DEVNULL)
        self.addCleanup(self.end)
        self.assertTrue(wait_for(lambda: os.path.exists(self.path('ready')) or self.holder.poll() is not None, 10))
        with open('/proc/%d/task/%d/children' % (self.holder.pid, self.holder.pid)) as f:
            self.first = f.read().split()[0]
        self.ports = free_ports(3)
        self.listen = [a for kind, port in zip(('submission', 'submissions', 'plain'), self.ports)
                       for a in ('--listen', '%s=127.0.0.1:%d' % (kind, port))]

    def end(self):
        self.holder.kill()	# and with it all that is in there
        self.holder.wait(10)
        text = self.read('log')
        self.assertIsNone(SANITIZER.search(text), text)

    def path(self, name):
        return os.path.join(self.base, name)

    def put(self, name, text='', mode=0o644):
        with open(self.path(name), 'w') as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        try:
            with open(self.path(name), errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def inside(self, *argv, input=''):
        """(exit code, standard output, standard error)"""
        done = subprocess.run(['nsenter', '-t', self.first, '-m', '-p', *argv], input=input.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120 * SLOW, env=self.env)
        self.assertNotRegex(done.stderr.decode(), SANITIZER)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def adm(self, *args, code=0, input=''):
        got, out, err = self.inside(program('smtpadm'), *args, input=input)
        self.assertEqual(got, code, '%s: %s%s%s' % (' '.join(args), out, err, self.read('log')))
        self.said = err
        return out

    def needs_systemctl(self):
        if not os.path.exists(SYSTEMCTL):
            self.skipTest('there is no systemctl to put a script over')
        self.assertEqual(self.inside('mkdir', '-p', '/run/systemd/system')[0], 0)

    def setup(self, *more, code=0, input=''):
        return self.adm('setup', '--hostname', HOST, '--account', ALICE, '--self-signed', *self.listen, *more, code=code, input=input)

    def asked(self):
        return [line for line in self.read('asked').splitlines() if 'is-enabled' not in line]

    def test_a_new_service(self):
        self.needs_systemctl()
        out = self.setup('--domain', 'example.org')
        self.assertEqual(self.asked(), ['--quiet --no-ask-password enable --now postern.service'])
        order = [out.index(text) for text in ('Password  ', 'Settings for a mail program', 'The service is started', 'Trace of the message',
                                              'Records for the DNS of example.org', 'Next: ')]
        self.assertEqual(order, sorted(order))
        for name, port, words in (('submission', 0, 'TLSv1.3, its certificate, login, accepted a message'),
                                  ('submissions', 1, 'TLSv1.3, its certificate, login, accepted a message'),
                                  ('plain', 2, 'no TLS, login, accepted a message')):
            self.assertRegex(out, r'\n  %s +127\.0\.0\.1:%d +%s\n +250 2\.0\.0 Ok: queued as \w+\n' % (name, self.ports[port], words))
            self.assertRegex(out, r'\nTrace of the message to %s, which is removed again:\n(  \S.*\n)+' % name)
        self.assertEqual(out.count('removed'), 6)
        self.assertRegex(out, r'\n[^;\n]*\._domainkey\.example\.org\. IN TXT')
        self.assertNotIn('enable --now', out)
        # Nothing is left of it, and what was printed is true.
        self.assertEqual(self.adm('queue', 'list', '--all', '-j'), '')
        password = re.search(r'(?m)^Password +(\S+)$', out).group(1)
        self.adm('account', 'test', ALICE, '--stdin', input=password)
        # Again: it runs, so it is told; and the password is not known any more.
        out = self.setup('--domain', 'example.org')
        self.assertIn('The service runs, and has taken what is new.', out)
        self.assertIn('No login was tried', out)
        self.assertEqual(len(self.asked()), 1)
        self.assertNotIn('Trace', out)
        self.assertIn('event=config.loaded', self.read('log'))

    def test_json(self):
        self.needs_systemctl()
        got = json.loads(self.setup('-j', '--domain', 'example.org'))
        self.assertEqual(got['service'], {'action': 'started'})
        self.assertEqual(len(got['account']['password']), 24)
        for row in got['listeners']:
            found = row['probe']
            self.assertEqual((found['result'], found['login'], found['message'], found['removed']), ('good', True, 'accepted', True))
            self.assertEqual((found['tls'], found['certificate_is_configured']),
                             (None, False) if row['kind'] == 'plain' else ('TLSv1.3', True))
            self.assertIn(found['queue_id'], found['reply'])
            self.assertIn('removed', found['trace'][-1])
            self.assertIn('accepted', ' '.join(found['trace']))
        self.assertEqual({row['domain'] for row in got['dns']}, {'example.org'})

    def start_by_hand(self):
        """posternd runs, without systemd."""
        self.assertIn('Next: posternd\n', self.setup('--no-start'))
        self.inside('sh', '-c', 'setsid $POSTERND </dev/null >>$BASE/log 2>&1 &')
        self.assertTrue(wait_for(lambda: 'event=ready' in self.read('log'), 15), self.read('log'))

    def test_with_a_route(self):
        """What would be carried on is given up before DATA: nothing is sent anywhere unasked."""
        self.start_by_hand()
        out = self.setup('--password-stdin', '--route', 'smtp://127.0.0.1:%d' % free_ports(1)[0], input=PASSWORD)
        self.assertIn('The service runs, and has taken what is new.', out)
        self.assertEqual(out.count('login, would accept a message'), 3)
        self.assertEqual(out.count(' 250 2.1.5 Ok\n'), 3)
        self.assertIn('No message was sent, since a route would carry it on (smtpadm route test NAME).', out)
        self.assertNotIn('Trace', out)
        self.assertEqual(self.adm('queue', 'list', '--all', '-j'), '')
        self.adm('trace', '--account', ALICE, code=1)
        self.assertEqual(self.asked(), [])

    def test_discard(self):
        self.start_by_hand()
        out = self.setup('--password-stdin', '--route', 'discard:', input=PASSWORD)
        self.assertEqual(out.count('login, accepted a message'), 3)
        self.assertEqual(len(re.findall(r'Trace of the message to \w+, \w+:\n', out)), 3)
        self.assertTrue(wait_for(lambda: self.adm('queue', 'list', '--all', '-j') == '', 10))

    def test_names_that_are_no_address(self):
        self.start_by_hand()
        out = self.adm('setup', '--account', 'printer', '--password-stdin', input=PASSWORD)
        self.assertEqual(out.count(', login\n'), 3)
        self.assertIn("No message was tried: the account's name is no address.", out)

    def test_every_address_and_networks(self):
        any4, any6 = free_ports(1)[0], free_ports(1, '::1')[0]
        self.listen = ['--listen', 'submission=0.0.0.0:%d' % any4, '--listen', 'submissions=[::]:%d' % any6]
        self.start_by_hand()
        self.adm('config', 'set', 'listener.submission.networks', '192.0.2.0/24')
        out = self.adm('setup', '--account', ALICE, '--password-stdin', input=PASSWORD)
        self.assertRegex(out, r'submission +0\.0\.0\.0:%d +not for this machine' % any4)
        self.assertRegex(out, r'submissions +\[::\]:%d +TLSv1\.3, its certificate, login, accepted a message' % any6)

    def test_certificates(self):
        """The one that setup has just put into place is shown; and of several, the one for the host name is known, too."""
        cert, key = make_certificate(self.base, 'rsa', HOST)
        again = ('setup', '--account', ALICE, '--password-stdin')
        self.start_by_hand()
        self.assertEqual(self.adm(*again, '--cert', cert, '--key', key, input=PASSWORD).count('its certificate, login'), 2)
        self.assertIn('certificate.pem is replaced', self.said)
        self.inside('sh', '-c', 'cp %s /etc/postern/tls/named.pem; install -m 600 %s /etc/postern/tls/named-key.pem; '
                    'printf "\\n[certificate named]\\ncertificate = tls/named.pem\\n" >>/etc/postern/postern.conf' % (
                        make_certificate(self.base, name=HOST)))
        self.assertEqual(self.adm(*again, input=PASSWORD).count('its certificate, login'), 2)

    def test_not_started(self):
        self.needs_systemctl()
        out = self.setup('-n')
        self.assertEqual((self.asked(), 'nothing was changed' in out), ([], True))
        out = self.setup('--no-start', '--domain', 'example.org')
        self.assertIn('Next: systemctl enable --now postern\n', out)
        self.assertEqual(self.asked(), [])
        with tempfile.TemporaryDirectory() as root:	# with --root never
            self.assertIn('Next: posternd --root', self.adm('--root', root, 'setup', '--self-signed', *self.listen))
        self.assertEqual(self.asked(), [])

    def test_socket_activation_stays(self):
        """Whoever has systemd open the ports did not ask for a start at every boot."""
        self.needs_systemctl()
        self.put('socket')
        self.assertIn('The service is started', self.setup())
        self.assertEqual(self.asked(), ['--quiet --no-ask-password start postern.service'])

    def test_systemd_refuses(self):
        self.needs_systemctl()
        self.put('refuse')
        out = self.setup('--domain', 'example.org', code=69)
        self.assertRegex(out, r'(?m)^Password +\S{24}$')
        self.assertIn('Records for the DNS of example.org', out)
        self.assertIn('the service did not start; all else is done (systemctl: 1, Job for postern.service failed.)', self.said)
        self.assertIn('try: journalctl -u postern', self.said)
        self.assertNotIn('Next: systemctl', out)
        got = json.loads(self.setup('-j', code=69))
        self.assertEqual(got['service'], {'action': 'failed'})
        error = json.loads(self.said.splitlines()[-1])['error']
        self.assertEqual((error['code'], error['name'], error['fix']), (69, 'not_started', 'journalctl -u postern'))
        # Mended, the same command goes on.
        os.unlink(self.path('refuse'))
        self.assertIn('The service is started', self.setup())

    def test_a_reload_that_is_refused(self):
        self.start_by_hand()
        self.inside('sh', '-c', 'printf "\\n[log]\\ntarget = syslog\\n" >>/etc/postern/postern.conf')
        self.setup(code=78)
        self.assertIn('posternd serves as before', self.said)

    def test_what_does_not_serve(self):
        """systemd says that it runs, and others are there: nobody, a mute, one who talks otherwise, one with another certificate."""
        self.needs_systemctl()
        self.put('idle')
        cert, key = make_certificate(self.base, name=HOST)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)

        def foreign(s):
            with context.wrap_socket(s, server_side=True) as t:
                t.sendall(b'220 other\r\n')
                t.recv(100)

        def chatter(s):
            for _ in range(100000):
                s.sendall(b'x' * 100)

        def refuser(s):
            s.sendall(b'554 5.3.2 not now\r\n')
        cases = ((None, 0, 'nobody listens: Connection refused'), (refuser, 0, 'greeting: 554 5.3.2 not now'),
                 (lambda s: s.sendall(b'hello\r\n'), 0, 'greeting: '), (chatter, 0, 'greeting: too '),
                 (lambda s: s.sendall(b'220 x\r\n250 x\r\n'), 0, 'it offers no STARTTLS'),
                 (lambda s: s.sendall(b'220 plain\r\n'), 1, 'TLS: wrong version number'),
                 (foreign, 1, 'TLS: it shows another certificate than the configured one'))
        for serve, which, words in cases:
            port = free_ports(1)[0]
            self.listen = ['--listen', '%s=127.0.0.1:%d' % (('submission', 'submissions')[which], port)]
            with Stranger(port, serve) if serve else contextlib.nullcontext():
                out = self.setup(code=69)
            self.assertIn('FAULT: ' + words, out)
            self.assertIn('127.0.0.1:%d does not serve as it should: %s' % (port, words), self.said)
            self.assertNotIn('Trace', out)
            self.inside('sh', '-c', 'rm -r /etc/postern /var/lib/postern /var/spool/postern')
        self.listen = ['--listen', 'submission=127.0.0.1:%d' % self.ports[0]]
        with Stranger(self.ports[0], refuser):
            got = json.loads(self.setup('-j', code=69))
        probe = got['listeners'][0]['probe']
        self.assertEqual((probe['result'], probe['reply'], probe['trace']), ('fault', 'greeting: 554 5.3.2 not now', []))
        self.assertEqual(len(got['account']['password']), 24)
        error = json.loads(self.said.splitlines()[-1])['error']
        self.assertEqual((error['code'], error['name'], error['fix']), (69, 'probe_failed', 'journalctl -u postern'))

    def test_a_mute(self):
        """Nothing is waited for without an end."""
        self.needs_systemctl()
        self.put('idle')
        self.listen = self.listen[:2]
        with Stranger(self.ports[0], lambda s: s.recv(1)):
            began = time.monotonic()
            out = self.setup(code=69)
        self.assertIn('FAULT: greeting: timed out', out)
        self.assertLess(time.monotonic() - began, 30 * SLOW)


class Stranger:
    """Whoever has taken the port."""

    def __init__(self, port, serve):
        self.socket = socket.create_server(('127.0.0.1', port))
        self.serve, self.held = serve, []

    def __enter__(self):
        threading.Thread(target=self.run, daemon=True).start()
        return self

    def run(self):
        while True:
            try:
                s = self.socket.accept()[0]
            except OSError:
                return
            self.held.append(s)
            s.settimeout(60)
            try:
                self.serve(s)
                while s.recv(1000):
                    pass
            except OSError:
                pass

    def __exit__(self, *_):
        self.socket.close()
        for s in self.held:
            s.close()


if __name__ == '__main__':
    main(240)
