#!/usr/bin/env python3
"""postern-relay by MX, with a name server of its own: which hosts are tried, in which order, and what comes of none."""
import collections
import socket
import sys
import time
import unittest

sys.dont_write_bytecode = True
from dns import Dns  # noqa: E402
from next_hop import NextHop  # noqa: E402
from postern import free_ports  # noqa: E402
from relay_driver import Relay  # noqa: E402
from runner import main  # noqa: E402
from settings import HOST, SLOW  # noqa: E402

LOCAL = '127.9.0.%d'


class Case(unittest.TestCase):
    """Hosts mx1, mx2, ... are 127.9.0.1, 127.9.0.2, ..., all with one port."""

    def setUp(self):
        self.port = free_ports(1)[0]
        self.dns = Dns({'mx%d.example' % i: {'A': [LOCAL % i]} for i in range(1, 10)})
        self.open = [self.dns]
        self.relay = None

    def tearDown(self):
        for thing in reversed(self.open):
            thing.close()

    def hop(self, i, **more):
        hop = NextHop(address=LOCAL % i, port=self.port, **more)
        self.open.append(hop)
        return hop

    def run_to(self, domain, seconds=15, more='', recipient=None, **rest):
        if self.relay is None:
            self.relay = Relay('[route out]\nurl = mx:%d\ntls = none\n' % self.port, more='[dns]\nservers = %s\ndnssec = off\n%s'
                               % (self.dns.setting, more), delivery='connect_timeout = 1s\ntimeout = 2s\n')
            self.open.append(self.relay)
        return self.relay.run([recipient or 'bob@' + domain], domain=domain, seconds=seconds, **rest)

    def check(self, outcome, verdict, stage, code=0, enhanced=None, words=None):
        self.assertEqual((outcome.verdict, outcome.stage, outcome.code), (verdict, stage, code), outcome)
        if enhanced is not None:
            self.assertEqual(outcome.enhanced, enhanced)
        if words is not None:
            self.assertIn(words, outcome.reply)


class Orders(Case):
    def test_by_preference(self):
        hops = [self.hop(i) for i in (1, 2, 3)]
        self.dns.zone['a.example'] = {'MX': ['30 mx3.example', '10 mx1.example', '20 mx2.example']}
        r = self.run_to('a.example')
        self.check(r.outcome, 'delivered', 'end', 250)
        self.assertEqual((r.host, r.address), ('mx1.example', '%s:%d' % (LOCAL % 1, self.port)))
        self.assertEqual([h.sessions for h in hops], [1, 0, 0])

    def test_the_next_when_one_fails(self):
        """Refused connections, bad greetings and bad HELLOs lead on; an answer to MAIL does not."""
        self.hop(2, rules={'GREETING': '554 no'})
        self.hop(3, rules={'GREETING': '421 busy'})
        self.hop(4, rules={'GREETING': None})
        self.hop(5, rules={'EHLO': '550 no', 'HELO': '550 no'})
        self.hop(6, rules={'GREETING': 'what is this'})
        good, last = self.hop(7, rules={'MAIL': '451 4.7.1 later'}), self.hop(8)
        self.dns.zone['a.example'] = {'MX': ['%d mx%d.example' % (i, i) for i in range(1, 9)]}
        r = self.run_to('a.example')
        self.check(r.outcome, 'deferred', 'mail', 451)
        self.assertEqual((r.host, good.sessions, last.sessions), ('mx7.example', 1, 0))

    def test_equals_by_chance(self):
        hops = [self.hop(i) for i in (1, 2)]
        for i in range(12):
            self.dns.zone['d%d.example' % i] = {'MX': ['10 mx1.example', '10 mx2.example']}
            self.check(self.run_to('d%d.example' % i).outcome, 'delivered', 'end', 250)
        self.assertTrue(all(h.sessions for h in hops), [h.sessions for h in hops])

    def test_without_mx(self):
        """The domain's own address (RFC 5321, 5.1)."""
        hop = self.hop(1)
        self.dns.zone['a.example'] = {'A': [LOCAL % 1]}
        r = self.run_to('a.example')
        self.check(r.outcome, 'delivered', 'end', 250)
        self.assertEqual((r.host, hop.sessions), ('a.example', 1))

    def test_literal(self):
        hop = self.hop(1)
        r = self.run_to('[%s]' % (LOCAL % 1))
        self.check(r.outcome, 'delivered', 'end', 250)
        self.assertEqual((hop.sessions, self.dns.asked), (1, []))

    def test_domains_have_sessions_of_their_own(self):
        hop = self.hop(1)
        for domain in ('a.example', 'b.example', 'A.example'):
            self.dns.zone[domain.lower()] = {'MX': ['10 mx1.example']}
            self.check(self.run_to(domain).outcome, 'delivered', 'end', 250)
        self.assertEqual(hop.sessions, 2)

    def test_many_addresses(self):
        """Five of a host, ten in all: a domain with more makes nobody wait for them."""
        for i in (1, 2, 3):
            self.dns.zone['big%d.example' % i] = {'A': ['127.9.%d.%d' % (i, n) for n in range(1, 9)]}
        self.dns.zone['a.example'] = {'MX': ['%d big%d.example' % (i, i) for i in (1, 2, 3)]}
        accepted = collections.Counter()
        listening = []
        for i in (1, 2, 3):
            for n in range(1, 9):
                def greet(sock, i=i):
                    accepted[i] += 1
                    sock.sendall(b'421 no\r\n')
                listening.append(NextHop(address='127.9.%d.%d' % (i, n), port=self.port, raw=greet))
        self.open += listening
        self.check(self.run_to('a.example').outcome, 'deferred', 'greeting', 421)
        self.assertEqual(accepted, {1: 5, 2: 5})

    def test_ourselves(self):
        """We, and all that are no better, are left out; when nobody remains it is a loop."""
        hops = [self.hop(i) for i in (1, 2, 3)]
        self.dns.zone[HOST] = {'A': [LOCAL % 2]}
        self.dns.zone['a.example'] = {'MX': ['10 mx1.example', '20 ' + HOST, '30 mx3.example']}
        self.dns.zone['b.example'] = {'MX': ['10 ' + HOST, '20 mx1.example']}
        self.dns.zone['c.example'] = {'MX': ['10 mx3.example', '10 ' + HOST]}
        self.check(self.run_to('a.example').outcome, 'delivered', 'end', 250)
        for domain in ('b.example', 'c.example'):
            self.check(self.run_to(domain).outcome, 'failed', 'resolve', 0, '5.4.6', 'this very server')
        hops[0].rules['GREETING'] = '421 no'
        time.sleep(2.3 * SLOW)
        self.check(self.run_to('a.example').outcome, 'deferred', 'greeting', 421)
        self.assertEqual([h.sessions for h in hops], [2, 0, 0])

    def test_our_own_listener(self):
        """A name that we do not know as ours, with an address that is."""
        self.dns.zone['a.example'] = {'MX': ['10 mx4.example', '20 mx5.example']}
        r = self.run_to('a.example', more='[listener submission]\nkind = plain\naddress = %s:%d\n' % (LOCAL % 4, self.port))
        self.check(r.outcome, 'failed', 'resolve', 0, '5.4.6')


class Failures(Case):
    def test_verdicts(self):
        self.dns.zone.update({
            'null.example': {'MX': ['0 .']},
            'empty.example': {'TXT': ['x']},
            'broken.example': {'do': 'servfail'},
            'lost.example': {'MX': ['10 gone.example', '20 nodata.example']},
            'nodata.example': {'TXT': ['x']},
            'half.example': {'MX': ['10 gone.example', '20 broken.example']},
        })
        for domain, verdict, enhanced, words in (
                ('null.example', 'failed', '5.1.10', 'null MX'),
                ('gone.example', 'failed', '5.1.2', 'does not exist'),
                ('empty.example', 'failed', '5.1.2', 'no address'),
                ('broken.example', 'deferred', '4.4.3', 'no answer'),
                ('lost.example', 'failed', '5.4.4', 'no address'),
                ('half.example', 'deferred', '4.4.3', 'no answer')):
            with self.subTest(domain=domain):
                r = self.run_to(domain, seconds=45)
                self.check(r.outcome, verdict, 'resolve', 0, enhanced, words)
                self.assertTrue(r.is_dead)

    def test_one_good_host_is_enough(self):
        hop = self.hop(1)
        self.dns.zone['a.example'] = {'MX': ['5 gone.example', '7 broken.example', '10 mx1.example']}
        self.dns.zone['broken.example'] = {'do': 'refused'}
        self.check(self.run_to('a.example', seconds=45).outcome, 'delivered', 'end', 250)
        self.assertEqual(hop.sessions, 1)

    def test_all_refuse_for_good(self):
        """5xx of every server is an answer; one that may pass is stronger."""
        for i in (1, 2):
            self.hop(i, rules={'GREETING': '554 5.3.2 no mail here'})
        self.dns.zone['a.example'] = {'MX': ['10 mx1.example', '20 mx2.example']}
        self.dns.zone['b.example'] = {'MX': ['10 mx3.example', '20 mx2.example']}
        self.check(self.run_to('a.example').outcome, 'failed', 'greeting', 554, '5.3.2')
        self.check(self.run_to('b.example').outcome, 'deferred', 'connect', 0, '4.4.1', 'refused')

    def test_a_name_that_is_none(self):
        self.check(self.run_to('a' * 64 + '.example', recipient='bob@a.example').outcome, 'failed', 'resolve', 0, '5.1.2')

    def test_smarthost_without_address_waits(self):
        relay = Relay('[route out]\nurl = smtp://gone.example:%d\ntls = none\n' % self.port, more='[dns]\nservers = %s\ndnssec = off\n'
                      % self.dns.setting)
        self.open.append(relay)
        self.check(relay.run(seconds=15).outcome, 'deferred', 'resolve', 0, '4.4.4', 'gone.example')

    def test_a_slow_name_server_delays_no_other(self):
        self.dns.zone['slow.example'] = {'do': 'silent'}
        self.dns.zone['a.example'] = {'MX': ['10 mx1.example']}
        self.hop(1)
        self.run_to('a.example')
        slow = [self.relay.deliver(['x@slow.example'], domain='slow.example') for _ in range(5)]
        began = time.monotonic()
        self.check(self.run_to('a.example').outcome, 'delivered', 'end', 250)
        self.assertLess(time.monotonic() - began, 2 * SLOW)
        for d in slow:
            d.sock.close()


if __name__ == '__main__':
    socket.setdefaulttimeout(30)
    main()
