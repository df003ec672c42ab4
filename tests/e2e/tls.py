"""An authority of its own and an instance with its certificate, for tests/e2e/test_tls*.py."""
import os
import shutil
import ssl
import tempfile
import unittest

import postern
from postern import HOST, SLOW, Client, openssl, wait_for

WATCH = {'tls.watch_interval': '200ms'}
PAUSE = 1.5 * SLOW	# much longer than it takes to see and settle a change


class Authority:
    """A folder with an authority of its own, which makes certificates as fast as they are wanted."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='postern-ca-')
        os.chmod(self.folder, 0o755)
        self.number = 0
        self.root = self.path('root.pem')
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout',
                self.path('root-key.pem'), '-out', self.root, '-days', '30', '-subj', '/CN=Test Authority',
                '-addext', 'keyUsage=critical,keyCertSign')

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(self, *names, kind='ec', days=30, whole=True):
        """(chain file, key file)"""
        self.number += 1
        cert, key, request, extensions = (self.path('%d-%s' % (self.number, part)) for part in
                                          ('cert.pem', 'key.pem', 'request', 'extensions'))
        new = ['rsa:2048'] if kind == 'rsa' else ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
        openssl('req', '-new', '-newkey', *new, '-nodes', '-keyout', key, '-out', request, '-subj', '/CN=' + names[0])
        with open(extensions, 'w') as f:
            f.write('subjectAltName=%s\nbasicConstraints=CA:FALSE\n' % ','.join('DNS:' + n for n in names))
        openssl('x509', '-req', '-in', request, '-CA', self.root, '-CAkey', self.path('root-key.pem'), '-set_serial',
                str(1000 + self.number), '-days', str(days), '-extfile', extensions, '-out', cert)
        if whole:
            with open(self.root) as f, open(cert, 'a') as to:
                to.write(f.read())
        os.chmod(key, 0o600)
        return cert, key


def der(path):
    """The first certificate of a file."""
    with open(path) as f:
        text = f.read()
    end = '-----END CERTIFICATE-----\n'
    return ssl.PEM_cert_to_DER_cert(text[:text.index(end) + len(end)])


def replace(source, to, mode=0o644):
    """As an installer does: beside it, then over it."""
    shutil.copyfile(source, to + '.new')
    os.chmod(to + '.new', mode)
    os.rename(to + '.new', to)


class Case(unittest.TestCase):
    settings = WATCH
    start = True

    @classmethod
    def setUpClass(cls):
        cls.ca = Authority()
        cls.first = cls.ca.make(HOST)
        cls.instance = None
        try:
            cls.instance = postern.Instance(settings=cls.settings, certificate=cls.first, start=cls.start)
        except BaseException:
            cls.ca.close()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            if cls.instance is not None:
                cls.instance.close()
        finally:
            cls.ca.close()

    def tls(self, *parts):
        return os.path.join(self.instance.root, 'tls', *parts)

    def connect(self, name=None, kind='submissions', version=None, sigalgs=None):
        """A Client under TLS that asks for this name."""
        context = ssl.create_default_context(cafile=self.ca.root)
        context.check_hostname = False
        if version:
            context.minimum_version = context.maximum_version = version
        if sigalgs:
            context.set_ciphers(sigalgs)
        c = Client(('127.0.0.1', self.instance.port(kind)))
        try:
            if kind == 'submission':
                c.expect(220)
                c.ehlo()
                c.command('STARTTLS', 220)
            c.sock = context.wrap_socket(c.sock, server_hostname=name)
            if kind == 'submissions':
                c.expect(220)
            c.ehlo()
        except BaseException:
            c.close()
            raise
        return c

    def served(self, *args, **more):
        with self.connect(*args, **more) as c:
            return c.sock.getpeercert(True)

    def wait_served(self, path, seconds=8, **more):
        """Until new sessions get the certificate of this file."""
        wanted = der(path)
        self.assertTrue(wait_for(lambda: self.served(HOST, **more) == wanted, seconds, 0.1), 'it is never served')
