"""The cloud that everybody fetches from: our simulator, in a process of its own, full of true films of one size."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.measure import CannotRun, Command, Ran, Rival


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the cloud was asked since it was last looked at."""

    #: Requests for a page of the list, for a film, and all others.
    pages: int
    films: int
    others: int
    #: When the first of them came, in monotonic seconds.
    first: float | None
    #: The seconds of processor time that all of them took.
    cpu: float
    #: Looks at commands since the first upload from a stick was asked for, and the seconds from then to the last film's end.
    polls: int
    uploading: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A running cloud of one account, and one access token for those who do not sign in themselves."""

    #: `http://127.0.0.1:PORT`, for everything.
    url: str
    username: str
    password: str
    token: str
    account_id: int
    network_id: int
    #: 0 without one.
    module_id: int
    clips: int
    #: Of all clips, in bytes.
    total: int
    #: Of each clip, in bytes.
    size: int
    #: A folder that goes when the cloud does.
    folder: Path
    process: subprocess.Popen[str]

    def paths(self) -> list[str]:
        """The addresses of all films, as the cloud lists them."""
        found: list[str] = []
        page = 1
        while items := self._page(page):
            found += [item["media"] for item in items]
            page += 1
        return found

    def seen(self) -> Seen:
        """What was asked since the last look."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("seen\n")
        self.process.stdin.flush()
        return Seen(**json.loads(self.process.stdout.readline()))

    def all_are_under(self, folder: Path, _: Ran) -> None:
        """Raises `CannotRun` unless there is one film of the right size for every clip somewhere below `folder`/clips."""
        sizes = [file.stat().st_size for file in (folder / "clips").rglob("*.mp4")]
        if sizes != [self.size] * self.clips:
            raise CannotRun(f"{sizes.count(self.size)} whole clips of {self.clips} are there, and {len(sizes)} files")

    def all_came(self, folder: Path, _: Ran) -> None:
        """Raises `CannotRun` unless there are as many films below `folder`/clips as there are clips, with all their bytes."""
        sizes = [file.stat().st_size for file in (folder / "clips").rglob("*.mp4")]
        if (len(sizes), sum(sizes)) != (self.clips, self.total):
            raise CannotRun(f"{len(sizes)} films of {self.clips} came, {sum(sizes)} bytes of {self.total}")

    def watched(self, rival: Rival) -> tuple[Rival, list[tuple[Ran, Seen]]]:
        """The same rival, and a list that will hold each of its runs with what the cloud saw of it."""
        looks: list[tuple[Ran, Seen]] = []

        def ready(folder: Path) -> Command:
            command = rival.ready(folder)
            self.seen()
            return command

        def check(folder: Path, ran: Ran) -> None:
            looks.append((ran, self.seen()))
            rival.check(folder, ran)

        return replace(rival, ready=ready, check=check), looks

    def _page(self, number: int) -> list[dict[str, str]]:
        address = f"{self.url}/api/v1/accounts/{self.account_id}/media/changed?since=1970-01-01T00:00:00Z&page={number}"
        with urlopen(Request(address, headers={"Authorization": f"Bearer {self.token}"})) as answer:
            media: list[dict[str, str]] = json.load(answer)["media"]
        return media


@contextmanager
def cloud(
    scratch: Path,
    *,
    clips: int,
    size: int,
    delay: float = 0.0,
    rate: float = 0.0,
    page_size: int = 500,
    uplink: int | None = None,
) -> Iterator[Cloud]:
    """A cloud of so many clips of so many bytes, one a minute.

    `delay` is what each film waits for, in seconds; `rate` bytes a second is the most a connection gets, 0 for no limit.
    With an `uplink` in bytes a second, the clips are on the stick of a sync module, `size` on average.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        world = json.dumps({"clips": clips, "size": size, "delay": delay, "rate": rate, "page_size": page_size, "uplink": uplink})
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cloud_server", world],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        with server:
            assert server.stdin is not None
            assert server.stdout is not None
            if not (said := server.stdout.readline()):
                raise CannotRun("the simulated cloud did not start")
            try:
                yield Cloud(**json.loads(said), clips=clips, size=size, folder=Path(folder), process=server)
            finally:
                server.stdin.close()  # it ends when nobody can ask any more
