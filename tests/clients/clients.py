"""What the tests of real clients share: an instance whose certificate is localhost's, and the look into the spool."""
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
from postern import ALICE, PASSWORD, SLOW, main, wait_for  # noqa: E402, F401

HOST = 'localhost'
RCPT = 'rcpt@example.net'
TEXT = b'first\r\n.dot at the start\r\n..two\r\n\r\nlast gr\xc3\xbc\xc3\x9fe\r\n'


class Clients(postern.Case):
    """Each test sends through a client and ends with what stands in the spool."""

    @classmethod
    def options(cls):
        return {'hostname': HOST, 'settings': {'log.level': 'debug'}}

    def setUp(self):
        self.instance.empty_spool()

    def port(self, kind):
        return str(self.instance.port(kind))

    def path(self, name):
        return os.path.join(self.instance.base, name)

    def file(self, name, data, mode=0o644):
        with open(self.path(name), 'wb') as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(self.path(name), mode)
        return self.path(name)

    def need(self, command):
        if shutil.which(command) is None:
            self.skipTest('%s is not installed' % command)

    def tool(self, *command, input=None, env=None, timeout=20, cwd=None):
        """A command that must succeed; what it said."""
        self.need(command[0])
        done = subprocess.run(command, input=input, stdin=None if input is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout * SLOW,
                              cwd=cwd or self.instance.base, env={**os.environ, 'HOME': self.instance.base, **(env or {})})
        out = done.stdout.decode(errors='replace')
        self.assertEqual(done.returncode, 0, '%s\n%s' % (out[-3000:], self.instance.log_tail()))
        return out

    def stored(self, n=1, seconds=0):
        wait_for(lambda: len(self.instance.names()) >= n, seconds, 0.1)
        files = self.instance.stored()
        self.assertEqual(len(files), n, 'messages stored; log:\n' + self.instance.log_tail())
        for f in files:
            self.assertTrue(f.is_whole, f.path)
        return files

    def check(self, sent=None, text=None, recipients=(RCPT,), seconds=0):
        """One message: with these octets, or with this text as its body; from alice, to these."""
        f = self.stored(1, seconds)[0]
        received, rest = f.split()
        self.assertIn(HOST.encode(), received)
        if sent is not None:
            self.assertEqual(rest, sent)
        if text is not None:
            self.assertEqual(rest.partition(b'\r\n\r\n')[2].rstrip(b'\r\n'), text.rstrip(b'\r\n'))
        row = self.instance.queue()[0]
        self.assertEqual((row['sender'], [r['address'] for r in row['recipients']]), (ALICE, list(recipients)))
        return f
