#!/usr/bin/env python3
"""Plays the dialogues of tests/dialogue/*.dlg against a real posternd. `run.py [-v] [PART-OF-NAME...]`

A file holds cases. A case begins with `== title`, then one line that names the listener and what has been done before:

    submission|submissions|plain  [tls] [login] [mail] [rcpt]

(tls: STARTTLS done; login: greeting, EHLO, TLS where there is, AUTH as alice; mail, rcpt: one good MAIL, one good RCPT; without any of
them the case begins with the greeting). Then its lines:

    # set: NAME=VALUE ...     settings of the instance (in the head of a file: of all its cases)
    c: TEXT                   the client sends TEXT and CRLF          c- TEXT   without CRLF
    c+ TEXT                   TEXT and CRLF in one packet with the next c line
    c* N TEXT                 N times TEXT and CRLF in one packet
    dribble 100ms TEXT        one octet at a time, until the server says something
    message N [C]             a message of exactly N octets of lines that begin with C, stuffed, and its end
    s: TEXT                   the server's next line, exactly; `x.x.x` stands for an enhanced code (250 x.x.x Ok),
                              and ` [...]` at the end for a detail behind `:` or `;` that may follow
    s~ REGEX                  the server's next line matches wholly
    s* REGEX                  a whole reply whose last line matches; the lines are kept for:
    s? REGEX   s! REGEX       one of the kept lines matches / none does
    s. [any]                  the server closes; `any`: perhaps after some replies
    garbled                   the server closes, perhaps after octets that are no replies
    quiet 300ms               nothing comes for so long               until REGEX  lines up to one that matches
    after 900ms 3s            the last line came so long after `clock`, or else after the last c line or the start
    clock   wait 300ms   starttls
    stored N                  N messages were accepted in this case
    recipients A...           its envelope names these, once each
    shut                      the client closes
    body TEXT                 the last of them holds exactly this after its blank line

In what is sent, `\\r \\n \\t \\0 \\xNN \\\\` are octets, `%{user} %{password} %{user64} %{password64} %{plain}` are alice's, `%{a*300}` is a
repetition, `%{b64:TEXT}` base64. Every line of the server is checked besides: its form, and its enhanced status code.
"""
import glob
import os
import re
import select
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
from postern import ALICE, BOB, PASSWORD, SLOW, Client, Instance, base64, finish, program, stuff  # noqa: E402

CAROL = 'carol@example.org'	# disabled
# Short where nothing is tested by it.
DEFAULTS = {'auth.failure_delay': '300ms', 'limits.sessions_per_account': '100'}


class Failed(Exception):
    pass


class Case:
    def __init__(self, name, settings):
        self.name, self.settings, self.head, self.lines = name, dict(settings), None, []


def read_cases(path):
    """The cases of a file; each line with its number."""
    cases, settings = [], {}
    with open(path, encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip('\n')
            if line.startswith('# set:'):
                new = dict(part.split('=', 1) for part in line[6:].split())
                (cases[-1].settings if cases else settings).update(new)
            elif line.startswith('== '):
                cases.append(Case('%s: %s' % (os.path.basename(path)[:-4], line[3:]), settings))
            elif not line.strip() or line.startswith('#'):
                continue
            elif cases[-1].head is None:
                cases[-1].head = line.split()
            else:
                cases[-1].lines.append((number, line))
    return cases


def octets(text):
    names = {'user': ALICE, 'password': PASSWORD, 'user64': base64(ALICE), 'password64': base64(PASSWORD),
             'plain': base64('\0%s\0%s' % (ALICE, PASSWORD))}

    def put(m):
        word = m.group(1)
        if word in names:
            return names[word].encode()
        if word.startswith('b64:'):
            return base64(octets(word[4:].replace('<', '%{').replace('>', '}'))).encode()
        what, _, count = word.rpartition('*')
        return octets(what) * int(count)

    def plain(t):
        return re.sub(r'\\(x[0-9a-f]{2}|.)', lambda m: chr(int(m.group(1)[1:], 16)) if m.group(1)[0] == 'x' else
                      {'r': '\r', 'n': '\n', 't': '\t', '0': '\0', '\\': '\\'}[m.group(1)], t).encode('latin-1')
    result, at = b'', 0
    for m in re.finditer(r'%\{([^}]*)\}', text):
        result += plain(text[at:m.start()]) + put(m)
        at = m.end()
    return result + plain(text[at:])


def milliseconds(text):
    return int(text[:-2]) if text.endswith('ms') else int(float(text.rstrip('s')) * 1000)


class Player:
    def __init__(self, instance, case):
        self.i, self.case, self.packet, self.kept, self.said = instance, case, b'', [], []
        self.pending = ''	# the verb whose answer may be without an enhanced code
        self.greeted = False

    def line(self):
        line = self.client.line()
        self.said.append('s: ' + line.rstrip('\r\n'))
        if not re.fullmatch(r'[2345]\d\d[ -][\x20-\x7e]*\r\n', line) or len(line) > 512:
            raise Failed('no reply line: %r' % line)
        text, code = line[:-2], line[0]
        bare = not self.greeted or (line[:3] == '250' and re.match(r'(EHLO|HELO)\b', self.pending, re.I)) or code == '3'
        enhanced = re.match(r'\d\d\d[ -]([245])\.\d{1,3}\.\d{1,3}( |$)', text)
        if bare and enhanced:
            raise Failed('an enhanced code where none belongs: %r' % text)
        if not bare and (not enhanced or enhanced.group(1) != code):
            raise Failed('no enhanced code of its class: %r' % text)
        self.greeted = self.greeted or text[3] == ' '
        self.came = time.monotonic()
        return text

    def send(self, data):
        for part in data.split(b'\r\n')[:-1] or [data]:
            self.said.append('c: %r' % part.decode('latin-1'))
            if re.match(rb'[A-Za-z]{4}\b', part) and not self.in_data:
                self.pending = part.decode('latin-1')
        self.mark = time.monotonic()
        self.client.send(data)

    def play(self):
        i, head = self.i, self.case.head
        i.empty_spool()
        self.mark = time.monotonic()
        self.in_data = False
        kind = head[0]
        if len(head) > 1:
            self.client = i.client(kind, tls=True, login=ALICE if 'tls' not in head else None)
            self.greeted = True
            if 'mail' in head or 'rcpt' in head:
                self.client.command('MAIL FROM:<%s>' % ALICE, 250)
            if 'rcpt' in head:
                self.client.command('RCPT TO:<rcpt@example.net>', 250)
        else:
            self.client = Client(('127.0.0.1', i.port(kind)), i.context() if kind == 'submissions' else None, timeout=6)
        self.mark = self.came = time.monotonic()
        with self.client:
            for self.number, line in self.case.lines:
                word, _, rest = line.partition(' ')
                method = {'c:': 'c', 'c-': 'c_part', 'c+': 'c_more', 'c*': 'c_times', 's:': 's', 's~': 's_regex',
                          's*': 's_reply', 's?': 's_has', 's!': 's_not', 's.': 's_end'}.get(word, word)
                getattr(self, 'do_' + method)(rest)

    def do_c(self, text):
        data, self.packet = self.packet + octets(text) + b'\r\n', b''
        self.send(data)

    def do_c_part(self, text):
        data, self.packet = self.packet + octets(text), b''
        self.send(data)

    def do_c_more(self, text):
        self.packet += octets(text) + b'\r\n'

    def do_c_times(self, text):
        n, _, text = text.partition(' ')
        self.send((octets(text) + b'\r\n') * int(n))

    def do_dribble(self, text):
        pause, _, text = text.partition(' ')
        for octet in octets(text):
            try:
                self.client.send(bytes([octet]))
            except OSError:
                return
            if select.select([self.client.sock], [], [], milliseconds(pause) / 1000)[0]:
                return

    def do_message(self, text):
        size, _, start = text.partition(' ')
        head = b'From: %s\r\n\r\n' % ALICE.encode()
        left, lines = int(size) - len(head), []
        while left:
            n = left if left <= 72 else min(70, left - 2)
            lines.append((start or 'm').encode()[:n - 2].ljust(n - 2, b'x') + b'\r\n')
            left -= n
        self.send(stuff(head + b''.join(lines)))

    def do_s(self, text):
        detail = text.endswith(' [...]')	# a detail for a person may follow the table's text
        regex = re.escape(text.removesuffix(' [...]')).replace(r'x\.x\.x', r'[245]\.\d{1,3}\.\d{1,3}')
        self.do_s_regex(regex + (r'([:;] .*)?' if detail else ''))

    def do_s_regex(self, regex):
        line = self.line()
        if not re.fullmatch(regex, line):
            raise Failed('expected %s, got %r' % (regex, line))
        self.in_data = line[:3] == '354'

    def do_s_reply(self, regex):
        self.kept = [self.line()]
        while self.kept[-1][3] == '-':
            self.kept.append(self.line())
        if not re.fullmatch(regex, self.kept[-1]) or len({line[:3] for line in self.kept}) != 1:
            raise Failed('expected %s, got %r' % (regex, self.kept))

    def do_s_has(self, regex):
        if not any(re.fullmatch(r'\d\d\d[ -]' + regex, line) for line in self.kept):
            raise Failed('no line like %s in %r' % (regex, self.kept))

    def do_s_not(self, regex):
        if any(re.match(r'\d\d\d[ -]' + regex, line) for line in self.kept):
            raise Failed('a line like %s in %r' % (regex, self.kept))

    def do_s_end(self, text):
        self.greeted = self.greeted or text == 'any'
        try:
            line = self.line()
            while text == 'any':
                self.line()
        except EOFError:
            return
        raise Failed('expected the end, got %r' % line)

    def do_until(self, regex):
        for _ in range(1000):
            if re.fullmatch(regex, self.line()):
                return
        raise Failed('no line like %s in 1000' % regex)

    def do_garbled(self, _):
        try:
            while self.client.sock.recv(4096):
                pass
        except ConnectionError:
            pass

    def do_quiet(self, text):
        self.client.sock.settimeout(milliseconds(text) / 1000)
        try:
            raise Failed('expected silence, got %r' % self.line())
        except TimeoutError:
            self.client.sock.settimeout(6 * SLOW)
        except EOFError:
            raise Failed('expected silence, but it closed')

    def do_after(self, text):
        low, high = (milliseconds(t) for t in text.split())
        took = (self.came - self.mark) * 1000
        if not low <= took <= high * SLOW:
            raise Failed('it came after %d ms' % took)

    def do_clock(self, _):
        self.mark = time.monotonic()

    def do_wait(self, text):
        time.sleep(milliseconds(text) / 1000)

    def do_starttls(self, _):
        self.client.starttls(self.i.context())
        if self.client.buffer:
            raise Failed('octets in the clear after the answer to STARTTLS: %r' % self.client.buffer)

    def do_stored(self, text):
        n = len(self.i.names())
        if n != int(text):
            raise Failed('%d messages are stored, not %s' % (n, text))

    def do_recipients(self, text):
        e = ' '.join(value for key, value in self.i.stored()[-1].envelope if 'recipient' in key.lower())
        found = sorted(re.findall(r'[^\s<>;,]+@[^\s<>;,]+', e), key=str.lower)
        if found != sorted(text.split()):
            raise Failed('recipients in the envelope are %r' % e)

    def do_shut(self, _):
        self.client.close()

    def do_body(self, text):
        stored = self.i.stored()[-1]
        body = stored.message.partition(b'\r\n\r\n')[2]
        if body != octets(text) or not stored.is_whole:
            raise Failed('stored body is %r, whole: %s' % (body, stored.is_whole))


def play(instance, case, verbose):
    player = Player(instance, case)
    try:
        player.play()
    except Exception as e:	# a broken dialogue is a failure like any other
        print('FAIL %s\n     | line %s: %s: %s' % (case.name, getattr(player, 'number', 'of the head'), type(e).__name__, e))
        for line in player.said[-12:]:
            print('     |   ' + line)
        print(re.sub(r'(?m)^', '     log| ', instance.log_tail(6)))
        return False
    print('ok   %s' % case.name, flush=True)
    if verbose:
        print('\n'.join('       ' + line for line in player.said))
    return True


def main():
    wanted = [a for a in sys.argv[1:] if a != '-v']
    cases = [c for path in sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), '*.dlg')))
             for c in read_cases(path) if not wanted or any(w in c.name for w in wanted)]
    groups = {}
    for case in cases:
        groups.setdefault(tuple(sorted(case.settings.items())), []).append(case)
    if not os.access(program('posternd'), os.X_OK):
        print('there is no %s: build it with make' % program('posternd'))
        finish(0, max(1, len(cases)), 0)
    passed = failed = 0
    for settings, members in sorted(groups.items()):
        try:
            with Instance(settings={**DEFAULTS, **dict(settings)}, accounts=(BOB, CAROL)) as instance:
                instance.adm('account', 'disable', CAROL)
                instance.adm('sender', 'add', ALICE, 'sales@example.org')
                instance.adm('credential', 'add', ALICE, '--name', 'printer', '--device', '--stdin', input='device-pw-1\n')
                for case in members:
                    if play(instance, case, '-v' in sys.argv):
                        passed += 1
                    else:
                        failed += 1
        except Exception as e:
            print('FAIL instance with %s: %s: %s' % (settings, type(e).__name__, e))
            failed += 1
    finish(passed, failed, 0)


if __name__ == '__main__':
    main()
