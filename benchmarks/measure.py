"""How a rival is measured: as a child process, in rounds that take turns, with the kernel counting."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

MB = 1_000_000
LAUNCHER = Path(__file__).parent / "launcher.py"
PATIENCE = 1800
"""After so many seconds a child is hopeless."""


class CannotRun(Exception):
    """Something cannot be measured here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a child runs."""

    argv: Sequence[str | Path]
    #: Beside PATH, HOME and LANG, which is all it gets of ours.
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one run of a child took."""

    #: On the monotonic clock, which all processes of a machine share.
    began: float
    #: In seconds; `cpu` counts the children of the child too.
    wall: float
    cpu: float
    #: In MB: the largest of its processes at its largest.
    rss: float
    #: All of stdout.
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Somebody who does the work of a road."""

    name: str
    #: Gets an empty folder, makes ready in it, and says what to run. Not timed.
    ready: Callable[[Path], Command]
    #: Raises `CannotRun` unless the work in that folder was done. Not timed.
    check: Callable[[Path, Ran], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The least, the median and the greatest of some figures."""

    least: float
    median: float
    greatest: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        return cls(least=min(figures), median=statistics.median(figures), greatest=max(figures))


Rounds = Mapping[str, Sequence[Ran]]
"""What each rival took, by its name, round by round."""


def run(command: Command) -> Ran:
    """Run a child to its end. Raises `CannotRun` with its last words when it fails."""
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    argv = [str(word) for word in command.argv]
    with tempfile.NamedTemporaryFile("r") as figures:
        launch = [sys.executable, "-I", "-S", str(LAUNCHER), figures.name, str(PATIENCE), *argv]
        env = {**bare, **command.env}
        done = subprocess.run(launch, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotRun(f"{' '.join(argv[:3])} failed: {(done.stderr or done.stdout)[-2000:]}")
        return Ran(**json.load(figures), said=done.stdout)


def take_turns(rivals: Sequence[Rival], rounds: int, scratch: Path) -> Rounds:
    """Run every rival once a round, a different one first each time, each in a folder of its own on a settled disk."""
    taken: dict[str, list[Ran]] = {rival.name: [] for rival in rivals}
    for turn in range(rounds):
        first = turn % len(rivals)
        for rival in [*rivals[first:], *rivals[:first]]:
            folder = Path(tempfile.mkdtemp(dir=scratch))
            try:
                command = rival.ready(folder)
                os.sync()
                ran = run(command)
                rival.check(folder, ran)
                taken[rival.name].append(ran)
            finally:
                shutil.rmtree(folder)
    return taken


def ratio(rounds: Rounds, one: str, other: str, of: Callable[[Ran], float] = attrgetter("wall")) -> Spread:
    """How long `one` took (or another figure of a run), as a multiple of what `other` took in the same round."""
    return Spread.of([of(a) / of(b) for a, b in zip(rounds[one], rounds[other], strict=True)])
