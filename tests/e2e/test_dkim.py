#!/usr/bin/env python3
"""DKIM from the first key to a next hop's copy of the mail, whose signatures dkimpy and opendkim judge."""
import glob
import os
import re
import signal
import stat
import time
import unittest

import dkim_verify
from next_hop import NextHop
from postern import ALICE, BOB, IS_ROOT, Instance, free_ports, main, message, queue_id, wait_for

DOMAIN = 'example.org'


def fields_of(data, name):
    """The whole fields of one name, from the top."""
    header = data.split(b'\r\n\r\n', 1)[0] + b'\r\n'
    return re.findall(rb'(?mi)^%s[ \t]*:(?:.*\r\n(?=[ \t]))*.*\r\n' % name, header)


class Delivering(unittest.TestCase):
    """An instance that carries all mail on to a next hop."""
    listen = None
    settings = {}

    def setUp(self):
        self.hop = NextHop(extensions=('PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'SIZE 20000000'))
        self.instance = Instance(listen=self.listen, settings={'limits.message_size': '12M', **self.settings}, accounts=(BOB,), start=False)
        with open(os.path.join(self.instance.root, 'postern.conf'), 'a') as f:
            f.write('\n[route out]\nurl = smtp://127.0.0.1:%d\ntls = none\n' % self.hop.port)

    def tearDown(self):
        self.instance.close()
        self.hop.close()

    def add(self, domain=DOMAIN, *more):
        """Adds keys; what they are."""
        return self.instance.adm_json('dkim', 'add', domain, *more)

    def records(self):
        return {k['record_name']: k['record'] for k in self.instance.adm_json('dkim', 'list')}

    def login(self):
        c = self.instance.client('plain')
        c.ehlo()
        c.login()
        return c

    def arrived(self, n, seconds=20):
        if not wait_for(lambda: len(self.hop.messages) >= n, seconds):
            self.fail('%d of %d messages have arrived; log:\n%s' % (len(self.hop.messages), n, self.instance.log_tail()))
        return self.hop.messages[n - 1][2]

    def send(self, data, sender=ALICE):
        """Sends one message; what the next hop got."""
        n = len(self.hop.messages)
        with self.login() as c:
            self.last_id = queue_id(c.submit(data, sender=sender))
        return self.arrived(n + 1)

    def judged(self, data, algorithms=('rsa-sha256', 'ed25519-sha256'), domain=DOMAIN, records=None):
        """The signatures, each found good."""
        return self.judged_all([data], algorithms, domain, records)[0]

    def judged_all(self, messages, algorithms=('rsa-sha256', 'ed25519-sha256'), domain=DOMAIN, records=None):
        all_found = dkim_verify.verify_all(messages, records or self.records())
        for data, found in zip(messages, all_found, strict=True):
            self.check_found(data, found, algorithms, domain)
        return all_found

    def check_found(self, data, found, algorithms, domain):
        self.assertEqual([(f['ok'], f['why']) for f in found], [(True, '')] * len(algorithms), data[:2000])
        self.assertEqual(sorted(f['a'] for f in found), sorted(algorithms))
        self.assertEqual({f['d'] for f in found}, {domain} if algorithms else set())
        for f in found:
            self.assertGreater(re.sub(r'\s', '', f['h']).lower().split(':').count('from'), 1, 'From is not oversigned')

    def traced(self, pattern, seconds=5):
        """A line of the trace about the last message."""
        def look():
            text = ''.join(open(f, errors='replace').read() for f in glob.glob(os.path.join(self.instance.spool, 'trace', '*')))
            return next((line for line in text.splitlines() if self.last_id in line and re.search(pattern, line)), None)
        return wait_for(look, seconds)


ODD = {
    'plain': message('plain'),
    'folded': (b'From: "Alice\r\n A."\r\n\t<alice@example.org>\r\nTO:rcpt@example.net ,\r\n  other@example.net\r\n'
               b'Subject:\r\n  a\t \tb \r\n\tc  \r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID:\r\n <f@client.example.org>\r\n\r\nx\r\n'),
    'blank lines at the end': message('blank', b'text\r\n\r\n\r\n \r\n\t\r\n\r\n'),
    'blank lines only': message('only', b'\r\n\r\n \t \r\n\r\n'),
    'empty body': message('empty', b''),
    'one blank line': message('one', b'\r\n'),
    'eight bits': (b'From: =?utf-8?q?=C3=A4?= <alice@example.org>\r\nTo: rcpt@example.net\r\nSubject: \xc3\xa4\xf6\xff\r\n'
                   b'Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <8@client.example.org>\r\nMIME-Version: 1.0\r\n'
                   b'Content-Type: text/plain; charset=x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\xf6\xfc\xff \xa0\x80\r\n'),
    'fields twice': (b'From: alice@example.org\r\nTo: a@example.net\r\nSubject: one\r\nTo: b@example.net\r\nSubject: two\r\nX-A: 1\r\n'
                     b'Cc: c@example.net\r\nCc: d@example.net\r\nCc: e@example.net\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n'
                     b'Message-ID: <d@client.example.org>\r\n\r\nx\r\n'),
    'blanks': message('blanks', b'  a  b\t\tc \t \r\n\t\r\n   \r\n\tx \r\n.\r\n..\r\n \r\nend\t'  b'\r\n'),
    'nothing but a From': b'From: alice@example.org\r\n\r\nx\r\n',
    'no From': b'Subject: x\r\n\r\nx\r\n',
    'upper case': b'FROM: Alice@EXAMPLE.Org\r\nTo: rcpt@example.net\r\n\r\nx\r\n',
    'signed before': b'DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=from; bh=aa; b=bb\r\n' + message('before'),
    'long lines': message('long', (b'y' * 60000 + b' \r\n') * 3),
    'many recipients in To': (b'From: alice@example.org\r\nTo: rcpt@example.net' +
                              b',\r\n ' b''.join(b',\r\n r%d@example.net' % i for i in range(4000)) + b'\r\nSubject: many\r\n\r\nx\r\n'),
    'five megabytes': message('five', b''.join(b'%07d  the quick brown fox \t jumps over the lazy dog  \r\n' % i for i in range(95000))),
}


class Signed(Delivering):
    listen = [('plain', '127.0.0.1', free_ports(1)[0])]

    def test_mail_of_all_kinds(self):
        """Each arrives with both signatures, good for both verifiers, and with what was sent."""
        self.add()
        self.instance.start()
        records, got = self.records(), {}
        for name, data in ODD.items():
            got[name] = self.send(data)
            self.assertEqual(got[name].split(b'\r\n\r\n', 1)[1], data.split(b'\r\n\r\n', 1)[1])
            self.assertRegex(self.traced('event=signed ') or '', 'selectors="p\\d+-rsa p\\d+-ed25519"')
        found = dkim_verify.verify_all(got.values(), records)
        for (name, data), signatures in zip(got.items(), found, strict=True):
            with self.subTest(name):
                if name == 'signed before':
                    self.assertEqual([f['ok'] for f in signatures], [True, True, False])
                    continue
                self.check_found(data, signatures, ('rsa-sha256', 'ed25519-sha256'), DOMAIN)
                if dkim_verify.has_opendkim() and name != 'many recipients in To':	# it takes no field of that size
                    said = dkim_verify.opendkim(data, {n: t for n, t in records.items() if 'k=rsa' in t})
                    self.assertTrue(said['ok'], said['said'])

    def test_body_without_a_line_end(self):
        """By BDAT, which can end anywhere."""
        self.add()
        self.instance.start()
        data = message('bdat', b'no end of line \t')
        with self.login() as c:
            c.command('MAIL FROM:<%s>' % ALICE, 250)
            c.command('RCPT TO:<rcpt@example.net>', 250)
            c.send(b'BDAT %d LAST\r\n' % len(data) + data)
            c.expect(250)
        self.judged(self.arrived(1))

    def test_changed_on_the_way(self):
        """What a signature is for: other octets in a signed field or the body, or a second From, are found out."""
        self.add()
        self.instance.start()
        got = self.send(message('changed'))
        self.judged(got)
        changes = ((b'\r\nhello', b'\r\nhallo'), (b'Subject: changed', b'Subject: chanGed'), (b'\r\nTo:', b'\r\nFrom: x@y.example\r\nTo:'),
                   (b'\r\nTo:', b'\r\nSubject: more\r\nTo:'), (b'\r\nTo:', b'\r\nTo: more@example.net\r\nTo:'))
        others = [got.replace(old, new, 1) for old, new in changes]
        for change, found in zip(changes, dkim_verify.verify_all(others, self.records()), strict=True):
            self.assertEqual([f['ok'] for f in found], [False, False], change)
        # What servers on the way do is no change.
        self.judged_all([got.replace(b'Subject: changed', b'SUBJECT:  changed ', 1), got.replace(b'\r\nhello\r\n', b'\r\nhello \r\n\r\n', 1),
                         b'Received: from x by y\r\n' + got])

    def test_unsigned_with_a_reason(self):
        """No key of its domain; a From that is not the account's."""
        self.instance.set(senders__check_header='off')
        self.instance.adm('sender', 'add', ALICE, '*@other.example')
        self.add()
        self.instance.start()
        got = self.send(message('other', sender='alice@other.example'), sender='alice@other.example')
        self.assertEqual(fields_of(got, b'DKIM-Signature'), [])
        self.assertRegex(self.traced('event=unsigned ') or '', 'domain=other.example reason=".*key')
        got = self.send(message('foreign', sender='bob@example.org'))
        self.assertEqual(fields_of(got, b'DKIM-Signature'), [])
        self.assertRegex(self.traced('event=unsigned ') or '', 'reason=".*judged')
        got = self.send(b'From: bob@example.org, alice@example.org\r\n\r\nx\r\n')
        self.assertEqual(fields_of(got, b'DKIM-Signature'), [])
        self.judged(self.send(message('own')))

    def test_several_domains(self):
        self.instance.adm('sender', 'add', ALICE, '*@example.com')
        self.instance.adm('sender', 'add', ALICE, '*@sub.example.org')
        self.add()
        self.add('example.com', '--algorithm', 'rsa', '--selector', 'own.sel')
        self.instance.start()
        self.judged(self.send(message('org')))
        found = self.judged(self.send(message('com', sender='x@Example.Com'), sender='x@example.com'), ('rsa-sha256',), 'example.com')
        self.assertEqual(found[0]['s'], 'own.sel')
        # A domain below another is one of its own.
        self.assertEqual(fields_of(self.send(message('sub', sender='x@sub.example.org'), sender='x@sub.example.org'), b'DKIM-Signature'), [])

    def test_first_key_while_it_runs(self):
        """A service without TLS has no postern-keys; with the first key it gets one, without a restart."""
        self.instance.start()
        self.assertEqual(self.instance.kind('postern-keys'), [])
        self.assertEqual(fields_of(self.send(message('before')), b'DKIM-Signature'), [])
        self.add()
        self.assertEqual(len(self.instance.kind('postern-keys')), 1)
        self.judged(self.send(message('after')))

    def test_rotation(self):
        self.instance.start()
        old = self.add()
        self.assertEqual([k['state'] for k in old], ['active', 'active'])
        new = self.add()
        self.assertEqual([k['state'] for k in new], ['waiting', 'waiting'])
        self.assertEqual({f['s'] for f in self.judged(self.send(message('old')))}, {k['selector'] for k in old})
        for k in new:
            self.instance.adm('dkim', 'activate', DOMAIN, k['selector'])
        late = self.send(message('new'))
        self.assertEqual({f['s'] for f in self.judged(late)}, {k['selector'] for k in new})
        states = {k['selector']: k['state'] for k in self.instance.adm_json('dkim', 'list', DOMAIN)}
        self.assertEqual(states, {**{k['selector']: 'retired' for k in old}, **{k['selector']: 'active' for k in new}})
        # One kind of key alone; then none.
        rsa = next(k for k in new if k['algorithm'] == 'rsa')
        self.assertIn('may be removed from DNS on 20', self.instance.run('dkim', 'retire', DOMAIN, rsa['selector']).stderr.decode())
        self.judged(self.send(message('one')), ('ed25519-sha256',))
        self.instance.adm('dkim', 'retire', DOMAIN, next(k for k in new if k['algorithm'] == 'ed25519')['selector'])
        self.assertEqual(fields_of(self.send(message('none')), b'DKIM-Signature'), [])
        for k in old + new:
            self.instance.adm('dkim', 'remove', DOMAIN, k['selector'])
        self.assertEqual(self.instance.adm_json('dkim', 'list'), [])
        self.assertEqual(os.listdir(os.path.join(self.instance.root, 'dkim')), [])

    def test_keys_dies(self):
        """Killed again and again while mail is sent: every message is signed, none is lost or sent twice."""
        self.add()
        self.instance.start()
        marks = []
        for i in range(12):
            if i % 3 == 1:
                os.kill(self.instance.kind('postern-keys')[0].pid, signal.SIGKILL)
            with self.login() as c:
                marks.append('dies-%d' % i)
                c.submit(message(marks[-1]))
        self.arrived(len(marks), 40)
        time.sleep(0.5)
        self.assertEqual(len(self.hop.messages), len(marks))
        self.judged_all([data for _, _, data in self.hop.messages])
        self.assertEqual(sorted(re.search(rb'Subject: (\S+)', d).group(1).decode() for _, _, d in self.hop.messages), sorted(marks))

    def test_keys_hangs(self):
        """What is to be signed waits for it, other mail does not."""
        self.instance.adm('sender', 'add', ALICE, '*@other.example')
        self.add()
        self.instance.start()
        self.judged(self.send(message('before')))
        keys = self.instance.kind('postern-keys')[0].pid
        os.kill(keys, signal.SIGSTOP)
        try:
            with self.login() as c:
                c.submit(message('waits'))
                c.submit(message('goes', sender='alice@other.example'), sender='alice@other.example')
            self.assertIn(b'Subject: goes', self.arrived(2))
            time.sleep(1.5)
            self.assertEqual(len(self.hop.messages), 2)
        finally:
            os.kill(keys, signal.SIGCONT)
        got = self.arrived(3)
        self.assertIn(b'Subject: waits', got)
        self.judged(got)

    def test_start_with_a_queue(self):
        """Mail that waits when the service starts is not sent before its keys are there."""
        self.add()
        self.hop.rules['MAIL'] = '451 4.3.0 not now'
        self.instance.start()
        with self.login() as c:
            for i in range(5):
                c.submit(message('waits-%d' % i))
        self.assertTrue(wait_for(lambda: any('MAIL' in line for line in self.hop.lines), 10))
        for _ in range(3):
            self.instance.stop()
            self.instance.start()
        del self.hop.rules['MAIL']
        self.instance.stop()
        self.instance.start()
        if self.instance.run('queue', 'retry', '--all', '--yes').returncode == 64:
            self.skipTest('queue retry is not there yet')
        self.arrived(5, 30)
        self.judged_all([data for _, _, data in self.hop.messages])


class WithTls(Delivering):
    """DKIM keys beside those of TLS in one process."""

    def test_both(self):
        self.add()
        self.instance.start()
        with self.instance.client('submissions') as c:
            c.ehlo()
            c.login()
            c.submit(message('tls'))
        self.judged(self.arrived(1))
        self.add(DOMAIN, '--activate')
        with self.instance.client('submission') as c:
            c.ehlo()
            c.login()
            c.submit(message('again'))
        self.judged(self.arrived(2))


class Files(Delivering):
    """Where keys are, whose they are, and what is refused."""

    def folder(self):
        return os.path.join(self.instance.root, 'dkim')

    def files(self):
        return sorted(glob.glob(os.path.join(self.folder(), '*')))

    def test_owners_and_modes(self):
        self.add()
        for path, mode in [(self.folder(), 0o700)] + [(f, 0o600) for f in self.files()]:
            st = os.stat(path)
            self.assertEqual(stat.S_IMODE(st.st_mode), mode)
            if IS_ROOT:
                self.assertEqual(st.st_uid, os.stat(self.instance.spool).st_uid - 1, 'the keys user, and not the spool\'s')
        self.assertEqual([re.sub(r'^p\d{6}', 'pM', os.path.basename(f)) for f in self.files()],
                         ['pM-ed25519._domainkey.example.org.ed25519.active.pem', 'pM-rsa._domainkey.example.org.rsa.active.pem'])
        tls = os.path.join(self.instance.root, 'tls')
        self.assertNotIn('dkim', ' '.join(os.listdir(tls)))
        # smtpadm says nothing of what is in them.
        secret = open(self.files()[0]).read().splitlines()[1]
        for args in (('dkim', 'list'), ('dkim', 'show', DOMAIN), ('--json', 'dkim', 'list'), ('domain', 'dns', DOMAIN)):
            done = self.instance.run(*args)
            self.assertNotIn(secret, (done.stdout + done.stderr).decode())

    def test_open_to_others(self):
        """The service does not start, and says what to type; while it runs, the old keys stay."""
        self.add()
        self.instance.start()
        records = self.records()
        for path, mode, wanted in ((self.files()[0], 0o644, 'chmod 600 .*/dkim/'), (self.folder(), 0o755, 'chmod 700 .*/dkim')):
            before = stat.S_IMODE(os.stat(path).st_mode)
            os.chmod(path, mode)
            done = self.instance.run('reload')
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr.decode(), wanted)
            for command in (('dkim', 'list'), ('config', 'check')):
                self.assertEqual(self.instance.run(*command).returncode, 77)
            self.judged(self.send(message('still')), records=records)
            self.instance.stop()
            status, said = self.instance.refusal()
            self.assertEqual(status, 77)
            self.assertRegex(said, wanted)
            os.chmod(path, before)
            self.instance.start()
        self.judged(self.send(message('mended')))

    def test_what_is_no_key(self):
        self.add()
        path = self.files()[0]
        good = open(path, 'rb').read()
        os.rename(path, path + '.kept')
        for data in (b'', b'garbage\n', good[:60], b'-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', b'x' * 20000,
                     open(self.files()[-1], 'rb').read()):
            with open(path, 'wb') as f:
                f.write(data)
            os.chmod(path, 0o600)
            if IS_ROOT:
                os.chown(path, os.stat(self.folder()).st_uid, -1)
            status, said = self.instance.refusal()
            self.assertEqual(status, 78, data[:30])
            self.assertIn(os.path.basename(path), said)
        os.unlink(path)
        os.symlink(path + '.kept', path)
        status, said = self.instance.refusal()
        self.assertEqual(status, 77)
        self.assertIn('link', said)
        os.unlink(path)
        os.rename(path + '.kept', path)
        # Files of other names are nobody's business.
        open(os.path.join(self.folder(), 'README'), 'w').close()
        self.instance.start()
        self.judged(self.send(message('good')))


if __name__ == '__main__':
    main()
