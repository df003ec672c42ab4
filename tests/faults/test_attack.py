#!/usr/bin/env python3
"""A taken-over session can do no more than its user: tests/faults/attack.c plays master and hostile worker against the
real services; here is looked at what it left behind, and at the rights of a live worker."""
import os
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
from postern import ALICE, BOB, IS_ROOT, IS_SAN, PASSWORD, main, program  # noqa: E402

CAROL = 'carol@example.org'
ATTACK = program('tests/faults/attack')
RECIPIENTS = {'rcpt@example.net', 'witness@example.net', 'envelope-lines@example.net',
              *('many-%d@example.net' % n for n in range(5))}


def acts():
    return subprocess.run([ATTACK, '--list'], stdout=subprocess.PIPE, check=True).stdout.decode().split()


class Attack(unittest.TestCase):
    """The program runs once; each of its acts is a test."""

    @classmethod
    def setUpClass(cls):
        cls.instance = postern.Instance(start=False, accounts=(BOB, CAROL), settings={
            'limits.recipients': 5, 'limits.message_size': 200000, 'limits.sessions_per_account': 1000,
            'auth.failure_delay': '100ms'})
        try:
            with open(cls.instance.log_file, 'ab') as log:
                done = subprocess.run([ATTACK, cls.instance.root, postern.BUILD], input=PASSWORD.encode() + b'\n',
                                      stdout=subprocess.PIPE, stderr=log, timeout=100 if IS_SAN else 60)
        except BaseException:
            cls.instance.close()
            raise
        cls.status, cls.output = done.returncode, done.stdout.decode(errors='replace')
        if 'FAIL start' in cls.output:
            cls.instance.close()
            raise AssertionError(cls.output)
        cls.files = cls.instance.stored('new', 'cur', 'hold', 'failed')

    @classmethod
    def tearDownClass(cls):
        cls.instance.close()

    def act(self, name):
        found = re.search(r'((?:     \|.*\n)*)(ok|FAIL) %s (\d+) ms' % re.escape(name), self.output)
        self.assertIsNotNone(found, 'it never ended; output:\n' + self.output[-2000:])
        self.assertEqual(found.group(2), 'ok', found.group(1))

    def test_services_end_in_order(self):
        self.assertEqual(self.status, 0, self.output[-2000:])

    def test_every_file_is_whole_and_as_approved(self):
        self.assertGreater(len(self.files), 40)
        for f in self.files:
            self.assertTrue(f.is_whole, f.name)
            account = f.field('Postern-Account')
            self.assertIn(account, ([ALICE], [BOB]))
            self.assertEqual(f.field('Postern-Sender'), ['<%s>' % account[0]])
            recipients = [re.fullmatch(r'<([^>]*)>', r).group(1) for r in f.field('Postern-Recipient')]
            self.assertTrue(0 < len(recipients) <= 5 and set(recipients) <= RECIPIENTS, recipients)
            froms = re.findall(rb'(?mi)^from[ \t]*:[ \t]*(.*)\r$', f.message.partition(b'\r\n\r\n')[0])
            self.assertEqual(froms, [account[0].encode()])

    def test_envelope_lines_are_message(self):
        found = [f for f in self.files if f.field('Postern-Recipient') == ['<envelope-lines@example.net>']]
        self.assertEqual(len(found), 1)
        self.assertEqual(found[0].message.count(b'Postern-Recipient: <evil@example.net>\r\n'), 2)
        self.assertEqual(found[0].message.count(b'Postern-End: envelope\r\n'), 2)
        listed = [q for q in self.instance.queue() if q['recipients'][0]['address'] == 'envelope-lines@example.net']
        self.assertEqual(len(listed), 1)
        shown = self.instance.adm_json('queue', 'show', listed[0]['queue_id'])[0]
        self.assertEqual((shown['account'], shown['sender'], [r['address'] for r in shown['recipients']]),
                         (ALICE, ALICE, ['envelope-lines@example.net']))

    def test_queue_reads_every_file(self):
        queue = self.instance.queue()
        self.assertEqual(len(queue), len(self.files))
        self.assertNotIn('evil@example.net', [r['address'] for q in queue for r in q['recipients']])

    def test_log_has_alarms_and_no_foreign_lines(self):
        log = self.instance.log()
        self.assertGreater(len(re.findall(r'level=alarm', log)), 500)
        for line in log.splitlines():
            self.assertRegex(line, r'\A(session=[0-9a-f]{16} |time=20|attack: |sandbox: )', 'no program wrote this')
        self.assertNotRegex(log, r'(?m)^time=0 |\x1b|\r')
        self.assertNotIn(PASSWORD, log)


for name in acts() if os.access(ATTACK, os.X_OK) else ('program_is_built',):
    setattr(Attack, 'test_' + name.replace('.', '_'), lambda self, name=name: self.act(name))


@unittest.skipUnless(IS_ROOT, 'whose socket is whose can be seen by root only')
class Worker(postern.Case):
    """What a worker has while it serves a client, before and after login."""

    def check(self, p):
        status = p.status()
        for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((p.numbers('Seccomp'), p.numbers('NoNewPrivs'), p.numbers('Groups')), ([2], [1], []))
        self.assertNotIn(0, p.numbers('Uid') + p.numbers('Gid'))
        self.assertEqual(os.readlink('/proc/%d/root' % p.pid), os.path.join(self.instance.root, 'run', 'empty'))
        self.assertEqual(os.listdir('/proc/%d/root/' % p.pid), [])
        return sum(what.startswith('socket:') for what in p.descriptors().values())

    def test_rights_before_and_after_login(self):
        for kind in ('submission', 'submissions', 'plain'):
            with self.subTest(kind=kind), self.instance.client(kind) as c:
                p = self.instance.worker_of(c)
                self.assertEqual(self.check(p), 3, 'client, master, auth')
                c.login(ALICE)
                self.assertEqual(self.check(p), 4, 'and the spool')
                c.submit(postern.message('rights'))
                self.assertEqual(self.check(p), 4)


if __name__ == '__main__':
    main()
