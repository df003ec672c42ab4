#!/usr/bin/env python3
"""What `make install` puts where, the systemd units, the sample configuration, and the Debian package as a file.

The package in a clean chroot is tests/pack/test_deb.py.
"""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from postern import BUILD, IS_SAN, REPO, main, program

UNITS = os.path.join(REPO, 'etc', 'systemd')
CLEAN = {k: v for k, v in os.environ.items() if k not in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS', 'MAKEOVERRIDES')}


def call(*argv, cwd=REPO, input=None, **env):
    done = subprocess.run(argv, cwd=cwd, env={**CLEAN, **env}, input=input, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300)
    return done.returncode, done.stdout.decode(errors='replace')


def files_below(folder):
    return {os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names}


class Install(unittest.TestCase):
    def make(self, *args):
        code, text = call('make', '-s', '--no-print-directory', 'B=' + BUILD, 'SAN=%d' % IS_SAN, *args)
        self.assertEqual(code, 0, text)

    def test_install_and_uninstall(self):
        with tempfile.TemporaryDirectory() as folder:
            self.make('install', 'DESTDIR=' + folder, 'PREFIX=/usr/local', 'SENDMAIL=1')
            found = files_below(folder)
            wanted = {'sbin/posternd', 'sbin/smtpadm', 'libexec/postern/postern-auth', 'libexec/postern/postern-keys',
                      'libexec/postern/postern-spool', 'share/man/man8/posternd.8', 'share/man/man8/smtpadm.8',
                      'share/man/man5/postern.conf.5', 'share/man/man5/postern-spool.5',
                      'lib/systemd/system/postern.service', 'lib/systemd/system/postern.socket',
                      'share/doc/postern/postern.conf.sample', 'bin/mailq', 'libexec/postern/postern-relay',
                      'sbin/postern-sendmail', 'sbin/sendmail', 'lib/sendmail', 'bin/newaliases', 'share/man/man8/postern-sendmail.8'}
            self.assertEqual({'usr/local/' + name for name in wanted} - found, set())
            with open(os.path.join(folder, 'usr/local/lib/systemd/system/postern.service')) as f:
                self.assertIn('\nExecStart=/usr/local/sbin/posternd\n', f.read())
            for name, target in (('sbin/sendmail', 'postern-sendmail'), ('lib/sendmail', '../sbin/postern-sendmail'),
                                 ('bin/newaliases', '../sbin/postern-sendmail'), ('bin/mailq', '../sbin/smtpadm')):
                self.assertEqual(os.readlink(os.path.join(folder, 'usr/local', name)), target)
            for name in found:
                mode = os.lstat(os.path.join(folder, name)).st_mode & 0o777
                is_program = '/sbin/' in name or '/libexec/' in name
                self.assertIn(mode, (0o755,) if is_program and not os.path.islink(os.path.join(folder, name)) else (0o644, 0o777), name)
            if program('smtpadm') and call(program('smtpadm'), 'completion', 'bash')[0] == 0:
                self.assertIn('usr/local/share/bash-completion/completions/smtpadm', found)
            # Somebody else's file in a folder of ours stays.
            other = os.path.join(folder, 'usr/local/libexec/postern/other')
            with open(other, 'w'):
                pass
            self.make('uninstall', 'DESTDIR=' + folder, 'PREFIX=/usr/local')
            self.assertEqual(files_below(folder), {os.path.relpath(other, folder)})
            self.make('uninstall', 'DESTDIR=' + folder, 'PREFIX=/usr/local')


class Sample(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(REPO, 'etc', 'postern.conf.sample')) as f:
            self.text = f.read()

    def check(self, text):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, 'postern.conf'), 'w') as f:
                f.write(text)
            return call(program('smtpadm'), '--root', folder, 'config', 'get', 'hostname')

    def test_parses(self):
        self.assertEqual(self.check(self.text), (0, 'mail.example.org\n'))

    def test_commented_settings(self):
        """Each is known, and stands there with its default; with all of them the file is still right."""
        section, n = '', 0
        for line in self.text.splitlines():
            m = re.match(r'#?\[([^]]+)\]$', line)
            section = m.group(1) if m else section
            m = re.match(r'#(\w+) = (.*)', line)
            if not m or section.startswith('listener'):
                continue
            name = '%s.%s' % (section, m.group(1))
            with tempfile.TemporaryDirectory() as folder:
                with open(os.path.join(folder, 'postern.conf'), 'w'):
                    pass
                code, value = call(program('smtpadm'), '--root', folder, 'config', 'get', name)
            self.assertEqual((code, value.strip()), (0, m.group(2)), name)
            n += 1
        self.assertGreater(n, 8)
        whole = re.sub(r'(?m)^#(\[|\w+ = )', r'\1', self.text)
        self.assertEqual(whole.count('\naddress = '), 3)
        self.assertEqual(self.check(whole), (0, 'mail.example.org\n'))


@unittest.skipUnless(shutil.which('systemd-analyze'), 'systemd is not installed')
class Units(unittest.TestCase):
    def test_verify(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ('postern.service', 'postern.socket'):
                with open(os.path.join(UNITS, name)) as f:
                    text = re.sub(r'/usr/sbin/(posternd|smtpadm)', lambda m: program(m.group(1)), f.read())
                with open(os.path.join(folder, name), 'w') as f:
                    f.write(text)
            units = [os.path.join(folder, name) for name in os.listdir(folder)]
            code, text = call('systemd-analyze', 'verify', '--man=no', *units)
            self.assertEqual((code, text), (0, ''))

    def test_security(self):
        code, text = call('systemd-analyze', 'security', '--offline=true', '--no-pager', '--threshold=35',
                          os.path.join(UNITS, 'postern.service'))
        if 'unrecognized option' in text:
            self.skipTest('this systemd-analyze has no --offline')
        self.assertEqual(code, 0, text)


@unittest.skipIf(IS_SAN, 'a package is made of the release build')
@unittest.skipUnless(shutil.which('dpkg-shlibdeps') and shutil.which('dpkg-deb'), 'dpkg-dev is not installed')
class Debian(unittest.TestCase):
    def test_package(self):
        with tempfile.TemporaryDirectory() as folder:
            code, text = call('make', '-s', '--no-print-directory', 'B=' + BUILD, 'D=' + folder, 'deb-file')
            self.assertEqual(code, 0, text)
            deb = text.split()[-1]
            code, control = call('dpkg-deb', '-f', deb)
            self.assertRegex(control, r'(?m)^Depends: .*libssl3.*adduser$')
            self.assertNotIn('@', re.sub(r'(?m)^Maintainer.*', '', control))
            code, listing = call('dpkg-deb', '-c', deb)
            for name in ('./usr/sbin/posternd', './usr/share/man/man8/smtpadm.8.gz',
                         './usr/lib/systemd/system/postern.service', './usr/share/doc/postern/copyright',
                         './usr/share/doc/postern/changelog.Debian.gz'):
                self.assertRegex(listing, r'(?m) root/root .* %s$' % re.escape(name))
            for script in ('preinst', 'postinst', 'prerm', 'postrm'):
                path = os.path.join(REPO, 'etc', 'debian', script)
                if os.path.exists(path):
                    self.assertEqual(call('sh', '-n', path), (0, ''))
            if shutil.which('lintian'):
                code, text = call('lintian', '--fail-on', 'error', deb)
                self.assertEqual(code, 0, text)


if __name__ == '__main__':
    main()
