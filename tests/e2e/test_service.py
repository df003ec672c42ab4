#!/usr/bin/env python3
"""The life of the service: HUP, TERM, limits on sessions, changes that are felt in running sessions, several instances."""
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import (ALICE, BOB, HOST, SLOW, Client, Instance, main, make_certificate, message, queue_id,  # noqa: E402
                     wait_for)


class Reload(postern.Case):
    @classmethod
    def options(cls):
        return {'settings': {'limits.message_size': '100K'}}

    def size(self, client):
        return next(int(line[9:]) for line in client.ehlo() if line[4:9] == 'SIZE ')

    def hup(self):
        self.instance.signal(signal.SIGHUP)

    def new_size(self):
        with self.instance.client('plain') as c:
            return self.size(c)

    def test_new_settings_for_new_sessions_only(self):
        with self.instance.client('plain', login=ALICE) as old:
            first = self.size(old)
            self.instance.set(limits__message_size='200K', limits__recipients=2)
            self.hup()
            self.assertTrue(wait_for(lambda: self.new_size() == 204800, 3))
            self.assertEqual(self.size(old), first)
            old.submit(message('old'), recipients=['r%d@example.net' % n for n in range(3)])
            with self.instance.client('plain', login=ALICE) as new:
                new.command('MAIL FROM:<%s>' % ALICE, 250)
                for n, code in ((0, 250), (1, 250), (2, 452)):
                    new.command('RCPT TO:<r%d@example.net>' % n, code)

    def test_a_transaction_across_a_reload(self):
        with self.instance.client('submission', login=ALICE) as c:
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net>', 250)
            c.command('DATA', 354)
            sent = message('across')
            c.send(sent[:50])
            self.hup()
            time.sleep(0.3)
            c.send(sent[50:] + b'.\r\n')
            name = queue_id(c.expect(250))
        found = [f for f in self.instance.stored() if name in f.name]
        self.assertEqual([f.split()[1] for f in found], [sent])

    def test_a_bad_file_keeps_the_old_state(self):
        path = os.path.join(self.instance.root, 'postern.conf')
        with open(path) as f:
            good = f.read()
        size = self.new_size()
        with open(path, 'a') as f:
            f.write('\n[limits]\nrecipents = 7\n')
        line = good.count('\n') + 3
        try:
            self.hup()
            self.assertTrue(self.instance.logged(r'postern\.conf:%d\b' % line), 'the log names file and line')
            self.assertTrue(self.instance.logged(r'limits\.recipients'), 'and the nearest name')
            self.assertEqual(self.new_size(), size)
            with self.instance.client('plain', login=ALICE) as c:
                c.submit(message('kept'))
        finally:
            with open(path, 'w') as f:
                f.write(good)
        self.hup()
        self.assertEqual(self.new_size(), size)

    def served(self):
        with socket.create_connection(('127.0.0.1', self.instance.port('submissions')), 5) as s:
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
            with c.wrap_socket(s, server_hostname=HOST) as t:
                return t.getpeercert(True)

    def replace(self, certificate, key):
        for source, name in ((certificate, 'certificate.pem'), (key, 'key.pem')):
            path = os.path.join(self.instance.root, 'tls', name)
            shutil.copyfile(source, path + '.new')
            os.chmod(path + '.new', 0o600)
            os.rename(path + '.new', path)

    def test_certificates(self):
        old = self.served()
        with tempfile.TemporaryDirectory() as folder:
            cert, key = make_certificate(folder, 'rsa')
            with open(cert) as f:
                wanted = ssl.PEM_cert_to_DER_cert(f.read())
            running = self.instance.client('submissions', login=ALICE)
            saved = [shutil.copy(os.path.join(self.instance.root, 'tls', n), folder) for n in ('certificate.pem', 'key.pem')]
            self.replace(cert, saved[1])	# another key's certificate
            self.hup()
            self.assertTrue(self.instance.logged(r'(key|certificate)\.pem'), 'the log names the file')
            time.sleep(0.3)
            self.assertEqual(self.served(), old)
            self.replace(cert, key)
            self.hup()
            self.assertTrue(wait_for(lambda: self.served() == wanted, 5, 0.1), 'the new certificate is served')
            with self.instance.client('submission', login=ALICE) as c:
                c.submit(message('new certificate'))
            running.submit(message('old session'))
            running.quit()

    def test_many_hups(self):
        for _ in range(15):
            self.hup()
            time.sleep(0.02)
        self.assertTrue(wait_for(lambda: self.new_size(), 3))
        self.assertIsNone(self.instance.daemon.poll())
        with self.instance.client('submission', login=ALICE) as c:
            c.submit(message('after'))


class Changes(postern.Case):
    """What the admin changes is in force at the next command of a running session."""

    @classmethod
    def options(cls):
        return {'accounts': (BOB,)}

    def test_disabled_account(self):
        with self.instance.client('plain', login=BOB) as c:
            c.submit(message(sender=BOB), sender=BOB)
            self.instance.adm('account', 'disable', BOB)
            c.command('MAIL FROM:<%s>' % BOB, 530)
            c.close()
        with self.instance.client('plain') as c:
            c.login(BOB, codes=(535,))
        self.instance.adm('account', 'enable', BOB)
        with self.instance.client('plain', login=BOB) as c:
            c.submit(message(sender=BOB), sender=BOB)

    def test_disabled_between_mail_and_data(self):
        with self.instance.client('plain', login=BOB) as c:
            c.command('MAIL FROM:<%s>' % BOB, 250)
            self.instance.adm('account', 'disable', BOB)
            try:
                c.command('RCPT TO:<rcpt@example.net>', 530)
            finally:
                self.instance.adm('account', 'enable', BOB)

    def test_senders_come_and_go(self):
        with self.instance.client('plain', login=ALICE) as c:
            c.command('MAIL FROM:<sales@example.org>', 553)
            self.instance.adm('sender', 'add', ALICE, 'sales@example.org')
            c.command('MAIL FROM:<sales@example.org>', 250)
            c.command('RSET', 250)
            self.instance.adm('sender', 'remove', ALICE, 'sales@example.org')
            c.command('MAIL FROM:<sales@example.org>', 553)

    def test_a_changed_password(self):
        self.instance.adm('account', 'add', 'dave@example.org', '--stdin', input='first password')
        with self.instance.client('plain') as c:
            c.login('dave@example.org', 'first password')
        self.instance.adm('account', 'passwd', 'dave@example.org', '--stdin', input='second password')
        with self.instance.client('plain') as c:
            c.login('dave@example.org', 'first password', codes=(535,))
            c.login('dave@example.org', 'second password')

    def test_an_added_and_a_removed_account(self):
        self.instance.adm('account', 'add', 'erin@example.org', '--stdin', input='her password')
        with self.instance.client('plain') as c:
            c.login('erin@example.org', 'her password')
            self.instance.adm('account', 'remove', 'erin@example.org', '--yes')
            c.command('MAIL FROM:<erin@example.org>', 530, 553)
        with self.instance.client('plain') as c:
            c.login('erin@example.org', 'her password', codes=(535,))


class Limits(postern.Case):
    @classmethod
    def options(cls):
        return {'accounts': (BOB,), 'settings': {'limits.sessions_per_account': 2, 'limits.sessions_per_address': 6}}

    def setUp(self):
        self.assertTrue(wait_for(self.is_idle, 5), 'sessions of the test before are still there')

    def is_idle(self):
        clients = []
        try:
            for _ in range(6):
                clients.append(Client(('127.0.0.1', self.instance.port('plain'))))
            return all(c.reply()[0] == 220 for c in clients)
        except EOFError:
            return False
        finally:
            for c in clients:
                c.close()
            time.sleep(0.1)

    def test_sessions_of_an_account(self):
        held = [self.instance.client('plain', login=ALICE), self.instance.client('submission', login=ALICE)]
        with self.instance.client('plain') as c:
            began = time.monotonic()
            lines = c.login(codes=(500,))
            self.assertRegex(lines[0], r'500 5\.\d\.\d The number of sessions exceeds the maximum$')
            self.assertGreater(time.monotonic() - began, 1.5)
            self.assertLess(time.monotonic() - began, 4 * SLOW)
            with self.assertRaises(EOFError):
                c.line()
        with self.instance.client('plain', login=BOB):
            pass
        for c in held:
            c.close()

    def test_a_slot_that_comes_free_is_taken(self):
        held = [self.instance.client('plain', login=ALICE), self.instance.client('plain', login=ALICE)]
        with self.instance.client('plain') as c:
            timer = threading.Timer(0.7, held[0].close)
            timer.start()
            c.login(codes=(235,))
            timer.join()
        held[1].close()

    def test_sessions_of_an_address(self):
        held = [self.instance.client('plain') for _ in range(6)]
        with Client(('127.0.0.1', self.instance.port('plain'))) as c:
            code, lines = c.reply()
            self.assertEqual(code, 421, lines)
            with self.assertRaises(EOFError):
                c.line()
        with self.instance.client('plain', source='127.0.0.77') as c:
            c.command('NOOP', 250)
        held[0].quit()
        self.assertTrue(wait_for(lambda: self.instance.answers('plain', '127.0.0.1', self.instance.port('plain')), 3, 0.1))
        for c in held:
            c.close()


class MostWorkers(postern.Case):
    @classmethod
    def options(cls):
        return {'settings': {'workers.max': 4, 'workers.spare': 2}}

    def test_one_more_is_told_421(self):
        time.sleep(0.2)
        held = [self.instance.client('plain') for _ in range(4)]
        with Client(('127.0.0.1', self.instance.port('plain'))) as c:
            try:
                self.assertEqual(c.reply()[0], 421)
            except EOFError:
                pass	# a flood may be closed without a word
        for c in held:
            c.close()
        self.assertTrue(wait_for(lambda: self.instance.answers('plain', '127.0.0.1', self.instance.port('plain')), 3, 0.1))


class Term(postern.Case):
    def test_term_with_idle_clients_and_one_in_the_middle_of_data(self):
        i = self.instance
        before = i.names()
        idle = [i.client('plain'), i.client('submission', login=ALICE), i.client('submissions', login=ALICE)]
        silent = socket.create_connection(('127.0.0.1', i.port('submissions')), 5)	# never shakes hands
        busy = i.client('plain', login=ALICE)
        busy.command('MAIL FROM:<%s>' % ALICE, 250)
        busy.command('RCPT TO:<rcpt@example.net>', 250)
        busy.command('DATA', 354)
        busy.send(message('unfinished'))
        self.assertLess(i.stop(), postern.STOP_LIMIT * SLOW)
        for c in idle[:1]:
            try:
                self.assertEqual(c.reply()[0], 421)
            except EOFError:
                pass
        for c in (*idle, busy, silent):
            c.close()
        self.assertEqual(i.names(), before)
        i.start()
        with i.client('plain', login=ALICE) as c:
            c.submit(message('again'))
        self.assertEqual(len(i.names()), len(before) + 1)

    def test_term_lets_a_message_finish(self):
        i = self.instance
        if i.daemon is None:
            i.start()
        c = i.client('plain', login=ALICE)
        c.command('MAIL FROM:<%s>' % ALICE, 250)
        c.command('RCPT TO:<rcpt@example.net>', 250)
        c.command('DATA', 354)
        sent = message('finished')
        c.send(sent[:60])
        before = len(i.names())
        i.signal(signal.SIGTERM)
        time.sleep(0.4)
        try:
            c.send(sent[60:] + b'.\r\n')
            code = c.reply()[0]
        except (EOFError, OSError):
            code = None
        c.close()
        i.stop()
        self.assertEqual(len(i.names()) - before, 1 if code == 250 else 0, 'answer %s' % code)
        self.assertIn(code, (250, 421), 'TERM lets transactions finish (bounded)')
        i.start()

    def test_int_ends_it_too(self):
        i = self.instance
        if i.daemon is None:
            i.start()
        i.tree()
        i.signal(signal.SIGINT)
        self.assertTrue(wait_for(lambda: i.daemon.poll() is not None and not i.left(), 8))
        i.start()


class SideBySide(postern.Case):
    @classmethod
    def options(cls):
        return {}

    def test_two_instances(self):
        with Instance(hostname='other.example.com') as other:
            for i in (self.instance, other):
                with i.client('submission', login=ALICE) as c:
                    c.submit(message('side'))
                self.assertEqual(len(i.names()), 1)
            with Client(('127.0.0.1', other.port('plain'))) as c:
                self.assertTrue(re.match(r'220 other\.example\.com ', c.expect(220)[0]))
            other.stop()
            with self.instance.client('submission', login=ALICE) as c:
                c.submit(message('goes on'))
            self.assertEqual(len(self.instance.names()), 2)


class SpoolElsewhere(postern.Case):
    """spool.path names a folder elsewhere, which is created and given its owner."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix='postern-test-')
        cls.instance = Instance(settings={'spool.path': os.path.join(cls.folder, 'mail', 'spool')})

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def test_it_is_used(self):
        with self.instance.client('plain', login=ALICE) as c:
            c.submit(message('elsewhere'))
        self.assertEqual(len(self.instance.names()), 1)
        self.assertEqual(len(self.instance.queue()), 1)
        self.assertEqual(os.stat(self.instance.spool).st_mode & 0o077, 0)


if __name__ == '__main__':
    main()
