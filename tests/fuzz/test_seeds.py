#!/usr/bin/env python3
"""Every fuzz entry with all its seeds and some thousand changed ones, always the same: no clang, a few seconds in all."""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'e2e'))
from runner import finish  # noqa: E402
from settings import IS_SAN, program  # noqa: E402

ROUNDS = 2000 if IS_SAN else 10000


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as seeds:
        subprocess.run([sys.executable, os.path.join(HERE, 'seeds'), seeds], check=True, timeout=60)
        for name in sorted(os.listdir(seeds)):
            done = subprocess.run([program('tests/fuzz/fuzz_' + name), str(ROUNDS), os.path.join(seeds, name)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
            text = done.stdout.decode(errors='replace').rstrip()
            print('%s %s: %s' % ('ok  ' if done.returncode == 0 else 'FAIL', name, text), flush=True)
            passed += done.returncode == 0
            failed += done.returncode != 0
    finish(passed, failed, 0)


if __name__ == '__main__':
    main()
