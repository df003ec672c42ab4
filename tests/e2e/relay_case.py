"""What the tests of postern-relay over plain connections share: a next hop, a relay with one route to it, a look at an outcome."""
import unittest

from next_hop import NextHop
from relay_driver import Relay

THREE = ('bob@example.net', 'carol@example.net', 'dave@example.net')


class Case(unittest.TestCase):
    def setUp(self):
        self.open = []

    def tearDown(self):
        for thing in reversed(self.open):
            thing.close()

    def hop(self, **more):
        hop = NextHop(**more)
        self.open.append(hop)
        return hop

    def relay(self, hop, kind='smtp', more='', **rest):
        """With one route to a next hop."""
        relay = Relay('[route out]\nurl = %s://127.0.0.1:%d\ntls = none\n%s' % (kind, hop.port, more), **rest)
        self.open.append(relay)
        return relay

    def both(self, kind='smtp', more='', delivery=None, **hop):
        hop = self.hop(lmtp=kind == 'lmtp', **hop)
        return hop, self.relay(hop, kind, more, **({'delivery': delivery} if delivery else {}))

    def check(self, outcome, verdict, stage, code=0, enhanced=None, words=None):
        self.assertEqual((outcome.verdict, outcome.stage, outcome.code), (verdict, stage, code), outcome)
        if enhanced is not None:
            self.assertEqual(outcome.enhanced, enhanced)
        if words is not None:
            self.assertIn(words, outcome.reply)
