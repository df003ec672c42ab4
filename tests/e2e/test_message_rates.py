#!/usr/bin/env python3
"""What counts for an account's messages of an hour: each that was taken, none that was refused or left, whatever its sender was."""
import sys
import time

sys.dont_write_bytecode = True
from postern import ALICE, Case, main, message  # noqa: E402

PAUSE = 0.3		# in which the header reaches the spool, and auth judges its sender; or the spool what was refused


class Refused(Case):
    def count(self, c):
        return [line for line in c.command('HELP STATUS', 211) if 'last hour' in line][0].split(': ')[-1]

    def begin(self, c, body=b''):
        c.command('MAIL FROM:<%s>' % ALICE, 250)
        c.command('RCPT TO:<rcpt@example.net>', 250)
        c.command('DATA', 354)
        c.send(message('refused') + b'x' * 60000 + b'\r\n' + body)
        time.sleep(PAUSE)

    def test_refused_does_not_count(self):
        """Too big at the end, octets that may not be, an attachment, a client that goes away: the count is as before, at once."""
        self.instance.adm('account', 'limit', ALICE, 'messages_per_hour=2', 'message_size=100K')
        with self.instance.client(login=ALICE) as c:
            for rest, code in ((b'y' * 60000 + b'\r\n.\r\n', 552), (b'a bare\nline feed\r\n.\r\n', 554), (b'a NUL \0\r\n.\r\n', 554)) * 2:
                self.begin(c)
                c.send(rest)
                self.assertEqual(c.reply()[0], code)
                time.sleep(PAUSE)
                self.assertIn('0 of 2', self.count(c))
            c.submit(message('one'))
            self.assertIn('1 of 2', self.count(c))
        with self.instance.client(login=ALICE) as other:
            self.begin(other)
        with self.instance.client(login=ALICE) as c:
            self.assertIn('1 of 2', self.count(c))
            c.submit(message('two'))
            c.command('MAIL FROM:<%s>' % ALICE, 450)


class Unchecked(Case):
    """Where the header is not checked, and nobody asks about the message."""
    @classmethod
    def options(cls):
        return {'settings': {'senders.check_header': 'off'}}

    def test_limit_holds(self):
        self.instance.adm('account', 'limit', ALICE, 'messages_per_hour=2')
        with self.instance.client(login=ALICE) as c:
            c.submit(message('one'))
            c.submit(message('two'))
            c.command('MAIL FROM:<%s>' % ALICE, 450)


if __name__ == '__main__':
    main()
