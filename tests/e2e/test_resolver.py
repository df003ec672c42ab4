"""The relay's resolver against a DNS server of our own: every kind of answer, many at once, its sandbox, its end."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from dns import Dns
from runner import main
from settings import IS_ROOT, SLOW, program

ZONE = {
    'example.org': {'MX': ['20 backup.example.net', '10 MX.Example.org.'], 'A': ['192.0.2.99']},
    'mx.example.org': {'A': ['192.0.2.1'], 'AAAA': ['2001:db8::1']},
    'null.example': {'MX': ['0 .']},
    'plain.example': {'A': ['192.0.2.2']},
    'six.example': {'AAAA': ['2001:db8::6', '2001:db8::7']},
    'alias.example': {'CNAME': 'example.org'},
    'alias-host.example': {'CNAME': 'mx.example.org'},
    'alias-nowhere.example': {'CNAME': 'gone.example'},
    'loop.example': {'CNAME': 'loop.example'},
    'many.example': {'MX': ['%d m%d.example' % (100 - n, n) for n in range(40)]},
    'many-hosts.example': {'A': ['192.0.2.%d' % n for n in range(1, 60)]},
    'big.example': {'MX': ['10 ' + '.'.join('a' * 60 for _ in range(3)) + '.h%d.example' % n for n in range(20)], 'truncate': True},
    'tcp.example': {'A': ['192.0.2.3'], 'truncate': True},
    'tcp-silent.example': {'A': ['192.0.2.3'], 'truncate': True, 'tcp': 'silent'},
    'odd.example': {'MX': ['10 a@b.example', '20 good.example']},
    'worthless.example': {'MX': ['10 a@b.example']},
    'servfail.example': {'do': 'servfail'},
    'refused.example': {'do': 'refused'},
    'silent.example': {'do': 'silent'},
    'lame.example': {'do': 'lame'},
    'garbage.example': {'do': 'garbage', 'tcp': 'garbage'},
    'short.example': {'do': 'short'},
    'wrong-id.example': {'do': 'wrong-id'},
    'wrong-name.example': {'do': 'wrong-name'},
    'half.example': {'A': ['192.0.2.4']},
    'xn--bcher-kva.example': {'A': ['192.0.2.5']},
    'postern-unknown': {'A': ['192.0.2.6']},
}


class ResolverTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix='postern-resolver.')
        os.chmod(cls.root, 0o755)
        os.makedirs(os.path.join(cls.root, 'run', 'empty'))
        os.chmod(os.path.join(cls.root, 'run', 'empty'), 0o555)
        cls.dns = Dns(ZONE)

    @classmethod
    def tearDownClass(cls):
        cls.dns.close()
        shutil.rmtree(cls.root)

    def configure(self, dns='dnssec = off\n', servers=None):
        with open(os.path.join(self.root, 'postern.conf'), 'w') as f:
            f.write('[dns]\nservers = %s\n%s' % (servers or self.dns.setting, dns))

    def ask(self, *questions, seconds=60):
        """{question: answer}; the line with the process id and such under ''."""
        run = subprocess.run([program('tests/tools/resolve'), self.root], input=''.join(q + '\n' for q in questions),
                             capture_output=True, text=True, timeout=seconds * SLOW)
        self.assertEqual(run.stderr, '')
        self.assertEqual(run.returncode, 0, run.stdout)
        answers = {}
        for line in run.stdout.splitlines():
            m = re.match(r'((?:mx|addresses) \S+) (.*)', line)
            answers.setdefault(m.group(1) if m else '', []).append(m.group(2) if m else line)
        return answers

    def check(self, rows):
        self.configure()
        answers = self.ask(*rows)
        for question, expected in rows.items():
            with self.subTest(question=question):
                self.assertEqual(len(answers.get(question, [])), 1, answers)
                self.assertRegex(answers[question][0], '^(?:%s)$' % expected)

    def test_answers(self):
        self.check({
            'mx example.org': '10:mx.example.org 20:backup.example.net'.join(['ok ', '']),
            'mx EXAMPLE.org.': 'ok 10:mx.example.org 20:backup.example.net',
            'mx alias.example': 'ok 10:mx.example.org 20:backup.example.net',
            'mx null.example': 'ok 0:',
            'mx plain.example': 'nodata # the name has no such records',
            'mx gone.example': 'nxdomain # there is no such name',
            'mx alias-nowhere.example': 'nxdomain # there is no such name',
            'mx many.example': 'ok ' + ' '.join('%d:m%d.example' % (p, 100 - p) for p in range(61, 81)),
            'mx big.example': r'ok( 10:a{60}\.a{60}\.a{60}\.h\d+\.example){20}',
            'mx odd.example': 'ok 20:good.example',
            'mx worthless.example': 'unusable # its MX records name no host',
            'addresses mx.example.org': 'ok 2001:db8::1 192.0.2.1',
            'addresses alias-host.example': 'ok 2001:db8::1 192.0.2.1',
            'addresses six.example': 'ok 2001:db8::[67] 2001:db8::[67]',
            'addresses plain.example': 'ok 192.0.2.2',
            'addresses null.example': 'nodata # the name has no such records',
            'addresses gone.example': 'nxdomain # there is no such name',
            'addresses many-hosts.example': r'ok( 192\.0\.2\.\d+){20}',
            'addresses tcp.example': 'ok 192.0.2.3',
            'addresses bücher.example': 'ok 192.0.2.5',
            'addresses localhost': 'ok ::1 127.0.0.1',
            'mx a..b': 'error -6',
        })
        self.assertGreater(self.dns.count('tcp.example', 'A', 'tcp'), 0)

    def test_failures(self):
        begin = time.monotonic()
        said = 'temporary # (?:the name server says: server failure|no name server has answered in time)'
        self.check({'mx servfail.example': said, 'mx refused.example': said, 'mx silent.example': said, 'addresses silent.example': said,
                    'mx garbage.example': said, 'mx short.example': said, 'mx wrong-id.example': said, 'mx wrong-name.example': said,
                    'addresses tcp-silent.example': said, 'mx loop.example': said + '|nodata.*|ok.*',
                    # A referral where an answer was asked for: what matters is that it leads nowhere.
                    'mx lame.example': said + '|nodata.*', 'addresses lame.example': said + '|nodata.*',
                    # What fails holds nobody up.
                    'addresses plain.example': 'ok 192.0.2.2'})
        self.assertLess(time.monotonic() - begin, 45 * SLOW)

    def test_nobody_answers(self):
        """A name server that is not there, or says nothing: an answer in bounded time all the same."""
        self.configure(servers='127.0.0.1@1')
        begin = time.monotonic()
        answers = self.ask('mx example.org', 'addresses mx.example.org')
        self.assertLess(time.monotonic() - begin, 45 * SLOW)
        for question in ('mx example.org', 'addresses mx.example.org'):
            self.assertRegex(answers[question][0], '^temporary #')

    def test_second_server(self):
        self.configure(servers='127.0.0.1@1 ' + self.dns.setting)
        self.assertEqual(self.ask('addresses plain.example')['addresses plain.example'], ['ok 192.0.2.2'])

    def test_many_at_once(self):
        """More than may be under way: each is answered, each once."""
        self.configure()
        questions = ['%s %d.%s' % (kind, n, name) for n in range(400) for kind in ('mx', 'addresses')
                     for name in ('gone.example',)] + ['addresses plain.example'] * 400
        answers = self.ask(*questions)
        self.assertEqual(sum(len(v) for k, v in answers.items() if k), len(questions))
        self.assertEqual(set(answers['addresses plain.example']), {'ok 192.0.2.2'})
        self.assertEqual({v[0] for k, v in answers.items() if 'gone' in k}, {'nxdomain # there is no such name'})

    @unittest.skipUnless(os.path.exists('/usr/share/dns/root.key'), 'the key of the DNS root is not installed (dns-root-data)')
    def test_unsigned_root(self):
        """With validation on, a name server that can't show signatures of the root is not believed."""
        self.configure(dns='')
        self.assertRegex(self.ask('mx example.org')['mx example.org'][0], '^bogus # DNSSEC validation failed')

    def test_killed(self):
        """Questions under way are answered, and the relay is told."""
        self.configure()
        answers = self.ask('mx silent.example', 'addresses silent.example', 'die')
        self.assertEqual(answers['mx silent.example'], ['temporary # the resolver has ended'])
        self.assertEqual(answers['addresses silent.example'], ['temporary # the resolver has ended'])
        self.assertIn('lost', answers[''])

    def test_sandbox(self):
        """Both threads are sealed, as a user of their own in an empty folder, and hold sockets and such only."""
        self.configure()
        p = subprocess.Popen([program('tests/tools/resolve'), self.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            pid = int(p.stdout.readline().split()[1])
            tasks = os.listdir('/proc/%d/task' % pid)
            self.assertGreaterEqual(len(tasks), 2)
            for task in tasks:
                with open('/proc/%d/task/%s/status' % (pid, task)) as f:
                    status = dict(line.split(':', 1) for line in f)
                self.assertEqual(status['Seccomp'].strip(), '2')
                self.assertEqual(status['NoNewPrivs'].strip(), '1')
                self.assertEqual(int(status['CapEff'], 16), 0)
                if IS_ROOT:
                    self.assertEqual(set(status['Uid'].split()), {'60604'})
                    self.assertEqual(set(status['Gid'].split()), {'60604'})
                    self.assertEqual(status['Groups'].split(), [])
            if IS_ROOT:
                self.assertEqual(os.readlink('/proc/%d/root' % pid), os.path.join(self.root, 'run', 'empty'))
                held = [os.readlink('/proc/%d/fd/%s' % (pid, fd)) for fd in os.listdir('/proc/%d/fd' % pid)]
                files = [h for h in held if h.startswith('/') and h != '/dev/null' and not h.startswith(('/tmp/', '/dev/pts'))]
                self.assertEqual(files, [])
            p.stdin.close()
            self.assertEqual(p.wait(10 * SLOW), 0)
            for _ in range(100):
                if not os.path.exists('/proc/%d' % pid):
                    break
                time.sleep(0.05)
            self.assertFalse(os.path.exists('/proc/%d' % pid) and open('/proc/%d/stat' % pid).read().split()[2] not in 'ZX')
        finally:
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
            p.stdout.close()
            p.wait()


if __name__ == '__main__':
    main()
