#!/usr/bin/env python3
"""The Debian package on a machine that systemd runs: a container with systemd as its first process and a network of its own. The
package is installed there, posternd is started by the first client, takes mail, is reloaded, killed, started again, stopped; and
smtpadm setup starts it.

`make check-deb` runs it as root, with systemd-nspawn; it needs the chroot of test_deb.py.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import test_deb  # noqa: E402
from postern import ALICE, HOST, IS_ROOT, PASSWORD, Process, main, message, processes, wait_for  # noqa: E402

CLEAN = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'DEBIAN_FRONTEND': 'noninteractive', 'LC_ALL': 'C.UTF-8'}


@unittest.skipUnless(IS_ROOT and shutil.which('debootstrap') and shutil.which('systemd-nspawn') and shutil.which('nsenter'),
                     'a container with systemd needs root, debootstrap, systemd-nspawn and nsenter')
class Systemd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.container, cls.first = None, None
        cls.groups = cls.control_groups()
        deb = test_deb.package()
        test_deb.make_base()
        cls.work = tempfile.mkdtemp(prefix='postern-systemd-', dir=os.path.dirname(test_deb.BASE))
        cls.root = os.path.join(cls.work, 'root')
        try:
            subprocess.run(['cp', '-a', '--reflink=auto', test_deb.BASE, cls.root], check=True, timeout=300)
            shutil.copy('/etc/resolv.conf', os.path.join(cls.root, 'etc', 'resolv.conf'))
            shutil.copy(deb, os.path.join(cls.root, 'root', 'postern.deb'))
            cls.prepare('apt-get', 'install', '-y', '-q', '--no-install-recommends', 'systemd', 'systemd-sysv', 'dbus')
            cls.prepare('apt-get', 'install', '-y', '-q', '--no-install-recommends', '/root/postern.deb')
            # So that the first client starts it, and not the boot.
            cls.prepare('smtpadm', 'setup', '--hostname', HOST, '--account', ALICE, '--self-signed', '--password-stdin',
                        '--listen', 'submission=[::]:587', '--listen', 'submissions=[::]:465', input=PASSWORD)
            cls.prepare('systemctl', 'disable', 'postern.service')
            cls.boot()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def prepare(cls, *argv, input=''):
        done = subprocess.run(['chroot', cls.root, *argv], input=input.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=600, env=CLEAN)
        if done.returncode != 0:
            raise AssertionError('%s: %s' % (' '.join(argv), done.stdout.decode(errors='replace')))

    @classmethod
    def boot(cls):
        log = open(os.path.join(cls.work, 'log'), 'wb')
        cls.container = subprocess.Popen(['systemd-nspawn', '-D', cls.root, '--boot', '--private-network', '--register=no',
                                          '--keep-unit', '--console=pipe',
                                          # what systemd-nspawn of Debian 12 does not know yet
                                          '--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self'],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

        def first():
            below = [p for p in processes() if p.parent == cls.container.pid and p.comm == 'systemd']
            return below[0] if below else cls.container.poll() is not None
        found = wait_for(first, 10)
        if not isinstance(found, Process):
            raise unittest.SkipTest('systemd-nspawn does not run here: ' + cls.said())
        cls.first = found.pid
        state = wait_for(lambda: cls.enter('systemctl', 'is-system-running')[1].strip() in ('running', 'degraded'), 40, 0.3)
        if not state:
            raise unittest.SkipTest('systemd does not come up in a container here: %s %s' % (
                cls.enter('systemctl', 'is-system-running')[1], cls.said()))

    @classmethod
    def said(cls):
        with open(os.path.join(cls.work, 'log'), errors='replace') as f:
            return f.read().strip()[-1000:]

    @classmethod
    def tearDownClass(cls):
        if cls.container is not None and cls.container.poll() is None:
            if cls.first:
                cls.enter('systemctl', 'poweroff')
            try:
                cls.container.wait(30)
            except subprocess.TimeoutExpired:
                cls.container.terminate()
                try:
                    cls.container.wait(15)
                except subprocess.TimeoutExpired:
                    cls.container.kill()
                    cls.container.wait(5)
        if cls.container is None or cls.container.poll() is not None:
            shutil.rmtree(cls.work, ignore_errors=True)
        for top in cls.control_groups() - cls.groups:	# systemd-nspawn leaves them behind, empty
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass

    @staticmethod
    def control_groups():
        return {path for name in ('payload', 'supervisor')
                for path in glob.glob('/sys/fs/cgroup/' + name) + glob.glob('/sys/fs/cgroup/*/' + name)}

    @classmethod
    def enter(cls, *argv, timeout=60, options=('-a',)):
        """In the container; (exit code, output)."""
        done = subprocess.run(['nsenter', '-t', str(cls.first), *options, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, env=CLEAN)
        return done.returncode, done.stdout.decode(errors='replace')

    def inside(self, *argv, code=0, timeout=60):
        found, text = self.enter(*argv, timeout=timeout)
        self.assertEqual(found, code, '%s: %s\n%s' % (' '.join(argv), text, self.enter('journalctl', '-n', '30', '--no-pager')[1]))
        return text

    def show(self, unit, *names):
        text = self.inside('systemctl', 'show', unit, '-p', ','.join(names))
        rows = dict(line.split('=', 1) for line in text.splitlines() if '=' in line)
        return tuple(rows[name] for name in names)

    def send(self, mark, scheme='smtp', port=587):
        """From this machine's curl, in the container's network."""
        with tempfile.NamedTemporaryFile() as f:
            f.write(message(mark))
            f.flush()
            code, text = self.enter('curl', '-sS', '--fail', '--ssl-reqd', '--insecure', '--max-time', '30', '--url',
                                    '%s://127.0.0.1:%d/client.example.org' % (scheme, port), '--user', '%s:%s' % (ALICE, PASSWORD),
                                    '--mail-from', ALICE, '--mail-rcpt', 'bob@example.net', '--upload-file', f.name, options=('-n',))
        self.assertEqual(code, 0, text)

    def count(self):
        return int(self.inside('smtpadm', 'queue', 'count', '--all').split()[0])

    def main_pid(self):
        return int(self.show('postern.service', 'MainPID')[0])

    def test_life(self):
        # Nothing runs; the ports are systemd's.
        self.assertEqual(self.show('postern.service', 'ActiveState')[0], 'inactive')
        self.inside('systemctl', 'start', 'postern.socket')
        self.assertEqual(self.show('postern.service', 'ActiveState')[0], 'inactive')
        self.send('by the socket')
        self.assertEqual(self.show('postern.service', 'ActiveState', 'SubState', 'Type'), ('active', 'running', 'notify'))
        self.assertIn('Serving', self.show('postern.service', 'StatusText')[0])
        self.send('implicit TLS', 'smtps', 465)
        self.assertEqual(self.count(), 2)
        self.assertIn('event=ready', self.inside('journalctl', '-u', 'postern', '--no-pager', '-o', 'cat'))
        # All of the sandbox, with systemd's own around it.
        self.inside('smtpadm', 'selftest', 'sandbox')
        self.inside('smtpadm', 'config', 'check')
        self.inside('smtpadm', 'status')
        # A reload.
        self.inside('smtpadm', 'config', 'set', 'limits.recipients', '7')
        self.inside('systemctl', 'reload', 'postern.service')
        self.assertTrue(wait_for(lambda: 'event=config.loaded' in self.inside('journalctl', '-u', 'postern', '--no-pager', '-o', 'cat'), 5))
        before = self.main_pid()
        self.send('after a reload')
        self.assertEqual(self.main_pid(), before)
        # One that is refused changes nothing, and systemctl says so.
        self.inside('sh', '-c', 'cp /etc/postern/postern.conf /root/kept; printf "[limits]\\nrecipients = none\\n" >/etc/postern/postern.conf')
        code, text = self.enter('systemctl', 'reload', 'postern.service')
        self.assertNotEqual(code, 0, text)
        self.assertIn('is no value for limits.recipients', self.inside('journalctl', '-u', 'postern', '--no-pager', '-o', 'cat'))
        self.inside('cp', '/root/kept', '/etc/postern/postern.conf')
        self.assertEqual(self.main_pid(), before)
        # Killed: it is started again, and what it had is there.
        self.inside('systemctl', 'kill', '--kill-whom=main', '--signal=KILL', 'postern.service')
        self.assertTrue(wait_for(lambda: self.main_pid() not in (0, before) and
                                 self.show('postern.service', 'ActiveState')[0] == 'active', 20, 0.3))
        self.assertEqual(self.show('postern.service', 'NRestarts')[0], '1')
        self.send('after a kill')
        self.assertEqual(self.count(), 4)
        # An upgrade restarts it; clients wait meanwhile.
        self.inside('env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', '-i', '/root/postern.deb', timeout=120)
        self.send('after an upgrade')
        # Stopped: at once, cleanly, and the ports wait for the next.
        self.inside('systemctl', 'stop', 'postern.service')
        self.assertEqual(self.show('postern.service', 'ActiveState', 'Result'), ('inactive', 'success'))
        self.assertEqual(self.inside('systemctl', 'is-active', 'postern.socket').strip(), 'active')
        self.send('by the socket again')
        self.assertEqual(self.count(), 6)
        self.inside('systemctl', 'stop', 'postern.socket', 'postern.service')
        self.assertEqual(self.show('postern.service', 'ActiveState', 'Result'), ('inactive', 'success'))
        left = [p.pid for p in processes() if p.name.startswith('postern') and self.is_inside(p.pid)]
        self.assertEqual(left, [])

    def is_inside(self, pid):
        try:
            return os.readlink('/proc/%d/ns/pid' % pid) == os.readlink('/proc/%d/ns/pid' % self.first)
        except OSError:
            return False

    def test_next_hop_and_sendmail(self):
        """A program's message goes out: the unit leaves postern-relay its network, and everybody the local socket."""
        hop = subprocess.Popen(['nsenter', '-t', str(self.first), '-n', sys.executable, '-c', 'import sys, time\n'
                                'sys.path.insert(0, sys.argv[1])\nfrom next_hop import NextHop\nhop = NextHop(port=2525)\n'
                                'end = time.monotonic() + 60\n'
                                'while not hop.messages and time.monotonic() < end:\n    time.sleep(0.1)\nprint(hop.messages)',
                                os.path.join(HERE, '..', 'e2e')], stdout=subprocess.PIPE)
        self.inside('cp', '/etc/postern/postern.conf', '/root/without-route.conf')
        try:
            self.inside('sh', '-c', 'printf "\\n[route next]\\nurl = smtp://127.0.0.1:2525\\ntls = none\\nto_domain = hop.example\\n" '
                        '>>/etc/postern/postern.conf')
            self.inside('smtpadm', 'config', 'check')	# /run/postern is not there
            self.inside('systemctl', 'start', 'postern.service')
            self.inside('smtpadm', 'config', 'check')
            self.inside('smtpadm', 'credential', 'add', ALICE, '--local-user', 'daemon')
            self.inside('su', '-s', '/bin/sh', 'daemon', '-c', 'echo done | /usr/sbin/sendmail -i bob@hop.example')
            out = hop.communicate(timeout=70)[0].decode()
            self.assertIn('bob@hop.example', out)
            self.assertIn('(from a program of this machine)', out)
            users = {p.numbers('Uid')[0] for p in processes() if p.name == 'postern-relay' and self.is_inside(p.pid)}
            self.assertEqual(users, {int(self.inside('id', '-u', 'postern-relay'))})
            code, text = self.enter('sh', '-c', 'echo done | /usr/sbin/sendmail -i bob@hop.example')
            self.assertEqual(code, 77, text)
        finally:
            if hop.poll() is None:
                hop.kill()
                hop.wait(5)
            self.inside('cp', '/root/without-route.conf', '/etc/postern/postern.conf')
            self.inside('systemctl', 'stop', 'postern.socket', 'postern.service')

    def test_setup_starts_it(self):
        """As the README has it: one command, and the service runs, now and at every boot, and has been tried."""
        places = ('/etc/postern', '/var/lib/postern', '/var/spool/postern')
        command = ('smtpadm', 'setup', '--hostname', HOST, '--account', ALICE, '--self-signed', '--domain', 'example.org')
        self.inside('systemctl', 'stop', 'postern.socket', 'postern.service')
        self.inside('sh', '-c', 'for f in %s; do mv $f $f.kept; done' % ' '.join(places))
        try:
            text = self.inside(*command)
            self.assertIn('The service is started.', text)
            self.assertRegex(text, r'(?m)^Password +\S{24}$')
            self.assertEqual(self.show('postern.service', 'ActiveState', 'SubState', 'UnitFileState'), ('active', 'running', 'enabled'))
            for name, port in (('submission', 587), ('submissions', 465)):
                self.assertRegex(text, r' %s +\[::\]:%d +TLSv1\.3, its certificate, login, accepted a message\n +250 ' % (name, port))
                self.assertRegex(text, r'Trace of the message to %s, which is removed again:\n' % name)
            self.assertEqual(text.count('removed from the queue by user 0'), 2)
            self.assertEqual(self.count(), 0)
            self.assertRegex(text, r'(?m)^\S+-ed25519\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; p=')
            before = self.main_pid()
            self.assertIn('The service runs, and has taken what is new.', self.inside(*command))
            self.assertEqual(self.main_pid(), before)
            # Whom systemd starts at the first client, it does not start at the boot from then on.
            self.inside('systemctl', 'disable', '--now', 'postern.service')
            self.inside('systemctl', 'enable', '--now', 'postern.socket')
            self.assertIn('The service is started.', self.inside(*command))
            self.assertEqual(self.show('postern.service', 'ActiveState', 'UnitFileState'), ('active', 'disabled'))
            self.inside('systemctl', 'disable', '--now', 'postern.socket')
            self.inside('systemctl', 'stop', 'postern.service')
            # A service that does not start, and its reason in the journal.
            text = self.inside(*command, '--listen', 'plain=127.0.0.9:25', '--no-start')
            self.assertIn('Next: systemctl enable --now postern\n', text)
            self.inside('sh', '-c', "sed -i 's/127.0.0.9:25/192.0.2.77:25\\nnetworks = 192.0.2.0\\/24/' /etc/postern/postern.conf")
            text = self.inside(*command, code=69)
            self.assertIn('the service did not start; all else is done', text)
            self.assertIn('try: journalctl -u postern', text)
            self.assertIn('192.0.2.77', self.inside('journalctl', '-u', 'postern', '--no-pager', '-o', 'cat'))
        finally:
            self.enter('systemctl', 'disable', '--now', 'postern.socket', 'postern.service')
            self.enter('systemctl', 'reset-failed', 'postern.service')
            self.inside('sh', '-c', 'for f in %s; do rm -rf $f && mv $f.kept $f; done' % ' '.join(places))

    def test_units(self):
        self.assertEqual(self.inside('systemd-analyze', 'verify', '--man=no', 'postern.service', 'postern.socket').strip(), '')

    def test_wrong_configuration_is_no_loop(self):
        """A configuration that is wrong: systemd does not try again and again."""
        self.inside('cp', '/etc/postern/postern.conf', '/root/good.conf')
        try:
            self.inside('sh', '-c', 'echo "[nonsense]" >>/etc/postern/postern.conf; echo "a = 1" >>/etc/postern/postern.conf')
            code, _ = self.enter('systemctl', 'start', 'postern.service')
            self.assertNotEqual(code, 0)
            self.assertEqual(self.show('postern.service', 'ActiveState', 'Result', 'ExecMainStatus', 'NRestarts')[::2],
                             ('failed', '78'))
            self.assertIn('there is no section [nonsense]', self.inside('journalctl', '-u', 'postern', '--no-pager', '-o', 'cat'))
        finally:
            self.inside('cp', '/root/good.conf', '/etc/postern/postern.conf')
            self.enter('systemctl', 'reset-failed', 'postern.service')


if __name__ == '__main__':
    main(900)
