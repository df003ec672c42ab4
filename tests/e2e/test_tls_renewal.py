#!/usr/bin/env python3
"""Certificates that are renewed while the service runs: by whoever writes the files, and by smtpadm tls reload."""
import os
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
from postern import HOST, main, message  # noqa: E402
from tls import PAUSE, Case, der, replace  # noqa: E402


class Renewal(Case):
    """The files change, and new sessions get the new certificate without a signal; running ones go on."""

    def setUp(self):
        self.paths = self.tls('certificate.pem'), self.tls('key.pem')
        self.rejected = self.instance.log().count('certificate.rejected')
        self.running = self.connect(HOST)
        self.running.login()
        self.before = self.served(HOST)

    def tearDown(self):
        with self.running as c:
            c.submit(message('a session that saw two certificates'))
            self.assertEqual(c.sock.getpeercert(True), self.before)
        self.instance.adm('tls', 'check')

    def test_certificate_first(self):
        new = self.ca.make(HOST)
        replace(new[0], self.paths[0])
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before, 'half a pair harms nobody')
        replace(new[1], self.paths[1], 0o600)
        self.wait_served(new[0])
        self.wait_served(new[0], kind='submission')
        self.assertLessEqual(self.instance.log().count('certificate.rejected') - self.rejected, 1, 'logged once')

    def test_key_first(self):
        new = self.ca.make(HOST, kind='rsa')
        replace(new[1], self.paths[1], 0o600)
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before)
        replace(new[0], self.paths[0])
        self.wait_served(new[0])
        self.assertLessEqual(self.instance.log().count('certificate.rejected') - self.rejected, 1, 'logged once')

    def test_written_slowly_in_place(self):
        """Not how one should do it, but harmless."""
        new = self.ca.make(HOST)
        for source, path in zip(new, self.paths):
            with open(source, 'rb') as f:
                data = f.read()
            with open(path, 'r+b') as to:
                to.truncate(0)
                for at in range(0, len(data), 200):
                    to.write(data[at:at + 200])
                    to.flush()
                    time.sleep(0.05)
            self.assertIn(self.served(HOST), (self.before, der(new[0])))
        self.wait_served(new[0])

    def test_files_gone_and_back(self):
        for path in self.paths:
            os.rename(path, path + '.away')
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before)
        for path in self.paths:
            os.rename(path + '.away', path)
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before)

    def test_mode_of_the_key(self):
        new = self.ca.make(HOST)
        replace(new[0], self.paths[0])
        replace(new[1], self.paths[1], 0o644)
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), self.before)
        self.assertRegex(self.instance.log(), r'certificate\.rejected.*chmod 600')
        self.assertEqual(self.instance.run('tls', 'check').returncode, 77)
        os.chmod(self.paths[1], 0o600)
        self.wait_served(new[0])

    def test_smtpadm_replaces_it(self):
        i, new = self.instance, self.ca.make(HOST)
        snapshot = [open(p, 'rb').read() for p in self.paths]
        out = i.adm_json('-n', 'tls', 'reload', '--cert', new[0], '--key', new[1])
        self.assertEqual((out[0]['changed'], out[0]['reloaded'], out[0]['dry_run']), (True, False, True))
        self.assertEqual([open(p, 'rb').read() for p in self.paths], snapshot)
        # As certbot has it: both are links.
        live = self.ca.path('live')
        os.makedirs(live, exist_ok=True)
        links = [os.path.join(live, n) for n in ('fullchain.pem', 'privkey.pem')]
        for source, link in zip(new, links):
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(source, link)
        out = i.adm_json('tls', 'reload', '--cert', links[0], '--key', links[1])
        self.assertEqual((out[0]['v'], out[0]['changed'], out[0]['reloaded']), (1, True, True))
        self.wait_served(new[0])
        self.assertEqual(os.stat(self.paths[1]).st_mode & 0o7777, 0o600)
        self.assertEqual([open(p + '.old', 'rb').read() for p in self.paths], snapshot)
        out = i.adm_json('tls', 'reload', '--cert', links[0], '--key', links[1])
        self.assertFalse(out[0]['changed'])

    def test_smtpadm_refuses(self):
        i, a, b = self.instance, self.ca.make(HOST), self.ca.make(HOST)
        snapshot = [open(p, 'rb').read() for p in self.paths]
        for code, *args in ((65, '--cert', a[0], '--key', b[1]), (64, '--cert', a[0]), (64, 'name'),
                            (66, '--cert', '/nowhere', '--key', a[1]), (65, '--cert', a[1], '--key', a[1]),
                            (67, 'name', '--cert', a[0], '--key', a[1])):
            done = i.run('tls', 'reload', *args)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertTrue(done.stderr)
        self.assertEqual([open(p, 'rb').read() for p in self.paths], snapshot)

    def test_reload_by_hand(self):
        new = self.ca.make(HOST)
        replace(new[0], self.paths[0])
        replace(new[1], self.paths[1], 0o600)
        self.assertTrue(self.instance.adm_json('tls', 'reload')[0]['reloaded'])
        self.assertEqual(self.served(HOST), der(new[0]), 'it is done when smtpadm says so')


class Links(Case):
    """A certificate that is a link, as certbot's are, which a renewal points elsewhere."""

    def test_links(self):
        i, live = self.instance, self.ca.path('live')
        os.makedirs(live)
        pairs = [self.ca.make(HOST) for _ in range(2)]
        os.symlink(pairs[0][0], os.path.join(live, 'fullchain.pem'))
        shutil.copy2(pairs[0][1], os.path.join(live, 'key.pem'))
        i.set(tls__certificate=os.path.join(live, 'fullchain.pem'), tls__key=os.path.join(live, 'key.pem'))
        i.adm('config', 'check')
        i.signal(signal.SIGHUP)
        self.wait_served(pairs[0][0])
        with self.connect(HOST) as c:
            c.login()
            replace(pairs[1][1], os.path.join(live, 'key.pem'), 0o600)
            os.symlink(pairs[1][0], os.path.join(live, 'new'))
            os.rename(os.path.join(live, 'new'), os.path.join(live, 'fullchain.pem'))
            self.wait_served(pairs[1][0])
            c.submit(message('through a renewal'))
        # Nothing is copied over a link: it is not smtpadm's.
        more = self.ca.make(HOST)
        done = i.run('tls', 'reload', '--cert', more[0], '--key', more[1])
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertTrue(os.path.islink(os.path.join(live, 'fullchain.pem')))


class NotWatched(Case):
    settings = {'tls.watch_interval': '200ms', 'tls.watch': 'off'}

    def test_only_on_demand(self):
        new = self.ca.make(HOST)
        replace(new[0], self.tls('certificate.pem'))
        replace(new[1], self.tls('key.pem'), 0o600)
        time.sleep(PAUSE)
        self.assertEqual(self.served(HOST), der(self.first[0]))
        self.instance.signal(signal.SIGHUP)
        self.wait_served(new[0])


if __name__ == '__main__':
    main()
