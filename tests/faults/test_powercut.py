#!/usr/bin/env python3
"""Power cuts: an instance takes mail with its spool on a file system whose disk logs every write and flush (disklog.c). Then the
disk is made again as it was at many moments: all that had been flushed, and of what had not, what chance lets survive. Each is mounted,
postern is started on it, and every message that had its 250 by then is there, once and whole.

`make powercut [ROUNDS=n] [SECONDS=n] [SEED=n] [FS=ext4|ext4-nojournal|xfs|btrfs]`; `make check` runs a few rounds. Root only, and only with
loop devices, FUSE and that file system.
"""
# run alone
import glob
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import postern  # noqa: E402
from next_hop import NextHop  # noqa: E402
from postern import ALICE, IS_ROOT, IS_SAN, Instance, SpoolFile, main, message, program, queue_id, wait_for  # noqa: E402

ROUNDS = int(os.environ.get('ROUNDS') or 6)
SECONDS = int(os.environ.get('SECONDS') or 2)	# of mail
SEED = int(os.environ.get('SEED') or 1)
FS = os.environ.get('FS') or 'ext4'
# How it is made, its type and options for mount(8), what goes before the mount after a cut, and the least disk for 2 seconds of mail
MKFS, TYPE, OPTIONS, REPAIR, SIZE = {
    'ext4': (('mkfs.ext4', '-q', '-F', '-J', 'size=4'), 'ext4', 'rw', None, 96 << 20),
    'ext4-nojournal': (('mkfs.ext4', '-q', '-F', '-O', '^has_journal'), 'ext4', 'rw', ('e2fsck', '-fy'), 96 << 20),
    'xfs': (('mkfs.xfs', '-q', '-f', '-K'), 'xfs', 'nouuid', None, 320 << 20),
    'btrfs': (('mkfs.btrfs', '-q', '-f', '-K'), 'btrfs', 'rw', None, 256 << 20),
}[FS]
SIZE += max(0, SECONDS - 2) * (16 << 20)
FLUSH = (1 << 64) - 1


def run(*argv, **more):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **more)


class Place:
    """A disk, mounted."""

    def __init__(self, disk, folder, make=False):
        self.folder, self.loop = folder, None
        done = run('losetup', '-f', '--show', disk)
        if done.returncode != 0:
            raise unittest.SkipTest('no loop device: ' + done.stderr.decode().strip())
        self.loop = done.stdout.decode().strip()
        try:
            if make and (done := run(*MKFS, self.loop)).returncode != 0:
                raise AssertionError(done.stderr.decode())
            # 4 and more: errors stay
            if not make and REPAIR and (done := run(*REPAIR, self.loop)).returncode >= 4:
                raise AssertionError('it can not be repaired: ' + done.stdout.decode() + done.stderr.decode())
            os.makedirs(folder, exist_ok=True)
            done = run('mount', '-t', TYPE, '-o', OPTIONS, self.loop, folder)
            if make and b'unknown filesystem type' in done.stderr:
                raise unittest.SkipTest('this kernel has no ' + TYPE)
            if done.returncode != 0:
                raise AssertionError('it can not be mounted: ' + done.stderr.decode())
            self.mounted = True
        except BaseException:
            run('losetup', '-d', self.loop)
            raise

    def close(self):
        if self.loop:
            wait_for(lambda: run('umount', self.folder).returncode == 0 or not os.path.ismount(self.folder), 10, 0.2)
            run('losetup', '-d', self.loop)
            self.loop = None


class Log:
    """What was written to the disk, in its order: (offset, place of the octets in the log, length), and the log's length behind each."""

    def __init__(self, path):
        self.file = open(path, 'rb')
        size = os.fstat(self.file.fileno()).st_size
        self.records, self.ends, at = [], [], 0
        while at + 16 <= size:
            offset, n = struct.unpack('>QQ', os.pread(self.file.fileno(), 16, at))
            if at + 16 + n > size:
                break
            self.records.append((offset, at + 16, n))
            at += 16 + n
            self.ends.append(at)

    def make(self, path, cut, chance):
        """The disk as it was when the log was `cut` octets long: flushed for sure, the rest by chance. Writes that were lost."""
        n = sum(end <= cut for end in self.ends)
        flushed = max((i for i in range(n) if self.records[i][0] == FLUSH), default=-1)
        lost = 0
        with open(path, 'wb') as f:
            f.truncate(SIZE)
            for i in range(n):
                offset, at, size = self.records[i]
                if offset == FLUSH:
                    continue
                if i > flushed and chance.random() < 0.5:
                    lost += 1
                    continue
                os.pwrite(f.fileno(), os.pread(self.file.fileno(), size, at), offset)
        return lost

    def close(self):
        self.file.close()


@unittest.skipUnless(IS_ROOT, 'only root may mount')
@unittest.skipIf(IS_SAN, 'the disk is under test, not the octets')
class PowerCut(unittest.TestCase):
    def setUp(self):
        for name in ('losetup', MKFS[0]):
            if shutil.which(name, path=os.environ['PATH'] + ':/sbin:/usr/sbin') is None:
                self.skipTest('%s is not installed' % name)
        if not os.path.exists('/dev/fuse') or not os.path.exists('/dev/loop-control'):
            self.skipTest('this kernel has no FUSE or no loop devices')
        if not os.access(program('tests/faults/disklog'), os.X_OK):
            self.skipTest('tests/faults/disklog was not built: libfuse3-dev is missing')
        self.base = tempfile.mkdtemp(prefix='postern-power-')
        self.addCleanup(shutil.rmtree, self.base, True)
        self.fuse = os.path.join(self.base, 'fuse')
        self.log = os.path.join(self.base, 'log')
        os.mkdir(self.fuse)
        self.disk = subprocess.Popen([program('tests/faults/disklog'), self.fuse, str(SIZE), self.log],
                                     stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=postern.die_with_parent)
        self.addCleanup(self.end_disk)
        if not wait_for(lambda: os.path.exists(self.fuse + '/disk') or self.disk.poll() is not None, 5) or self.disk.poll() is not None:
            self.skipTest('no FUSE file system can be mounted here')
        self.acknowledged, self.sent, self.lock = [], {}, threading.Lock()
        self.put_there = 0	# files that were found in lost+found only
        self.done = {}		# name: where in the log, at most, its delivery had ended
        self.removed = {}	# name: where in the log its removal began, and where the admin was told that it was done

    def end_disk(self):
        run('umount', self.fuse)
        try:
            self.disk.wait(5)
        except subprocess.TimeoutExpired:
            self.disk.kill()
            self.disk.wait(5)
        self.disk.stderr.close()

    def send(self, instance, number, until, hop):
        chance = random.Random(SEED * 1000 + number)
        n = 0
        try:
            with instance.client('plain', login=ALICE) as c:
                while time.monotonic() < until:
                    n += 1
                    mark = 'power-%d-%d' % (number, n)
                    text = message(mark, (b'0123456789abcdef' * 4 + b'\r\n') * chance.choice((1, 1, 10, 100, 1500)))
                    with self.lock:
                        self.sent[mark] = text
                    lines = c.submit(text)
                    at = os.stat(self.log).st_size
                    with self.lock:
                        self.acknowledged.append((at, queue_id(lines), mark))
                    if n % 20 == 7 and not hop:
                        self.removed[queue_id(lines)] = (at, sys.maxsize)
                        instance.adm('queue', 'remove', '--id', queue_id(lines))
                        self.removed[queue_id(lines)] = (at, os.stat(self.log).st_size)
        except (EOFError, OSError, AssertionError) as e:
            self.trouble.append('%s after %d messages' % (e, n))

    def watch(self, instance, ended):
        """Notes where the log of the disk was when a message was said to be done."""
        seen = 0
        while True:
            is_last = ended.is_set()
            files = glob.glob(os.path.join(instance.spool, 'trace', '*'))
            text = ''.join(open(f).read() for f in sorted(files))
            for name in re.findall(r' id=(\S+) .*event=done', text[seen:text.rfind('\n') + 1]):
                self.done[name] = os.stat(self.log).st_size
            seen = text.rfind('\n') + 1
            if is_last:
                return
            time.sleep(0.02)

    def load(self, settings=(), strace=(), hop=None):
        """Mail for SECONDS, onto the logging disk, and to a next hop."""
        self.trouble = []
        place = Place(self.fuse + '/disk', os.path.join(self.base, 'mounted'), make=True)
        tracer = None
        try:
            self.start_at = os.stat(self.log).st_size
            with Instance(settings={'spool.path': place.folder + '/spool', **dict(settings)}, start=False) as i:
                if hop:
                    i.adm('route', 'add', 'main', 'smtp://127.0.0.1:%d' % hop.port)
                i.start()
                ended, watcher = threading.Event(), threading.Thread(target=lambda: self.watch(i, ended))
                watcher.start()
                self.addCleanup(ended.set)
                if strace:
                    spool = i.kind('postern-spool')[0].pid
                    tracer = subprocess.Popen(['strace', '-f', '-qq', '-o', '/dev/null', '-p', str(spool), *strace],
                                              stderr=subprocess.DEVNULL, preexec_fn=postern.die_with_parent)
                    time.sleep(0.7)
                until = time.monotonic() + SECONDS
                threads = [threading.Thread(target=self.send, args=(i, n, until, hop)) for n in range(4)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join(SECONDS + 60)
                self.stop_at = os.stat(self.log).st_size
                ended.set()
                watcher.join(10)
                if tracer:
                    tracer.terminate()
                    tracer.wait(10)
        finally:
            if tracer and tracer.poll() is None:
                tracer.kill()
                tracer.wait(5)
            place.close()
        self.assertEqual(self.trouble, [])
        self.assertGreater(len(self.acknowledged), 20)

    def cut(self, log, at, chance):
        """One power cut: (messages that had their 250, those that are missing or damaged, writes that were lost)."""
        image, folder = os.path.join(self.base, 'image'), os.path.join(self.base, 'after')
        lost = log.make(image, at, chance)
        place = Place(image, folder)
        try:
            with Instance(settings={'spool.path': folder + '/spool'}) as i:	# which recovers
                found = {}
                for f in i.stored('new', 'cur', 'hold'):
                    self.assertTrue(f.is_whole, f.path)
                    name = re.search(r'Q([0-9a-z]{16})S', f.name).group(1)
                    self.assertNotIn(name, found, 'it is there twice')
                    found[name] = f
                self.assertEqual(len(i.queue()), len(found))
                wanted = [(name, mark) for acknowledged, name, mark in self.acknowledged
                          if acknowledged <= at and self.removed.get(name, (sys.maxsize,))[0] > at]
                back = [name for name, (_, done) in self.removed.items() if done <= at and name in found]
                self.assertEqual(back, [], 'removed, and there again')
                # A folder that was torn: fsck knows no better place
                for f in glob.glob(folder + '/lost+found/*') if REPAIR else ():
                    if os.path.isfile(f) and (f := SpoolFile(f)).is_whole:
                        self.put_there += f.field('Postern-Id')[0] not in found
                        found.setdefault(f.field('Postern-Id')[0], f)
                missing = [name for name, mark in wanted if name not in found or found[name].split()[1] != self.sent[mark]]
                self.assertEqual(i.names('tmp', 'failed'), [])
                known = {name for _, name, _ in self.acknowledged}
                for name in set(found) - known:
                    mark = re.search(rb'Subject: (\S+)', found[name].message).group(1).decode()
                    self.assertEqual(found[name].split()[1], self.sent[mark])
                with i.client('plain', login=ALICE) as c:	# and it takes mail again
                    c.submit(message('after the cut'))
                i.stop()
        finally:
            place.close()
            os.unlink(image)
        return len(wanted), missing, lost

    def cuts(self, log, rounds):
        """Right behind an acknowledgement, where it is hardest, and anywhere."""
        chance = random.Random(SEED)
        for n in range(rounds):
            if n % 3 != 2:
                at = chance.choice(self.acknowledged)[0]
            else:
                at = chance.randrange(self.start_at, self.stop_at)
            yield (at, *self.cut(log, at, chance))

    def test_every_250_outlives_a_power_cut(self):
        self.load()
        log = Log(self.log)
        self.addCleanup(log.close)
        checked = losses = 0
        for at, wanted, missing, lost in self.cuts(log, ROUNDS):
            self.assertEqual(missing, [], 'cut at %d of the log, seed %d: of %d messages with a 250 these are gone' % (at, SEED, wanted))
            checked += wanted
            losses += lost
        flushes = sum(r[0] == FLUSH for r in log.records)
        print('%d messages, %d writes, %d flushes; %d cuts, %d messages looked for, %d writes lost' % (
            len(self.acknowledged), len(log.records), flushes, ROUNDS, checked, losses)
            + (', %d files in lost+found' % self.put_there if REPAIR else ''))
        self.assertGreater(checked, 0)

    def test_what_was_delivered_stays_delivered(self):
        if ROUNDS < 20:
            self.skipTest('make powercut')
        hop = NextHop()
        self.addCleanup(hop.close)
        self.load(hop=hop)
        log = Log(self.log)
        self.addCleanup(log.close)
        self.assertGreater(len(self.done), 20)
        chance, checked = random.Random(SEED), 0
        taken = {mark.decode() for *_, text in hop.messages for mark in re.findall(rb'^Subject: (\S+)', text, re.M)}
        for n in range(ROUNDS // 4):
            at = chance.choice(list(self.done.values())) if n % 3 != 2 else chance.randrange(self.start_at, self.stop_at)
            image, folder = os.path.join(self.base, 'image'), os.path.join(self.base, 'after')
            log.make(image, at, chance)
            place = Place(image, folder)
            try:
                with Instance(settings={'spool.path': folder + '/spool'}) as i:
                    found = {re.search(r'Q([0-9a-z]{16})S', f.name).group(1) for f in i.stored('new', 'cur', 'hold', 'failed')}
            finally:
                place.close()
                os.unlink(image)
            self.assertEqual([name for name, done in self.done.items() if done <= at and name in found], [], 'delivered, and there again')
            self.assertEqual([mark for had, name, mark in self.acknowledged if had <= at and name not in found and mark not in taken], [],
                             'neither there nor at the next hop')
            checked += sum(done <= at for done in self.done.values())
        print('%d messages, %d delivered; %d cuts, %d deliveries looked for' % (len(self.acknowledged), len(self.done), ROUNDS // 4, checked))

    def test_it_would_be_seen(self):
        """With fsync that does nothing, messages are missing after a cut: the disk does forget."""
        if shutil.which('strace') is None:
            self.skipTest('strace is not installed')
        self.load(strace=('-e', 'trace=fsync,fdatasync,syncfs', '-e', 'inject=fsync,fdatasync,syncfs:retval=0'))
        log = Log(self.log)
        self.addCleanup(log.close)
        seen = 0
        for n in range(10):
            at = self.acknowledged[-1 - n][0]
            try:
                seen += len(self.cut(log, at, random.Random(n))[1])
            except AssertionError:	# a file that is not whole, or cannot be mounted
                seen += 1
            if seen:
                break
        self.assertGreater(seen, 0, 'no message was lost without a single fsync')


if __name__ == '__main__':
    main(300 + 5 * ROUNDS + 2 * SECONDS)
