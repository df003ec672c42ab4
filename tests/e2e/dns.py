"""A small DNS server on loopback for tests: UDP and TCP, a zone given as a dictionary, and ways to misbehave."""
import socket
import struct
import threading

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA = 1, 2, 5, 6, 12, 15, 16, 28
TYPES = {'A': A, 'NS': NS, 'CNAME': CNAME, 'SOA': SOA, 'PTR': PTR, 'MX': MX, 'TXT': TXT, 'AAAA': AAAA}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5


def put_name(name):
    return b''.join(bytes([len(label)]) + label.encode('latin-1') for label in name.split('.') if label) + b'\0'


def get_name(data, at):
    labels = []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode('latin-1'))
        at += 1 + data[at]
    return '.'.join(labels).lower(), at + 1


def put_data(kind, value):
    if kind == A:
        return socket.inet_aton(value)
    if kind == AAAA:
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == MX:
        preference, host = value.split()
        return struct.pack('!H', int(preference)) + put_name('' if host == '.' else host)
    if kind in (CNAME, NS, PTR):
        return put_name(value)
    if kind == TXT:
        parts = [value] if isinstance(value, str) else value
        return b''.join(bytes([len(p)]) + p.encode() for p in parts)
    if kind == SOA:
        return put_name('ns.' + value) + put_name('root.' + value) + struct.pack('!5I', 1, 60, 60, 60, 60)
    raise ValueError(kind)


class Dns:
    """zone: {'example.org': {'MX': ['10 mx.example.org'], 'A': [...]}, ...}. Names that are not in it do not exist.
    A name's record {'do': WORD} misbehaves: servfail, refused, silent, garbage, short, lame, wrong-id, wrong-name; {'truncate': True} says
    TC by UDP, so that the question comes again by TCP; {'tcp': WORD} misbehaves there."""

    def __init__(self, zone=None, address='127.0.0.1'):
        self.zone = dict(zone or {})
        self.asked = []	# (name, type, 'udp' or 'tcp')
        self.lock = threading.Lock()
        for _ in range(20):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((address, 0))
            self.tcp = socket.socket()
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind(self.udp.getsockname())
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(50)
        self.address = self.udp.getsockname()
        self.is_open = True
        for target in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=target, daemon=True).start()

    @property
    def setting(self):
        """As a value of dns.servers."""
        return '%s@%d' % self.address

    def close(self):
        self.is_open = False
        self.udp.close()
        self.tcp.close()

    def count(self, name, kind=None, way=None):
        with self.lock:
            return sum(n == name and (kind is None or k == TYPES[kind]) and (way is None or w == way) for n, k, w in self.asked)

    def answer(self, query, way):
        """The answer to one question, or None."""
        name, at = get_name(query, 12)
        kind = struct.unpack('!H', query[at:at + 2])[0]
        question = query[12:at + 4]
        with self.lock:
            self.asked.append((name, kind, way))
        entry = self.zone.get(name)
        todo = (entry or {}).get('tcp' if way == 'tcp' else 'do')
        if todo == 'silent':
            return None
        number = query[:2]
        if todo == 'garbage':
            return number + b'\xff' * 40
        if todo == 'short':
            return query[:7]
        if todo == 'wrong-id':
            number = bytes([number[0] ^ 0xff, number[1]])
        if todo == 'wrong-name':
            question = put_name('other.example') + question[-4:]
        code = {'servfail': SERVFAIL, 'refused': REFUSED}.get(todo, NOERROR)
        records, authority, truncated = [], [], False
        if todo == 'lame':	# a referral to somebody else, where an answer was asked for
            authority = [(name, NS, put_name('ns.elsewhere.example'))]
        elif code == NOERROR and entry is None:
            code = NXDOMAIN
        elif code == NOERROR:
            records, code = self.follow(name, kind)
        if way == 'udp' and (entry or {}).get('truncate'):
            records, truncated = [], True
        if code in (NOERROR, NXDOMAIN) and not records and not truncated and todo != 'lame':
            authority = [(name.split('.', 1)[-1] or name, SOA, put_data(SOA, name))]
        flags = 0x8180 | (0 if todo == 'lame' else 0x0400) | (0x0200 if truncated else 0) | code
        body = b''.join(put_name(n) + struct.pack('!HHIH', k, 1, 60, len(d)) + d for n, k, d in records + authority)
        return number + struct.pack('!5H', flags, 1, len(records), len(authority), 0) + question + body

    def follow(self, name, kind):
        """Records of a name, behind those of its aliases."""
        records = []
        for _ in range(10):
            entry = self.zone.get(name)
            if entry is None:
                return records, NXDOMAIN
            if 'CNAME' in entry and kind != CNAME:
                records.append((name, CNAME, put_name(entry['CNAME'])))
                name = entry['CNAME'].rstrip('.').lower()
                continue
            for word, values in entry.items():
                if TYPES.get(word) == kind:
                    records += [(name, kind, put_data(kind, v)) for v in values]
            return records, NOERROR
        return records, NOERROR

    def serve_udp(self):
        while self.is_open:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            try:
                reply = self.answer(query, 'udp')
            except (IndexError, struct.error):
                continue
            if reply is not None:
                try:
                    self.udp.sendto(reply, peer)
                except OSError:
                    return

    def serve_tcp(self):
        while self.is_open:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_connection, args=(conn,), daemon=True).start()

    def serve_connection(self, conn):
        with conn:
            conn.settimeout(30)
            f = conn.makefile('rb')
            try:
                while True:
                    size = f.read(2)
                    if len(size) < 2:
                        return
                    query = f.read(struct.unpack('!H', size)[0])
                    reply = self.answer(query, 'tcp')
                    if reply is None:
                        f.read(1)	# until the other side gives up
                        return
                    conn.sendall(struct.pack('!H', len(reply)) + reply)
            except (OSError, IndexError, struct.error):
                return
