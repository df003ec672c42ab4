#!/usr/bin/env python3
"""The order of durability, seen from outside by strace. By the journal: the message is written to it, it is synced, the file is renamed.
By itself, as one that is too long for the journal: the file is synced, renamed, the folder synced. Only then does the worker hear of it
and the client read 250."""
import os
import re
import shutil
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
from postern import ALICE, IS_ROOT, IS_SAN, main, message, queue_id, wait_for  # noqa: E402

CALLS = 'fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,write,writev,pwrite64,pwritev,sendto,sendmsg,sendmmsg,ftruncate'


class Call:
    """One system call, with the places in the trace where it began and ended."""

    def __init__(self, pid, text, began):
        self.pid, self.text, self.began, self.ended = pid, text, began, began
        self.name = text.partition('(')[0]
        self.path = (re.match(r'\w+\(\d+<([^>]*)>', text) or [None, ''])[1]


def read_trace(path):
    calls, open_calls = [], {}
    with open(path, errors='replace') as f:
        for at, line in enumerate(f):
            m = re.match(r'(\d+) +(.*)', line)
            if not m or m.group(2).startswith(('---', '+++')):
                continue
            pid, text = m.groups()
            resumed = re.match(r'<\.\.\. (\w+) resumed>(.*)', text)
            if resumed:
                call = open_calls.pop(pid, None)
                if call:
                    call.text += resumed.group(2)
                    call.ended = at
                continue
            call = Call(pid, text.replace('<unfinished ...>', ''), at)
            calls.append(call)
            if text.endswith('<unfinished ...>'):
                call.ended = sys.maxsize
                open_calls[pid] = call
    return calls


@unittest.skipUnless(IS_ROOT, 'only root can look into processes that are not dumpable')
@unittest.skipIf(shutil.which('strace') is None, 'strace is not installed')
@unittest.skipIf(IS_SAN, 'the sanitizers do not run below strace')
class Order(postern.Case):
    @classmethod
    def setUpClass(cls):
        trial = subprocess.run(['strace', '-f', '-qq', '-o', '/dev/null', '/bin/true'], stderr=subprocess.PIPE)
        if trial.returncode != 0:
            raise unittest.SkipTest('strace does not work here: ' + trial.stderr.decode().strip())
        cls.instance = postern.Instance(start=False, settings={'workers.spare': 2})
        cls.trace = os.path.join(cls.instance.base, 'trace')
        cls.instance.wrap = ['strace', '-f', '-y', '-s', '100000', '-qq', '-o', cls.trace, '-e', 'trace=' + CALLS]
        cls.instance.start(20)

    def ids(self):
        """Several clients at once, so that commits meet."""
        found, lock = [], threading.Lock()

        def send(n):
            with self.instance.client('plain', login=ALICE) as c:
                for m in range(4):
                    name = queue_id(c.submit(message('order-%d-%d' % (n, m), b'line\r\n' * (1, 2000, 20000)[m % 3])))
                    with lock:
                        found.append(name)
                c.quit()
        threads = [threading.Thread(target=send, args=(n,)) for n in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.assertEqual(len(found), 12)
        return found

    def test_order(self):
        names = self.ids()
        spool = os.path.realpath(self.instance.spool)
        wait_for(lambda: sum('queued as' in c.text for c in read_trace(self.trace)) >= len(names), 5, 0.2)
        self.instance.stop()
        calls = read_trace(self.trace)
        ways = set()
        for name in names:
            with self.subTest(id=name):
                ways.add(self.check(calls, name, spool))
        self.assertEqual(ways, {True, False}, 'both ways were gone')

    def check(self, calls, name, spool):
        moves = [c for c in calls if c.name.startswith(('rename', 'link')) and name in c.text and ' = 0' in c.text]
        self.assertEqual(len(moves), 1, 'one rename into new/')
        move = moves[0]
        self.assertIn(spool + '/new>', move.text)
        old = re.search(r'"([^"]*)"', move.text).group(1)
        path = old if old.startswith('/') else spool + '/tmp/' + os.path.basename(old)
        writes = [c for c in calls if c.path == path and c.name.startswith(('write', 'pwrite', 'ftruncate'))]
        self.assertTrue(writes)
        notes = [c for c in calls if c.name == 'pwrite64' and '/journal.' in c.path and name in c.text]
        if notes:
            synced = self.check_journal(calls, notes[0], move)
        else:
            synced = self.check_file(calls, path, writes, move, spool)
        told = [c for c in calls if c.name.startswith('send') and name in c.text and 'queued as' not in c.text]
        self.assertTrue(told, 'the worker is told')
        self.assertLess(synced, min(c.began for c in told), 'all is on the disk before the worker is told')
        self.assertLess(move.ended, min(c.began for c in told), 'the message is in new/ before the worker is told')
        said = [c for c in calls if 'queued as ' + name in c.text]
        self.assertTrue(said, 'the client is told')
        self.assertLess(min(c.began for c in told), min(c.began for c in said))
        self.assertLess(synced, min(c.began for c in said), 'all is on the disk before the 250')
        self.assertNotEqual(said[0].pid, told[0].pid)
        return bool(notes)

    def check_journal(self, calls, note, move):
        syncs = [c for c in calls if c.name == 'fdatasync' and c.path == note.path and c.began > note.ended and ' = 0' in c.text]
        self.assertTrue(syncs, 'the journal is synced after the message was written to it')
        self.assertLess(syncs[0].ended, move.began, 'the journal is synced before the rename')
        return syncs[0].ended

    def check_file(self, calls, path, writes, move, spool):
        syncs = [c for c in calls if c.name in ('fsync', 'fdatasync') and c.path == path and ' = 0' in c.text]
        self.assertTrue(syncs, 'the file is synced: ' + path)
        sync = syncs[-1]
        self.assertLess(sync.ended, move.began, 'the file is synced before its rename')
        self.assertLess(max(c.ended for c in writes), sync.began, 'nothing is written after the sync')
        folder = [c for c in calls if c.name in ('fsync', 'fdatasync') and c.path == spool + '/new' and c.began > move.ended
                  and ' = 0' in c.text]
        self.assertTrue(folder, 'the folder is synced after the rename')
        return min(c.ended for c in folder)


if __name__ == '__main__':
    main()
