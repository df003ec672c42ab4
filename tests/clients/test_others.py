#!/usr/bin/env python3
"""Clients that take more: Nodemailer (npm), nullmailer and dma (Debian's packages, unpacked and not installed, since they exclude
each other), and Postfix that relays a hundred messages with a configuration of its own. Each is skipped, with the reason, where it
can't be had.
"""
import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from clients import ALICE, HOST, PASSWORD, RCPT, TEXT, Clients, main, wait_for  # noqa: E402
from postern import IS_ROOT, free_ports, message  # noqa: E402

NODE = r'''
const nodemailer = require('nodemailer');
const fs = require('fs');
const o = JSON.parse(fs.readFileSync(process.argv[2]));
const t = nodemailer.createTransport({ host: '127.0.0.1', port: o.port, secure: o.secure, requireTLS: o.requireTLS,
    ignoreTLS: o.ignoreTLS, name: 'client.example.org', auth: { user: o.user, pass: o.password }, authMethod: o.method,
    tls: { ca: [fs.readFileSync(o.ca)], servername: 'localhost' }, pool: o.count > 1, maxConnections: 3, maxMessages: 5 });
Promise.all([...Array(o.count).keys()].map(n => t.sendMail({ from: o.user, to: o.rcpt, subject: 'node ' + n, text: o.text })))
    .then(done => { done.forEach(d => console.log(d.response)); t.close(); })
    .catch(e => { console.error(e); process.exit(1); });
'''


def fetch(case, package, folder):
    """Unpacks a Debian package below folder, without installing it."""
    for command in ('apt-get', 'dpkg'):
        case.need(command)
    with tempfile.TemporaryDirectory() as here:
        os.chmod(here, 0o777)
        done = subprocess.run(['apt-get', 'download', '-q', package], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=60)
        if done.returncode != 0:
            case.skipTest('%s can\'t be fetched: %s' % (package, done.stdout.decode(errors='replace').strip()[-200:]))
        subprocess.run(['dpkg', '-x', os.path.join(here, os.listdir(here)[0]), folder], check=True, timeout=60)


class Nodemailer(Clients):
    folder = None

    @classmethod
    def setUpClass(cls):
        for command in ('node', 'npm'):
            if shutil.which(command) is None:
                raise unittest.SkipTest('%s is not installed' % command)
        cls.folder = tempfile.mkdtemp(prefix='postern-test-node-')
        done = subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--prefix', cls.folder, 'nodemailer'], timeout=90,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            shutil.rmtree(cls.folder)
            raise unittest.SkipTest('npm can\'t install it: ' + done.stdout.decode(errors='replace').strip()[-200:])
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def send(self, kind, count, method):
        script = os.path.join(self.folder, 'send.js')
        with open(script, 'w') as f:
            f.write(NODE)
        text = TEXT.decode().replace('\r\n', '\n')
        options = self.file('options', json.dumps({
            'port': self.instance.port(kind), 'secure': kind == 'submissions', 'requireTLS': kind == 'submission',
            'ignoreTLS': kind == 'plain', 'user': ALICE, 'password': PASSWORD, 'rcpt': RCPT, 'ca': self.instance.certificate,
            'count': count, 'text': text, 'method': method}))
        out = self.tool('node', script, options)
        self.assertEqual(out.count('queued as'), count)
        files = self.stored(count)
        self.assertEqual(len({f.message.partition(b'Subject: ')[2].split(b'\r\n')[0] for f in files}), count)
        return files

    def test_one_message(self):
        for kind in ('submission', 'submissions', 'plain'):
            for method in ('PLAIN', 'LOGIN'):
                with self.subTest(kind=kind, method=method):
                    self.instance.empty_spool()
                    self.send(kind, 1, method)
                    self.assertIn(b'.dot at the start', self.check().message)

    def test_pooled_twenty(self):
        for kind in ('submission', 'submissions'):
            with self.subTest(kind=kind):
                self.instance.empty_spool()
                before = self.instance.log().count('event=login.ok')
                self.send(kind, 20, None)
                self.assertLessEqual(self.instance.log().count('event=login.ok') - before, 8, 'sessions for 20 messages')


class Nullmailer(Clients):
    def test_its_smtp_program(self):
        folder = self.path('nullmailer')
        fetch(self, 'nullmailer', folder)
        sent = message('nullmailer', TEXT)
        mail = b'%s\n%s\n\n' % (ALICE.encode(), RCPT.encode()) + sent.replace(b'\r\n', b'\n')
        for kind, tls in (('submission', ('--starttls',)), ('submissions', ('--ssl',)), ('plain', ())):
            for login in ((), ('--auth-login',)):
                with self.subTest(kind=kind, login=login):
                    self.instance.empty_spool()
                    self.tool('sh', '-c', 'exec "$@" 3<"$0"', self.file('mail', mail), folder + '/usr/lib/nullmailer/smtp',
                              '--host=' + HOST, '--port=' + self.port(kind), '--user=' + ALICE, '--pass=' + PASSWORD, *login,
                              *(('--x509cafile=' + self.instance.certificate, *tls) if tls else ()),
                              env={'HELOHOST': 'client.example.org'})
                    self.check(sent)


class Dma(Clients):
    """In a folder of its own that is its root, with the system's /usr for reading."""

    def test_dma(self):
        if not IS_ROOT:
            self.skipTest('dma wants its own files in /etc and /var: a root folder of its own needs root')
        self.need('unshare')
        root = self.path('root')
        fetch(self, 'dma', root)
        for name in ('lib', 'lib64', 'bin', 'sbin', 'lib32', 'libx32'):
            if os.path.islink('/' + name):
                shutil.rmtree(os.path.join(root, name), ignore_errors=True)
                os.symlink(os.readlink('/' + name), os.path.join(root, name))
        os.rename(os.path.join(root, 'usr'), os.path.join(root, 'own'))
        for name in ('usr', 'dev', 'tmp', 'var/spool/dma', 'var/mail', 'etc/dma'):
            os.makedirs(os.path.join(root, name), exist_ok=True)
        for name in ('/etc/passwd', '/etc/group', '/etc/hosts', '/etc/nsswitch.conf'):
            shutil.copy(name, root + name)
        os.chmod(os.path.join(root, 'var/spool/dma'), 0o2775)
        shutil.chown(os.path.join(root, 'var/spool/dma'), 'root', 'mail')
        os.chmod(self.instance.base, 0o755)
        with open(root + '/etc/mailname', 'w') as f:
            f.write('client.example.org\n')
        with open(root + '/etc/dma/auth.conf', 'w') as f:
            f.write('%s|%s:%s\n' % (ALICE, HOST, PASSWORD))
        for kind, tls in (('submission', 'SECURETRANSFER\nSTARTTLS\n'), ('submissions', 'SECURETRANSFER\n'), ('plain', 'INSECURE\n')):
            with self.subTest(kind=kind):
                self.instance.empty_spool()
                with open(root + '/etc/dma/dma.conf', 'w') as f:
                    f.write('SMARTHOST %s\nPORT %s\nAUTHPATH /etc/dma/auth.conf\nMAILNAME /etc/mailname\nNULLCLIENT\n%s' %
                            (HOST, self.port(kind), tls))
                sent = message('dma', TEXT)
                script = 'mount --bind /usr %s/usr && mount --bind /dev %s/dev && exec chroot %s /own/sbin/dma -D -i -f %s %s' % (
                    root, root, root, ALICE, RCPT)
                self.tool('unshare', '-m', 'sh', '-c', script, input=sent.replace(b'\r\n', b'\n'))
                f = self.check(seconds=10)
                self.assertTrue(f.message.endswith(sent), f.message[-500:])


MAIN_CF = '''compatibility_level = 3.6
queue_directory = %(folder)s/queue
data_directory = %(folder)s/data
maillog_file = %(folder)s/postfix.log
maillog_file_prefixes = %(folder)s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = client.example.org
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
in_flow_delay = 0
relayhost = [%(host)s]:%(submission)s
smtp_host_lookup = native
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = inline:{ { [%(host)s]:%(submission)s = %(user)s:%(password)s } }
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = %(host)s
smtp_tls_CAfile = %(certificate)s
smtp_tls_loglevel = 1
smtp_destination_concurrency_limit = 8
'''
MASTER_CF = '''127.0.0.1:%(own)s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
'''


class Postfix(Clients):
    def test_relays_a_hundred(self):
        if not IS_ROOT:
            self.skipTest('Postfix is started by root')
        self.need('postfix')
        folder, own = self.path('postfix'), free_ports(1)[0]
        os.mkdir(folder)
        os.chmod(self.instance.base, 0o755)
        names = {'folder': folder, 'host': HOST, 'submission': self.port('submission'), 'user': ALICE, 'password': PASSWORD, 'own': own,
                 'certificate': shutil.copy(self.instance.certificate, self.path('ca.pem'))}
        os.chmod(names['certificate'], 0o644)
        for name, text in (('main.cf', MAIN_CF), ('master.cf', MASTER_CF)):
            self.file('postfix/' + name, text % names)
        os.mkdir(folder + '/queue')
        os.mkdir(folder + '/data')
        shutil.chown(folder + '/data', 'postfix')
        out = self.tool('postfix', '-c', folder, 'start', timeout=30)
        with open(folder + '/queue/pid/master.pid') as f:
            master = int(f.read())
        try:
            with smtplib.SMTP('127.0.0.1', own, 'app.example.org', timeout=20) as s:
                for n in range(100):
                    s.sendmail(ALICE, [RCPT], message('postfix-%d' % n, TEXT))
            wait_for(lambda: len(self.instance.names()) >= 100, 30, 0.2)
            with open(folder + '/postfix.log') as f:
                log = f.read()
            files = self.stored(100)
        except BaseException:
            print(out, *open(folder + '/postfix.log').readlines()[-30:])
            raise
        finally:
            os.kill(master, signal.SIGTERM)
            gone = wait_for(lambda: not os.path.exists('/proc/%d' % master), 10, 0.1)
        self.assertTrue(gone, 'postfix goes on')
        self.assertEqual(log.count('status=sent'), 100)
        self.assertIn('Verified TLS connection established', log)
        marks = {f.message.partition(b'Subject: ')[2].split(b'\r\n')[0] for f in files}
        self.assertEqual(marks, {b'postfix-%d' % n for n in range(100)})
        for f in files:
            self.assertTrue(f.message.endswith(b'\r\n\r\n' + TEXT))
        self.assertEqual({r['sender'] for r in self.instance.queue()}, {ALICE})


if __name__ == '__main__':
    main(limit=300)
