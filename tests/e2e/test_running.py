#!/usr/bin/env python3
"""How the service is run: words to the service manager, sockets handed over, log lines, the rights a unit leaves."""
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from postern import ALICE, IS_ROOT, PASSWORD, REPO, SLOW, Case, Instance, free_ports, main, message, wait_for

UNIT = os.path.join(REPO, 'etc', 'systemd', 'postern.service')


class Manager(Instance):
    """An instance whose master finds what a service manager hands over: variables, and descriptors from 3 on."""

    def __init__(self, env=None, sockets=(), names='', **options):
        self.env, self.sockets, self.names, self.given_fds = env or {}, sockets, names, []
        super().__init__(**options)

    def command(self):
        argv = super().command()
        if self.given_fds:
            # A shell keeps its pid over exec, so LISTEN_PID is the master's.
            moves = ' '.join('%d<&%d %d<&-' % (3 + i, fd, fd) for i, fd in enumerate(self.given_fds))
            script = 'exec %s; export LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s; exec "$@"' % (
                moves, len(self.given_fds), self.names)
            argv = ['bash', '-c', script, 'sh', *argv]
        return ['env', *('%s=%s' % pair for pair in self.env.items()), *argv]

    def spawn(self, log, prepare):
        self.given_fds = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 40) for s in self.sockets]
        self.daemon = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.base,
                                       preexec_fn=prepare, pass_fds=self.given_fds)
        for fd in self.given_fds:
            os.close(fd)
        self.master = self.daemon.pid


class Words:
    """The manager's datagram socket: a path, or an abstract name behind @."""

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind('\0' + name[1:] if name[0] == '@' else name)

    def next(self, seconds=10):
        self.sock.settimeout(seconds * SLOW)
        return dict(line.split('=', 1) for line in self.sock.recv(4096).decode().split('\n'))

    def until(self, key, seconds=10):
        for _ in range(100):
            got = self.next(seconds)
            if key in got:
                return got
        raise AssertionError('no %s' % key)


def environment(pid):
    with open('/proc/%d/environ' % pid, 'rb') as f:
        return f.read()


class Notify(unittest.TestCase):
    def walk(self, name):
        words = Words(name)
        with Manager(env={'NOTIFY_SOCKET': name}) as instance:
            self.assertEqual(words.next()['READY'], '1')
            instance.signal(signal.SIGHUP)
            first = words.next()
            self.assertEqual(first['RELOADING'], '1')
            self.assertTrue(first['MONOTONIC_USEC'].isdigit())
            self.assertEqual(words.until('READY')['STATUS'], 'Serving')
            with open(os.path.join(instance.root, 'postern.conf'), 'a') as f:
                f.write('[limits]\nrecipient = 3\n')
            instance.signal(signal.SIGHUP)
            self.assertIn('RELOADING', words.next())
            self.assertRegex(words.until('READY')['STATUS'], r'old configuration: .*postern\.conf:\d+: ')
            if IS_ROOT:
                for name in ('postern-auth', 'postern-keys', 'postern-spool'):
                    for p in instance.kind(name):
                        self.assertEqual(environment(p.pid), b'')
            instance.stop()
            self.assertEqual(words.next()['STOPPING'], '1')

    def test_path(self):
        with tempfile.TemporaryDirectory() as folder:
            self.walk(os.path.join(folder, 'notify'))

    def test_abstract(self):
        self.walk('@postern-test-%d' % os.getpid())

    def test_watchdog(self):
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, 'notify')
            words = Words(name)
            with Manager(env={'NOTIFY_SOCKET': name, 'WATCHDOG_USEC': '400000'}):
                words.until('READY')
                for _ in range(3):
                    self.assertEqual(words.next(2), {'WATCHDOG': '1'})

    def test_nobody_listens(self):
        """A manager that has gone, or a name that is none, is a log line."""
        for name in ('/nonexistent/notify', 'notify', '@'):
            with Manager(env={'NOTIFY_SOCKET': name}) as instance:
                self.assertIn('event=notify.failed', instance.log())
                visit(instance, None)

    def test_manager_does_not_read(self):
        """Its queue is full: nothing waits."""
        name = '@postern-full-%d' % os.getpid()
        words = Words(name)
        with Manager(env={'NOTIFY_SOCKET': name, 'WATCHDOG_USEC': '20000'}) as instance:
            wait_for(lambda: False, 1)
            visit(instance, None)
            self.assertLess(instance.stop(), 8)
        words.sock.close()


def listening(port, address='127.0.0.1'):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(16)
    return s


class Activation(unittest.TestCase):
    def test_sockets_are_used_and_kept(self):
        ours, other, unused = free_ports(3)
        given = [listening(ours), listening(unused)]
        listen = [('plain', '127.0.0.1', port) for port in (ours, other)]
        with Manager(sockets=given, names='submission:spare', listen=listen) as instance:
            self.assertRegex(instance.log(), r'event=activation.unused name=spare address=127\.0\.0\.1:%d' % unused)
            self.assertNotIn('name=submission', instance.log())
            for port in (ours, other):
                self.assertTrue(instance.answers('plain', '127.0.0.1', port))
            if IS_ROOT:
                inode = os.fstat(given[0].fileno()).st_ino
                self.assertIn('socket:[%d]' % inode, Instance.tree(instance)[0].descriptors().values())
                for p in instance.tree():
                    if p.pid != instance.master:
                        self.assertNotIn('socket:[%d]' % inode, p.descriptors().values(), p.name)
            # A reload takes the listener away, and another brings it back: the manager holds the port all the time.
            conf = os.path.join(instance.root, 'postern.conf')
            with open(conf) as f:
                text = f.read()
            changed = re.sub(r'127\.0\.0\.1:%d\b' % ours, '127.0.0.1:%d' % unused, text)
            for content, port in ((changed, unused), (text, ours)):
                with open(conf, 'w') as f:
                    f.write(content)
                before = instance.log().count('event=config.loaded')
                instance.signal(signal.SIGHUP)
                loaded = wait_for(lambda: instance.log().count('event=config.loaded') > before, 5)
                self.assertTrue(loaded, instance.log_tail())
                self.assertTrue(wait_for(lambda: instance.answers('plain', '127.0.0.1', port), 5))
        # Still the manager's.
        with socket.create_connection(('127.0.0.1', ours), 2):
            pass
        for s in given:
            s.close()

    def test_not_for_us(self):
        """LISTEN_PID of another process: what stands at 3 is nobody's business. Other kinds of sockets are refused."""
        port, = free_ports(1)
        with Manager(env={'LISTEN_PID': '1', 'LISTEN_FDS': '1'}, listen=[('plain', '127.0.0.1', port)]) as instance:
            self.assertNotIn('activation', instance.log())
        a, b = socket.socketpair()
        with Manager(sockets=[a], names='pair', listen=[('plain', '127.0.0.1', port)]) as instance:
            self.assertIn('event=activation.refused name=pair', instance.log())
        a.close()
        b.close()


def visit(instance, login=ALICE):
    c = instance.client('plain', login=login)
    c.command('QUIT', 221)
    c.close()


# A /dev of its own for what comes behind it, whose log is the socket %s.
OWN_DEV = ('mount -t tmpfs none /mnt && for d in null zero full random urandom; do touch /mnt/$d && '
           'mount --bind /dev/$d /mnt/$d || exit 1; done; ln -s %s /mnt/log && mount --move /mnt /dev && exec "$@"')


class Syslog:
    def __init__(self, path):
        self.path, self.lines, self.ended = path, [], False
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.sock.settimeout(0.1)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while not self.ended:
            try:
                self.lines.append(self.sock.recv(8192).decode())
            except TimeoutError:
                pass

    def stop(self):
        self.ended = True
        self.thread.join(5)

    def wrap(self):
        return ['unshare', '-m', '--fork', 'sh', '-c', OWN_DEV % self.path, 'sh']


class Logs(unittest.TestCase):
    def test_json(self):
        with Instance(settings={'log.format': 'json', 'log.level': 'debug'}) as instance:
            visit(instance)
            visit(instance, None)
            instance.signal(signal.SIGHUP)
            instance.logged('config.loaded')
            instance.stop()
            # The sanitizer build's own word is no event.
            lines = [line for line in instance.log().splitlines() if not line.startswith('sandbox: unknown system call')]
        self.assertGreater(len(lines), 10)
        programs = set()
        for line in lines:
            self.assertRegex(line, r'^{.*}$')
            pairs = json.loads(line, object_pairs_hook=list)
            keys = [key for key, _ in pairs]
            self.assertEqual(len(keys), len(set(keys)), line)
            self.assertEqual([k for k in keys if k != 'session'][:4], ['time', 'level', 'program', 'event'], line)
            if 'session' in keys:
                self.assertEqual(keys[0], 'session')
                self.assertRegex(pairs[0][1], r'^[0-9a-f]{16}$')
            programs.add(dict(pairs)['program'])
        self.assertLessEqual({'posternd', 'postern-auth', 'postern-spool'}, programs)

    def test_format_by_reload(self):
        with Instance() as instance:
            instance.set(log__format='json')
            instance.signal(signal.SIGHUP)
            self.assertTrue(instance.logged(r'"event":"config\.loaded"'))
            visit(instance)
            self.assertTrue(instance.logged(r'"program":"postern-auth","event":"login\.ok"'))
            instance.set(log__target='syslog')
            instance.signal(signal.SIGHUP)
            self.assertTrue(instance.logged(r'log\.target can.t change while the service runs'))

    @unittest.skipUnless(IS_ROOT and shutil.which('unshare'), 'a /dev of its own needs root and unshare')
    def test_syslog(self):
        with tempfile.TemporaryDirectory() as folder:
            daemon = Syslog(os.path.join(folder, 'log'))
            with Instance(settings={'log.target': 'syslog'}, wrap=daemon.wrap()) as instance:
                visit(instance)
                self.assertTrue(wait_for(lambda: any('event=login.ok' in line for line in daemon.lines), 3))
                for program in ('posternd', 'postern-auth', 'postern-spool'):
                    mine = [line for line in daemon.lines if ' %s[' % program in line]
                    self.assertTrue(mine, '%s in %s' % (program, daemon.lines))
                    for line in mine:
                        self.assertRegex(line, r'^<(1[79]|2[0-3])>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d %s\[\d+\]: '
                                         r'(session=[0-9a-f]{16} )?time=[^\n]*$' % program)
                self.assertNotIn('event=login.ok', instance.log())
                # It does not read any more: its queue fills, then lines go to standard error, and nothing waits.
                daemon.stop()
                for _ in range(400):
                    visit(instance)
                    if 'event=login.ok' in instance.log():
                        break
                self.assertIn('event=login.ok', instance.log())
                before = instance.log().count('event=login.ok')
                daemon.sock.close()
                visit(instance)
                self.assertTrue(wait_for(lambda: instance.log().count('event=login.ok') > before, 3))

    def test_no_syslog(self):
        if os.path.exists('/dev/log'):
            self.skipTest('this machine has a syslog daemon')
        with Instance(settings={'log.target': 'syslog'}) as instance:
            self.assertIn('event=log.syslog_missing', instance.log())
            visit(instance)
            self.assertTrue(instance.logged('event=login.ok'))


def unit_settings():
    """{name: [values]} of the [Service] section."""
    found = {}
    with open(UNIT) as f:
        for line in f:
            m = re.match(r'(\w+)=(.*)', line)
            if m:
                found.setdefault(m.group(1), []).append(m.group(2))
    return found


@unittest.skipUnless(IS_ROOT and shutil.which('setpriv'), 'taking rights away needs root and setpriv')
class UnitRights(Case):
    """posternd with the rights that postern.service leaves it, and no others."""

    @classmethod
    def setUpClass(cls):
        caps = unit_settings()['CapabilityBoundingSet'][0].lower().replace('cap_', '').split()

        class Limited(Instance):
            def command(self):
                return ['setpriv', '--no-new-privs', '--inh-caps=-all',
                        '--bounding-set=-all,' + ','.join('+' + c for c in caps), *super().command()]
        cls.instance = Limited()
        cls.caps = len(caps)

    def test_rights(self):
        self.assertEqual(bin(int(self.instance.kind('master')[0].status()['CapEff'], 16)).count('1'), self.caps)

    def test_mail_and_restart(self):
        s = self.instance.smtplib('submission')
        s.login(ALICE, PASSWORD)
        s.sendmail(ALICE, ['bob@example.net'], message())
        s.quit()
        self.assertEqual(len(self.instance.stored()), 1)
        for name in ('postern-auth', 'postern-keys', 'postern-spool'):
            os.kill(self.instance.kind(name)[0].pid, signal.SIGKILL)
        self.assertTrue(wait_for(lambda: len(re.findall('event=service.ready', self.instance.log())) >= 6, 10))
        port = self.instance.port('submission')
        self.assertTrue(wait_for(lambda: self.instance.answers('submission', '127.0.0.1', port), 5))
        self.instance.signal(signal.SIGHUP)
        self.assertTrue(self.instance.logged('event=config.loaded'))
        s = self.instance.smtplib('submissions')
        s.login(ALICE, PASSWORD)
        s.sendmail(ALICE, ['bob@example.net'], message())
        s.quit()
        self.assertEqual(len(self.instance.stored()), 2)
        self.assertNotIn('level=error', self.instance.log())


if __name__ == '__main__':
    main()
