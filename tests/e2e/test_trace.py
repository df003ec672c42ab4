#!/usr/bin/env python3
"""smtpadm trace and why: a message's whole life in words and JSON, by id, Message-ID, recipient and account, refused ones too, with the
daemon running and stopped; its reports, read by another program."""
import email
import email.policy
import json
import os
import re
import subprocess
import time
import unittest

from client import queue_id
from next_hop import NextHop
from postern import ALICE, BOB, IS_ROOT, Instance, message, main, program, wait_for


SCHEDULE = '1s 1h'


def add_route(instance, url, name='out', more='tls = none\n'):
    with open(os.path.join(instance.root, 'postern.conf'), 'a') as f:
        f.write('\n[route %s]\nurl = %s\n%s' % (name, url, more))


class Delivering(unittest.TestCase):
    """An instance whose only route leads to a next hop that does as it is told."""

    def setUp(self):
        self.hop = NextHop(rules=self.rules())
        self.instance = Instance(accounts=(BOB,), start=False, settings={'delivery.retry': SCHEDULE})
        add_route(self.instance, 'smtp://127.0.0.1:%d' % self.hop.port)
        self.instance.start()

    def tearDown(self):
        self.instance.close()
        self.hop.close()

    def rules(self):
        return {}

    def submit(self, name='one', to=('rcpt@example.net',), sender=ALICE):
        with self.instance.client('plain', login=sender) as c:
            return queue_id(c.submit(message(name.replace(' ', '-'), sender=sender).replace(b'Subject: ' + name.replace(' ', '-').encode(), b'Subject: ' + name.encode()), sender, to))

    def trace(self, *args, code=0):
        done = self.instance.run('--json', 'trace', *args)
        self.assertIn(done.returncode, (code,) if code is not None else (0, 1), done.stderr.decode())
        return [json.loads(line) for line in done.stdout.splitlines()]

    def events(self, *args):
        return [line['event'] for line in self.trace(*args, code=None)]

    def wait_for_event(self, ident, event, seconds=10):
        found = wait_for(lambda: event in self.events(ident), seconds)
        self.assertTrue(found, '%s is not in %s; %s' % (event, self.events(ident), self.instance.log_tail()))


class Life(Delivering):
    def test_delivered(self):
        ident = self.submit('plain words', to=('Rcpt@Example.NET', 'other@example.net'))
        self.wait_for_event(ident, 'done')
        lines = self.trace(ident)
        events = [line['event'] for line in lines]
        self.assertEqual(events[:3], ['session', 'login', 'accepted'])
        self.assertEqual(events[-1], 'done')
        self.assertEqual(events.count('recipient'), 2)
        self.assertEqual(events.count('delivered'), 2)
        self.assertEqual([line['time'] for line in lines], sorted(line['time'] for line in lines))
        by = {line['event']: line for line in lines}
        self.assertEqual((lines[0]['v'], by['login']['account'], by['login']['mechanism'], by['login']['credential']), (1, ALICE, 'plain', ''))
        self.assertEqual((by['session']['listener'], by['session']['tls']), ('plain', 'no'))
        self.assertTrue(by['session']['peer'].startswith('127.0.0.1'))
        self.assertEqual((by['accepted']['sender'], by['accepted']['recipients']), (ALICE, 2))
        self.assertEqual((type(by['accepted']['size']), by['done']['tries']), (int, 1))
        self.assertEqual({line['queue_id'] for line in lines}, {ident})
        self.assertEqual(len({line['session_id'] for line in lines}), 1)
        self.assertEqual((by['delivered']['route'], by['delivered']['code']), ('out', 250))
        message_id = by['accepted']['message_id']
        # Found by each of its sides, in whatever case, and by globs.
        for args in (('--message-id', message_id), ('--message-id', '<%s>' % message_id), ('--to', 'rcpt@example.net'), ('--to', 'RCPT@*'),
                     ('--account', ALICE), ('--account', 'alice*', '--since', '1h'), ('--to', 'other@*', '--since', '2020-01-01')):
            self.assertEqual(self.trace(*args), lines, args)
        for args in (('--message-id', 'x' + message_id), ('--to', 'nobody@example.net'), ('--account', BOB), ('0' * 16,)):
            self.assertEqual(self.trace(*args, code=1), [])
        words = self.instance.adm('trace', ident)
        for part in ('session %s begins: from 127.0.0.1' % lines[0]['session_id'], 'logged in as ' + ALICE, 'accepted: from <%s>' % ALICE,
                     'recipient Rcpt@Example.NET', 'delivered to other@example.net by route out', 'finished: it has left the queue after 1 try\n'):
            self.assertIn(part, words)
        self.assertIn('It is not in the queue any more', self.instance.adm('why', ident))
        self.assertIn("knows no message '%s'" % ('0' * 16), self.instance.run('trace', '0' * 16).stderr.decode())
        # The same with the daemon stopped, and from where it can't be read, a word about that.
        self.instance.stop()
        self.assertEqual(self.trace(ident), lines)
        if IS_ROOT:
            done = subprocess.run([program('smtpadm'), '--root', self.instance.root, 'trace', ident], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, user=65534, group=65534, extra_groups=[])
            self.assertEqual(done.returncode, 77, done.stderr)

    def test_refused(self):
        """Refused at its end, and broken off: no message, and still found by the account."""
        with self.instance.client('plain', login=ALICE) as c:
            c.submit(b'From: bob@elsewhere.example\r\nSubject: x\r\n\r\nx\r\n', ALICE, ('rcpt@example.net',), (553,))
            c.submit(b'From: %s\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n' % ALICE.encode(), ALICE, ('mime@example.net',), (554,))
            c.submit(message('two'), ALICE, ('rcpt@example.net',))
        self.assertTrue(wait_for(lambda: ['bad_mime'] == [line['reason'] for line in self.trace('--account', ALICE, code=None)
                                                          if line['event'] == 'refused'][1:], 5))
        with self.instance.client('plain', login=BOB) as c:
            c.command('MAIL FROM:<%s>' % BOB, 250)
            c.command('RCPT TO:<x@example.net>', 250)
            c.command('DATA', 354)
            c.send(b'Subject: half\r\n\r\n' + (b'x' * 70 + b'\r\n') * 3000)
        self.assertTrue(wait_for(lambda: 'broken_off' in self.events('--account', BOB), 5))
        self.assertTrue(wait_for(lambda: 'accepted' in self.events('--account', ALICE), 5))
        lines = self.trace('--account', ALICE)
        refused = [line for line in lines if line['event'] == 'refused']
        self.assertEqual([(line['reason'], line['account']) for line in refused], [('sender_not_allowed', ALICE), ('bad_mime', ALICE)])
        self.assertEqual(refused[0]['sender'], ALICE)
        self.assertEqual([line['event'] for line in lines if line['queue_id'] == refused[0]['queue_id']],
                         ['session', 'login', 'refused', 'recipient'])
        # The session's lines belong to all.
        self.assertEqual([line['event'] for line in lines].count('session'), 3)
        self.assertIn('refused at its end, because its From field', self.instance.adm('trace', '--account', ALICE))
        self.assertEqual({line['queue_id'] for line in self.trace('--account', ALICE, '--limit', '1')},
                         {lines[-1]['queue_id']})

    def test_follow(self):
        ident = self.submit()
        done = self.instance.run('--json', 'trace', ident, '--follow', timeout=20)
        events = [json.loads(line)['event'] for line in done.stdout.splitlines()]
        self.assertEqual((done.returncode, events[0], events[-1], len(events)), (0, 'session', 'done', len(set(events))))
        # By account it goes on with messages that are still to come.
        with subprocess.Popen([program('smtpadm'), '--root', self.instance.root, '--json', 'trace', '--account', BOB, '--follow'],
                              stdout=subprocess.PIPE) as p:
            try:
                time.sleep(0.5)
                other = self.submit('later', sender=BOB)
                seen = []
                for line in p.stdout:
                    seen.append(json.loads(line))
                    if seen[-1]['event'] == 'done':
                        break
                self.assertEqual({line['queue_id'] for line in seen}, {other})
            finally:
                p.kill()

    def test_usage(self):
        for args in ((), ('x', '--to', 'y'), ('--to', 'a', '--account', 'b'), ('--to', 'x', '--since', 'soon'), ('--to', 'x', '--limit', '0')):
            self.assertEqual(self.instance.run('trace', *args).returncode, 64, args)
        self.assertEqual(self.instance.run('why', '0' * 16).returncode, 67)
        self.assertEqual(self.instance.run('trace', '0' * 16).returncode, 1)

    def test_damaged_lines(self):
        """What a crash has cut, and what is no line at all, is passed over; the next line begins anew."""
        ident = self.submit()
        self.wait_for_event(ident, 'done')
        self.instance.stop()
        folder = os.path.join(self.instance.spool, 'trace')
        path = os.path.join(folder, sorted(os.listdir(folder))[-1])
        with open(path, 'ab') as f:
            f.write(b'no line at all\n\n time=x id= \ntime=2026-11-22T01:40:52.123Z id=%s session=00' % ident.encode())
        before = self.trace(ident)
        self.instance.start()
        other = self.submit('after')
        self.wait_for_event(other, 'done')
        self.assertEqual(self.trace(ident), before)
        self.assertEqual(self.events(other)[0], 'session')

    def test_no_room(self):
        """What can't be written is counted and forgotten; mail goes on, and so does the trace, once it can."""
        self.instance.stop()
        folder = os.path.join(self.instance.spool, 'trace')
        path = os.path.join(folder, time.strftime('%Y-%m-%d', time.gmtime()))
        if os.path.exists(path):
            os.unlink(path)
        os.mkdir(path)
        self.instance.start()
        self.submit()
        self.assertTrue(wait_for(lambda: len(self.hop.messages) == 1, 10), self.instance.log_tail())
        self.assertTrue(self.instance.logged('event=trace.not_written'))
        os.rmdir(path)
        other = self.submit('after')
        self.wait_for_event(other, 'done')
        self.assertTrue(self.instance.logged('event=trace.written'))
        with open(path) as f:
            lost = [int(line.split('lines=')[1]) for line in f if 'event=lost' in line]
        self.assertEqual(len(lost), 1)
        self.assertGreaterEqual(lost[0], 4)

    def test_kept(self):
        """Files that are too old go, others stay: 36 days, and today's."""
        self.instance.stop()
        folder = os.path.join(self.instance.spool, 'trace')
        os.makedirs(folder, exist_ok=True)
        owner = os.stat(self.instance.spool)
        days = [time.strftime('%Y-%m-%d', time.gmtime(time.time() - back * 86400)) for back in (*range(1, 37), 38, 400)]
        for name in [*days, 'notes', '2026-13-01']:
            path = os.path.join(folder, name)
            with open(path, 'w') as f:
                f.write('x\n')
            os.chown(path, owner.st_uid, owner.st_gid)
        os.chown(folder, owner.st_uid, owner.st_gid)
        self.instance.start()
        self.submit()
        self.assertTrue(wait_for(lambda: days[-1] not in os.listdir(folder), 5))
        self.assertEqual(set(os.listdir(folder)) - {time.strftime('%Y-%m-%d', time.gmtime())}, {*days[:-2], 'notes', '2026-13-01'})


def answer_by_recipient(session, line):
    for word, reply in ((b'nobody', '550 5.1.1 no such user here'), (b'full', '452 4.2.2 mailbox full'), (b'big', '552 5.3.4 too big')):
        if word in line:
            return reply
    return True


class Reports(Delivering):
    def rules(self):
        return {'RCPT': answer_by_recipient}

    def report(self, kind, to=ALICE):
        """The report that the next hop has got, read by Python's parser."""
        self.assertTrue(wait_for(lambda: any(m[1] == [to] for m in self.hop.messages), 15), self.instance.log_tail())
        sender, _, data = next(m for m in self.hop.messages if m[1] == [to])
        self.assertEqual(sender, '')
        for line in data.split(b'\r\n'):
            self.assertNotIn(b'\n', line)
            self.assertNotIn(b'\r', line)
        m = email.message_from_bytes(data, policy=email.policy.strict)
        self.assertEqual((m.get_content_type(), m.get_param('report-type'), m['auto-submitted']),
                         ('multipart/report', 'delivery-status', 'auto-replied'))
        self.assertEqual([p.get_content_type() for p in m.iter_parts()][:2], ['text/plain', 'message/delivery-status'])
        self.assertTrue(m['from'].addresses[0].addr_spec.startswith('MAILER-DAEMON@'))
        self.assertEqual(m['to'].addresses[0].addr_spec, to)
        return m

    def test_failure(self):
        ident = self.submit('the subject', to=('nobody@example.net', 'big@example.net', 'good@example.net'))
        self.wait_for_event(ident, 'reported')
        m = self.report('failure')
        self.assertEqual(m['subject'], 'Your message could not be delivered to 2 recipients')
        words, status, quote = m.iter_parts()
        text = words.get_content().replace('\r\n', '\n')
        self.assertIn('There is no such mailbox. Check the address', text)
        self.assertIn('The message is too big', text)
        self.assertIn('    nobody@example.net\n', text)
        self.assertIn('said: 550', text)
        self.assertNotIn('good@example.net', text)
        groups = status.get_payload()
        self.assertEqual(groups[0]['reporting-mta'], 'dns; ' + self.instance.hostname)
        self.assertEqual([(g['final-recipient'], g['action'], g['status']) for g in groups[1:]],
                         [('rfc822; nobody@example.net', 'failed', '5.1.1'), ('rfc822; big@example.net', 'failed', '5.3.4')])
        self.assertTrue(groups[1]['diagnostic-code'].startswith('smtp; 550 '))
        self.assertEqual(quote.get_content_type(), 'text/rfc822-headers')
        self.assertIn('Subject: the subject', quote.get_content())
        # The report has a life of its own.
        report = next(line['report'] for line in self.trace(ident) if line['event'] == 'reported')
        self.wait_for_event(report, 'done')
        self.assertEqual([line['to'] for line in self.trace(report) if line['event'] == 'delivered'], [ALICE])

    def test_bounced_by_an_admin(self):
        ident = self.submit(to=('full@example.net', 'good@example.net'))
        self.wait_for_event(ident, 'deferred')
        self.assertIn('It waits for try', self.instance.adm('why', ident))
        self.instance.adm('--yes', 'queue', 'bounce', '--id', ident)
        self.wait_for_event(ident, 'done')
        m = self.report('failure')
        words, status, _ = m.iter_parts()
        self.assertIn('returned by the administrator', words.get_content())
        self.assertEqual([(g['final-recipient'], g['action'], g['status']) for g in status.get_payload()[1:]],
                         [('rfc822; full@example.net', 'failed', '5.0.0')])
        events = self.events(ident)
        self.assertLess(events.index('bounced'), events.index('reported'))


class Age(unittest.TestCase):
    """Which files of the trace are removed: two days of trace.keep, one of delivery.expire, and today's."""

    def setUp(self):
        self.instance = Instance(start=False, settings={'trace.keep': '2d', 'delivery.expire': '1d'})
        self.folder = os.path.join(self.instance.spool, 'trace')
        os.makedirs(self.folder, 0o700, exist_ok=True)
        if IS_ROOT:
            owner = os.stat(self.instance.spool)
            os.chown(self.folder, owner.st_uid, owner.st_gid)

    def tearDown(self):
        self.instance.close()

    def day(self, back):
        return time.strftime('%Y-%m-%d', time.gmtime(time.time() - 86400 * back))

    def age(self, days):
        """Of files from so many days ago those that are left, and today's is not counted."""
        for back in days:
            with open(os.path.join(self.folder, self.day(back)), 'w'):
                pass
        self.instance.start()
        self.assertTrue(wait_for(lambda: os.path.exists(os.path.join(self.folder, self.day(0))), 5))
        self.instance.stop()
        return [back for back in days if os.path.exists(os.path.join(self.folder, self.day(back)))]

    def test_by_age(self):
        self.assertEqual(self.age(range(1, 20)), [1, 2, 3, 4])

    def test_the_clock_has_jumped(self):
        """As many days as ever are left, whatever their dates seem to say."""
        self.assertEqual(self.age(range(300, 320)), [300, 301, 302, 303])

    def test_it_was_stopped_for_long(self):
        """Each new day takes the place of an old one."""
        self.assertEqual(self.age([1, 2] + list(range(100, 110))), [1, 2, 100, 101])


if __name__ == '__main__':
    main()
