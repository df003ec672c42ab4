#!/usr/bin/env python3
"""The whole chain, client to next hop: routes of each kind, next hops that fail for now and for good, every process killed in between."""
import os
import re
import signal
import socket
import sys
import tempfile
import time
import unittest

from dns import Dns
from next_hop import NextHop
from postern import ALICE, BOB, SLOW, Instance, free_ports, main, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'delivery'))
from kills import Run	# noqa: E402

QUICK = {'delivery.retry': '500ms 1s', 'dns.dnssec': 'off'}


def send(instance, *recipients, sender=ALICE, account=ALICE, number=0, more=''):
    with instance.client(login=account) as c:
        c.command('MAIL FROM:<%s>%s' % (sender, more), 250)
        for r in recipients:
            c.command('RCPT TO:<%s>' % r, 250)
        c.command('DATA', 354)
        c.send('From: %s\r\nSubject: number %d\r\n\r\nhello\r\n.\r\n' % (sender or account, number))
        c.expect(250)


def numbers(hop):
    return sorted(int(m) for _, _, data in hop.messages for m in re.findall(rb'^Subject: number (\d+)\r$', data, re.M))


class Delivery(unittest.TestCase):
    def launch(self, settings=(), accounts=(), **routes):
        """An instance, started with these routes: name=(url, option, ...)."""
        i = Instance(settings={**QUICK, **dict(settings)}, accounts=accounts, start=False)
        try:
            for name, (url, *options) in routes.items():
                i.adm('route', 'add', name, url, *options)
            i.start()
        except BaseException:
            i.close()
            raise
        self.addCleanup(i.close)
        return i

    def hop(self, **options):
        h = NextHop(**options)
        self.addCleanup(h.close)
        return h

    def gone(self, i, seconds=10):
        self.assertTrue(wait_for(lambda: not i.names(), seconds), '%s wait; %s' % (i.names(), i.log_tail(15)))

    def test_which_route(self):
        """By recipient's domain, account, sender's domain, else the default; one message takes several ways at once."""
        hops = {name: self.hop(lmtp=name == 'house') for name in ('house', 'person', 'company', 'rest')}
        url = {name: '%s://127.0.0.1:%d' % ('lmtp' if name == 'house' else 'smtp', h.port) for name, h in hops.items()}
        i = self.launch(accounts=[BOB], house=(url['house'], '--to-domain', 'example.org', '--to-domain', '*.example.org'),
                        person=(url['person'], '--account', BOB), company=(url['company'], '--from-domain', 'example.com'), rest=(url['rest'],),
                        nowhere=('discard:', '--to-domain', 'void.example'))
        i.adm('sender', 'add', ALICE, '*@example.com')
        send(i, 'a@example.org', 'b@sub.example.org', 'c@example.net', 'd@void.example', number=1)
        send(i, 'e@example.net', sender=BOB, account=BOB, number=2)
        send(i, 'f@example.org', sender=BOB, account=BOB, number=3)
        send(i, 'g@example.net', sender='sales@example.com', number=4)
        self.gone(i)
        got = {name: sorted((m[0], tuple(sorted(r for other in h.messages if other[2] == m[2] for r in other[1]))) for m in h.messages)
               for name, h in hops.items()}
        self.assertEqual(set(got['house']), {(ALICE, ('a@example.org', 'b@sub.example.org')), (BOB, ('f@example.org',))})
        self.assertEqual(got['person'], [(BOB, ('e@example.net',))])
        self.assertEqual(got['company'], [('sales@example.com', ('g@example.net',))])
        self.assertEqual(got['rest'], [(ALICE, ('c@example.net',))])

    def test_no_route(self):
        """Mail that no route is for waits without being returned, and goes when there is one; delivered recipients not again."""
        first, second = self.hop(), self.hop()
        i = self.launch(some=('smtp://127.0.0.1:%d' % first.port, '--to-domain', 'example.net'))
        send(i, 'a@example.net', 'b@elsewhere.example', number=1)
        self.assertTrue(wait_for(lambda: numbers(first) == [1], 5))
        time.sleep(2)
        self.assertEqual(len(i.names()), 1)
        i.adm('route', 'add', 'rest', 'smtp://127.0.0.1:%d' % second.port)
        i.adm('reload')
        self.gone(i)
        self.assertEqual((numbers(first), numbers(second)), ([1], [1]))
        self.assertEqual([m[1] for m in second.messages], [['b@elsewhere.example']])

    def test_each_recipient_by_itself(self):
        """One taken, one later, one never: state outlives every process, one report, nothing sent again."""
        later = {'n': 0}

        def rcpt(session, line):
            if b'never' in line:
                return '550 5.1.1 no such person'
            if b'later' in line:
                later['n'] += 1
                return '451 4.2.0 come again' if later['n'] < 4 else True
            return True
        hop, home = self.hop(rules={'RCPT': rcpt}), self.hop(lmtp=True)
        i = self.launch(main=('smtp://127.0.0.1:%d' % hop.port,), home=('lmtp://127.0.0.1:%d' % home.port, '--to-domain', 'example.org'))
        send(i, 'now@example.net', 'later@example.net', 'never@example.net', number=1)
        self.assertTrue(wait_for(lambda: numbers(hop) == [1], 5))
        for kind in ('postern-spool', 'postern-relay'):
            os.kill(i.kind(kind)[0].pid, signal.SIGKILL)
            wait_for(lambda: i.kind(kind), 5)
        self.gone(i, 20)
        self.assertEqual([m[1] for m in hop.messages], [['now@example.net'], ['later@example.net']])
        self.assertTrue(wait_for(lambda: len(home.messages) == 1, 5))
        sender, recipients, report = home.messages[0]
        self.assertEqual((sender, recipients), ('', [ALICE]))
        text = report.decode()
        self.assertIn('550 5.1.1 no such person', text)
        self.assertIn('Final-Recipient: rfc822; never@example.net', text)
        self.assertNotIn('later@example.net', text)

    def test_no_bounce_to_a_bounce(self):
        """A report that can't be delivered is set aside."""
        i = self.launch(main=('smtp://127.0.0.1:%d' % self.hop(rules={'RCPT': '550 5.1.1 nobody'}).port,))
        send(i, 'a@example.net')
        self.gone(i)
        self.assertTrue(wait_for(lambda: len(i.names('failed')) == 1, 5))
        time.sleep(1)
        self.assertEqual(len(i.names('failed', 'new', 'cur')), 1)

    def test_expire_and_warn(self):
        """Returned when it is too old; told of the delay before."""
        home = self.hop(lmtp=True)
        port = free_ports(1)[0]
        i = self.launch(settings={'delivery.warn_after': '1s', 'delivery.expire': '4s'}, main=('smtp://127.0.0.1:%d' % port,),
                        home=('lmtp://127.0.0.1:%d' % home.port, '--to-domain', 'example.org'))
        send(i, 'a@example.net', number=1)
        self.assertTrue(wait_for(lambda: len(home.messages) == 2, 20), i.log_tail(15))
        self.gone(i)
        warning, report = (m[2].decode() for m in home.messages)
        self.assertIn('Action: delayed', warning)
        self.assertIn('Action: failed', report)
        self.assertIn('Connection refused', report)

    def test_dead_delays_no_other(self):
        """300 messages to a next hop that does not answer; one to another goes out at once."""
        good, dead = self.hop(), socket.create_server(('127.0.0.1', 0), backlog=1)
        self.addCleanup(dead.close)
        # Full: connections are neither taken nor refused.
        fillers = [socket.socket() for _ in range(4)]
        for f in fillers:
            f.setblocking(False)
            f.connect_ex(dead.getsockname())
            self.addCleanup(f.close)
        i = self.launch(settings={'delivery.connect_timeout': '20s'}, good=('smtp://127.0.0.1:%d' % good.port,),
                        dead=('smtp://127.0.0.1:%d' % dead.getsockname()[1], '--to-domain', 'dead.example'))
        with i.client(login=ALICE) as c:
            for n in range(300):
                c.send('MAIL FROM:<%s>\r\nRCPT TO:<x%d@dead.example>\r\nDATA\r\n' % (ALICE, n))
                for code in (250, 250, 354):
                    c.expect(code)
                c.send('From: %s\r\nSubject: number %d\r\n\r\nx\r\n.\r\n' % (ALICE, n))
                c.expect(250)
        began = time.monotonic()
        send(i, 'a@example.net', number=1000)
        self.assertTrue(wait_for(lambda: numbers(good) == [1000], 5), i.log_tail(10))
        self.assertLess(time.monotonic() - began, 2 * SLOW)
        self.assertEqual(len(i.names()), 300)

    def test_mx(self):
        """The DNS decides: preference, the next one when the first is dead, no such domain, null MX, nothing heard."""
        port = free_ports(1)[0]
        second = self.hop(address='127.0.0.3', port=port)
        home = self.hop(lmtp=True)
        dns = Dns({'example.net': {'MX': ['10 one.example.net', '20 two.example.net']}, 'one.example.net': {'A': ['127.0.0.2']},
                   'two.example.net': {'A': ['127.0.0.3']}, 'null.example': {'MX': ['0 .']}, 'broken.example': {'do': 'servfail'}})
        self.addCleanup(dns.close)
        i = self.launch(settings={'dns.servers': dns.setting}, main=('mx:%d' % port,),
                        home=('lmtp://127.0.0.1:%d' % home.port, '--to-domain', 'example.org'))
        send(i, 'a@example.net', 'b@null.example', 'c@gone.example', 'd@broken.example', number=1)
        self.assertTrue(wait_for(lambda: numbers(second) == [1], 10), i.log_tail(10))
        self.assertTrue(wait_for(lambda: len(home.messages) >= 1, 10))
        self.assertTrue(wait_for(lambda: sum(len(re.findall(r'Final-Recipient', m[2].decode())) for m in home.messages) == 2, 10))
        text = ''.join(m[2].decode() for m in home.messages)
        self.assertIn('b@null.example', text)
        self.assertIn('c@gone.example', text)
        self.assertEqual(len(i.names()), 1)	# the one whose name servers are out of order
        dns.zone['broken.example'] = {'MX': ['10 two.example.net']}
        self.gone(i, 90)	# libunbound remembers a failure for some seconds
        self.assertEqual(numbers(second), [1, 1])

    def test_stop_and_start(self):
        """What waits when the service ends goes out after the next start, also what was deferred."""
        hop = self.hop(rules={'GREETING': '421 not now'})
        i = self.launch(main=('smtp://127.0.0.1:%d' % hop.port,))
        for n in range(5):
            send(i, 'a@example.net', number=n)
        self.assertTrue(i.logged('deferred=1'))
        i.stop()
        self.assertEqual(len(i.names()), 5)
        hop.rules.clear()
        i.start()
        self.gone(i)
        self.assertEqual(numbers(hop), list(range(5)))

    def test_stop_waits_for_a_reply(self):
        """A message that the next hop has whole, and has not answered yet: the end waits for that, and it is not sent again."""
        hop = self.hop(rules={'END': 3.0})
        i = self.launch(main=('smtp://127.0.0.1:%d' % hop.port,))
        send(i, 'a@example.net', number=1)
        self.assertTrue(wait_for(lambda: '.' in hop.lines, 5))
        i.stop()
        self.assertEqual(numbers(hop), [1])
        self.assertEqual(i.names(), [])
        i.start()
        time.sleep(1)
        self.assertEqual(numbers(hop), [1])

    def test_local_socket(self):
        with tempfile.TemporaryDirectory(prefix='postern-lmtp.') as folder:
            os.chmod(folder, 0o755)
            hop = self.hop(lmtp=True, path=os.path.join(folder, 'lmtp'))
            i = self.launch(main=('lmtp:' + os.path.join(folder, 'lmtp'),))
            send(i, 'a@example.net', number=1)
            self.gone(i)
            self.assertEqual(numbers(hop), [1])


class Kills(unittest.TestCase):
    def test_delivery_side(self):
        """Spool, relay and session processes are killed while 300 messages go through."""
        Run(300, kinds=('spool', 'relay', 'session'), pause=(0.02, 0.2))(self)

    def test_all(self):
        """The master, too."""
        Run(200, pause=(0.02, 0.2), seed='all')(self)


if __name__ == '__main__':
    main(230)
