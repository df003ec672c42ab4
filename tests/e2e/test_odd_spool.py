#!/usr/bin/env python3
"""A spool with things in it that are no messages, or that its user can't read: they are named, and hide nothing else."""
import os
import sys
import unittest

sys.dont_write_bytecode = True
import postern  # noqa: E402
from postern import ALICE, IS_ROOT, main, message, wait_for  # noqa: E402


class OddSpool(postern.Case):
    def submit(self, n):
        with self.instance.client('plain', login=ALICE) as c:
            for i in range(n):
                c.submit(message('odd-%d' % i))

    def tearDown(self):
        self.instance.stop()
        for folder in ('new', 'cur'):
            for name in os.listdir(os.path.join(self.instance.spool, folder)):
                path = os.path.join(self.instance.spool, folder, name)
                os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        self.instance.start()

    def restart(self):
        before = len(self.instance.log())
        self.instance.stop()
        self.instance.start()
        return self.instance.log()[before:]

    def test_what_is_no_file_stays(self):
        i = self.instance
        self.submit(1)
        os.mkdir(os.path.join(i.spool, 'new', 'dir'))
        os.symlink('/etc/passwd', os.path.join(i.spool, 'new', 'link'))
        said = self.restart()
        self.assertRegex(said, r'event=spool\.foreign entry=new/dir kind=folder hint=.*stays there')
        self.assertRegex(said, r'event=spool\.foreign entry=new/link kind=link')
        self.assertNotIn('spool.corrupt', said)
        self.assertTrue(os.path.isdir(os.path.join(i.spool, 'new', 'dir')))
        self.assertTrue(os.path.islink(os.path.join(i.spool, 'new', 'link')))
        self.assertEqual(os.listdir(os.path.join(i.spool, 'failed')), [])
        self.assertEqual(len(i.queue()), 1)
        self.submit(1)
        self.assertEqual(len(i.queue()), 2)

    @unittest.skipUnless(IS_ROOT, 'only root can give files away')
    def test_a_file_of_another_owner(self):
        i = self.instance
        self.submit(3)
        kept, lost = i.names()[0], i.names()[1:]
        for path in lost:
            os.chown(path, 0, 0)
        spooler = os.stat(i.spool)
        for args in (('queue', 'list', '--all'), ('queue', 'count', '--all'), ('--json', 'queue', 'list', '--all')):
            done = i.run(*args)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stderr.decode(), r"2 message files can't be read by user %d.*new/%s.*: chown -R %d:%d %s" % (
                spooler.st_uid, os.path.basename(min(lost)), spooler.st_uid, spooler.st_gid, i.spool))
        self.assertEqual(len(i.queue()), 1)
        done = i.run('queue', 'verify', '--all')
        self.assertEqual(done.returncode, 77, done.stderr)
        os.chown(lost[0], spooler.st_uid, spooler.st_gid)
        self.assertRegex(i.run('queue', 'list', '--all').stderr.decode(), r"1 message file can't be read .* and is not shown")
        said = self.restart()
        self.assertRegex(said, r'event=spool\.unreadable folder=new file=%s' % os.path.basename(lost[1]))
        self.assertTrue(os.path.exists(lost[1]), 'it stays')
        os.chown(lost[1], spooler.st_uid, spooler.st_gid)
        done = i.run('queue', 'list', '--all')
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ''))
        self.assertEqual(i.run('queue', 'verify', '--all').returncode, 0)
        self.assertTrue(wait_for(lambda: len(i.queue()) == 3, 2))
        self.assertTrue(os.path.exists(kept))


if __name__ == '__main__':
    main()
