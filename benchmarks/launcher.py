"""A small process that starts the measured one: the kernel counts a child's memory from before its own program is loaded.

Arguments: a file for the figures, the most seconds it may take, and the command. It imports next to nothing.
"""

import json
import os
import signal
import sys
import time

figures, seconds, *argv = sys.argv[1:]
began = time.monotonic()
child = os.posix_spawnp(argv[0], argv, os.environ)
signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
signal.alarm(int(seconds))
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - began
with open(figures, "w") as file:
    json.dump({"began": began, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024 / 1e6}, file)
sys.exit(0 if status == 0 else 1)
