"""`python -m blinkarchive` is the command line."""

import sys

from blinkarchive.cli import main

if __name__ == "__main__":
    sys.exit(main())
