"""unittest's cases run with a line each, and one line at the end that others can add up."""
import faulthandler
import os
import re
import signal
import sys
import time
import unittest

from settings import SLOW, program


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = self.failed = self.skips = 0
        self.began = time.monotonic()

    @staticmethod
    def name(test):
        return re.sub(r'__main__\.', '', test.id())

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def addSuccess(self, test):
        self.passed += 1
        print('ok   %s (%.1f s)' % (self.name(test), time.monotonic() - self.began), flush=True)

    def addSkip(self, test, reason):
        self.skips += 1
        print('skip %s: %s' % (self.name(test), reason), flush=True)

    def fail_with(self, test, err):
        self.failed += 1
        print('FAIL %s' % self.name(test))
        print(re.sub(r'(?m)^', '     | ', self._exc_info_to_string(err, test)).rstrip(' |'))
        instance = getattr(test, 'instance', None)
        if instance is not None and type(test) is not unittest.case._SubTest:
            print(re.sub(r'(?m)^', '     log| ', instance.log_tail(15)))
        sys.stdout.flush()

    addError = addFailure = fail_with

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.fail_with(test, err)
            print('     | in %s' % subtest)

    def addExpectedFailure(self, test, err):
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test):
        self.failed += 1
        print('FAIL %s: succeeds, against what it says' % self.name(test))


def main(limit=150):
    """Runs the cases of the calling file; arguments are parts of names to select by."""
    if not os.access(program('posternd'), os.X_OK):
        print('there is no %s: build it with make' % program('posternd'))
        print('0 passed, 1 failed, 0 skipped')
        sys.exit(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    faulthandler.dump_traceback_later(limit * SLOW, exit=True)
    suite = unittest.TestSuite()
    for group in unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__']):
        suite.addTests(t for t in group if len(sys.argv) < 2 or any(a in t.id() for a in sys.argv[1:]))
    result = Result()
    suite.run(result)
    finish(result.passed, result.failed, result.skips)


def finish(passed, failed, skipped):
    print('%d passed, %d failed, %d skipped' % (passed, failed, skipped), flush=True)
    sys.exit(1 if failed else 0)
