#!/usr/bin/env python3
"""A refusal says its true cause, to the client and to the admin: while the registry can't be read, after auth was started again, and
where an account has limits of its own."""
import json
import os
import signal
import sqlite3
import sys

sys.dont_write_bytecode = True
from postern import ALICE, PASSWORD, Case, main, message, stuff, wait_for  # noqa: E402

PAGE = 4096


class Limits(Case):
    def test_trace_names_the_size(self):
        """Over the account's own limit, and below the configuration's."""
        self.instance.adm('account', 'limit', ALICE, 'message_size=20K')
        with self.instance.client(login=ALICE) as c:
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net>', 250)
            c.command('DATA', 354)
            c.send(stuff(message('big', b'x' * 70 + b'\r\n' + b'0123456789' * 7 + b'\r\n' * 12000)))
            self.assertIn('the limit is 20480 octets', c.expect(552)[0])
            found = wait_for(self.reasons, 3)
        self.assertEqual(found, ['too_big'])

    def reasons(self):
        """Of refusals in the trace, which is written a moment later; until then smtpadm finds nothing."""
        rows = [json.loads(line) for line in self.instance.run('--json', 'trace', '--account', ALICE).stdout.splitlines()]
        return [r['reason'] for r in rows if r.get('reason') in ('too_big', 'line_too_long')]


class Original(Case):
    def test_utf8_is_kept(self):
        """ORCPT in UTF-8 (RFC 6533) stands in the envelope."""
        with self.instance.client(login=ALICE) as c:
            c.command('MAIL FROM:<%s> SMTPUTF8' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net> NOTIFY=FAILURE ORCPT=utf-8;j\u00fcrgen@example.com', 250)
            c.command('DATA', 354)
            c.send(stuff(message('dsn')))
            c.expect(250)
        self.assertEqual([f.field('Postern-Recipient') for f in self.instance.stored()],
                         [['<rcpt@example.net> NOTIFY=FAILURE ORCPT=utf-8;j\u00fcrgen@example.com']])


class Again(Case):
    def test_a_recipient_given_twice(self):
        """One copy, and no report that was asked for is lost."""
        with self.instance.client(login=ALICE) as c:
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            for address, more in (('a@example.net', ' NOTIFY=NEVER'), ('b@example.net', ''), ('a@EXAMPLE.net', ' NOTIFY=FAILURE ORCPT=rfc822;x@y'),
                                  ('b@example.net', ' NOTIFY=SUCCESS'), ('a@example.net', ' NOTIFY=NEVER'), ('c@example.net', '')):
                c.command('RCPT TO:<%s>%s' % (address, more), 250)
            c.command('DATA', 354)
            c.send(stuff(message('twice')))
            c.expect(250)
            c.submit(message('after'), recipients=('d@example.net',))
        self.assertEqual([f.field('Postern-Recipient') for f in self.instance.stored()],
                         [['<a@example.net> NOTIFY=FAILURE ORCPT=rfc822;x@y', '<b@example.net> NOTIFY=SUCCESS,FAILURE,DELAY', '<c@example.net>'],
                          ['<d@example.net>']])


class Restart(Case):
    def test_new_auth_knows_no_session(self):
        """A message that was under way when auth died, and is ended under the next one: try again, not a login that is void."""
        with self.instance.client(login=ALICE) as c:
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net>', 250)
            c.command('DATA', 354)
            before = self.instance.kind('postern-auth')[0].pid
            os.kill(before, signal.SIGKILL)
            self.assertTrue(self.instance.logged('event=service.died service=auth'))
            self.assertTrue(wait_for(lambda: self.instance.log().count('event=service.ready service=auth') == 2, 10))
            with self.instance.client(login=ALICE) as other:	# the spool knows the new auth, too
                other.submit(message('other'))
            c.send(stuff(message('under way')))
            self.assertTrue(c.expect()[0].startswith('451 4.3.0 '))
        self.assertEqual([f.message.count(b'under way') for f in self.instance.stored()], [0])


class Registry(Case):
    def damage(self):
        """All pages but the first are zeros for a while. What is returned puts them back."""
        path = os.path.join(self.instance.root, 'registry', 'registry.db')
        db = sqlite3.connect(path, isolation_level=None)
        db.execute('DELETE FROM history')
        db.execute('VACUUM')
        db.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        file = os.open(path, os.O_RDWR)
        whole = os.pread(file, 1 << 24, 0)
        os.pwrite(file, bytes(len(whole) - PAGE), PAGE)

        def restore():
            os.pwrite(file, whole, 0)
            db.execute("INSERT INTO history (time_us, what, account, account_name, detail) VALUES (1, 'x', 1, 'x', 'x')")
            db.close()
            os.close(file)
        return restore

    def test_hash_that_is_unknown(self):
        """A hash that crypt(3) can't compute: temporary, and never a wrong password."""
        self.instance.adm('account', 'add', 'odd@example.org', '--stdin', input=PASSWORD)
        db = sqlite3.connect(os.path.join(self.instance.root, 'registry', 'registry.db'), isolation_level=None)
        db.execute("UPDATE credential SET hash = '$unknown$salt$hash' WHERE account = (SELECT id FROM account WHERE name = 'odd@example.org')")
        db.close()
        with self.instance.client() as c:
            self.assertIn('454 4.7.0 Temporary authentication failure', c.login('odd@example.org', codes=())[0])
        self.assertTrue(self.instance.logged('level=error.*event=hash.failed account=odd@example.org credential=password reason='))
        self.assertFalse(self.instance.logged('event=login.failed'))

    def test_registry_is_silent(self):
        """Temporary answers only: nobody hears that the login is void, or that the sender is not allowed."""
        with self.instance.client(login=ALICE) as idle, self.instance.client(login=ALICE) as c, self.instance.client() as late:
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net>', 250)
            restore = self.damage()
            try:
                for text in ('HELP STATUS', 'MAIL FROM:<%s>' % ALICE):
                    self.assertTrue(idle.command(text)[0].startswith('451 4.3.0 '), text)
                late.login(codes=(454,))
                c.command('RCPT TO:<more@example.net>', 451)
                c.command('DATA', 354)
                c.send(stuff(message('silent')))
                self.assertTrue(c.expect()[0].startswith('451 4.3.0 '))
            finally:
                restore()
            idle.command('HELP STATUS', 211)
            late.login()
            self.assertEqual(self.instance.stored(), [])
            c.submit(message('again'))
        self.assertEqual(len(self.instance.stored()), 1)


if __name__ == '__main__':
    main()
