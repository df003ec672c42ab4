#!/usr/bin/env python3
"""smtpadm beside those who mean no good, and those who mistype: what mail users and next hops say reaches no terminal as a control and forges
no line; scripts get JSON whole; tables fit; what is advised can be typed as it stands; a question is never without what it is about."""
import json
import os
import pty
import re
import select
import shlex
import subprocess
import tempfile
import time
import unittest

from admin import ORDINARY, Admin
from client import queue_id
from next_hop import NextHop
from postern import ALICE, BOB, SLOW, Instance, IS_ROOT, IS_SAN, main, program, wait_for
from test_trace import add_route

# What a terminal obeys: C0 but the line's end, DEL, C1, and what turns the direction of text or ends its line.
OBEYED = re.compile('[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]')
LONG_NET = '2001:db8:1234:5678:9abc:def0:1234:5678'


def on_terminal(argv, answer=b'n\n', seconds=10):
    """(exit code, all that stood on the terminal); answers the question whether to go on."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    out, end, answered = b'', time.monotonic() + seconds * SLOW, False
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            got = os.read(fd, 4096)
        except OSError:
            break
        if not got:
            break
        out += got
        if b'[y/N]' in out and not answered:
            answered = True
            os.write(fd, answer)
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode(errors='replace').replace('\r\n', '\n')


class Foreign(unittest.TestCase):
    """A running instance, and mail of somebody who would like to write on the admin's terminal."""
    @classmethod
    def setUpClass(cls):
        cls.hop = NextHop(rules={'RCPT': '451 4.3.2 no \x1b[31mred\x07 \u202eeb \u0085 id          FAKE'})
        cls.instance = Instance(accounts=(BOB,), start=False, settings={'delivery.retry': '1h'})
        add_route(cls.instance, 'smtp://127.0.0.1:%d' % cls.hop.port)
        cls.instance.start()
        forged = ' 2026-11-22 05:50:36.100  delivered to boss@example.net by route out: 250 2.0.0 ok'
        cls.idents = [cls.submit('c\u009b31md@example.net', 'Message-ID: <a@b>\r\n%s' % forged),
                      cls.submit('\u202eevil@example.net', 'Message-ID: <\u202eq\u0085@y>\r\nSubject: \x1b]0;mine\x07')]
        if not wait_for(lambda: all(row['state'] == 'deferred' for row in cls.instance.queue()), 5):
            raise AssertionError(cls.instance.log_tail())

    @classmethod
    def tearDownClass(cls):
        cls.instance.close()
        cls.hop.close()

    @classmethod
    def submit(cls, to, header):
        with cls.instance.client('plain', login=ALICE) as c:
            for line in ('MAIL FROM:<%s> SMTPUTF8' % ALICE, 'RCPT TO:<%s>' % to, 'DATA'):
                c.send(line.encode() + b'\r\n')
                c.expect(250, 354)
            c.send(('From: <%s>\r\n%s\r\n\r\nhi \x1b[2J there\r\n.\r\n' % (ALICE, header)).encode())
            return queue_id(c.expect(250))

    def commands(self):
        for ident in self.idents:
            for words in (('queue', 'show'), ('why',), ('trace',)):
                yield (*words, ident)
        yield from (('queue', 'list', '--all'), ('queue', 'summary', '--all'), ('trace', '--account', ALICE), ('queue', 'remove', '--all'),
                    ('account', 'logins', ALICE))

    def test_nothing_obeyed(self):
        for words in self.commands():
            for options in ((), ('--json',), ('--verbose',)):
                done = self.instance.run(*options, *words)
                text = (done.stdout + done.stderr).decode()
                self.assertIsNone(OBEYED.search(text), (options, words, text))

    def test_no_forged_line(self):
        """A folded Message-ID is one line of the trace, and no line of its own."""
        lines = self.instance.adm('trace', self.idents[0]).splitlines()
        self.assertEqual([line for line in lines if 'boss@example.net' in line and 'Message-ID' not in line], [])
        self.assertEqual([line for line in lines if not re.match(r'20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  \w', line)], [])
        self.instance.adm('account', 'contain', BOB, '--reason', 'found\nstate       enabled')
        self.addCleanup(self.instance.adm, 'account', 'restore', BOB)
        self.assertEqual(len(re.findall('^state ', self.instance.adm('account', 'show', BOB), re.M)), 1)

    def test_json_keeps_the_value(self):
        to = [row['recipients'][0]['address'] for row in self.instance.queue()]
        self.assertEqual(to, ['c\u009b31md@example.net', '\u202eevil@example.net'])

    def test_cat(self):
        """As it stands for a program; on a terminal without what it would obey."""
        for words in (('queue', 'cat'), ('queue', 'cat', '--body')):
            self.assertIn(b'\x1b[2J', self.instance.run(*words, self.idents[0]).stdout)
            code, out = on_terminal([program('smtpadm'), '--root', self.instance.root, *words, self.idents[0]])
            self.assertEqual((code, '\x1b' in out, '?[2J there' in out), (0, False, True), out)

    def test_question_is_asked_whole(self):
        """-q silences messages, and never what is about to be lost."""
        for options in ((), ('-q',)):
            code, out = on_terminal([program('smtpadm'), '--root', self.instance.root, *options, 'queue', 'remove', '--all'])
            self.assertEqual(code, 1, out)
            for word in ('2 messages', *self.idents, 'Go on?'):
                self.assertIn(word, out)
        self.assertEqual(len(self.instance.queue()), 2)

    def test_kill_is_of_one_account(self):
        """A pattern is no account, in a dry run either: it would end nothing."""
        with self.instance.client('plain', login=ALICE):
            for options in ((), ('--dry-run',), ('--yes',)):
                self.assertEqual(self.instance.run(*options, 'session', 'kill', '--account', '*@example.org').returncode, 1, options)
            self.assertEqual(self.instance.run('--dry-run', 'session', 'kill', '--account', ALICE.upper()).returncode, 0)

    def test_reasons_add_up(self):
        def count(*words):
            return int(self.instance.run('queue', 'count', *words).stdout)
        self.assertEqual([count('--reason', 'FAKE'), count('--reason', 'nothing such'), count('--reason', 'nothing such', '--reason', 'FAKE')],
                         [2, 0, 2])
        self.assertEqual(self.instance.run('queue', 'hold', '--reason', 'a', '--reason', 'b', '--all').returncode, 64)

    def test_tables_fit(self):
        self.instance.adm('ban', 'add', LONG_NET, '--for', '30d', '--reason', 'a reason that is longer than most')
        self.instance.adm('account', 'disable', BOB)
        self.addCleanup(self.instance.adm, 'account', 'enable', BOB)
        self.addCleanup(self.instance.adm, 'ban', 'remove', LONG_NET)
        with self.instance.client('plain', login=ALICE):
            for words in (('queue', 'list', '--all'), ('session', 'list'), ('ban', 'list'), ('account', 'list'), ('credential', 'list', ALICE)):
                for style in ('utc', 'local', 'rel'):
                    out = self.instance.adm('--time', style, *words)
                    self.assertLessEqual(max(len(line) for line in out.splitlines()), 80, out)

    def test_times_to_come(self):
        """--time rel of what is to come is no age of nothing."""
        self.instance.adm('ban', 'add', '192.0.2.7', '--for', '30d')
        self.addCleanup(self.instance.adm, 'ban', 'remove', '192.0.2.7')
        self.assertIn('in 29d', self.instance.adm('--time', 'rel', 'ban', 'list'))
        self.assertRegex(self.instance.adm('--time', 'rel', 'queue', 'show', self.idents[0]), r'the next in \d+m')

    def test_sizes_are_a_range(self):
        def count(*sizes, code=0):
            done = self.instance.run('queue', 'count', *(word for size in sizes for word in ('--size', size)))
            self.assertEqual(done.returncode, code, done.stderr)
            return done.stdout.decode().strip()
        self.assertEqual([count('+1', '-1G'), count('-1G'), count('+1G', '-2G', code=1)], ['2', '2', '0'])
        for sizes in (('+1', '+1G'), ('-1', '-1G'), ('+0', '+1')):
            count(*sizes, code=64)


class Words(Admin):
    def setUp(self):
        super().setUp()
        self.root = os.path.join(self.base, "it's an instance")
        self.setup()

    def test_json_is_all_there_is(self):
        for words in (('account', 'list'), ('queue', 'list', '--all'), ('ban', 'list'), ('sender', 'list')):
            for line in self.on('--json', '--color', 'always', *words).splitlines():
                json.loads(line)
        self.assertEqual(self.on('--color', 'always', 'queue', 'list', '--all'), '')

    def test_letters_together(self):
        for letters in ('-nj', '-jn', '-qj'):
            for words in (('queue', 'remove', '--bogus'), ('bogus',), ('queue', 'list', '--limit')):
                json.loads(self.refused(64, letters, *words))

    def test_advice_can_be_typed(self):
        """In a folder whose name a shell would take apart."""
        for words in (('account', 'show', 'nobody'), ('metrics',), ('bogus',)):
            fix = json.loads(self.run_adm('--root', self.root, '--json', *words)[2])['error']['fix']
            self.assertIn(self.root, shlex.split(fix.split(';')[0]), fix)
        for out in (self.run_adm('--root', self.root, 'status')[1], self.run_adm('--root', self.root, 'account', 'rename', ALICE, BOB)[2]):
            self.assertIn('--root %s' % shlex.quote(self.root).replace("'\"'\"'", "'\\''"), out)

    def test_every_error_helps(self):
        for words in (('queue', 'list', '--limit'), ('ban', 'add', '192.0.2.7', '--for', 'zz'), ('session', 'list', '--peer', 'x'),
                      ('trace', 'x', '--limit', 'y'), ('queue', 'list', '--all', '--older', '1h', '--older', '2h'), ('config', 'check', '--json=1'),
                      ('account', 'add', '"a b"@example.org', '--generate'), ('account', 'add', 'x@example.org'),
                      ('account', 'test', ALICE), ('setup', '--hostname', '[x'), ('queue', 'hold', '--all', '--reason', 'x' * 2000),
                      ('pause', 'submission', '--reason', 'x' * 2000), ('pause', 'delivery', '--reason', 'x' * 2000),
                      ('ban', 'add', '192.0.2.7', '--reason', 'x' * 2000), ('route', 'add', 'a/b', 'smtp://x'), ('route', 'add', 'x', 'y'),
                      ('session', 'kill', '--account', 'x', '--account', 'y'), ('setup', '--cert', '/x'), ('setup', '--password-stdin'),
                      ('account', 'passwd', ALICE, '--stdin'), ('account', 'passwd', ALICE, '--hash-stdin'), ('tls', 'reload', 'x'),
                      ('tls', 'reload', '--cert', '/x', '--key', '/x'), ('account', 'import', '/'), ('--root', '', 'status')):
            code, _, err = self.run_adm(*(('--root', self.root) if words[0] != '--root' else ()), '--json', *words)
            error = json.loads(err.splitlines()[-1])['error']
            self.assertEqual(code, error['code'])
            self.assertTrue(error['fix'], (words, error))

    def test_broken_configuration_helps(self):
        with open(self.path('postern.conf'), 'a') as f:
            f.write('[limits]\nrecipients = many\n')
        for words in (('route', 'remove', 'x'), ('setup',), ('route', 'list'), ('status',), ('queue', 'list', '--all')):
            error = self.error(78, *words)
            self.assertRegex(error['message'], r'postern\.conf:\d+: ')
            self.assertIn('config set', error['fix'])

    def test_words_of_other_programs(self):
        """What an admin may look for and is not there says where the answer is."""
        for word, has in (('explain', 'sender check'), ('doctor', 'config check'), ('log', 'trace'), ('top', 'session list'), ('stats', 'metrics'),
                          ('report', 'queue summary'), ('backup', 'account export'), ('forward', 'route add'), ('restore', 'account restore')):
            error = self.error(64, word, 'x')
            self.assertIn("'%s'" % word, error['message'])
            self.assertNotIn('did you mean', error['message'])
            self.assertIn(has, error['fix'])
        self.assertIn("did you mean 'status'", self.error(64, 'statsu')['message'])

    def test_values_are_not_cut(self):
        """What the file would not give back is refused for routes and certificates, too."""
        self.on('route', 'add', 'main', 'smtp://127.0.0.1:1')
        before = self.read('postern.conf')
        for key in ('route.main.user', 'route.main.account', 'certificate.x.certificate'):
            self.assertEqual(self.error(65, 'config', 'set', key, 'foo ;bar')['name'], 'bad_value')
        self.assertEqual(self.read('postern.conf'), before)

    def test_import_says_what_is_wrong(self):
        path = os.path.join(self.base, 'people.csv')
        with open(path, 'w') as f:
            f.write('account,password,senders\nx@example.org,secret,no-pattern\n')
        self.assertIn("'no-pattern' is no pattern for a sender", self.error(65, 'account', 'import', path)['message'])

    def test_dry_run_of_keys_says_no_less(self):
        """What postern-keys would refuse is refused in a dry run, too, and is named."""
        for word in ('a b', 'a"b', 'a\nb', '-a', 'a..b', 'x' * 64, ''):
            for options in ((), ('--dry-run',)):
                error = self.error(65, *options, 'dkim', 'add', 'example.org', '--selector', word)
                self.assertIn("'%s'" % word, error['message'])
        self.on('dkim', 'add', 'example.org', '--selector', 'one', '--algorithm', 'ed25519')
        for options in ((), ('--dry-run',)):
            self.assertIn('dkim retire example.org one', self.error(65, *options, 'dkim', 'remove', 'example.org', 'one')['fix'])

    def test_full_output(self):
        """A password that was made and could not be shown is not lost without a word."""
        with open('/dev/full', 'w') as full:
            done = subprocess.run([program('smtpadm'), '--root', self.root, 'credential', 'add', ALICE, '--name', 'x'], stdout=full,
                                  stderr=subprocess.PIPE, timeout=30, user=self.user)
        self.assertEqual(done.returncode, 74)
        self.assertIn(b'credential rotate', done.stderr)

    def test_pipes_in_place_of_files(self):
        """A FIFO that the instance's owner puts there must not make root wait for ever."""
        for name in ('run/posternd.pid', 'postern.conf', 'tls/certificate.pem'):
            path = self.path(name)
            if os.path.exists(path):
                os.rename(path, path + '.kept')
            os.mkfifo(path)
            for words in (('status',), ('config', 'check'), ('reload',), ('tls', 'show')):
                p = self.popen('--root', self.root, *words)
                try:
                    p.communicate(timeout=10 * SLOW)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.communicate()
                    self.fail('%s waits for %s' % (words, name))
            os.unlink(path)
            if os.path.exists(path + '.kept'):
                os.rename(path + '.kept', path)


@unittest.skipUnless(IS_ROOT, 'needs root')
class Owner(Admin):
    def test_certificate_goes_where_root_says(self):
        """A configuration of another user names the files: root writes none of them."""
        self.setup()
        target = os.path.join(self.base, 'precious')
        for name in ('certificate', 'key'):
            self.on('config', 'set', 'tls.%s' % name, target)
        with open(target, 'w') as f:
            f.write('precious')
        os.chown(self.path('postern.conf'), ORDINARY, ORDINARY)
        pair = ('--cert', self.path('tls', 'certificate.pem'), '--key', self.path('tls', 'key.pem'))
        self.assertEqual(self.error(77, 'tls', 'reload', *pair)['name'], 'not_allowed')
        with open(target) as f:
            self.assertEqual(f.read(), 'precious')
        self.assertEqual([name for name in os.listdir(self.base) if name.startswith('precious')], ['precious'])


class Sendmail(unittest.TestCase):
    def test_too_many_recipients(self):
        """The mail's own fault, and no reason to try again for ever."""
        with Instance() as instance:
            done = subprocess.run([program('postern-sendmail'), '-t'], input=b'To: ' + b',\n '.join(b'r%d@x.org' % i for i in range(10001)) +
                                  b'\n\nhi\n', stderr=subprocess.PIPE, env={'POSTERN_ROOT': instance.root}, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (65, b'sendmail: there are more than 10000 recipients\n'))

    def test_header_is_not_obeyed(self):
        """A header that can't be read is quoted in the error without its controls."""
        with Instance() as instance:
            done = subprocess.run([program('postern-sendmail'), '-t'], input=b'To: <a \x1b[31mred <b>, c@d>\n\nhi\n', stderr=subprocess.PIPE,
                                  env={'POSTERN_ROOT': instance.root}, timeout=30)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(b'this field', done.stderr)
            self.assertNotIn(b'\x1b', done.stderr)
            # A program may pass on what others typed.
            for words in (('\x1b[31m"',), ('-f', 'a\x1b b', 'c@d.org'), ('-b\x1b',), ('-R', '\u009b', 'c@d.org'), ('-N', '\x1b', 'c@d.org')):
                done = subprocess.run([program('postern-sendmail'), *words], input=b'\nhi\n', stderr=subprocess.PIPE,
                                      env={'POSTERN_ROOT': instance.root}, timeout=30)
                self.assertIn(done.returncode, (64, 65), done.stderr)
                self.assertIsNone(OBEYED.search(done.stderr.decode(errors='replace')), done.stderr)

    @unittest.skipUnless(IS_ROOT, 'needs an account for this user')
    def test_advice_for_the_empty_sender(self):
        with Instance() as instance:
            instance.adm('credential', 'add', ALICE, '--local-user', 'root')
            done = subprocess.run([program('postern-sendmail'), '-f', '', 'c@d.org'], input=b'\nhi\n', stderr=subprocess.PIPE,
                                  env={'POSTERN_ROOT': instance.root}, timeout=30)
            self.assertEqual(done.returncode, 77, done.stderr)
            self.assertIn(b"sender add ACCOUNT '<>'", done.stderr)


@unittest.skipUnless(IS_ROOT and not IS_SAN, 'needs root, and a program that LD_PRELOAD goes with')
class Export(unittest.TestCase):
    def test_folder_is_not_swapped(self):
        """The folder that root makes in somebody's folder becomes the spool's, never what a link there leads to."""
        with Instance(start=False) as instance, tempfile.TemporaryDirectory() as base:
            os.chmod(base, 0o755)
            target, link = os.path.join(base, 'target'), os.path.join(base, 'out')
            os.mkdir(target)
            before = os.stat(target).st_uid
            # strace-like: mkdir succeeds, and the name is a link when it is opened.
            trap = subprocess.run(['gcc', '-shared', '-fPIC', '-o', os.path.join(base, 'trap.so'), '-x', 'c', '-'], input=(
                '#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <string.h>\n#include <sys/stat.h>\n#include <unistd.h>\n'
                'int mkdir(const char *p, mode_t m) { int (*next)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir"); int r = next(p, m); '
                'if (strstr(p, "/out") != NULL) { rmdir(p); symlink("%s", "%s"); } return r; }\n' % (target, link)).encode())
            self.assertEqual(trap.returncode, 0)
            done = subprocess.run([program('smtpadm'), '--root', instance.root, 'queue', 'export', link + '/', '--all'], stderr=subprocess.PIPE,
                                  env={**os.environ, 'LD_PRELOAD': os.path.join(base, 'trap.so')}, timeout=30)
            self.assertEqual(done.returncode, 73, done.stderr)
            self.assertEqual(os.stat(target).st_uid, before)


if __name__ == '__main__':
    main()
