"""Postfix and Dovecot as next hops: private instances in a folder, on loopback. Root only, since both want users of their own."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))

from postern import free_ports, wait_for	# noqa: E402

POSTFIX = '/usr/lib/postfix/sbin/master'
DOVECOT = '/usr/sbin/dovecot'
LMTP = '/usr/lib/dovecot/lmtp'
ARE_THERE = os.geteuid() == 0 and all(os.path.exists(p) for p in (POSTFIX, DOVECOT, LMTP))
DOMAIN = 'example.net'	# whose mailboxes are here
USER, SECRET = 'relay@example.org', 'Pa55 wörd,=;"x'

MAIN_CF = '''compatibility_level = 3.6
queue_directory = %(folder)s/queue
data_directory = %(folder)s/data
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = %(folder)s/postfix.log
maillog_file_prefixes = %(folder)s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = hop.example.net
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
in_flow_delay = 0
smtputf8_enable = no
smtpd_tls_security_level = %(tls)s
smtpd_tls_cert_file = %(cert)s
smtpd_tls_key_file = %(key)s
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = %(folder)s/auth.sock
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access inline:{ { nobody@%(domain)s = reject no such mailbox here },
    { later@%(domain)s = defer try again } }, permit_sasl_authenticated, reject
virtual_mailbox_domains = %(domain)s
virtual_mailbox_maps = static:box/
virtual_mailbox_base = %(folder)s
virtual_uid_maps = static:%(uid)d
virtual_gid_maps = static:%(gid)d
message_size_limit = 2000000
'''
MASTER_CF = '''127.0.0.1:%(starttls)d inet n - n - - smtpd
127.0.0.1:%(tls)d inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
'''
DOVECOT_CONF = '''base_dir = %(folder)s/dovecot
state_dir = %(folder)s/dovecot
log_path = %(folder)s/dovecot.log
protocols = lmtp
listen = 127.0.0.1
ssl = no
auth_mechanisms = %(mechanisms)s
disable_plaintext_auth = no
mail_location = maildir:%(folder)s/mail/%%n
first_valid_uid = 1
postmaster_address = postmaster@%(domain)s
hostname = hop.example.net
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %(folder)s/users
}
userdb {
  driver = static
  args = uid=%(uid)d gid=%(gid)d home=%(folder)s/mail/%%n allow_all_users=yes
}
service auth {
  unix_listener %(folder)s/auth.sock {
    mode = 0666
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %(lmtp)d
  }
  unix_listener %(folder)s/lmtp.sock {
    mode = 0666
  }
}
protocol lmtp {
  mail_plugins =
}
'''


class Servers:
    """Dovecot (LMTP, and SASL for Postfix), and Postfix as a smarthost that delivers into a Maildir."""

    def __init__(self, certificate, mechanisms='plain login scram-sha-256', tls='may'):
        self.folder = tempfile.mkdtemp(prefix='postern-servers-')
        os.chmod(self.folder, 0o755)
        self.processes = []
        self.starttls, self.tls, self.lmtp = free_ports(3)
        self.socket = self.folder + '/lmtp.sock'
        owner = pwd.getpwnam('nobody')
        words = dict(folder=self.folder, cert=certificate[0], key=certificate[1], domain=DOMAIN, uid=owner.pw_uid, gid=owner.pw_gid,
                     starttls=self.starttls, lmtp=self.lmtp, mechanisms=mechanisms)
        try:
            for sub in ('etc', 'queue', 'data', 'dovecot', 'box', 'mail'):
                os.makedirs(os.path.join(self.folder, sub))
            for sub in ('box', 'mail'):
                os.chown(os.path.join(self.folder, sub), owner.pw_uid, owner.pw_gid)
            postfix = pwd.getpwnam('postfix')
            os.chown(self.folder + '/data', postfix.pw_uid, postfix.pw_gid)
            self.write('etc/main.cf', MAIN_CF % dict(words, tls=tls))
            self.write('etc/master.cf', MASTER_CF % dict(words, tls=self.tls))
            self.write('dovecot.conf', DOVECOT_CONF % words)
            self.write('users', '%s:{PLAIN}%s\n' % (USER, SECRET))
            os.chmod(self.folder + '/users', 0o640)
            shutil.chown(self.folder + '/users', 'root', 'dovecot')
            env = dict(os.environ, MAIL_CONFIG=self.folder + '/etc')
            subprocess.run(['postfix', '-c', self.folder + '/etc', 'check'], env=env, check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            self.spawn([DOVECOT, '-F', '-c', self.folder + '/dovecot.conf'], 'dovecot.out')
            self.must(lambda: os.path.exists(self.folder + '/auth.sock') and self.answers(self.lmtp), 'Dovecot')
            self.spawn([POSTFIX, '-c', self.folder + '/etc', '-d'], 'master.out', env=env)
            self.must(lambda: self.answers(self.starttls), 'Postfix')
        except BaseException:
            self.close()
            raise

    def must(self, condition, name):
        if not wait_for(condition, 20, 0.1):
            raise AssertionError('%s does not start:\n%s' % (name, self.log()))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), 'w') as f:
            f.write(text)

    def spawn(self, argv, out, env=None):
        with open(os.path.join(self.folder, out), 'wb') as f:
            self.processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f, env=env, start_new_session=True))

    @staticmethod
    def answers(port):
        try:
            with socket.create_connection(('127.0.0.1', port), 1) as s:
                s.settimeout(5)
                return s.recv(3) == b'220'
        except OSError:
            return False

    def log(self):
        text = ''
        for name in ('postfix.log', 'dovecot.log', 'dovecot.out', 'master.out'):
            try:
                with open(os.path.join(self.folder, name), errors='replace') as f:
                    text += f.read()[-6000:]
            except OSError:
                pass
        return text

    def mail(self, *boxes):
        """What Postfix has delivered, and what Dovecot has to these users: the files' octets, line ends made CRLF again."""
        found = []
        for folder in ['box'] + ['mail/' + b for b in boxes]:
            for path in sorted(glob.glob(os.path.join(self.folder, folder, 'new', '*'))):
                with open(path, 'rb') as f:
                    found.append(f.read().replace(b'\r\n', b'\n').replace(b'\n', b'\r\n'))
        return found

    def close(self):
        for p in reversed(self.processes):
            if p.poll() is None:
                p.terminate()
        for p in self.processes:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            p.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
