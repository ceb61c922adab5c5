"""`python -m blinkarchive` is the command line."""

from blinkarchive.cli import program

if __name__ == "__main__":
    program()
