#!/usr/bin/env python3
"""The queue in an admin's hands: remove with the daemon running and stopped, summary, usage in HELP STATUS, mailq; and what
smtpadm prints for shells and mail programs."""
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree

sys.dont_write_bytecode = True
from postern import ALICE, BOB, IS_ROOT, SLOW, Case, message, program, main, wait_for  # noqa: E402

ORDINARY = 65534


class Queue(Case):
    @classmethod
    def options(cls):
        return {'accounts': (BOB,)}

    def setUp(self):
        if self.instance.daemon is None:
            self.instance.start()
        self.remove('--all')

    def remove(self, *args, **more):
        return self.run_json('queue', 'remove', '--yes', *args, **more)

    def run_json(self, *args, code=None):
        done = self.instance.run('--json', *args)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stderr.decode())
        return [json.loads(line) for line in done.stdout.splitlines()]

    def submit(self, n, sender=ALICE, to=('rcpt@example.net',), size=1):
        with self.instance.client('plain', login=sender) as c:
            for i in range(n):
                c.submit(message('number %d' % i, 'y\r\n' * size, sender), sender, to)

    def ids(self):
        return [row['queue_id'] for row in self.instance.queue()]

    def error(self, code, *args):
        done = self.instance.run('--json', *args)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return json.loads(done.stderr.splitlines()[-1])['error']

    def usage(self, account=ALICE):
        """Messages and octets, as HELP STATUS tells the user."""
        with self.instance.client('plain', login=account) as c:
            c.send('HELP STATUS\r\n')
            lines = '\n'.join(c.expect(211))
        m = re.search(r'(\d+) messages?, (\d+) octets|queue\D*(\d+)\D+(\d+)', lines, re.I)
        self.assertTrue(m, lines)
        return tuple(int(g) for g in m.groups() if g is not None)

    def by_account(self):
        sums = {}
        for row in self.instance.queue():
            n, octets = sums.get(row['account'], (0, 0))
            sums[row['account']] = (n + 1, octets + row['message_size'])
        return sums

    def test_remove_live(self):
        self.submit(5)
        ids = self.ids()
        rows = self.run_json('queue', 'remove', ids[1], code=0)	# one needs no --yes
        self.assertEqual([(r['v'], r['queue_id'], r['result']) for r in rows], [(1, ids[1], 'removed')])
        self.assertEqual(self.ids(), ids[:1] + ids[2:])
        self.assertTrue(self.instance.logged('event=queue.removed id=%s by=%d' % (ids[1], os.getuid())))
        self.assertIn(ids[1], self.error(67, 'queue', 'remove', ids[0], ids[1])['message'])	# all or nothing
        self.assertEqual(len(self.ids()), 4)
        e = self.error(64, 'queue', 'remove', '--all')
        self.assertEqual(e['name'], 'needs_yes')
        self.assertIn('4 ', e['message'])
        self.assertEqual(self.error(64, 'queue', 'remove')['name'], 'no_filter')
        done = self.instance.run('queue', 'rm', '--all')
        self.assertEqual(len(re.findall('|'.join(self.ids()), done.stderr.decode())), 3, done.stderr)	# three samples
        rows = self.run_json('queue', 'remove', '--all', '--dry-run', code=0)
        self.assertEqual({r['result'] for r in rows}, {'would_remove'})
        self.assertEqual(len(self.ids()), 4)
        self.assertEqual(self.run_json('queue', 'remove', '--to', 'nobody@*', code=1), [])
        self.run_json('queue', 'remove', '--from', ALICE, '--yes', code=0)
        self.assertEqual(self.ids(), [])
        self.assertEqual(self.instance.run('queue', 'remove', '--all').returncode, 0)	# as with list
        self.submit(1)	# it goes on

    def at_a_terminal(self, answer, *args):
        """Exit code and what stood on the screen."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(program('smtpadm'), ['smtpadm', '--root', self.instance.root, *args])
        os.write(fd, answer)
        text = b''
        try:
            while data := os.read(fd, 4096):
                text += data
        except OSError:	# its end
            pass
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text.decode()

    def test_asks_on_a_terminal(self):
        self.submit(5)
        code, text = self.at_a_terminal(b'n\n', 'queue', 'remove', '--all')
        self.assertEqual(code, 1, text)
        self.assertIn('5 messages are to be removed for good', text)
        self.assertEqual(len(self.ids()), 5)
        self.assertEqual(self.at_a_terminal(b'\n', 'queue', 'remove', self.ids()[0])[0], 1)	# one, too
        code, text = self.at_a_terminal(b'y\n', 'queue', 'remove', '--all')
        self.assertEqual(code, 0, text)
        self.assertEqual(self.ids(), [])

    def test_remove_stopped(self):
        self.submit(70)
        self.instance.stop()
        ids = self.ids()
        rows = self.run_json('queue', 'remove', ids[3], ids[5], '--yes', code=0)
        self.assertEqual([r['queue_id'] for r in rows], [ids[3], ids[5]])
        self.run_json('queue', 'remove', '--all', '--yes', code=0)
        self.assertEqual(self.ids(), [])
        self.instance.start()
        self.assertEqual(self.usage(), (0, 0))

    def test_remove_while_the_lock_is_held(self):
        self.submit(1)
        self.instance.stop()
        path = os.path.join(self.instance.spool, 'lock')
        code = 'import fcntl, struct, sys, time; f = open(%r, "r+"); fcntl.fcntl(f, 37, struct.pack("hhqqi4x", 1, 0, 0, 0, 0)); ' \
            'print(1, flush=True); sys.stdin.read()' % path
        with subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
            p.stdout.readline()
            self.assertEqual(self.error(75, 'queue', 'remove', '--all')['name'], 'locked')
            p.stdin.close()
        self.assertEqual(len(self.ids()), 1)

    def test_two_admins(self):
        self.submit(150)
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.remove('--all'))) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        removed = [r['queue_id'] for rows in results for r in rows if r['result'] == 'removed']
        self.assertEqual(len(removed), 150)
        self.assertEqual(len(set(removed)), 150)	# each by one of them
        self.assertEqual({r['result'] for rows in results for r in rows} - {'removed', 'gone'}, set())
        self.assertTrue(wait_for(lambda: self.usage() == (0, 0), 5))

    def test_removed_while_listed_and_submitted(self):
        stop, failures = threading.Event(), []

        def list_all():
            while not stop.is_set():
                done = self.instance.run('--json', 'queue', 'list', '--all')
                if done.returncode != 0:
                    failures.append(done.stderr)

        def submit():
            try:
                self.submit(100)
            except Exception as e:	# in a thread
                failures.append(e)
        threads = [threading.Thread(target=list_all), threading.Thread(target=submit)]
        for t in threads:
            t.start()
        removed = set()
        while threads[1].is_alive() or self.ids():
            removed |= {r['queue_id'] for r in self.remove('--all') if r['result'] == 'removed'}
        stop.set()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])
        self.assertEqual(len(removed), 100)
        self.assertTrue(wait_for(lambda: self.usage() == (0, 0), 5))

    def test_a_spool_that_starts_again(self):
        self.submit(3)
        os.kill(self.instance.kind('postern-spool')[0].pid, 9)
        self.run_json('queue', 'remove', '--all', '--yes', code=0)	# waits for it, or takes the lock
        self.assertEqual(self.ids(), [])
        self.assertTrue(wait_for(lambda: self.usage_or_none() == (0, 0), 8))

    def usage_or_none(self):
        try:
            return self.usage()
        except (AssertionError, OSError, EOFError):
            return None

    def test_wrong_user(self):
        if not IS_ROOT:
            self.skipTest('needs root')
        self.submit(1)
        for folder in (self.instance.base, self.instance.root):
            os.chmod(folder, 0o755)
        for verb in ('remove', 'list', 'summary', 'verify'):
            done = subprocess.run([program('smtpadm'), '--root', self.instance.root, 'queue', verb, '--all'], stdin=subprocess.DEVNULL,
                                  capture_output=True, user=ORDINARY, group=ORDINARY, extra_groups=[], cwd='/')
            self.assertEqual(done.returncode, 77, done.stderr)
        self.assertEqual(len(self.ids()), 1)

    def test_summary(self):
        self.submit(3)
        self.submit(2, BOB, ('a@EXAMPLE.net', 'b@example.net', 'c@other.example'), 50)
        rows = self.run_json('queue', 'summary', '--all', code=0)
        listed = self.instance.queue()
        octets = sum(r['message_size'] for r in listed)
        self.assertEqual(rows[0], {'v': 1, 'by': 'all', 'messages': 5, 'octets': octets})
        for by in ('state', 'account'):
            mine = [r for r in rows if r['by'] == by]
            self.assertEqual((sum(r['messages'] for r in mine), sum(r['octets'] for r in mine)), (5, octets), by)
        self.assertEqual({r['account']: (r['messages'], r['octets']) for r in rows if r['by'] == 'account'}, self.by_account())
        self.assertEqual({r['domain']: r['messages'] for r in rows if r['by'] == 'domain'}, {'example.net': 5, 'other.example': 2})
        text = self.instance.adm('queue', 'summary', '--all')
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertIn('other.example', text)
        rows = self.run_json('queue', 'summary', '--account', BOB, code=0)
        self.assertEqual(rows[0]['messages'], 2)
        self.assertEqual(self.run_json('queue', 'summary', '--account', 'nobody', code=1)[0]['messages'], 0)
        used = self.run_json('account', 'usage', BOB.upper(), code=0)[0]
        self.assertEqual((used['account'], used['messages'], used['octets'], used['recipients']), (BOB, 2, rows[0]['octets'], 6))
        self.assertIn('messages    3', self.instance.adm('account', 'usage', ALICE))
        self.error(67, 'account', 'usage', 'nobody')
        self.assertTrue([r for r in self.run_json('account', 'logins', BOB, code=0) if r['credential'] == 'password'])
        held = {r['part']: r['text'] for r in self.run_json('selftest', 'spool', code=0)}
        self.assertIn('held', held['lock'])
        self.assertEqual(self.error(64, 'queue', 'summary')['name'], 'no_filter')

    def test_usage(self):
        self.assertEqual(self.usage(), (0, 0))
        self.submit(2)
        self.submit(1, BOB)
        self.assertEqual(self.usage(), self.by_account()[ALICE])
        self.assertEqual(self.usage(BOB), self.by_account()[BOB])
        self.remove(self.ids()[0])
        self.assertTrue(wait_for(lambda: self.usage() == self.by_account()[ALICE], 3))
        for name in ('postern-auth', 'postern-spool'):	# told again to, and by, one that starts again
            os.kill(self.instance.kind(name)[0].pid, 9)
            self.assertTrue(wait_for(lambda: self.usage_or_none() == self.by_account()[ALICE], 8), name)
        self.instance.stop()
        self.instance.start()
        self.assertEqual(self.usage(), self.by_account()[ALICE])

    def test_verify_names_what_was_set_aside(self):
        self.submit(2)
        self.instance.stop()
        path = self.instance.names()[0]
        with open(path, 'r+b') as f:
            f.truncate(os.path.getsize(path) - 3)
        self.assertIn(os.path.basename(path), self.error(65, 'queue', 'verify', '--all')['message'])
        self.instance.start()
        e = self.error(65, 'queue', 'verify', '--all')
        self.assertIn('failed/' + os.path.basename(path), e['message'])
        self.assertEqual(self.instance.run('queue', 'list', '--all').returncode, 0)
        self.assertEqual(self.usage()[0], 1)
        self.run_json('queue', 'remove', '--state', 'failed', code=0)
        self.assertEqual(self.usage()[0], 1)
        self.assertEqual(self.instance.run('queue', 'verify', '--all').returncode, 0)

    def test_mailq(self):
        link = os.path.join(self.instance.base, 'mailq')
        if not os.path.lexists(link):
            os.symlink(program('smtpadm'), link)

        def mailq(*args):
            return subprocess.run([link, '--root', self.instance.root, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(mailq().stdout, 'Mail queue is empty\n')
        self.submit(1)
        self.submit(1, BOB, ('a@example.net', 'b@example.net'))
        lines = mailq().stdout.splitlines()
        row = self.instance.queue()[1]
        self.assertRegex(lines[0], r'^-+Queue ID-+ --Size-- -+Arrival Time-+ -+Sender/Recipient-+$')
        self.assertRegex(lines[4], r'^%s +%d \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d %s$' % (row['queue_id'], row['message_size'], BOB))
        self.assertEqual([line.strip() for line in lines[5:7]], ['a@example.net', 'b@example.net'])
        self.assertRegex(lines[-1], r'^-- \d+ Kbytes in 2 Requests\.$')
        self.assertEqual(lines[-2], '')
        self.assertEqual(mailq('queue', 'remove').returncode, 64)


class Shells(Case):
    @classmethod
    def options(cls):
        return {'start': False}

    def test_accepted(self):
        for shell in ('bash', 'zsh', 'fish'):
            with self.subTest(shell):
                text = self.instance.adm('completion', shell)
                self.assertIn('clientconfig', text)
                if shutil.which(shell) is None:
                    print('# %s is not installed' % shell)
                    continue
                done = subprocess.run([shell, '-n', '/dev/stdin'], input=text, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual(self.instance.run('completion', 'csh').returncode, 64)

    def complete(self, *words):
        script = '. /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _smtpadm; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(['bash', '-c', script, 'bash', 'smtpadm', *words], input=self.instance.adm('completion', 'bash'),
                              capture_output=True, text=True, env={**os.environ, 'PATH': os.path.dirname(program('smtpadm')) + ':' + os.environ['PATH']})
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return done.stdout.split()

    def test_bash_completes(self):
        self.assertEqual(self.complete('que'), ['queue'])
        self.assertIn('remove', self.complete('--root', '/tmp', 'queue', ''))
        self.assertEqual(self.complete('queue', 'rem'), ['remove'])
        self.assertEqual(self.complete('queue', 'list', '--sort', 'a'), ['age', 'account'])
        self.assertEqual(self.complete('queue', 'list', '--so'), ['--sort'])
        self.assertEqual(self.complete('queue', 'show', '--so'), [])
        self.assertEqual(self.complete('--js'), ['--json'])
        self.assertEqual(self.complete('-j', 'completion', ''), ['bash', 'zsh', 'fish'])

    def test_routes(self):
        """Names of routes, as they are at that moment."""
        for name in ('first', 'second'):
            self.instance.adm('route', 'add', name, 'smtp://127.0.0.1:2525', '--to-domain', name + '.example')
        root = ('--root', self.instance.root)
        for words in (('queue', 'reroute', '--to-route', ''), ('queue', 'list', '--route', ''), ('route', 'show', ''), ('route', 'remove', ''),
                      ('route', 'test', '')):
            with self.subTest(words=words):
                self.assertEqual(self.complete(*root, *words), ['first', 'second'])
                self.assertEqual(self.complete('--root=' + self.instance.root, *words[:-1], 's'), ['second'])
                self.assertEqual(self.complete('--root', '/nonexistent', *words), [])
        self.assertEqual(self.complete(*root, 'route', 'add', ''), [])
        self.assertEqual(self.complete(*root, 'setup', '--route', ''), [])
        self.assertIn('--to', self.complete(*root, 'route', 'test', '--'))
        self.assertIn("-l to-route -x -a '(", self.instance.adm('completion', 'fish'))


class ClientConfig(Case):
    @classmethod
    def options(cls):
        return {'start': False}

    def text(self, what):
        text = self.instance.adm('account', 'clientconfig', ALICE, '--for', what)
        self.assertIn(self.instance.hostname, text)
        return text

    def test_each(self):
        port = self.instance.port
        for what, number, words in (('thunderbird', port('submissions'), 'SSL/TLS'), ('ios', port('submissions'), 'Use SSL'),
                                    ('printer', port('plain'), 'none')):
            text = self.text(what)
            self.assertIn(str(number), text)
            self.assertIn(words, text)
            self.assertIn(ALICE, text)
        rows = self.instance.adm_json('account', 'clientconfig', ALICE)
        self.assertEqual([r['for'] for r in rows], ['thunderbird', 'ios', 'msmtp', 'postfix', 'printer', 'autoconfig'])
        for r in rows:
            self.assertEqual((r['v'], r['host'], r['user'], r['sender']), (1, self.instance.hostname, ALICE, ALICE))
            self.assertEqual(r['port'], port({'SSL/TLS': 'submissions', 'STARTTLS': 'submission', 'none': 'plain'}[r['security']]))
        whole = self.instance.adm('account', 'clientconfig', ALICE)
        self.assertEqual(whole.replace('\n', ''), ''.join(r['text'] for r in rows).replace('\n', ''))
        self.assertEqual(self.instance.run('account', 'clientconfig', 'nobody@example.org').returncode, 67)
        self.assertEqual(self.instance.run('account', 'clientconfig', ALICE, '--for', 'pine').returncode, 64)

    def test_autoconfig(self):
        root = xml.etree.ElementTree.fromstring(self.text('autoconfig').encode())
        server = root.find('emailProvider/outgoingServer')
        self.assertEqual(root.find('emailProvider/domain').text, 'example.org')
        self.assertEqual({e.tag: e.text for e in server}, {
            'hostname': self.instance.hostname, 'port': str(self.instance.port('submissions')), 'socketType': 'SSL',
            'username': '%EMAILADDRESS%', 'authentication': 'password-cleartext'})

    def test_msmtp_reads_it(self):
        if shutil.which('msmtp') is None:
            self.skipTest('msmtp is not installed')
        path = os.path.join(self.instance.base, 'msmtprc')
        with open(path, 'w') as f:
            f.write(self.text('msmtp'))
        os.chmod(path, 0o600)
        done = subprocess.run(['msmtp', '--file=' + path, '--pretend', 'rcpt@example.net'], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=20 * SLOW)
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ('host = ' + self.instance.hostname, 'port = %d' % self.instance.port('submissions'), 'user = ' + ALICE,
                     'from = ' + ALICE, 'tls_starttls = off', 'password = (not set)'):
            self.assertIn(line, re.sub(r' += +', ' = ', done.stdout))

    def test_postfix_reads_it(self):
        text = self.text('postfix')
        if shutil.which('postconf') is None:
            self.skipTest('postconf is not installed')
        folder = os.path.join(self.instance.base, 'postfix')
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, 'main.cf'), 'w') as f:
            f.write(text.partition('\n# /etc/postfix/sasl_passwd')[0])
        with open(os.path.join(folder, 'master.cf'), 'w') as f:
            f.write('smtp unix - - n - - smtp\n')	# whose concurrency is set
        done = subprocess.run(['postconf', '-c', folder, '-n'], capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, re.sub('.*(postfix.mail_version|setgid|mail_owner).*', '', done.stderr).strip()), (0, ''))
        self.assertIn('relayhost = [%s]:%d' % (self.instance.hostname, self.instance.port('submission')), done.stdout)
        self.assertIn('[%s]:%d %s:PASSWORD' % (self.instance.hostname, self.instance.port('submission'), ALICE), text)


if __name__ == '__main__':
    main()
