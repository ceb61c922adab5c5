"""One process of rclone that does all the work of a sink: how it is started, spoken to, watched and ended."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from blinkarchive import ConfigError, SinkUnavailable
from blinkarchive.environment import child_environment
from blinkarchive.secret import Secret
from blinkarchive_rclone.saying import Refused, clean

log = logging.getLogger(__name__)

PULSE = 15.0
"""Seconds between two looks at a process that works, and for which it may keep silent when it is spoken to."""

_STARTING = 30.0
_ENDING = 2.0
_DYING = 2.0
_LONGEST_SOCKET = 100
_LONGEST_LINE = 16 * 1024

_SETTINGS = (
    # Answers of its own: nobody sits at its terminal, and there is a sink's own loop for trying again.
    "--ask-password=false",
    "--retries=1",
    "--low-level-retries=3",
    "--contimeout=15s",
    "--timeout=20m",  # longer than the silence that ends a call: on a slow line the last bytes of many clips share it
    # What it remembers of calls that are over.
    "--rc-job-expire-duration=10s",
    "--rc-job-expire-interval=10s",
    "--max-stats-groups=500",
    "--stats=0",
    "--use-json-log",
    "--log-level=NOTICE",
)

_FOR_RCLONE = ("SSH_AUTH_SOCK", "KRB5CCNAME", "KRB5_CONFIG")
"""Variables that lead remotes to a sign-in, and hold none themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What an rclone is started with."""

    program: Path
    config: Path | None = None
    bwlimit: str | None = None
    password: Secret | None = None
    #: Names of further variables of the environment that it gets.
    variables: Sequence[str] = ()
    #: What must not be shown, of whatever it says.
    hidden: tuple[Secret, ...] = ()

    def arguments(self, socket: Path) -> list[str]:
        """The argument list. It holds no secret: every user of the machine can read it.

        `rcat` reads its standard input to the end, and as long as it does, the calls are served: so this rclone lives as long as
        somebody holds the other end of that pipe, and ends by itself when blinkarchive dies, however it dies. (`rcd` would not.)
        """
        return [
            "rcat",
            ":memory:blinkarchive/standard-input",
            "--rc",
            f"--rc-addr=unix://{socket}",
            "--rc-serve",
            "--rc-serve-no-modtime",
            *_SETTINGS,
            *([f"--config={self.config}"] if self.config else []),
            *([f"--bwlimit={self.bwlimit}"] if self.bwlimit else []),
        ]

    def environment(self, user: str, password: str) -> dict[str, str]:
        """The environment: what a program needs, what defines remotes, and what the owner named; the rest may be a secret.

        Another variable of rclone, such as `RCLONE_DRY_RUN`, would have it say that it stored what it did not.
        """
        remotes = [name for name in os.environ if name.startswith("RCLONE_CONFIG")]
        kept = child_environment([*_FOR_RCLONE, *remotes, *self.variables])
        kept |= {"RCLONE_RC_USER": user, "RCLONE_RC_PASS": password}
        if self.password is not None:
            kept["RCLONE_CONFIG_PASS"] = self.password.reveal()
        return kept


class Process:
    """An rclone that serves calls on a socket in a folder of ours."""

    def __init__(self, command: Command, pulse: float) -> None:
        self._command = command
        self._pulse = pulse
        self._in_flight = 0
        self._ready = False
        self._said: deque[str] = deque(maxlen=5)
        self._tasks: set[asyncio.Task[None]] = set()
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._folder = Path(_make_folder())

    @classmethod
    async def start(cls, command: Command, pulse: float = PULSE) -> Process:
        """Start one, and wait until it answers. Raises `ConfigError` when it ends instead, `SinkUnavailable` when it is mute."""
        process = cls(command, pulse)
        try:
            async with asyncio.timeout(_STARTING):
                await process._start()
        except TimeoutError as error:
            await process.end()
            raise SinkUnavailable("rclone was started, and does not answer") from error
        except BaseException:
            await process.end()
            raise
        return process

    @property
    def ended(self) -> bool:
        """Whether it serves no more."""
        return self._process is None or self._process.returncode is not None

    @property
    def pid(self) -> int | None:
        """Its number, while it lives."""
        return None if self._process is None or self.ended else self._process.pid

    async def _start(self) -> None:
        user, password = "blinkarchive", secrets.token_urlsafe(32)
        socket = self._folder / "rc"
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._command.program,
                *self._command.arguments(socket),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=self._command.environment(user, password),
                start_new_session=True,  # Ctrl-C is for us: we end it when its work is done
            )
        except OSError as error:
            raise ConfigError(f"{self._command.program} cannot be run: {error.strerror}") from error
        listening = self._begin(self._listen(self._process, Secret(password)))
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(socket), limit=0),
            headers={"Authorization": f"Basic {login}"},
            timeout=aiohttp.ClientTimeout(total=None),
        )
        while True:
            with suppress(SinkUnavailable):
                try:
                    await self.call("config/listremotes", {})  # it reads its config for that, and ends where it cannot
                    break
                except Refused:  # it may be about to end
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_DYING):
                            await self._process.wait()
                    if self._process.returncode is None:
                        break
            if self._process.returncode is not None:
                await asyncio.wait({listening}, timeout=1)
                raise ConfigError(f"rclone does not start: {' / '.join(self._said) or 'it says nothing'}")
            await asyncio.sleep(0.005)
        self._ready = True
        self._begin(self._watch(self._process))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- speaking to it -----------------------------------------------------------------------------------------------

    async def call(self, what: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        """Call one of rclone's functions. Leaving early makes rclone give it up.

        Raises `Refused` with what it answered, and `SinkUnavailable` when no answer came.
        """
        async with self._asking(), self._open.post(f"http://rclone/{what}", json=given) as response:
            status, said = response.status, await response.read()
        return self._answer(status, said)

    @asynccontextmanager
    async def reading(self, remote: str, name: str, start: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of an object from an offset on. Raises `Refused` and `SinkUnavailable`, also while they come."""
        url = URL(f"http://rclone/%5B{quote(remote, safe='')}%5D/{quote(name, safe='')}", encoded=True)
        headers = {"Range": f"bytes={start}-"} if start else {}
        response: aiohttp.ClientResponse | None = None
        try:
            async with self._asking():
                response = await self._open.get(url, headers=headers)
                if response.status not in (200, 206, 416):
                    self._answer(response.status, await response.read())
            async with aclosing(self._chunks(response, start)) as chunks:
                yield chunks
        finally:
            if response is not None:
                response.close()

    async def _chunks(self, response: aiohttp.ClientResponse, start: int) -> AsyncGenerator[bytes, None]:
        if response.status == 416:
            return
        if start and response.status != 206:
            raise SinkUnavailable("rclone gave the whole of an object, when a part was asked for")
        async with self._asking():
            async for chunk in response.content.iter_chunked(256 * 1024):
                yield chunk

    def _answer(self, status: int, said: bytes) -> Mapping[str, Any]:
        """What was answered. Raises `Refused`, with words that are free of secrets."""
        try:
            found = json.loads(said)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refused(status, f"it gave an answer of status {status} that is not its own")
        if status != 200:
            raise Refused(status, clean(str(found.get("error") or f"status {status}"), self._command.hidden))
        return found

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise SinkUnavailable("rclone is not running")
        return self._session

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Count a call while it is out, and turn a broken connection into `SinkUnavailable`."""
        self._in_flight += 1
        try:
            yield
        except (aiohttp.ClientError, OSError) as error:
            await self._find_out(error)
            raise SinkUnavailable(f"rclone went away in the middle of its work ({type(error).__name__})") from error
        finally:
            self._in_flight -= 1

    async def _find_out(self, error: Exception) -> None:
        """See whether it has died, so that the next call knows: its connections break a moment earlier."""
        if self._process is None or not self._ready:
            return
        if isinstance(error, aiohttp.ClientConnectorError):
            self.kill()  # it is of no use without its socket, which a clean-up of old temporary files may take
        with suppress(TimeoutError):
            async with asyncio.timeout(_DYING):
                await self._process.wait()

    # -- watching it --------------------------------------------------------------------------------------------------

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill it when it works on something and does not answer: it hangs, or was stopped, and would hold us up for ever."""
        while process.returncode is None:
            await asyncio.sleep(self._pulse)
            if not self._in_flight:
                continue
            try:
                async with asyncio.timeout(self._pulse):
                    await self.call("rc/noop", {})
            except TimeoutError:
                log.warning("rclone does not answer any more, and is started anew")
                self.kill()
            except (SinkUnavailable, Refused):
                pass

    async def _listen(self, process: asyncio.subprocess.Process, password: Secret) -> None:
        """Take what it says, so that it never waits for us: logged for who looks for a fault, free of secrets."""
        assert process.stderr is not None
        hidden = (*self._command.hidden, password)
        rest = b""
        while piece := await process.stderr.read(4096):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._note(line, hidden)
            if len(rest) > _LONGEST_LINE:
                self._note(rest, hidden)
                rest = b""
        self._note(rest, hidden)

    def _note(self, line: bytes, hidden: tuple[Secret, ...]) -> None:
        if not line.strip():
            return
        text = line.decode(errors="replace")
        with suppress(ValueError, TypeError, KeyError):
            found = json.loads(text)
            text = f"{found['object']}: {found['msg']}" if found.get("object") else str(found["msg"])
        text = clean(text, hidden)
        self._said.append(text)
        log.debug("rclone says", extra={"said": text})

    # -- ending it ----------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """End it at once. What was asked of it fails."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        """End it, and leave nothing behind: by closing its standard input, and where that does not do, by killing it."""
        try:
            if self._process is not None:
                if self._process.stdin is not None:
                    self._process.stdin.close()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_ENDING):
                        await self._process.wait()
                self.kill()
                await self._process.wait()
        finally:
            self.kill()
            for task in self._tasks:
                task.cancel()
            if self._session is not None:
                await self._session.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            if self._tasks:
                await asyncio.wait(self._tasks)


def _make_folder() -> str:
    """A folder that nobody else may enter, whose path is short enough for a socket."""
    folder = tempfile.mkdtemp(prefix="blinkarchive-rclone-")
    if len(folder.encode()) + len("/rc") > _LONGEST_SOCKET:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="blinkarchive-rclone-", dir="/tmp")  # mkdtemp makes it private
    return folder
