"""The command line: one module a verb, each loaded when it is called."""

from blinkarchive.cli.root import main, program

__all__ = ["main", "program"]
