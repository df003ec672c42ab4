"""What all tests share: where the programs are, who the people are."""
import os

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('POSTERN_BUILD') or os.path.join(REPO, 'build'))
IS_SAN = os.environ.get('POSTERN_SAN') == '1' or os.path.basename(BUILD) == 'san'
SLOW = 4 if IS_SAN or os.environ.get('POSTERN_SLOW') else 1	# how much longer everything may take
IS_ROOT = os.geteuid() == 0
HOST = 'mail.example.org'
ALICE, BOB = 'alice@example.org', 'bob@example.org'
PASSWORD = 'Correct-horse 7 battery'


def program(name):
    return os.path.join(BUILD, name)
