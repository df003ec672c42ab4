#!/usr/bin/env python3
"""postern-sendmail and the local socket: who may send, what becomes of a message, what callers are told and by which exit status.

As root the callers are users of their own, by number; else one case after the other is the caller's own user.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
from postern import ALICE, BOB, IS_ROOT, PASSWORD, SLOW, Client, Instance, free_ports, main, program, wait_for  # noqa: E402

MAPPED, STRANGER, WILD = 61001, 61002, 61003
CAROL = 'carol@example.org'
TEMPFAIL, USAGE, DATAERR, NOUSER, NOPERM = 75, 64, 65, 67, 77


def has_git_send_email():
    return bool(shutil.which('git')) and subprocess.run(['git', 'send-email', '-h'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                                        cwd='/').stdout.startswith(b'git send-email')


@unittest.skipUnless(IS_ROOT, 'being several users needs root')
class Sendmail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.instance = i = Instance(accounts=(BOB, CAROL), listen=[('plain', '127.0.0.1', free_ports(1)[0])],
                                    settings={'limits.recipients': 5, 'limits.message_size': '2M'})
        os.chmod(i.base, 0o711)	# callers are others
        i.adm('credential', 'add', ALICE, '--local-user', str(MAPPED))
        i.adm('credential', 'add', BOB, '--local-user', 'daemon')
        i.adm('account', 'add', 'server', '--stdin', input=PASSWORD)
        i.adm('sender', 'add', 'server', '*@hosts.example.org')
        i.adm('credential', 'add', 'server', '--local-user', str(WILD))

    @classmethod
    def tearDownClass(cls):
        cls.instance.close()

    def setUp(self):
        self.instance.empty_spool()

    def call(self, *args, input=b'', uid=MAPPED, program_name='postern-sendmail', env=None, timeout=30):
        """(exit status, standard error)"""
        done = subprocess.run(['setpriv', '--reuid', str(uid), '--regid', str(uid), '--clear-groups', program(program_name), *args],
                              input=input if isinstance(input, bytes) else input.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout * SLOW, cwd='/',
                              env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'POSTERN_ROOT': self.instance.root, **(env or {})})
        self.out = done.stdout.decode(errors='replace')
        return done.returncode, done.stderr.decode(errors='replace')

    def sent(self, *args, **more):
        """One call that succeeds without a word; the one message of it."""
        self.assertEqual(self.call(*args, **more), (0, ''))
        stored = self.instance.stored()
        self.assertEqual(len(stored), 1)
        self.assertTrue(stored[0].is_whole)
        return stored[0]

    def recipients(self, m):
        return [value.split('>')[0].lstrip('<') for value in m.field('Postern-Recipient')]

    def sender(self, m):
        return m.field('Postern-Sender')[0].split('>')[0].lstrip('<')

    # Who

    def test_mapped_user_sends_as_the_account(self):
        m = self.sent('bob@example.net', input='Subject: hi\n\nhello\n')
        self.assertEqual(self.sender(m), ALICE)
        self.assertEqual(m.field('Postern-Account')[0], ALICE)
        self.assertEqual(self.recipients(m), ['bob@example.net'])
        received, rest = m.split()
        self.assertIn(b'(from a program of this machine)', received)
        self.assertTrue(rest.endswith(b'\r\n\r\nhello\r\n'))
        self.assertIn(b'From: <%s>\r\n' % ALICE.encode(), rest)
        self.assertTrue(self.instance.logged(r'session\.begin.*peer="local uid=%d" listener=local' % MAPPED))
        self.assertTrue(self.instance.logged(r'login\.ok.*account=%s.*mechanism=local peer="local uid=%d"' % (ALICE, MAPPED)))

    def test_unmapped_user(self):
        code, err = self.call('bob@example.net', input='x\n', uid=STRANGER)
        self.assertEqual(code, NOPERM)
        self.assertIn('530 5.7.0 Authentication required', err)
        self.assertIn('smtpadm credential add ACCOUNT --local-user %d' % STRANGER, err)
        self.assertEqual(self.instance.stored(), [])

    def test_root_only_if_it_is_mapped(self):
        code, err = self.call('bob@example.net', input='x\n', uid=0)
        self.assertEqual(code, NOPERM)
        self.assertIn('--local-user 0', err)

    def test_named_user_and_end_of_the_mapping(self):
        i = self.instance
        i.adm('credential', 'add', CAROL, '--local-user', 'nobody', '--name', 'jobs')
        m = self.sent('-t', input='To: nobody\nFrom: nobody (Cron Daemon)\n\nx\n', uid=65534)
        self.assertEqual((self.sender(m), self.recipients(m)), (CAROL, [CAROL]))
        i.adm('credential', 'revoke', CAROL, '--name', 'jobs', '--yes')
        self.assertEqual(self.call('bob@example.net', input='x\n', uid=65534)[0], NOPERM)

    def test_disabled_account(self):
        i = self.instance
        i.adm('account', 'disable', ALICE)
        try:
            self.assertEqual(self.call('bob@example.net', input='x\n')[0], NOPERM)
        finally:
            i.adm('account', 'enable', ALICE)

    def test_pattern_of_an_account(self):
        m = self.sent('-t', input='From: %d\nTo: admin\n\nx\n' % WILD, uid=WILD)
        self.assertEqual((self.sender(m), self.recipients(m)), ('%d@hosts.example.org' % WILD, ['admin@hosts.example.org']))

    # Addresses

    def test_sender_that_is_not_allowed(self):
        code, err = self.call('-f', BOB, 'bob@example.net', input='x\n')
        self.assertEqual(code, NOPERM)
        self.assertIn('the sender <%s> was refused: 553 5.7.1 Sender not allowed' % BOB, err)
        self.assertIn('smtpadm sender add ACCOUNT %s' % BOB, err)

    def test_header_sender_that_is_not_allowed(self):
        code, err = self.call('-t', input='From: %s\nTo: bob@example.net\n\nx\n' % BOB)
        self.assertEqual(code, NOPERM)
        self.assertIn('the message was refused: 553 5.7.1 Sender not allowed: the From field', err)

    def test_sender_and_names_that_are_allowed(self):
        i = self.instance
        i.adm('sender', 'add', ALICE, 'web@example.org')
        try:
            for flag in ('-f', '-r'):
                i.empty_spool()
                self.assertEqual(self.sender(self.sent(flag, 'web@example.org', '-F', 'Web Site', 'bob@example.net', input='\nx\n')),
                                 'web@example.org')
                self.assertIn(b'From: "Web Site" <web@example.org>\r\n', i.stored()[0].message)
            i.empty_spool()
            m = self.sent('-fweb', '-F', 'Jörg "J"', 'bob@example.net', input='\nx\n')
            self.assertEqual(self.sender(m), 'web@example.org')
            self.assertIn(b'From: =?UTF-8?B?SsO2cmcgIkoi?= <web@example.org>\r\n', m.message)
        finally:
            i.adm('sender', 'remove', ALICE, 'web@example.org')

    def test_recipients_of_the_header(self):
        code, err = self.call('-t', 'extra@example.net', input='To: "A, B" <a@example.net>, Team: b@example.net ;\n'
                              'CC: d@example.net (Dora (D.)),\n\t<@old.example:e@example.net>\nBcc: secret@example.net\nSubject: s\n\nx\n')
        self.assertEqual((code, err), (0, ''))
        stored = self.instance.stored()
        self.assertEqual(sum((self.recipients(m) for m in stored), []),
                         ['extra@example.net', 'a@example.net', 'b@example.net', 'd@example.net', 'e@example.net', 'secret@example.net'])
        for m in stored:
            self.assertNotIn(b'secret', m.message)
            self.assertIn(b'CC: d@example.net (Dora (D.)),\r\n\t<@old.example:e@example.net>\r\n', m.message)

    def test_more_recipients_than_one_message_takes(self):
        names = ['r%d@example.net' % n for n in range(12)]
        self.assertEqual(self.call(*names, input='x\n'), (0, ''))
        self.assertEqual([len(self.recipients(m)) for m in self.instance.stored()], [5, 5, 2])

    def test_resent(self):
        m = self.sent('-t', input='To: a@example.net\nResent-To: b@example.net\nResent-Bcc: c@example.net\n\nx\n')
        self.assertEqual(self.recipients(m), ['b@example.net', 'c@example.net'])
        self.assertNotIn(b'Resent-Bcc', m.message)

    def test_a_list_that_cannot_be_read(self):
        code, err = self.call('-t', input='To: John Smith\nSubject: s\n\nx\n')
        self.assertEqual(code, DATAERR)
        self.assertIn('To: John Smith', err)
        self.assertEqual(self.call('two words', input='x\n')[0], DATAERR)

    def test_malformed_and_missing_recipients(self):
        code, err = self.call('a..b@example.net', input='x\n')
        self.assertEqual(code, DATAERR)
        self.assertIn('<a..b@example.net> was refused: 530 5.1.3', err)
        self.assertEqual(self.call(input='x\n')[0], USAGE)
        self.assertEqual(self.call('-t', input='Subject: s\n\nx\n')[0], USAGE)
        self.assertEqual(self.call('-t', input='To: undisclosed-recipients:;\n\nx\n')[0], USAGE)
        # One bad recipient: nobody gets it.
        self.assertEqual(self.call('good@example.net', 'a..b@example.net', input='x\n')[0], DATAERR)
        self.assertEqual(self.instance.stored(), [])

    # Octets

    def body(self, *args, input):
        self.instance.empty_spool()
        return self.sent(*args, 'bob@example.net', input=input).message.partition(b'\r\n\r\n')[2]

    def test_line_ends(self):
        self.assertEqual(self.body(input=b'Subject: s\n\na\nb'), b'a\r\nb\r\n')
        self.assertEqual(self.body(input=b'Subject: s\r\n\r\na\r\nb\r\n'), b'a\r\nb\r\n')
        self.assertEqual(self.body(input=b'Subject: s\n\n10%\r20%\r100%\n\0end\n'), b'10%\r\n20%\r\n100%\r\nend\r\n')
        self.assertEqual(self.body(input=b'From bob Sat Nov 21 2026\nSubject: s\n\nFrom me\n'), b'From me\r\n')

    def test_no_header(self):
        self.assertEqual(self.body(input=b'just text\nmore: text\n'), b'just text\r\nmore: text\r\n')
        self.assertEqual(self.body(input=b'\nSubject: in the body\n'), b'Subject: in the body\r\n')
        self.assertEqual(self.body(input=b''), b'')

    def test_dots(self):
        text = b'Subject: s\n\na\n.\nb\n..\n.c\n'
        self.assertEqual(self.body(input=text), b'a\r\n')
        for flags in (('-i',), ('-oi',), ('-o', 'i'), ('-O', 'IgnoreDots=true')):
            self.assertEqual(self.body(*flags, input=text), b'a\r\n.\r\nb\r\n..\r\n.c\r\n')

    def test_long_lines_and_eight_bits(self):
        body = self.body(input=b'Subject: s\n\n' + b'x' * 100000 + b'\n')
        self.assertEqual(body.replace(b'\r\n', b''), b'x' * 100000)
        self.assertEqual(self.body(input='Subject: s\n\nGrüße\n'.encode()), 'Grüße\r\n'.encode())
        self.assertEqual(self.instance.stored()[0].field('Postern-Options'), ['8BITMIME'])

    def test_a_megabyte(self):
        text = b''.join(b'%06d %s\n' % (n, b'.' * 93) for n in range(10486))
        self.assertGreater(len(text), 1 << 20)
        self.assertEqual(self.body(input=b'Subject: big\n\n' + text), text.replace(b'\n', b'\r\n'))

    def test_too_big(self):
        code, err = self.call('bob@example.net', input=b'Subject: s\n\n' + b'x' * 70 * 40000)
        self.assertEqual(code, DATAERR)
        self.assertIn('552 5.3.4', err)

    # Callers

    def test_cron(self):
        for args in (('-i', '-FCronDaemon', '-B8BITMIME', '-oem', str(MAPPED)), ('-FCronDaemon', '-i', '-odi', '-oem', '-oi', '-t', '-f',
                     str(MAPPED))):
            self.instance.empty_spool()
            m = self.sent(*args, input='From: %d (Cron Daemon)\nTo: %d\nSubject: Cron <%d@host> date\n'
                          'Content-Type: text/plain; charset=UTF-8\nAuto-Submitted: auto-generated\n\nSat Nov 21\n' % ((MAPPED,) * 3))
            self.assertEqual((self.sender(m), self.recipients(m)), (ALICE, [ALICE]))
            self.assertIn(b'From: %s (Cron Daemon)\r\nTo: %s\r\n' % (ALICE.encode(), ALICE.encode()), m.message)

    def test_other_callers(self):
        header = 'From: %s\nTo: bob@example.net\nSubject: s\n\nx\n' % ALICE
        for args in (('-t', '-i'),	# PHP
                     ('-i', '-f', ALICE, '--', 'bob@example.net'),	# s-nail
                     ('-oem', '-oi', '-f', ALICE, '-N', 'failure,delay', '-R', 'hdrs', '-B', '8BITMIME', '--', 'bob@example.net'),	# mutt
                     ('-i', 'bob@example.net'),	# git send-email
                     ('-oi', '-t'), ('-bm', '-odb', '-oee', '-t'), ('-oi', '-oem', '-t', '-Am', '-h', '3', '-L', 'tag', '-U')):
            with self.subTest(args=args):
                self.instance.empty_spool()
                m = self.sent(*args, input=header)
                self.assertEqual((self.sender(m), self.recipients(m)), (ALICE, ['bob@example.net']))

    def test_delivery_status(self):
        m = self.sent('-N', 'failure,delay', '-R', 'hdrs', '-V', 'id+1=x', 'bob@example.net', input='x\n')
        self.assertIn('NOTIFY=FAILURE,DELAY', m.field('Postern-Recipient')[0].upper())
        self.assertRegex(m.field('Postern-Sender')[0].upper(), r'RET=HDRS.*ENVID=ID\+2B1\+3DX')
        # Cut where it is encoded: 100 octets are what servers take.
        for given, kept in (('=' * 100, '+3D' * 33), ('x' * 99 + '+y', 'x' * 99), ('x' * 98 + '=y', 'x' * 98), ('x' * 97 + '=y', 'x' * 97 + '+3D'),
                            ('x' * 200, 'x' * 100)):
            with self.subTest(given=given):
                self.instance.empty_spool()
                m = self.sent('-V', given, 'bob@example.net', input='x\n')
                self.assertTrue(m.field('Postern-Sender')[0].endswith('ENVID=' + kept), m.field('Postern-Sender')[0])
        self.assertEqual(self.call('-N', 'often', 'bob@example.net', input='x\n')[0], USAGE)
        self.assertEqual(self.call('-R', 'half', 'bob@example.net', input='x\n')[0], USAGE)

    @unittest.skipUnless(shutil.which('php'), 'php is not installed')
    def test_php(self):
        script = '$ok = mail("bob@example.net", "S", "one\\n.\\ntwo", "From: %s\\r\\nCc: carol@example.net", "-f%s"); exit($ok ? 0 : 1);' % (
            ALICE, ALICE)
        done = subprocess.run(['setpriv', '--reuid', str(MAPPED), '--regid', str(MAPPED), '--clear-groups', 'php', '-n', '-d',
                               'sendmail_path=%s -t -i' % program('postern-sendmail'), '-r', script], timeout=30 * SLOW, cwd='/',
                              env={'PATH': '/usr/bin:/bin', 'POSTERN_ROOT': self.instance.root})
        self.assertEqual(done.returncode, 0)
        m = self.instance.stored()[0]
        self.assertEqual(self.recipients(m), ['bob@example.net', 'carol@example.net'])
        self.assertTrue(m.message.endswith(b'\r\n\r\none\r\n.\r\ntwo\r\n'))

    @unittest.skipUnless(has_git_send_email(), 'git send-email is not installed')
    def test_git_send_email(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            with open(os.path.join(folder, '0001.patch'), 'w') as f:
                f.write('From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: %s\nDate: Sat, 21 Nov 2026 12:00:00 '
                        '+0000\nSubject: [PATCH] one\n\n---\n file | 1 +\n' % ALICE)
            done = subprocess.run(['setpriv', '--reuid', str(MAPPED), '--regid', str(MAPPED), '--clear-groups', 'git', 'send-email', '--quiet',
                                   '--confirm=never', '--from', ALICE, '--to', 'bob@example.net', '--cc', 'carol@example.net',
                                   '--smtp-server', program('postern-sendmail'), os.path.join(folder, '0001.patch')],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * SLOW, cwd=folder,
                                  env={'PATH': '/usr/bin:/bin', 'POSTERN_ROOT': self.instance.root, 'HOME': folder, 'GIT_COMMITTER_NAME': 'A',
                                       'GIT_COMMITTER_EMAIL': ALICE, 'GIT_AUTHOR_NAME': 'A', 'GIT_AUTHOR_EMAIL': ALICE})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertLessEqual({'bob@example.net', 'carol@example.net'}, set(self.recipients(self.instance.stored()[0])))

    @unittest.skipUnless(shutil.which('s-nail'), 's-nail is not installed')
    def test_s_nail(self):
        done = subprocess.run(['setpriv', '--reuid', 'daemon', '--regid', 'daemon', '--clear-groups', 's-nail', '-:/', '-Smta=file://%s' %
                               program('postern-sendmail'), '-r', BOB, '-s', 'S', 'bob@example.net'], input=b'hello\n',
                              stderr=subprocess.PIPE, timeout=30 * SLOW, cwd='/',
                              env={'PATH': '/usr/bin:/bin', 'POSTERN_ROOT': self.instance.root, 'HOME': '/tmp', 'TMPDIR': '/tmp'})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(wait_for(self.instance.stored, 5))

    def test_dialogue(self):
        code, err = self.call('-bs', input='EHLO x\nMAIL FROM:<%s>\nRCPT TO:<bob@example.net>\nDATA\nSubject: s\n\n..x\n.\nQUIT\n' % ALICE)
        self.assertEqual((code, err), (0, ''))
        self.assertEqual(re.findall(r'(?m)^(\d\d\d) ', self.out), ['220', '250', '250', '250', '354', '250', '221'])
        self.assertTrue(self.instance.stored()[0].message.endswith(b'\r\n\r\n.x\r\n'))

    def test_verbose(self):
        self.assertEqual(self.call('-v', 'bob@example.net', input='x\n'), (0, ''))
        self.assertRegex(self.out, r'>>> RCPT TO:<bob@example.net>\n<<< 250 [^\n]*\n>>> DATA\n<<< 354 [^\n]*\n<<< 250 2\.0\.0 Ok: queued as')

    def test_other_modes(self):
        self.assertEqual(self.call('-bi'), (0, ''))
        self.assertEqual(self.call('-I'), (0, ''))
        for args in (('-bd',), ('-bv', 'x@example.net'), ('-y',), ('-f',)):
            code, err = self.call(*args)
            self.assertEqual(code, USAGE, args)
            self.assertTrue(err.startswith('sendmail: '))
        self.assertEqual(self.call('-q', uid=0), (0, ''))
        self.assertEqual(self.call('-q30m', uid=STRANGER)[0], NOPERM)	# the queue is the administrator's
        code, err = self.call('-bp', uid=0)
        self.assertEqual((code, err), (0, ''))
        self.assertIn('Mail queue is empty', self.out)

    # Trouble

    def test_no_daemon(self):
        for root in ('/nonexistent', self.instance.base):
            code, err = self.call('bob@example.net', input='x\n', env={'POSTERN_ROOT': root})
            self.assertEqual(code, TEMPFAIL)
            self.assertIn('the mail service is not there', err)
        code, err = self.call('-bs', input='EHLO x\n', env={'POSTERN_ROOT': '/nonexistent'})
        self.assertEqual(code, TEMPFAIL)
        self.assertTrue(self.out.startswith('421 '))

    def test_a_session_too_many(self):
        i = self.instance
        i.adm('account', 'limit', ALICE, 'sessions=1')
        try:
            first = subprocess.Popen(['setpriv', '--reuid', str(MAPPED), '--regid', str(MAPPED), '--clear-groups', program('postern-sendmail'), '-bs'],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={'POSTERN_ROOT': i.root}, cwd='/')
            try:
                self.assertTrue(first.stdout.readline().startswith(b'220 '))
                rows = [s for s in i.adm_json('session', 'list') if s['listener'] == 'local']
                self.assertEqual([(s['peer'], s['account']) for s in rows], [('local uid=%d' % MAPPED, ALICE)])
                code, err = self.call('bob@example.net', input='x\n')
                self.assertEqual(code, TEMPFAIL)
                self.assertIn('421', err)
            finally:
                first.stdin.close()
                first.stdout.close()
                first.wait(10 * SLOW)
        finally:
            i.adm('account', 'limit', ALICE, 'sessions=default')

    def test_paused_and_switched_off(self):
        i = self.instance
        path = os.path.join(i.root, 'run', 'submit')
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o666)
        i.adm('pause', 'submission')
        try:
            self.assertEqual(self.call('bob@example.net', input='x\n')[0], TEMPFAIL)
        finally:
            i.adm('resume', 'submission')
        i.set(local__submit='off')
        i.adm('reload')
        self.assertFalse(os.path.exists(path))
        self.assertEqual(self.call('bob@example.net', input='x\n')[0], TEMPFAIL)
        i.set(local__submit='on')
        i.adm('reload')
        self.assertTrue(os.path.exists(path))
        self.sent('bob@example.net', input='x\n')

    def test_killed_auth_is_waited_for(self):
        i = self.instance
        os.kill(i.kind('postern-auth')[0].pid, signal.SIGKILL)
        time.sleep(0.05)
        code, err = self.call('bob@example.net', input='x\n')
        self.assertIn(code, (0, TEMPFAIL), err)
        self.assertTrue(wait_for(lambda: self.call('bob@example.net', input='x\n')[0] == 0, 10))

    # The socket itself

    def test_dialogue_at_the_socket(self):
        with Client.local(os.path.join(self.instance.root, 'run', 'submit')) as c:
            c.expect(220)
            lines = c.ehlo()
            self.assertFalse([line for line in lines if re.search('AUTH|STARTTLS|XSENDER', line)], lines)
            self.assertNotRegex('\n'.join(c.command('HELP', 214)), 'AUTH|STARTTLS')
            self.assertIn('Refusing any other AUTH command', c.command('AUTH PLAIN AGEAYg==', 503)[0])
            c.command('STARTTLS', 502)
            self.assertIn('--local-user 0', c.command('MAIL FROM:<%s>' % ALICE, 530)[0])
            self.assertIn('--local-user 0', c.command('HELP STATUS', 530)[0])
            c.quit()

    def test_sessions_of_one_user_are_counted(self):
        i = self.instance
        i.set(limits__sessions_per_address=3)
        i.adm('reload')
        path, open_ones = os.path.join(i.root, 'run', 'submit'), []
        try:
            for _ in range(3):
                open_ones.append(Client.local(path))
                open_ones[-1].expect(220)
            with Client.local(path) as c:
                self.assertIn('too many sessions', c.expect(421)[0])
            self.assertEqual(self.call('bob@example.net', input='x\n'), (0, ''))	# another user
        finally:
            for c in open_ones:
                c.close()
            i.set(limits__sessions_per_address=200)
            i.adm('reload')


if __name__ == '__main__':
    main(300)
