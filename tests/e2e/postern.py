"""An instance of Postern for tests: set up in a temporary folder, started, looked into, and ended again.

Used by tests/e2e, tests/dialogue and tests/faults. Python's standard library only. Programs are taken from the
folder POSTERN_BUILD (default: build/ of this tree). Every wait is bounded; only processes that were started here
are ever signalled.
"""
import ctypes
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from client import Client, base64, message, queue_id, stuff	# noqa: F401
from runner import finish, main	# noqa: F401
from settings import ALICE, BOB, BUILD, HOST, IS_ROOT, IS_SAN, PASSWORD, REPO, SLOW, program	# noqa: F401

SANITIZER = re.compile(r'ERROR: \w+Sanitizer|runtime error: |DEADLYSIGNAL')
STOP_LIMIT = 8.0	# seconds in which TERM must have ended the whole tree


def free_ports(n, address='127.0.0.1'):
    """n ports that nobody listens on, outside of the range that outgoing connections take theirs from."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    found = []
    for _ in range(2000):
        port = random.randrange(20000, 32000)
        with socket.socket(family, socket.SOCK_STREAM) as s:
            try:
                s.bind((address, port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
        if len(found) == n:
            return found
    raise RuntimeError('no free ports')


def wait_for(condition, seconds, step=0.02):
    """Calls condition() until it returns something true, which is returned; the last result when time is up."""
    end = time.monotonic() + seconds * SLOW
    while True:
        result = condition()
        if result or time.monotonic() > end:
            return result
        time.sleep(step)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)	# PR_SET_PDEATHSIG


class Process:
    """A row of /proc."""

    def __init__(self, pid):
        self.pid = pid
        with open('/proc/%d/stat' % pid) as f:
            text = f.read()
        self.comm = text[text.index('(') + 1:text.rindex(')')]
        fields = text[text.rindex(')') + 2:].split()
        self.state, self.parent, self.started = fields[0], int(fields[1]), fields[19]
        with open('/proc/%d/cmdline' % pid, 'rb') as f:
            argv = f.read().split(b'\0')
        self.name = os.path.basename(argv[0].decode(errors='replace')) or self.comm
        self.arguments = [a.decode(errors='replace') for a in argv[1:-1]]

    def status(self):
        with open('/proc/%d/status' % self.pid) as f:
            return dict(line.rstrip('\n').split(':', 1) for line in f)

    def numbers(self, key):
        return [int(v) for v in self.status()[key].split()]

    def descriptors(self):
        """{number: what it is}, of a process that we may look into (root)."""
        found = {}
        for fd in os.listdir('/proc/%d/fd' % self.pid):
            try:
                found[int(fd)] = os.readlink('/proc/%d/fd/%s' % (self.pid, fd))
            except OSError:
                pass
        return found


def processes():
    found = []
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                found.append(Process(int(name)))
            except (OSError, ValueError):
                pass
    return found


def is_alive(pid, started=None):
    try:
        p = Process(pid)
        return p.state not in 'ZX' and started in (None, p.started)
    except (OSError, ValueError):
        return False


class SpoolFile:
    """One file of the spool, checked against what its first line says (postern-spool(5))."""

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)
        with open(path, 'rb') as f:
            data = f.read()
        self.size = len(data)
        first, _, rest = data.partition(b'\r\n')
        m = re.fullmatch(rb'Postern-Spool: v=1; size=(\d{20}); sha256=([0-9a-f]{64})(?:; from=[01])?', first)
        self.is_whole = bool(m) and int(m.group(1)) == len(data) and \
            hashlib.sha256(rest).hexdigest().encode() == m.group(2)
        head, mark, self.message = rest.partition(b'Postern-End: envelope\r\n')
        self.is_whole = self.is_whole and bool(mark)
        self.envelope = [tuple(part.strip() for part in line.split(':', 1))
                         for line in re.sub(r'\r\n[ \t]+', ' ', head.decode('utf-8', 'replace')).split('\r\n') if line]

    def field(self, name):
        return [value for key, value in self.envelope if key.lower() == name.lower()]

    def split(self):
        """(the Received field that the spool put before it, the rest)."""
        m = re.match(rb'Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*', self.message)
        return (m.group(0), self.message[m.end():]) if m else (b'', self.message)


class Instance:
    """One posternd with everything around it in one folder."""

    def __init__(self, settings=(), accounts=(), listen=None, certificate=None, folder=None, hostname=HOST, start=True,
                 wrap=(), nofile=None):
        self.base = tempfile.mkdtemp(prefix='postern-test-', dir=folder)
        self.root = os.path.join(self.base, 'instance')
        # Logs that outlive the test go where tests/run says.
        self.log_file = os.path.join(os.environ.get('POSTERN_LOGS') or self.base, os.path.basename(self.base) + '.log')
        self.settings, self.wrap, self.nofile = dict(settings), list(wrap), nofile
        self.daemon = self.master = None
        self.known = {}	# processes that were seen in this tree: pid and start, since pids are used again
        self.hostname, self.given = hostname, None
        if listen is None:
            ports = free_ports(3)
            listen = [(kind, '127.0.0.1', port) for kind, port in zip(('submission', 'submissions', 'plain'), ports)]
        self.listen = listen
        try:
            self.setup(certificate)
            for name in accounts:
                self.adm('account', 'add', name, '--stdin', input=PASSWORD)
            for name, value in self.settings.items():
                self.adm('config', 'set', name, str(value))
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def setup(self, certificate):
        args = ['setup', '--hostname', self.hostname, '--account', ALICE, '--password-stdin']
        if certificate:	# copies that live as long as the instance
            self.given = [shutil.copy(f, os.path.join(self.base, os.path.basename(f))) for f in certificate]
            args += ['--cert', self.given[0], '--key', self.given[1]]
        else:
            args += ['--self-signed']
        for kind, address, port in self.listen:
            args += ['--listen', '%s=%s:%d' % (kind, '[%s]' % address if ':' in address else address, port)]
        self.adm(*args, input=PASSWORD)

    # Commands

    def run(self, *args, input=None, timeout=30):
        return subprocess.run([program('smtpadm'), '--root', self.root, *args], input=(input or '').encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)

    def adm(self, *args, input=None):
        """smtpadm, which must succeed; its standard output."""
        done = self.run(*args, input=input)
        if done.returncode != 0:
            raise AssertionError('smtpadm %s: exit %d: %s' % (' '.join(args), done.returncode,
                                                              done.stderr.decode(errors='replace').strip()))
        return done.stdout.decode()

    def adm_json(self, *args):
        return [json.loads(line) for line in self.adm('--json', *args).splitlines()]

    def queue(self):
        return self.adm_json('queue', 'list', '--all')

    def set(self, **settings):
        """Sets limits__recipients=5 and the like, for the next HUP or start."""
        for name, value in settings.items():
            self.adm('config', 'set', name.replace('__', '.'), str(value))

    # Life

    def command(self):
        return [*self.wrap, program('posternd'), '--root', self.root]

    def launch(self):
        def prepare():
            die_with_parent()
            if self.nofile is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))
        with open(self.log_file, 'ab') as log:
            if IS_SAN:	# a worker may write no file, but its sanitizer's report is wanted: through a pipe
                self.reader = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=log)
                with self.reader.stdin as pipe:
                    self.spawn(pipe, prepare)
            else:
                self.spawn(log, prepare)

    def spawn(self, log, prepare):
        self.daemon = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.base,
                                       preexec_fn=prepare)
        self.master = self.daemon.pid

    def start(self, seconds=10):
        """Starts and waits until every listener greets."""
        self.launch()
        for kind, address, port in self.listen:
            if not wait_for(lambda: self.daemon.poll() is not None or self.answers(kind, address, port), seconds):
                raise AssertionError('%s on port %d does not answer; log:\n%s' % (kind, port, self.log_tail()))
            if self.daemon.poll() is not None:
                raise AssertionError('posternd ended with %d; log:\n%s' % (self.daemon.returncode, self.log_tail()))
        if self.wrap:	# the real master is below the wrapper
            self.master = next(p.pid for p in processes() if p.parent == self.daemon.pid)
        self.tree()

    @staticmethod
    def answers(kind, address, port):
        try:
            with socket.create_connection((address, port), 1) as s:
                s.settimeout(3 * SLOW)
                return kind == 'submissions' or s.recv(4) == b'220 '
        except OSError:
            return False

    def refusal(self, seconds=10):
        """Starts where the start must fail: (exit status or None when it went on running, what it said)."""
        before = os.path.getsize(self.log_file) if os.path.exists(self.log_file) else 0
        self.launch()
        try:
            code = self.daemon.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.stop()
            code = None
        self.daemon = None
        if IS_SAN:	# what was said may still be in the pipe
            self.reader.wait(10 * SLOW)
        return code, self.log()[before:]

    def signal(self, number):
        os.kill(self.master, number)

    def stop(self):
        """TERM; seconds until the whole tree had gone, or an AssertionError after STOP_LIMIT."""
        if self.daemon is None:
            return 0.0
        self.tree()
        began = time.monotonic()
        if self.daemon.poll() is None:
            self.signal(signal.SIGTERM)
        wait_for(lambda: self.daemon.poll() is not None and not self.left(), STOP_LIMIT)
        took = time.monotonic() - began
        ended, left = self.daemon.poll() is not None, self.left()
        self.kill_all()
        if not ended or left:
            raise AssertionError('TERM did not end it within %g s: master %s, left %s; log:\n%s' % (
                STOP_LIMIT, 'ended' if ended else 'is still there', left, self.log_tail()))
        return took

    def left(self):
        return [pid for pid, started in self.known.items() if is_alive(pid, started)]

    def strays(self):
        """Processes of this instance, wherever they hang: by the folder that their command line names."""
        return [(p.pid, p.name) for p in processes() if self.root in p.arguments and p.state not in 'ZX']

    def kill_all(self):
        """The last resort: our own pids only."""
        if self.daemon is not None:
            for pid in self.left():
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            if self.daemon.poll() is None:
                self.daemon.kill()
            self.daemon.wait(5)
        self.daemon, self.known = None, {}

    def close(self):
        try:
            self.stop()
            found = SANITIZER.search(self.log())
            if found:
                raise AssertionError('a sanitizer speaks in the log:\n' + self.log()[found.start():found.start() + 4000])
        finally:
            self.kill_all()
            shutil.rmtree(self.base, ignore_errors=True)

    # Looking inside

    def tree(self):
        """The master and everything below it, as Process."""
        everything = processes()
        below = {self.master}
        for _ in range(4):	# master, services, hashing children, one spare
            below |= {p.pid for p in everything if p.parent in below}
        found = [p for p in everything if p.pid in below]
        self.known.update((p.pid, p.started) for p in found)
        return found

    def kind(self, name):
        """Processes of a kind: master, worker, postern-auth, hasher, postern-keys, postern-spool."""
        tree = self.tree()
        services = {p.pid: p.name for p in tree if p.parent == self.master and p.name.startswith('postern-')}
        if name == 'master':
            return [p for p in tree if p.pid == self.master]
        if name == 'worker':
            return [p for p in tree if p.parent == self.master and p.pid not in services]
        if name == 'hasher':
            return [p for p in tree if services.get(p.parent) == 'postern-auth']
        return [p for p in tree if services.get(p.pid) == name]

    def worker_of(self, client):
        """The process that holds the server's side of a client's socket (root only)."""
        ours = '%04X' % client.sock.getpeername()[1], '%04X' % client.sock.getsockname()[1]
        with open('/proc/net/tcp') as f:
            inodes = [row.split()[9] for row in f.readlines()[1:]
                      if (row.split()[1][-4:], row.split()[2][-4:]) == ours]
        for p in self.tree():
            if 'socket:[%s]' % inodes[0] in p.descriptors().values() and p.pid != self.master:
                return p
        return None

    def log(self):
        try:
            with open(self.log_file, errors='replace') as f:
                return f.read()
        except OSError:
            return ''

    def log_tail(self, lines=25):
        return '\n'.join(self.log().splitlines()[-lines:])

    def logged(self, pattern, seconds=3):
        return wait_for(lambda: re.search(pattern, self.log()), seconds)

    @property
    def spool(self):
        return os.path.join(self.root, self.settings.get('spool.path') or 'spool')

    def names(self, *folders):
        """Paths of the files in these folders of the spool (default: all accepted ones)."""
        found = []
        for folder in folders or ('new', 'cur'):
            path = os.path.join(self.spool, folder)
            found += [os.path.join(path, name) for name in sorted(os.listdir(path)) if not name.startswith('.')]
        return found

    def stored(self, *folders):
        return [SpoolFile(path) for path in self.names(*folders)]

    def empty_spool(self):
        """Forgets what is stored, between the cases of a dialogue. Behind the spool's back: what its journal still has comes back
        after a kill."""
        for path in self.names():
            os.unlink(path)

    # Clients

    def port(self, kind):
        return next(port for k, _, port in self.listen if k == kind)

    @property
    def certificate(self):
        return self.given[0] if self.given else os.path.join(self.root, 'tls', 'certificate.pem')

    def context(self, version=None):
        c = ssl.create_default_context(cafile=self.certificate)
        c.check_hostname = False
        if version is not None:
            c.minimum_version = c.maximum_version = version
        return c

    def client(self, kind='plain', tls=True, login=None, source=None):
        """A Client that has read the greeting; with tls where the listener has it; with login, logged in as that."""
        port = self.port(kind)
        c = Client(('127.0.0.1', port), self.context() if kind == 'submissions' else None, source)
        c.expect(220)
        c.ehlo()
        if kind == 'submission' and tls:
            c.command('STARTTLS', 220)
            c.starttls(self.context())
            c.ehlo()
        if login:
            c.login(login)
        return c

    def smtplib(self, kind, context=None, timeout=20):
        """smtplib's client, under TLS where the listener has it, before login."""
        context = context or self.context()
        if kind == 'submissions':
            return smtplib.SMTP_SSL('127.0.0.1', self.port(kind), 'client.example.org', timeout=timeout, context=context)
        s = smtplib.SMTP('127.0.0.1', self.port(kind), 'client.example.org', timeout=timeout)
        if kind == 'submission':
            s.starttls(context=context)
        return s


def openssl(*args):
    subprocess.run(['openssl', *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)


def make_certificate(folder, kind='ecdsa', name=HOST):
    """A self-signed pair made by openssl: (certificate file, key file)."""
    cert, key = (os.path.join(folder, '%s-%s.pem' % (kind, part)) for part in ('cert', 'key'))
    new = ['rsa:2048'] if kind == 'rsa' else ['ec', '-pkeyopt', 'ec_paramgen_curve:' + (
        'secp384r1' if kind == 'ecdsa384' else 'prime256v1')]
    openssl('req', '-x509', '-newkey', *new, '-nodes', '-keyout', key, '-out', cert, '-days', '30', '-subj', '/CN=' + name,
            '-addext', 'subjectAltName=DNS:' + name)
    os.chmod(key, 0o600)
    return cert, key


class Case(unittest.TestCase):
    """Tests that share one instance, made by options()."""
    instance = None

    @classmethod
    def options(cls):
        return {}

    @classmethod
    def setUpClass(cls):
        cls.instance = Instance(**cls.options())

    @classmethod
    def tearDownClass(cls):
        if cls.instance is not None:
            cls.instance.close()
