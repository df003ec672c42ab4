#!/usr/bin/env python3
"""Sessions that say nothing for a while go on as they were, and their workers give back what memory they can."""
import re
import sys
import time
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, BOB, IS_ROOT, IS_SAN, main, message, wait_for  # noqa: E402

REST = 1.3	# longer than a worker waits before it gives memory back


def dirty(process):
    """KiB that the process alone has written to."""
    with open('/proc/%d/smaps_rollup' % process.pid) as f:
        return int(re.search(r'^Private_Dirty: +(\d+) kB', f.read(), re.M).group(1))


class Idle(postern.Case):
    def go_on(self, kind):
        before = len(self.instance.stored())
        with self.instance.client(kind) as c:
            time.sleep(REST)
            c.login(ALICE)
            time.sleep(REST)
            for wait in (REST, 0, REST):
                c.command('MAIL FROM:<%s>' % ALICE, 250)
                c.command('RCPT TO:<%s>' % BOB, 250)
                c.command('DATA', 354)
                c.send(message('rest')[:40])
                time.sleep(wait)
                c.send(message('rest')[40:] + b'.\r\n')
                c.expect(250)
            c.quit()
        self.assertTrue(wait_for(lambda: len(self.instance.stored()) == before + 3, 3))

    def test_a_plain_session_goes_on(self):
        self.go_on('plain')

    def test_a_session_under_tls_goes_on(self):
        self.go_on('submission')

    @unittest.skipUnless(IS_ROOT and not IS_SAN, 'memory of other users, of the release build')
    def test_memory_goes_back(self):
        with self.instance.client('submission', login=ALICE) as c:
            c.submit(message('memory'))
            p = self.instance.worker_of(c)
            busy = dirty(p)	# a second has not passed yet
            self.assertTrue(wait_for(lambda: dirty(p) < busy, 3), '%d KiB before and after' % busy)
            c.submit(message('memory again'))
            c.quit()


if __name__ == '__main__':
    main()
