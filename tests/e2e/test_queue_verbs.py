#!/usr/bin/env python3
"""smtpadm queue hold, release, retry, reroute and export, pause and resume delivery: with the daemon running, stopped, and killed; what
list, show, summary, mailq and status tell of delivery; the filters that go with it."""
import json
import mailbox
import os
import signal
import subprocess
import time
import unittest

from client import queue_id
from next_hop import NextHop
from postern import ALICE, BOB, Instance, is_alive, message, main, program, wait_for
from test_trace import add_route

ALL = ('--all', '--yes')


class Verbs(unittest.TestCase):
    def setUp(self):
        self.busy, self.refusal = True, '451 4.3.2 come back later'
        self.hop, self.other = NextHop(rules={'RCPT': self.answer}), NextHop()
        self.instance = Instance(accounts=(BOB,), start=False, settings={'delivery.retry': '1h'})
        add_route(self.instance, 'smtp://127.0.0.1:%d' % self.hop.port)
        add_route(self.instance, 'smtp://127.0.0.1:%d' % self.other.port, 'second', 'tls = none\nto_domain = second.example\n')
        self.instance.start()

    def tearDown(self):
        self.instance.close()
        self.hop.close()
        self.other.close()

    def answer(self, session, line):
        return True if not self.busy else self.refusal(session, line) if callable(self.refusal) else self.refusal

    def submit(self, name='one', to=('rcpt@example.net',), sender=ALICE, login=None):
        with self.instance.client('plain', login=login or sender) as c:
            return queue_id(c.submit(message(name, sender=sender), sender, to))

    def rows(self, *args, code=0):
        done = self.instance.run('--json', *args)
        self.assertEqual(done.returncode, code, done.stderr.decode() + self.instance.log_tail())
        return [json.loads(line) for line in done.stdout.splitlines()]

    def one(self, ident):
        rows = [row for row in self.rows('queue', 'list', '--all') if row['queue_id'] == ident]
        return rows[0] if rows else None

    def deferred(self, *args, **more):
        ident = self.submit(*args, **more)
        self.assertTrue(wait_for(lambda: (self.one(ident) or {}).get('state') == 'deferred', 5), self.instance.log_tail())
        return ident

    def wait_for_delivery(self, hop, n, seconds=10):
        self.assertTrue(wait_for(lambda: len(hop.messages) >= n and not self.rows('queue', 'list', '--all'), seconds),
                        self.instance.log_tail())
        self.assertEqual(len(hop.messages), n)

    def results(self, *args, code=0):
        return [row['result'] for row in self.rows('queue', *args, code=code)]

    def test_what_is_told_of_delivery(self):
        ident = self.deferred()
        row = self.one(ident)
        self.assertEqual((row['queue_name'], row['tries'], row['route'], row['credential'], row['hold_reason']),
                         ('deferred', 1, 'out', None, None))
        self.assertIn('come back later', row['last_reply'])
        self.assertAlmostEqual(row['next_try'], time.time() + 3600, delta=600)
        to = row['recipients'][0]
        self.assertEqual((to['address'], to['status'], to['code'], to['stage'], to['route']), ('rcpt@example.net', 'waiting', 451, 'rcpt', 'out'))
        self.assertIn('come back later', to['delay_reason'])
        self.assertIn('come back later', self.instance.adm('-v', 'queue', 'list', '--all'))
        self.assertLessEqual(max(len(line) for line in self.instance.adm('queue', 'list', '--all').splitlines()), 80)
        shown = self.instance.adm('queue', 'show', ident)
        for part in ('state       deferred', 'tries       1, the next ', 'waiting, by route out, last tried', 'rcpt: 451'):
            self.assertIn(part, shown)
        rows = self.rows('queue', 'summary', '--all')
        self.assertIn({'v': 1, 'by': 'state', 'state': 'deferred', 'messages': 1, 'octets': row['message_size']}, rows)
        self.assertIn('out', [r['route'] for r in rows if r['by'] == 'route'])
        self.assertEqual(len([r for r in rows if r['by'] == 'reason']), 1)
        self.assertIn('4.3.2 come back later)', self.instance.adm('queue', 'list', '--all') and self.mailq())
        self.assertEqual(self.metric('postern_queue_messages', 'deferred'), '1')
        self.assertTrue(wait_for(lambda: self.metric('postern_deliveries_total', 'deferred') == '1', 5))
        self.assertEqual(self.metric('postern_deliveries_current'), '0')

    def metric(self, name, *labels):
        return {(m['name'], *m['labels'].values()): m['value'] for m in self.rows('metrics')}[(name, *labels)]

    def mailq(self):
        link = os.path.join(self.instance.base, 'mailq')
        if not os.path.lexists(link):
            os.symlink(program('smtpadm'), link)
        return subprocess.run([link, '--root', self.instance.root], stdout=subprocess.PIPE, check=True).stdout.decode()

    def test_summary_as_it_was_said(self):
        """Only domains are the same in whatever case."""
        self.refusal = '451 4.3.2 Mailbox of Bob is FULL'
        for number, to in enumerate(('a@Example.NET', 'b@example.net')):
            self.deferred('m%d' % number, to=(to,))
        rows = {row['by']: row for row in self.rows('queue', 'summary', '--all')}
        self.assertEqual((rows['reason']['reason'], rows['reason']['messages']), ('4.3.2 Mailbox of Bob is FULL', 2))
        self.assertEqual((rows['domain']['domain'], rows['domain']['messages']), ('example.net', 2))

    def test_set_aside(self):
        """A message without a sender that can't be delivered is kept, and nothing says that it has left."""
        self.instance.adm('sender', 'add', ALICE, '<>')
        self.refusal = '550 5.1.1 nobody'
        with self.instance.client('plain', login=ALICE) as c:
            ident = queue_id(c.submit(message('one', sender=ALICE), '', ('gone@example.net',)))
        self.assertTrue(wait_for(lambda: (self.one(ident) or {}).get('state') == 'failed', 5), self.instance.log_tail())
        self.assertTrue(wait_for(lambda: 'finished: it is kept in failed/ after 1 try\n' in self.instance.adm('trace', ident), 5),
                        self.instance.adm('trace', ident))
        shown = self.instance.adm('queue', 'show', ident)
        self.assertNotIn('the next', shown)
        self.assertIn('failed; it has no sender to tell, by route out', shown)
        self.assertRegex(self.one(ident)['session_id'], '^[0-9a-f]{16}$')
        # As the manual page bounds them.
        self.assertEqual(self.results('remove', '--state', 'failed', '--older', '30d', '--yes', code=1), [])
        time.sleep(1.1)
        self.assertEqual(self.results('remove', '--state', 'failed', '--older', '1s', '--yes'), ['removed'])
        self.assertIsNone(self.one(ident))

    def test_report_that_waits(self):
        """A report came in no session."""
        self.refusal = lambda session, line: '451 4.3.2 later' if ALICE.encode() in line else '550 5.1.1 nobody'
        self.submit()
        self.assertTrue(wait_for(lambda: [r['sender'] for r in self.rows('queue', 'list', '--all')] == [''], 5), self.instance.log_tail())
        row = self.rows('queue', 'list', '--all')[0]
        self.assertIsNone(row['session_id'])
        self.assertIn('session     (none)\n', self.instance.adm('queue', 'show', row['queue_id']))

    def test_asks_of_messages(self):
        self.deferred('one')
        self.deferred('two')
        self.assertIn('2 messages: without a terminal', self.instance.run('queue', 'remove', '--all').stderr.decode())

    def test_filters(self):
        self.instance.adm('credential', 'add', ALICE, '--name', 'phone', '--stdin', input='a password of the phone\n')
        first = self.deferred()
        with self.instance.client('plain') as c:
            c.ehlo()
            c.login(ALICE, 'a password of the phone')
            second = queue_id(c.submit(message('two'), ALICE, ('x@example.net',)))
        self.assertTrue(wait_for(lambda: self.one(second)['state'] == 'deferred', 5))
        self.assertEqual(self.one(second)['credential'], 'phone')
        for args, found in ((('--credential', 'ph*'), [second]), (('--credential', ''), [first]), (('--route', 'out'), [first, second]),
                            (('--reason', 'come back'), [first, second]), (('--reason', '4.3.2*', '--to', 'x@*'), [second]),
                            (('--state', 'deferred', '--older', '0s'), [first, second])):
            self.assertEqual([r['queue_id'] for r in self.rows('queue', 'list', *args)], found, args)
        for args in (('--credential', 'laptop'), ('--route', 'second'), ('--reason', 'full'), ('--state', 'active')):
            self.assertEqual(self.rows('queue', 'list', *args, code=1), [], args)

    def test_limit_and_sort(self):
        """Of every verb with filters, and after them."""
        idents = [self.deferred('m%d' % i, sender=sender) for i, sender in enumerate((BOB, ALICE, BOB))]
        order = [idents[1], idents[0], idents[2]]
        self.assertEqual([r['queue_id'] for r in self.rows('queue', 'list', '--all', '--sort', 'account')], order)
        self.assertEqual([r['queue_id'] for r in self.rows('queue', 'list', '--all', '--limit', '2')], idents[:2])
        self.assertEqual(self.rows('queue', 'count', '--all', '--limit', '2')[0]['count'], 2)
        self.assertEqual(self.rows('queue', 'count', '--account', ALICE, '--limit', '2')[0]['count'], 1)
        self.assertEqual(self.rows('queue', 'verify', '--all', '--limit', '2')[0], {'v': 1, 'count': 2, 'corrupt': 0})
        self.assertEqual(self.rows('queue', 'summary', '--all', '--limit', '2')[0]['messages'], 2)
        folder = os.path.join(self.instance.base, 'first') + '/'
        self.assertEqual(self.rows('queue', 'export', folder, '--all', '--sort', 'account', '--limit', '1')[0]['count'], 1)
        self.assertEqual(os.listdir(folder), [order[0] + '.eml'])
        for verb in (('hold', '--reason', 'odd'), ('release',), ('retry',), ('reroute', '--to-route', 'out'), ('bounce',), ('remove',)):
            rows = self.rows('queue', *verb, '--all', '--sort', 'account', '--limit', '2', '--dry-run')
            self.assertEqual([r['queue_id'] for r in rows], order[:2], verb)
            self.assertEqual(self.instance.run('queue', *verb, idents[0], '--limit', '1').returncode, 64)
            self.assertEqual(self.instance.run('queue', *verb, '--limit', '1').returncode, 64)
        self.assertEqual(self.results('remove', '--all', '--limit', '1', '--sort', 'account'), ['removed'])
        self.assertEqual([r['queue_id'] for r in self.rows('queue', 'list', '--all')], [idents[0], idents[2]])

    def test_hold_and_release(self):
        ident = self.deferred()
        self.assertEqual(self.instance.run('queue', 'hold', '--id', ident).returncode, 64)
        self.assertEqual(self.results('hold', '--reason', 'odd', '--id', ident, '--dry-run'), ['would_hold'])
        self.assertEqual(self.one(ident)['state'], 'deferred')
        self.assertEqual(self.results('hold', '--reason', 'looks odd', '--id', ident), ['held'])
        row = self.one(ident)
        self.assertEqual((row['state'], row['hold_reason'], row['queue_name'], row['tries']), ('held', 'looks odd', 'hold', 1))
        self.assertIn('It is held: looks odd.', self.instance.adm('why', ident))
        self.assertEqual([r['queue_id'] for r in self.rows('queue', 'list', '--reason', 'looks')], [ident])
        shown = self.instance.adm('queue', 'show', ident)
        self.assertIn('tries       1\n', shown)
        self.busy = False
        # What is held is not retried, nor tried by a new daemon.
        self.assertEqual(self.results('retry', '--id', ident, code=1), ['unfit'])
        self.instance.stop()
        self.instance.start()
        time.sleep(1)
        self.assertEqual((self.one(ident)['state'], self.hop.messages), ('held', []))
        self.assertEqual(self.results('release', '--all'), ['released'])
        self.wait_for_delivery(self.hop, 1)
        events = [row['event'] for row in self.rows('trace', ident)]
        self.assertEqual([e for e in events if e in ('held', 'released', 'delivered', 'done')], ['held', 'released', 'delivered', 'done'])
        self.assertEqual(self.instance.run('queue', 'release', ident).returncode, 67)
        self.assertEqual(self.instance.run('queue', 'release', '--id', ident).returncode, 1)
        # What an admin has taken away is not missed.
        self.busy = True
        ident = self.deferred('another')
        self.assertEqual(self.results('remove', ident), ['removed'])
        self.assertIn('trace %s' % ident, self.instance.run('queue', 'show', ident).stderr.decode())
        time.sleep(0.5)
        self.assertEqual([line for line in self.instance.log().splitlines() if 'message.gone' in line], [])

    def test_stopped(self):
        held, rerouted, retried, bounced = (self.deferred('m%d' % i, to=('r%d@example.net' % i,)) for i in range(4))
        self.busy = False
        self.instance.stop()
        self.assertEqual(self.results('hold', '--reason', 'stopped', held), ['held'])
        self.assertEqual(self.results('reroute', '--to-route', 'second', rerouted), ['rerouted'])
        self.assertEqual(self.results('retry', retried), ['retried'])
        self.assertEqual(self.results('bounce', '--yes', bounced), ['bounced'])
        self.assertEqual([(self.one(i)['state'], self.one(i)['route']) for i in (held, rerouted)], [('held', 'out'), ('deferred', 'second')])
        self.assertEqual(self.instance.run('pause', 'delivery').returncode, 69)
        self.instance.start()
        self.assertTrue(wait_for(lambda: {len(self.hop.messages), len(self.other.messages)} == {2, 1}, 10), self.instance.log_tail())
        self.assertEqual(sorted(m[1] for m in self.hop.messages), [[ALICE], ['r2@example.net']])
        self.assertEqual([m[1] for m in self.other.messages], [['r1@example.net']])
        self.assertEqual(self.results('release', held), ['released'])
        self.wait_for_delivery(self.hop, 3)
        self.assertEqual([row['event'] for row in self.rows('trace', bounced)][-4:-1], ['deferred', 'bounced', 'reported'])

    def test_retry_and_reroute(self):
        idents = [self.deferred('m%d' % i) for i in range(3)]
        self.assertEqual(self.results('reroute', '--to-route', 'nowhere', '--all', code=68), [])
        self.assertEqual(self.instance.run('queue', 'reroute', '--all').returncode, 64)
        self.assertEqual(self.results('reroute', '--to-route', 'second', idents[0]), ['rerouted'])
        self.assertTrue(wait_for(lambda: len(self.other.messages) == 1, 5), self.instance.log_tail())
        self.busy = False
        self.assertEqual(self.results('retry', '--all'), ['retried'] * 2)
        self.wait_for_delivery(self.hop, 2)
        self.assertEqual(self.rows('queue', 'retry', '--all', code=0), [])

    def test_pause(self):
        self.busy = False
        self.assertEqual(self.rows('pause', 'delivery', '--reason', 'moving')[0]['action'], 'paused')
        ident = self.submit()
        time.sleep(1)
        self.assertEqual(self.hop.messages, [])
        status = self.rows('status')[0]['delivery']
        self.assertEqual((status['paused'], status['paused_reason'], status['scheduled']), (True, 'moving', 1))
        for args, reason in (((), 'moving'), (('--reason', 'moved'), 'moved'), (('--reason', 'moving'), 'moving')):
            self.assertEqual(self.rows('pause', 'delivery', *args)[0]['reason'], reason)
            self.assertEqual(self.rows('status')[0]['delivery']['paused_reason'], reason)
        self.assertIn('delivery    PAUSED', self.instance.adm('status'))
        self.assertIn('delivery is paused: moving', self.instance.adm('why', ident))
        self.rows('resume', 'delivery', '--dry-run')
        self.assertTrue(self.rows('status')[0]['delivery']['paused'])
        self.assertEqual(self.rows('resume', 'delivery')[0]['action'], 'resumed')
        self.wait_for_delivery(self.hop, 1)
        self.assertFalse(self.rows('status')[0]['delivery']['paused'])

    def test_killed_in_between(self):
        """Whatever the moment at which postern-spool is killed, each message is held or not, whole, and none is lost."""
        idents = [self.deferred('m%d' % i) for i in range(40)]
        for round in range(4):
            pid = self.instance.kind('postern-spool')[0].pid
            verb = ('hold', '--reason', 'round %d' % round) if round % 2 == 0 else ('release',)
            with subprocess.Popen([program('smtpadm'), '--root', self.instance.root, 'queue', *verb, '--all'], stderr=subprocess.PIPE) as p:
                time.sleep(0.005 * (round + 1))
                os.kill(pid, signal.SIGKILL)
                p.communicate(timeout=60)
            self.assertTrue(wait_for(lambda: self.instance.kind('postern-spool') and not is_alive(pid), 10))
            wanted = 'held' if round % 2 == 0 else 'deferred'
            self.assertTrue(wait_for(lambda: self.instance.run('queue', *verb, '--all').returncode in (0, 1), 10, 0.2))
            rows = self.rows('queue', 'list', '--all')
            self.assertEqual([row['queue_id'] for row in rows], idents)
            self.assertEqual({row['state'] for row in rows}, {wanted}, round)
        self.assertEqual(self.instance.run('queue', 'verify', '--all').returncode, 0)
        self.busy = False
        # Again and again: an attempt that was under way at the last kill may tell its deferral only after the first retry.
        self.assertTrue(wait_for(lambda: self.instance.run('queue', 'retry', '--all').returncode in (0, 1) and len(self.hop.messages) >= 40,
                                 20, 0.5), self.instance.log_tail())
        self.wait_for_delivery(self.hop, 40, 20)

    def test_export(self):
        self.deferred('first', to=('a@example.net', 'b@example.net'))
        self.deferred('second')
        body = b'From here\r\n>From there\r\nend\r\n'
        with self.instance.client('plain', login=ALICE) as c:
            c.submit(message('third', body), ALICE, ('c@example.net',))
        path, folder = (os.path.join(self.instance.base, name) for name in ('out.mbox', 'out'))
        self.assertEqual(self.rows('queue', 'export', path, '--all')[0]['count'], 3)
        with open(path) as f:
            text = f.read()
        self.assertIn('\n>From here\n>>From there\nend\n', text)
        self.assertEqual([m['subject'] for m in mailbox.mbox(path)], ['first', 'second', 'third'])
        self.assertEqual(self.instance.run('queue', 'export', path, '--all').returncode, 73)
        self.assertEqual(self.rows('queue', 'export', folder + '/', '--to', 'c@*')[0]['count'], 1)
        (name,) = os.listdir(folder)
        with open(os.path.join(folder, name), 'rb') as f:
            self.assertTrue(f.read().endswith(body))
        self.assertEqual(self.instance.run('queue', 'export', path).returncode, 64)
        self.assertEqual(self.rows('queue', 'export', path + '2', '--all', '--dry-run')[0]['count'], 3)
        self.assertFalse(os.path.exists(path + '2'))


class WithoutRoutes(unittest.TestCase):
    """An instance that only keeps mail: what an admin gives up is returned all the same."""

    def setUp(self):
        self.instance = Instance()

    def tearDown(self):
        self.instance.close()

    def rows(self, *args):
        return [json.loads(line) for line in self.instance.adm('--json', *args).splitlines()]

    def test_bounce(self):
        with self.instance.client('plain', login=ALICE) as c:
            idents = [queue_id(c.submit(message('m%d' % i), ALICE, ('r%d@example.net' % i,))) for i in range(4)]
        self.instance.adm('queue', 'hold', idents[2], '--reason', 'odd')
        for row in self.rows('queue', 'bounce', '--yes', *idents[1:3]):
            self.assertEqual(row['result'], 'bounced')
        self.assertTrue(wait_for(lambda: not {r['queue_id'] for r in self.rows('queue', 'list', '--all')} & set(idents[1:3]), 5),
                        self.instance.log_tail())
        left = self.rows('queue', 'list', '--all')
        self.assertEqual([r['queue_id'] for r in left][:2], [idents[0], idents[3]])
        self.assertEqual([(r['sender'], [to['address'] for to in r['recipients']]) for r in left[2:]], [('', [ALICE])] * 2)
        # Nothing was looked at that nobody has given up.
        self.assertEqual([(r['queue_name'], r['tries']) for r in left], [('incoming', 0)] * 4)
        self.assertEqual([row['event'] for row in self.rows('trace', idents[1])][-3:], ['bounced', 'reported', 'done'])


if __name__ == '__main__':
    main()
