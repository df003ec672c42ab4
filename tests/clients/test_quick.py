#!/usr/bin/env python3
"""Clients that install in seconds, what tests/e2e/test_clients.py does not have of them: pipelining, mechanisms, initial responses,
Perl's Net::SMTP, s-nail and git send-email.
"""
import binascii
import os
import smtplib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from clients import ALICE, HOST, PASSWORD, RCPT, TEXT, Clients, main, wait_for  # noqa: E402
from postern import message  # noqa: E402

NET_SMTP = r'''
use strict; use warnings;
use Net::SMTP; use Authen::SASL;
my ($way, $mechanism, $port, $ca, $user, $password, $rcpt, $file) = @ARGV;
my %tls = (SSL_ca_file => $ca, SSL_verifycn_name => 'localhost');
my $s = Net::SMTP->new(Host => '127.0.0.1', Port => $port, Hello => 'client.example.org', Timeout => 20,
    $way eq 'tls' ? (SSL => 1, %tls) : ()) or die "connect: $@";
if ($way eq 'starttls') { $s->starttls(%tls) or die 'starttls: ' . $s->message . " $@"; }
my @login = $mechanism ? (Authen::SASL->new(mechanism => $mechanism, callback => {
    user => $user, authname => $user, pass => $password })) : ($user, $password);
$s->auth(@login) or die 'auth: ' . $s->message;
$s->mail($user) or die 'mail: ' . $s->message;
$s->to($rcpt) or die 'to: ' . $s->message;
open my $f, "<:raw", $file or die;
my $data = do { local $/; <$f> };
$s->data($data) or die 'data: ' . $s->message;
print $s->message;
$s->quit;
'''


class Swaks(Clients):
    def swaks(self, kind, mechanism, *more):
        sent = message('swaks', TEXT)
        out = self.tool('swaks', '--server', '127.0.0.1', '--port', self.port(kind), '--auth', mechanism, '--auth-user', ALICE,
                        '--auth-password', PASSWORD, '--from', ALICE, '--to', RCPT, '--ehlo', 'client.example.org', '--data',
                        '@' + self.file('message', sent), *more)
        f = self.check()
        self.assertEqual(f.split()[1].rstrip(), sent.rstrip())
        self.assertIn('queued as', out)

    def test_pipelining(self):
        for kind, tls in (('plain', ()), ('submission', ('--tls',)), ('submissions', ('--tlsc',))):
            for mechanism in ('PLAIN', 'LOGIN'):
                with self.subTest(kind=kind, mechanism=mechanism):
                    self.instance.empty_spool()
                    self.swaks(kind, mechanism, '--pipeline', *tls)


class Curl(Clients):
    def curl(self, scheme, kind, *more):
        sent = message('curl', TEXT)
        self.tool('curl', '-sS', '--url', '%s://%s:%s/client.example.org' % (scheme, HOST, self.port(kind)), '--cacert',
                  self.instance.certificate, '--mail-from', ALICE, '--mail-rcpt', RCPT, '--user', '%s:%s' % (ALICE, PASSWORD),
                  '--upload-file', self.file('message', sent), *more)
        self.check(sent)

    def test_every_mechanism_with_and_without_initial_response(self):
        for scheme, kind, tls in (('smtp', 'submission', ['--ssl-reqd']), ('smtps', 'submissions', []), ('smtp', 'plain', [])):
            for mechanism in ('PLAIN', 'LOGIN'):
                for initial in ([], ['--sasl-ir']):
                    with self.subTest(kind=kind, mechanism=mechanism, initial=initial):
                        self.instance.empty_spool()
                        self.curl(scheme, kind, '--login-options', 'AUTH=' + mechanism, *tls, *initial)


class Replies(Clients):
    """AUTH PLAIN without initial response under both settings: who breaks at `334 Ok`."""

    def smtplib(self, mechanism, initial):
        sent = message('smtplib', TEXT)
        with smtplib.SMTP('127.0.0.1', int(self.port('plain')), 'client.example.org', timeout=20) as s:
            s.ehlo()
            s.user, s.password = ALICE, PASSWORD
            s.auth(mechanism, getattr(s, 'auth_' + mechanism.lower()), initial_response_ok=initial)
            s.sendmail(ALICE, [RCPT], sent)
        self.check(sent)
        self.instance.empty_spool()

    def switch(self, word):
        self.instance.set(replies=word)
        self.instance.signal(1)

        def is_in_force():
            with self.instance.client('plain') as c:
                return c.command('AUTH PLAIN', 334)[0] == ('334 ' if word == 'rfc' else '334 Ok')
        self.assertTrue(wait_for(is_in_force, 5))

    def test_smtplib(self):
        for word in ('default', 'rfc'):
            self.switch(word)
            for mechanism in ('PLAIN', 'LOGIN'):
                for initial in (True, False):
                    with self.subTest(replies=word, mechanism=mechanism, initial=initial):
                        if (word, mechanism, initial) == ('default', 'PLAIN', False):
                            # "Ok" is not Base64 to it; the QUIT that follows is, and is refused as an answer.
                            with self.assertRaises((binascii.Error, smtplib.SMTPResponseException)):
                                self.smtplib(mechanism, initial)
                            print('     smtplib, AUTH PLAIN without initial response, replies = default: breaks at "334 Ok"')
                        else:
                            self.smtplib(mechanism, initial)

    def test_curl(self):
        """curl does not look at the challenge."""
        for word in ('default', 'rfc'):
            self.switch(word)
            Curl.curl(self, 'smtp', 'plain', '--login-options', 'AUTH=PLAIN')
            self.instance.empty_spool()


class Perl(Clients):
    def test_net_smtp(self):
        self.tool('perl', '-MNet::SMTP', '-e1')
        for module in ('IO::Socket::SSL', 'Authen::SASL'):
            if os.system('perl -M%s -e1 2>/dev/null' % module) != 0:
                self.skipTest('%s is not installed' % module)
        script = self.file('send.pl', NET_SMTP)
        sent = message('net-smtp', TEXT)
        for way, kind in (('starttls', 'submission'), ('tls', 'submissions'), ('none', 'plain')):
            for mechanism in ('', 'PLAIN', 'LOGIN'):
                with self.subTest(way=way, mechanism=mechanism):
                    self.instance.empty_spool()
                    out = self.tool('perl', script, way, mechanism, self.port(kind), self.instance.certificate, ALICE, PASSWORD, RCPT,
                                    self.file('message', sent))
                    self.assertIn('queued as', out)
                    self.check(sent)

    def test_git_send_email(self):
        if not os.path.exists(self.tool('git', '--exec-path').strip() + '/git-send-email'):
            self.skipTest('git-email is not installed')
        env = {'GIT_CONFIG_NOSYSTEM': '1', 'GIT_AUTHOR_NAME': 'Alice', 'GIT_AUTHOR_EMAIL': ALICE, 'GIT_COMMITTER_NAME': 'Alice',
               'GIT_COMMITTER_EMAIL': ALICE, 'EMAIL': ALICE}
        tree = self.path('tree')
        self.tool('git', 'init', '-q', tree, env=env)
        for name in ('one', 'two'):
            self.file('tree/' + name, name + '\n.\n')
            self.tool('git', 'add', name, cwd=tree, env=env)
            self.tool('git', 'commit', '-q', '-m', 'Add ' + name, cwd=tree, env=env)
        self.tool('git', 'format-patch', '-q', '--root', 'HEAD', cwd=tree, env=env)
        patches = sorted(name for name in os.listdir(tree) if name.endswith('.patch'))
        for kind, encryption in (('submission', 'tls'), ('submissions', 'ssl')):
            with self.subTest(kind=kind):
                self.instance.empty_spool()
                self.tool('git', 'send-email', '--quiet', '--smtp-server=' + HOST, '--smtp-server-port=' + self.port(kind),
                          '--smtp-encryption=' + encryption, '--smtp-user=' + ALICE, '--smtp-pass=' + PASSWORD,
                          '--smtp-ssl-cert-path=' + self.instance.certificate, '--from=Alice <%s>' % ALICE, '--to=' + RCPT,
                          '--suppress-cc=all', '--confirm=never', '--smtp-domain=client.example.org', *patches, cwd=tree, env=env)
                found = b''.join(f.message for f in self.stored(2))
                self.assertIn(b'[PATCH 1/2] Add one', found)
                self.assertIn(b'\r\n+.\r\n', found)
                self.assertEqual({r['sender'] for r in self.instance.queue()}, {ALICE})


class Nail(Clients):
    def test_s_nail(self):
        user = (ALICE + ':' + PASSWORD).replace('@', '%40', 1).replace(' ', '%20')
        for scheme, kind, more in (('smtp', 'submission', ('set smtp-use-starttls',)), ('smtps', 'submissions', ()),
                                   ('smtp', 'plain', ('set smtp-auth=plain',)), ('smtp', 'plain', ('set smtp-auth=login',))):
            with self.subTest(kind=kind, more=more):
                self.instance.empty_spool()
                rc = self.file('mailrc', '\n'.join((
                    'set v15-compat', 'set mta=%s://%s@%s:%s' % (scheme, user, HOST, self.port(kind)), 'set tls-verify=strict',
                    'set tls-ca-file=' + self.instance.certificate, 'set from=' + ALICE, 'set nosave',
                    'set sendwait', 'set ttycharset=utf-8', 'set mime-encoding=8bit', *more)) + '\n', 0o600)
                self.tool('s-nail', '-:u', '-s', 'nail', RCPT, input=TEXT.replace(b'\r\n', b'\n'), env={'MAILRC': rc,
                                                                                                        'LC_ALL': 'C.UTF-8'})
                self.check(text=TEXT)


if __name__ == '__main__':
    main()
