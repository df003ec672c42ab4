"""Plays master and spool to a real postern-relay: its sockets, its configuration, deliveries and what comes back of them."""
import array
import collections
import os
import re
import resource
import shutil
import signal
import socket
import struct
import tempfile
import time

from settings import HOST, IS_ROOT, SLOW, program

READY, FAILED, LINK = 0x20, 0x22, 0x24
DELIVER, DELIVER_RECIPIENT, RESULT, FINISHED, FINISHED_ANSWER = 0xa0, 0xa2, 0xa4, 0xa6, 0xa7
UNDERWAY, RELAY_READY = 0xa8, 0xaa
LINK_SPOOL = 1
VERDICTS = ('delivered', 'deferred', 'failed', 'returned')
STAGES = ('route', 'resolve', 'connect', 'greeting', 'hello', 'tls', 'login', 'mail', 'rcpt', 'data', 'end')

Outcome = collections.namedtuple('Outcome', 'verdict stage code enhanced reply')


class Result:
    """What became of one delivery."""

    def __init__(self):
        self.recipients = {}		# index: Outcome, of those that had a RESULT
        self.outcome = self.is_dead = self.host = self.address = self.tls = self.dsn = self.number = None
        self.ended = False		# the socket ended without FINISHED

    def of(self, index):
        return self.recipients.get(index, self.outcome)

    def __repr__(self):
        return 'Result(%r, %r, dead=%r, host=%r, tls=%r, ended=%r)' % (self.outcome, self.recipients, self.is_dead, self.host,
                                                                        self.tls, self.ended)


def put_text(s):
    data = s if isinstance(s, bytes) else s.encode()
    return struct.pack('>H', len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, fmt):
        value = struct.unpack_from('>' + fmt, self.data, self.at)[0]
        self.at += struct.calcsize('>' + fmt)
        return value

    def text(self):
        n = self.number('H')
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def outcome(self):
        return Outcome(VERDICTS[self.number('B')], STAGES[self.number('B')], self.number('H'), self.text(), self.text())


def receive(sock, seconds=10):
    """(kind, Reader, descriptors); None at the end."""
    sock.settimeout(seconds * SLOW)
    data, ancillary, _, _ = sock.recvmsg(70000, socket.CMSG_SPACE(4 * 4))
    fds = array.array('i')
    for level, kind, what in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(what[:len(what) - len(what) % 4])
    if not data:
        return None
    r = Reader(data)
    return r.number('H'), r, list(fds)


def send(sock, data, *fds):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
    sock.sendmsg([data], ancillary)


def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def wait_for(condition, seconds=5):
    end = time.monotonic() + seconds * SLOW
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


class Delivery:
    """One that was given to the relay, and the spool's end of its socket."""

    def __init__(self, number, sock):
        self.number, self.sock = number, sock

    def wait(self, seconds=10, answer=True):
        """Its Result."""
        r = Result()
        while True:
            got = receive(self.sock, seconds)
            if got is None:
                r.ended = True
                return r
            kind, m, _ = got
            if kind == RESULT:
                index = m.number('H')
                assert index not in r.recipients, 'a second result for one recipient'
                r.recipients[index] = m.outcome()
                assert r.recipients[index].verdict != 'returned'
            else:
                assert kind == FINISHED, hex(kind)
                r.number, r.outcome, r.is_dead = m.number('Q'), m.outcome(), bool(m.number('B'))
                r.host, r.address, r.tls, r.dsn = m.text(), m.text(), m.text(), bool(m.number('B'))
                if answer:
                    self.answer(r.number)
                return r

    def answer(self, number):
        try:
            send(self.sock, struct.pack('>HQB', FINISHED_ANSWER, number, 1))
        except (BrokenPipeError, ConnectionResetError):
            pass	# the relay itself does not wait for it


class Relay:
    """postern-relay with a configuration of routes; `routes` is text that follows the common part."""

    def __init__(self, routes, delivery='connect_timeout = 3s\ntimeout = 4s\n', more='', secrets=None, user=None, start=True,
                 binary='postern-relay', descriptors=None):
        self.root = tempfile.mkdtemp(prefix='postern-relay-')
        os.chmod(self.root, 0o755)
        for name in ('run', 'run/empty', 'routes'):
            os.mkdir(os.path.join(self.root, name))
        os.chmod(os.path.join(self.root, 'run/empty'), 0o555)
        for name, password in (secrets or {}).items():
            path = os.path.join(self.root, 'routes', name + '.secret')
            with open(path, 'w') as f:
                f.write(password + '\n')
            os.chmod(path, 0o600)
        self.conf = 'hostname = %s\n%s\n[delivery]\n%s\n%s' % (HOST, more, delivery, routes)
        self.log = os.path.join(self.root, 'log')
        self.number = 0
        self.pid = None
        self.link = self.control = None
        self.user, self.binary, self.descriptors = user, binary, descriptors	# the last: how many it may have
        if user is not None:
            for folder, _, files in os.walk(self.root):
                for name in [folder] + [os.path.join(folder, f) for f in files]:
                    os.chown(name, user, user)
        if start:
            try:
                self.start()
            except Exception:
                shutil.rmtree(self.root, ignore_errors=True)
                raise

    def start(self):
        self.control, theirs = pair()
        conf = os.memfd_create('conf')
        os.write(conf, self.conf.encode())
        os.lseek(conf, 0, os.SEEK_SET)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        if (pid := os.fork()) == 0:
            try:
                high = [os.dup2(fd, 200 + i) for i, fd in enumerate((theirs.fileno(), conf, log))]
                os.dup2(high[0], 3)
                os.dup2(high[1], 4)
                os.dup2(high[2], 2)
                null = os.open('/dev/null', os.O_RDWR)
                os.dup2(null, 0)
                os.dup2(null, 1)
                os.closerange(5, 256)
                if self.descriptors is not None:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
                if self.user is not None:
                    os.setgroups([])
                    os.setgid(self.user)
                    os.setuid(self.user)
                os.execve(program(self.binary), ['postern-relay', '--root', self.root], {})
            finally:
                os._exit(99)
        self.pid = pid
        theirs.close()
        os.close(conf)
        os.close(log)
        got = receive(self.control, 30)
        if got is None or got[0] != READY:
            raise RuntimeError('relay did not start: %s' % (got[1].data[5:] if got else self.read_log()))
        self.parts = got[1].number('I')

    def connect(self):
        """A link, as for a new spool; what is told on it before it is ready."""
        if self.link is not None:
            self.link.close()
        self.link, theirs = pair()
        send(self.control, struct.pack('>HB', LINK, LINK_SPOOL), theirs.fileno())
        theirs.close()
        underway = []
        while True:
            kind, m, fds = receive(self.link)
            if kind == RELAY_READY:
                return underway
            assert kind == UNDERWAY, hex(kind)
            number, name, n = m.number('Q'), m.text(), m.number('H')
            sock = socket.socket(fileno=fds[0])
            underway.append((name, [m.number('H') for _ in range(n)], Delivery(number, sock)))

    def deliver(self, recipients, message=b'Subject: x\r\n\r\nHello\r\n', route='out', domain='', sender='alice@example.org', size=None,
                before=b'header of the spool\n', **more):
        """recipients: addresses, or (address, notify bits, orcpt)."""
        self.number += 1
        if self.link is None:
            self.connect()
        memory = os.memfd_create('message')
        os.write(memory, before + message)
        file = os.open('/proc/self/fd/%d' % memory, os.O_RDONLY)
        os.close(memory)
        ours, theirs = pair()
        data = struct.pack('>HQ', DELIVER, self.number) + put_text('%016x' % self.number) + put_text(route) + put_text(domain)
        data += put_text(sender) + struct.pack('>QBBB', len(message) if size is None else size, more.get('body', 0),
                                               more.get('smtputf8', 0), more.get('ret', 0)) + put_text(more.get('envid', ''))
        data += struct.pack('>QH', len(before), more.get('announced', len(recipients))) + put_text(more.get('signatures', b''))
        send(self.link, data, file, theirs.fileno())
        for i, r in enumerate(recipients):
            address, notify, orcpt = (r, 0, '') if isinstance(r, str) else r
            send(self.link, struct.pack('>HQH', DELIVER_RECIPIENT, self.number, i) + put_text(address) + struct.pack('>B', notify) +
                 put_text(orcpt))
        os.close(file)
        theirs.close()
        return Delivery(self.number, ours)

    def run(self, recipients=('bob@example.net',), seconds=10, **more):
        """One delivery to its end."""
        return self.deliver(list(recipients), **more).wait(seconds)

    def read_log(self):
        if not os.path.exists(self.log):
            return ''
        with open(self.log, errors='replace') as f:
            return f.read()

    def log_tail(self, n):
        return ''.join(self.read_log().splitlines(True)[-n:])

    def children(self):
        """Session processes: all children but the resolver, which was the first."""
        with open('/proc/%d/task/%d/children' % (self.pid, self.pid)) as f:
            return sorted(int(p) for p in f.read().split())[1:]

    def stop(self, seconds=20):
        """The exit status after an orderly end."""
        if self.control is not None:
            self.control.close()
            self.control = None
        return self.wait_end(seconds)

    def wait_end(self, seconds):
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return status
            time.sleep(0.01)
        raise RuntimeError('relay did not end')

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = None
        self.control.close()
        self.control = None

    def close(self):
        if self.pid is not None:
            if self.control is not None:
                self.control.close()
            try:
                self.wait_end(3)
            except RuntimeError:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        for s in (self.link,):
            if s is not None:
                s.close()
        log = self.read_log()
        shutil.rmtree(self.root, ignore_errors=True)
        if found := re.search(r'unknown system call \d+|ERROR: \w+Sanitizer|runtime error: .*', log):
            raise RuntimeError(found.group() + '\n' + log)


ORDINARY = 65534 if IS_ROOT else None
