#!/usr/bin/env python3
"""One fault, one exit code: posternd and smtpadm end with the same number of sysexits(3), the one in their manual pages."""
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import HOST, IS_ROOT, REPO, main, make_certificate, program, wait_for  # noqa: E402


class Codes(postern.Case):
    @classmethod
    def options(cls):
        return {'start': False}

    def setUp(self):
        self.kept = self.instance.root + '.kept'
        shutil.copytree(self.instance.root, self.kept, symlinks=True)
        for folder, folders, files in os.walk(self.instance.root):
            for name in ['.'] + files:
                s = os.lstat(os.path.join(folder, name))
                os.chown(os.path.join(folder, name).replace(self.instance.root, self.kept, 1), s.st_uid, s.st_gid,
                         follow_symlinks=False)

    def tearDown(self):
        shutil.rmtree(self.instance.root)
        os.rename(self.kept, self.instance.root)

    def path(self, *parts):
        return os.path.join(self.instance.root, *parts)

    def both(self, code, *words, ask=('config', 'check')):
        """The service does not start, and says with smtpadm's code what smtpadm says."""
        done = self.instance.run(*ask)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        ended, text = self.instance.refusal()
        self.assertEqual(ended, code, text)
        for word in words:
            self.assertIn(word, text)
            self.assertIn(word, done.stderr.decode())
        wait_for(lambda: not self.instance.strays(), 6)

    def change(self, name, text, mode='w'):
        with open(self.path(*name), mode) as f:
            f.write(text)

    def test_configuration_is_missing(self):
        os.unlink(self.path('postern.conf'))
        self.both(66, 'postern.conf', 'smtpadm')

    def test_configuration_is_wrong(self):
        for text, words in (('[limits]\nrcpts = 5\n', "did you mean 'limits.recipients'"), ('[limits]\nerrors = many\n', 'errors'),
                            ('[listner more]\naddress = 127.0.0.1:1\n', 'did you mean [listener more]'),
                            ('[limit]\nfoo = 1\n', 'did you mean [limits]'),
                            ('[zebra]\nfoo = 1\n', 'there are [spool]'), ('[listener]\naddress = :1\n', 'did you mean [listener NAME]'),
                            ('[limit]\nrecipients = 5\n', "did you mean 'limits.recipients'")):
            with open(self.path('postern.conf')) as f:
                good = f.read()
            self.change(('postern.conf',), '\n' + text, 'a')
            self.both(78, 'postern.conf:%d: ' % (good.count('\n') + 3), words)
            self.change(('postern.conf',), good)

    def test_configuration_is_everybodys(self):
        os.chmod(self.path('postern.conf'), 0o666)
        self.both(77, 'postern.conf')

    def test_certificate_and_key(self):
        _, other = make_certificate(self.instance.base)
        for name in ('certificate.pem', 'key.pem'):
            os.rename(self.path('tls', name), self.path('tls', 'away'))
            self.both(66, name)
            self.both(66, name, ask=('tls', 'check'))
            os.rename(self.path('tls', 'away'), self.path('tls', name))
        os.chmod(self.path('tls', 'key.pem'), 0o644)
        self.both(77, 'key.pem', 'chmod 600')
        os.chmod(self.path('tls', 'key.pem'), 0o600)
        shutil.copyfile(other, self.path('tls', 'key.pem'))
        self.both(78, 'key.pem', 'certificate.pem')
        self.both(78, 'key.pem', ask=('tls', 'check'))
        self.change(('tls', 'certificate.pem'), 'nothing of the kind\n')
        self.both(78, 'certificate.pem')

    def test_certificate_that_may_not_be_read(self):
        """As an ordinary user, whom file modes stop."""
        user = {'user': 65534, 'group': 65534, 'extra_groups': []} if IS_ROOT else {}
        with tempfile.TemporaryDirectory(prefix='postern-codes-') as folder:
            os.mkdir(os.path.join(folder, 'tls'))
            with open(os.path.join(folder, 'postern.conf'), 'w') as f:
                f.write('hostname = %s\n[listener submission]\naddress = 127.0.0.1:%d\n' % (HOST, postern.free_ports(1)[0]))
            for name in ('certificate.pem', 'key.pem'):
                shutil.copyfile(self.path('tls', name), os.path.join(folder, 'tls', name))
                os.chmod(os.path.join(folder, 'tls', name), 0o600)
            for path in ('', 'postern.conf', 'tls', 'tls/certificate.pem', 'tls/key.pem'):
                if IS_ROOT:
                    os.chown(os.path.join(folder, path), 65534, 65534)
            for path in ('tls/certificate.pem', 'postern.conf'):
                os.chmod(os.path.join(folder, path), 0)
                for args in (('posternd', '--root', folder), ('smtpadm', '--root', folder, 'config', 'check')):
                    done = subprocess.run([program(args[0]), *args[1:]], capture_output=True, text=True, timeout=20, **user)
                    self.assertEqual((done.returncode, path in done.stderr), (77, True), (args, done.stderr))
                os.chmod(os.path.join(folder, path), 0o600)

    def test_rights_of_the_registry(self):
        db = ('registry', 'registry.db')
        for name, mode, fix in ((db, 0o644, 'chmod 600'), (('registry',), 0o755, 'chmod 700')):
            before = os.stat(self.path(*name)).st_mode & 0o7777
            os.chmod(self.path(*name), mode)
            self.both(77, self.path('registry'), fix)
            self.both(77, fix, ask=('account', 'list'))
            os.chmod(self.path(*name), before)

    @unittest.skipUnless(IS_ROOT, 'only root can give files away')
    def test_owner_of_the_registry(self):
        os.chown(self.path('registry', 'registry.db'), 12345, 12345)
        self.both(77, 'user 12345', 'chown')
        self.both(77, 'user 12345', 'chown', ask=('account', 'list'))

    def test_registry_is_missing_newer_or_none(self):
        path = self.path('registry', 'registry.db')
        os.rename(path, path + '.away')
        self.both(66, 'registry.db', 'setup')
        self.both(66, 'registry.db', ask=('account', 'list'))
        os.rename(path + '.away', path)
        db = sqlite3.connect(path)
        db.execute('PRAGMA user_version = 99')
        db.commit()
        db.close()
        owner = os.stat(self.path('registry'))
        for name in os.listdir(self.path('registry')):
            os.chown(self.path('registry', name), owner.st_uid, owner.st_gid)
        self.both(65, 'newer', ask=('account', 'list'))
        with open(path, 'r+b') as f:
            f.write(b'no database at all' * 100)
        self.both(65, ask=('account', 'list'))

    def test_given_files(self):
        """What stands on the command line is no fault of the configuration."""
        cert, _ = make_certificate(self.instance.base, 'ecdsa')
        _, key = make_certificate(self.instance.base, 'rsa')
        self.assertEqual(self.instance.run('tls', 'reload', '--cert', cert, '--key', key).returncode, 65)
        self.assertEqual(self.instance.run('tls', 'reload', '--cert', cert, '--key', key + '.none').returncode, 66)

    def test_manual_pages_have_the_codes(self):
        for page in ('posternd.8', 'smtpadm.8'):
            with open(os.path.join(REPO, 'man', page)) as f:
                text = f.read()
            text = text[text.index('.Sh EXIT STATUS'):]
            for code in ('64', '65', '66', '69', '71', '73', '75', '77', '78'):
                self.assertRegex(text, r'(?m)^\.It .*\b%s\b' % code, page)


class Shown(postern.Case):
    """What config says of an instance, and doubts that are no faults."""

    @classmethod
    def options(cls):
        return {'start': False}

    def test_spool_path(self):
        i = self.instance
        default = os.path.join(i.root, 'spool')
        self.assertEqual(i.adm('config', 'get', 'spool.path').strip(), default)
        self.assertIn('spool.path = %s\n' % default, i.adm('config', 'show'))
        self.assertNotIn('spool.path', i.adm('config', 'show', '--changed'))
        row = i.adm_json('config', 'get', 'spool.path')[0]
        self.assertEqual((row['value'], row['default'], row['changed']), (default, default, False))
        i.adm('config', 'set', 'spool.path', i.base + '/elsewhere')
        row = i.adm_json('config', 'get', 'spool.path')[0]
        self.assertEqual((row['value'], row['default'], row['changed']), (i.base + '/elsewhere', default, True))
        self.assertIn('spool.path = %s/elsewhere\n' % i.base, i.adm('config', 'show', '--changed'))
        i.adm('config', 'set', 'spool.path', default)

    def test_more_spare_workers_than_workers(self):
        i = self.instance
        self.assertEqual(i.run('config', 'check').stderr.decode().count('workers'), 0)
        i.adm('config', 'set', 'workers.max', '1')
        i.adm('config', 'set', 'workers.spare', '8')
        done = i.run('config', 'check')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr.decode(), r'workers\.spare is 8 and workers\.max is 1')
        i.adm('config', 'set', 'workers.max', '1000')

    def test_nearest(self):
        for name, nearest in (('limits.rcpts', 'limits.recipients'), ('limits.msg_size', 'limits.message_size'),
                              ('limits.recipents', 'limits.recipients'), ('worker.max', 'workers.max'),
                              ('limits.sessions_per_acct', 'limits.sessions_per_account'), ('hostnam', 'hostname')):
            done = self.instance.run('config', 'get', name)
            self.assertEqual(done.returncode, 64)
            self.assertIn("did you mean '%s'?" % nearest, done.stderr.decode(), name)

    def test_limit_of_nothing(self):
        done = self.instance.run('--json', 'queue', 'list', '--all', '--limit', '0')
        self.assertEqual(done.returncode, 64)
        self.assertIn('--limit', done.stderr.decode())


class Status(postern.Case):
    def test_one_message(self):
        i = self.instance
        with i.client('plain', login=postern.ALICE) as c:
            self.assertIn('0 messages, 0 octets', ' '.join(c.command('HELP STATUS', 211)))
            c.submit(postern.message('one'))
            found = wait_for(lambda: re.search(r'queue: 1 message, \d+ octets', ' '.join(c.command('HELP STATUS', 211))), 5)
            self.assertTrue(found)


if __name__ == '__main__':
    main()
