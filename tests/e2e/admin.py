"""smtpadm run in a folder of its own, for tests/e2e/test_admin*.py."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from postern import ALICE, HOST, PASSWORD, SLOW, program

ORDINARY = 65534
LISTEN = ('--listen', 'submission=127.0.0.1:5870', '--listen', 'submissions=127.0.0.1:4650', '--listen', 'plain=127.0.0.1:2525')


class Admin(unittest.TestCase):
    """A folder for each test, and smtpadm run in it. Class `Ordinary` repeats all of it as another user."""
    user = None

    def setUp(self):
        self.base = tempfile.mkdtemp(prefix='postern-admin-')
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        os.chmod(self.base, 0o755)
        if self.user is not None:
            os.chown(self.base, self.user, self.user)
            try:
                self.adm('--version')
            except (AssertionError, OSError):
                self.skipTest('the programs are out of reach for user %d' % self.user)
        self.root = os.path.join(self.base, 'instance')

    def popen(self, *args, **more):
        who = {} if self.user is None else {'user': self.user, 'group': self.user, 'extra_groups': []}
        return subprocess.Popen([program('smtpadm'), *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.base, **who, **more)

    def run_adm(self, *args, input=None, **more):
        """(exit code, standard output, standard error)"""
        p = self.popen(*args, **more)
        try:
            out, err = p.communicate((input or '').encode(), timeout=30 * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise
        self.assertNotRegex(out.decode() + err.decode(), 'Sanitizer|runtime error')
        return p.returncode, out.decode(), err.decode()

    def adm(self, *args, input=None, code=0, **more):
        """Its standard output; the exit code must be as expected, and a failure must have words."""
        got, out, err = self.run_adm(*args, input=input, **more)
        self.assertEqual(got, code, '%s: %s' % (' '.join(args), err))
        if code > 1:
            self.assertTrue(err.strip(), 'an error without words')
        return out

    def on(self, *args, **more):
        return self.adm('--root', self.root, *args, **more)

    def refused(self, code, *args, **more):
        """Its standard error."""
        got, _, err = self.run_adm('--root', self.root, *args, **more)
        self.assertEqual(got, code, '%s: %s' % (' '.join(args), err))
        return err

    def rows(self, *args, **more):
        lines = self.on('--json', *args, **more).splitlines()
        for line in lines:
            self.assertTrue(line.startswith('{"v":1'), line)
        return [json.loads(line) for line in lines]

    def error(self, code, *args, **more):
        """The JSON error."""
        lines = self.refused(code, '--json', *args, **more).splitlines()
        found = json.loads(lines[-1])
        self.assertEqual(list(found), ['v', 'error'])
        self.assertEqual(list(found['error']), ['code', 'name', 'message', 'fix'])
        self.assertEqual(found['error']['code'], code)
        return found['error']

    def setup(self, *more, input=PASSWORD + '\n'):
        return self.on('setup', '--hostname', HOST, '--account', ALICE, '--self-signed', *LISTEN, '--password-stdin', *more,
                       input=input)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def read(self, *parts):
        with open(self.path(*parts)) as f:
            return f.read()

    def write(self, text):
        with open(self.path('postern.conf'), 'w') as f:
            f.write(text)

    def snapshot(self):
        """Everything that a refused command must leave alone."""
        found = {}
        for folder, _, files in os.walk(self.root):
            for name in files:
                if not name.startswith('registry.db'):
                    with open(os.path.join(folder, name), 'rb') as f:
                        found[os.path.join(folder, name)] = f.read()
        return found


def ordinary(case):
    """The same cases by a user without rights."""
    return type(case.__name__ + 'Ordinary', (case,), {'user': ORDINARY, '__module__': case.__module__})
