#!/usr/bin/env python3
"""Ten thousand messages through while spool, relay, session processes and master are killed; MESSAGES=n for fewer."""
import os
import unittest

from kills import Run
from postern import main

MESSAGES = int(os.environ.get('MESSAGES') or 10000)


class Kills(unittest.TestCase):
    def test_one_at_a_time(self):
        """At any moment, but all others are there: what was heard to be delivered is never sent again."""
        Run(MESSAGES, threads=6, pause=(0.02, 0.4), seed='one')(self)

    def test_several_at_once(self):
        """The next one dies before the last one is back: nothing is lost; how much comes twice is told."""
        Run(MESSAGES // 4, threads=6, pause=(0.02, 0.3), seed='several', overlap=True)(self)


if __name__ == '__main__':
    main(1500)
