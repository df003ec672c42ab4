#!/usr/bin/env python3
"""The Debian package in a clean chroot: install, set up, serve, remove, purge. `make check-deb` runs it as root.

The chroot is a copy of one that debootstrap makes once, in /tmp or POSTERN_DEBOOTSTRAP, from its usual mirror or
POSTERN_MIRROR. There is no systemd in it: posternd is started by hand, and clients come from outside, over loopback.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.setdefault('POSTERN_BUILD', os.path.join(HERE, '..', '..', os.environ.get('B', 'build')))
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
from postern import ALICE, HOST, IS_ROOT, PASSWORD, REPO, Instance, free_ports	# noqa: E402
from postern import main, message, processes, wait_for	# noqa: E402

SUITE = 'bookworm'
BASE = os.environ.get('POSTERN_DEBOOTSTRAP') or '/tmp/postern-debootstrap-' + SUITE
MIRROR = [os.environ['POSTERN_MIRROR']] if os.environ.get('POSTERN_MIRROR') else []
USERS = {'posternd': 'root', 'worker': 'postern-smtp', 'postern-auth': 'postern-auth', 'postern-keys': 'postern-keys',
         'postern-spool': 'postern', 'postern-relay': 'postern-relay'}
# What changes with every package.
NOT_OURS = re.compile(r'/(var/lib/dpkg|var/lib/apt|var/lib/systemd|var/cache|var/log|root|tmp|proc|dev|sys)(/|$)|'
                      r'/(run/adduser|etc/(ld\.so\.cache|passwd-|group-|shadow-|gshadow-|\.pwd\.lock|sub[ug]id-?))$')


def package():
    """The path of the package: the one of POSTERN_DEB, or freshly built."""
    if os.environ.get('POSTERN_DEB'):
        return os.path.abspath(os.environ['POSTERN_DEB'])
    env = {k: v for k, v in os.environ.items() if k not in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS', 'MAKEOVERRIDES')}
    made = subprocess.run(['make', '-s', '--no-print-directory', 'deb', 'B=' + os.environ.get('B', 'build')], cwd=REPO,
                          env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    text = made.stdout.decode(errors='replace')
    if made.returncode != 0:
        raise AssertionError('make deb: ' + text)
    return os.path.join(REPO, text.split()[-1])


def make_base():
    """The chroot that the tests copy, made once."""
    if not os.path.isdir(BASE):
        shutil.rmtree(BASE + '.new', ignore_errors=True)
        subprocess.run(['debootstrap', '--variant=minbase', SUITE, BASE + '.new', *MIRROR], check=True,
                       timeout=1200, stdout=subprocess.DEVNULL)
        os.rename(BASE + '.new', BASE)
    st = os.lstat(BASE)
    if st.st_uid != 0 or st.st_mode & 0o022:
        raise AssertionError('%s does not belong to root alone: remove it' % BASE)


@unittest.skipUnless(IS_ROOT and shutil.which('debootstrap'), 'a chroot needs root and debootstrap')
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.deb = package()
        make_base()
        cls.work = tempfile.mkdtemp(prefix='postern-deb-', dir=os.path.dirname(BASE))
        cls.root = os.path.join(cls.work, 'root')
        cls.daemon = None
        try:
            subprocess.run(['cp', '-a', '--reflink=auto', BASE, cls.root], check=True, timeout=300)
            shutil.copy('/etc/resolv.conf', os.path.join(cls.root, 'etc', 'resolv.conf'))
            subprocess.run(['mount', '-t', 'proc', 'proc', os.path.join(cls.root, 'proc')], check=True)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.stop()
        proc = os.path.join(cls.root, 'proc')
        if os.path.ismount(proc):
            subprocess.run(['umount', proc])
        if not os.path.ismount(proc):
            shutil.rmtree(cls.work, ignore_errors=True)

    @classmethod
    def stop(cls):
        if cls.daemon is not None and cls.daemon.poll() is None:
            cls.daemon.send_signal(signal.SIGTERM)
            try:
                cls.daemon.wait(10)
            except subprocess.TimeoutExpired:
                cls.daemon.kill()
                cls.daemon.wait(5)
        code, cls.daemon = cls.daemon.returncode if cls.daemon is not None else None, None
        return code

    def tearDown(self):
        self.stop()

    def inside(self, *argv, input='', code=0, timeout=300):
        env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'DEBIAN_FRONTEND': 'noninteractive', 'LC_ALL': 'C.UTF-8'}
        done = subprocess.run(['chroot', self.root, *argv], input=input.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, env=env)
        text = done.stdout.decode(errors='replace')
        self.assertEqual(done.returncode, code, '%s: %s' % (' '.join(argv), text))
        return text

    def path(self, name):
        return os.path.join(self.root, name.lstrip('/'))

    def tree(self):
        found = set()
        for folder, folders, files in os.walk(self.root):
            inside = folder[len(self.root):] or '/'
            folders[:] = [] if NOT_OURS.match(inside) else folders
            found |= {os.path.join(inside, name) for name in files + folders}
        return {name for name in found if not NOT_OURS.match(name)}

    def users(self):
        with open(self.path('/etc/passwd')) as f:
            return {row.split(':')[0]: int(row.split(':')[2]) for row in f}

    def install(self):
        shutil.copy(self.deb, self.path('/tmp/postern.deb'))
        text = self.inside('apt-get', 'install', '-y', '-q', '--no-install-recommends', '/tmp/postern.deb')
        self.assertEqual(self.inside('dpkg-query', '-W', '-f', '${db:Status-Status}', 'postern'), 'installed')
        return text

    def set_up(self):
        self.ports = dict(zip(('submission', 'submissions'), free_ports(2)))
        listen = [a for kind, port in self.ports.items() for a in ('--listen', '%s=127.0.0.1:%d' % (kind, port))]
        self.inside('smtpadm', 'setup', '--hostname', HOST, '--account', ALICE, '--self-signed', '--password-stdin',
                    *listen, input=PASSWORD)
        with open(self.path('/etc/postern/postern.conf'), 'a') as f:	# nobody is there: mail stays, and postern-relay runs
            f.write('\n[route next]\nurl = smtp://127.0.0.1:%d\ntls = none\n' % free_ports(1)[0])

    def start(self):
        with open(os.path.join(self.work, 'log'), 'ab') as log:
            type(self).daemon = subprocess.Popen(['chroot', self.root, '/usr/sbin/posternd'], stdin=subprocess.DEVNULL,
                                                 stdout=log, stderr=log)
        ok = wait_for(lambda: Instance.answers('submission', '127.0.0.1', self.ports['submission']), 15)
        with open(os.path.join(self.work, 'log'), errors='replace') as f:
            self.assertTrue(ok, f.read())

    def send(self, kind):
        with tempfile.NamedTemporaryFile() as f:
            f.write(message(kind))
            f.flush()
            scheme = 'smtp' if kind == 'submission' else 'smtps'
            url = '%s://127.0.0.1:%d/client.example.org' % (scheme, self.ports[kind])
            subprocess.run(['curl', '-sS', '--fail', '--ssl-reqd', '--insecure', '--url', url,
                            '--user', '%s:%s' % (ALICE, PASSWORD), '--mail-from', ALICE,
                            '--mail-rcpt', 'bob@example.net', '--upload-file', f.name], check=True, timeout=60)

    def sendmail(self, user):
        done = subprocess.run(['chroot', '--userspec=%s:%s' % (user, user), self.root, '/usr/sbin/sendmail', '-i', 'bob@example.net'],
                              input=b'Subject: job\n\ndone\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout.decode(errors='replace')

    def test_1_lintian(self):
        if not shutil.which('lintian'):
            self.skipTest('lintian is not installed')
        done = subprocess.run(['lintian', '--fail-on', 'error', self.deb], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=300)
        print(done.stdout.decode(errors='replace').strip())
        self.assertEqual(done.returncode, 0)

    def test_2_life(self):
        before = self.tree()
        self.assertIn('smtpadm setup', self.install())
        users = self.users()
        self.assertLessEqual(set(USERS.values()), set(users))
        self.assertFalse(os.path.exists(self.path('/etc/postern/postern.conf')))
        self.assertTrue(os.path.lexists(self.path('/etc/systemd/system/multi-user.target.wants/postern.service')))
        self.inside('posternd', code=66)
        self.set_up()
        self.start()
        mine = [p for p in processes() if p.pid == self.daemon.pid or p.parent == self.daemon.pid]
        kinds = {'posternd' if p.pid == self.daemon.pid else p.name if p.name.startswith('postern-') else 'worker': p
                 for p in mine}
        self.assertEqual(set(kinds), set(USERS))
        for kind, p in kinds.items():
            self.assertEqual(p.numbers('Uid')[0], users[USERS[kind]], kind)
        self.send('submission')
        self.send('submissions')
        self.assertEqual(self.sendmail('daemon')[0], 77)
        self.inside('smtpadm', 'credential', 'add', ALICE, '--local-user', 'daemon')
        self.assertEqual(self.sendmail('daemon'), (0, ''))
        self.assertEqual(self.inside('smtpadm', 'queue', 'count', '--all').split()[0], '3')
        self.assertIn('3 Requests', self.inside('mailq'))
        self.inside('newaliases')
        self.inside('smtpadm', 'config', 'check')
        self.inside('smtpadm', 'reload')
        self.inside('smtpadm', 'selftest', 'sandbox')
        self.send('submission')
        self.assertEqual(self.stop(), 0)
        self.assertEqual(self.sendmail('daemon')[0], 75)
        # The same version once more, as an upgrade would do it.
        self.inside('dpkg', '-i', '/tmp/postern.deb')
        self.start()
        self.send('submissions')
        self.assertEqual(self.stop(), 0)
        self.inside('apt-get', 'remove', '-y', '-q', 'postern')
        for name in ('/usr/sbin/posternd', '/usr/sbin/smtpadm', '/usr/libexec/postern', '/usr/sbin/sendmail', '/usr/bin/mailq'):
            self.assertFalse(os.path.lexists(self.path(name)), name)
        for name in ('/etc/postern/postern.conf', '/var/lib/postern/registry.db', '/var/spool/postern/new'):
            self.assertTrue(os.path.exists(self.path(name)), name)
        self.assertIn('5 messages stay in /var/spool/postern', self.inside('apt-get', 'purge', '-y', '-q', 'postern'))
        self.assertEqual(sum(len(os.listdir(self.path('/var/spool/postern/' + name))) for name in ('new', 'cur')), 5)
        left = self.left(before)
        self.assertEqual([name for name in left if not name.startswith('/var/spool/postern')], [])
        self.assertEqual({u for u in self.users() if u.startswith('postern')}, {'postern'})

    def test_3_without_mail(self):
        """Again over what is left, then with an empty spool: nothing stays."""
        shutil.rmtree(self.path('/var/spool/postern'), ignore_errors=True)
        self.install()
        self.set_up()
        before = self.tree()
        self.start()
        self.assertEqual(self.stop(), 0)
        self.inside('apt-get', 'purge', '-y', '-q', 'postern')
        self.assertEqual([name for name in self.tree() if re.search('postern|smtpadm|sendmail', name)], [])
        self.assertEqual(self.left(before), [])
        self.assertEqual([u for u in self.users() if u.startswith('postern')], [])

    def left(self, before):
        """What came since and belongs to no package (which came as a dependency)."""
        owned = set()
        info = self.path('/var/lib/dpkg/info')
        for name in os.listdir(info):
            if name.endswith('.list'):
                with open(os.path.join(info, name)) as f:
                    for row in f:
                        owned |= {row.strip(), '/usr' + row.strip()}
        return sorted(name for name in self.tree() - before if name not in owned)


if __name__ == '__main__':
    main(1800)
