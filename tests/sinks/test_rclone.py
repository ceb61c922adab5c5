"""What the rclone sink promises beyond the contract: its process, deaths at each step, cancellation, secrets, three answers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blinkarchive import AlreadyThere, ConfigError, Key, NotFound, Sink, SinkError, SinkUnavailable
from blinkarchive.conformance import MakeContent
from blinkarchive.convert import SecretRef
from blinkarchive.files import Files
from blinkarchive.secret import Secret
from blinkarchive_rclone import RcloneOptions, open_rclone
from blinkarchive_rclone.keeper import Keeper
from blinkarchive_rclone.names import draft_name, is_draft
from blinkarchive_rclone.program import find_program, on_path, packaged
from blinkarchive_rclone.sink import RcloneSink
from tests.sinks.rclone_servers import PASSWORD, USER, alive, obscured, proxied, rclone, serving

KEY = Key("porch/2026/05/clip.mp4")
SIZE = 300_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "clips"
    path.mkdir()
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "rclone.conf"
    path.touch()
    return path


@pytest.fixture
def options(folder: Path, config: Path) -> RcloneOptions:
    return RcloneOptions(remote=str(folder), config=config)


def pid_of(sink: Sink) -> int:
    assert isinstance(sink, RcloneSink)
    pid = sink.pid
    assert pid is not None
    return pid


async def until(happened: Callable[[], bool], patience: float = 10.0) -> None:
    async with asyncio.timeout(patience):
        while not happened():
            await asyncio.sleep(0.01)


async def stopped(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: "State:\tT" in Path(f"/proc/{pid}/status").read_text())


async def names(sink: Sink) -> list[str]:
    return sorted([stored.key async for stored in sink.list()])


async def read(sink: Sink, key: Key) -> bytes:
    async with sink.open(key) as chunks:
        return b"".join([chunk async for chunk in chunks])


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rclone"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# -- the program


OLD = "echo rclone v1.60.1-DEV"
NEW = "echo rclone v1.70.0"


async def test_without_a_name_it_is_the_one_on_path_else_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert on_path() is None
    assert await find_program(None) == packaged()
    mine = script(tmp_path, NEW)
    assert await find_program(None) == mine


@pytest.mark.parametrize("text", [OLD, "echo something else", "exit 1", "echo"])
async def test_an_unsuitable_rclone_on_path_gives_way_to_the_packaged_one(
    options: RcloneOptions, make_content: MakeContent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path, text: str
) -> None:
    """Debian's rclone is older than what the sink needs."""
    (bin_folder := tmp_path / "bin").mkdir()
    old = script(bin_folder, text)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    assert on_path() == str(old)
    assert await find_program(None) == packaged()
    async with open_rclone(options) as sink:
        await sink.put(KEY, make_content(SIZE))
    assert files_in(folder) == [KEY]


async def test_where_none_is_suitable_each_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    old, strange = script(tmp_path, OLD), script(tmp_path / "other", "exit 1")
    with pytest.raises(ConfigError) as refused:
        await find_program(None, installed=(lambda: old, lambda: None, lambda: strange))
    assert f"{old} is rclone 1.60, and 1.70 or newer is needed" in str(refused.value)
    assert f"{strange} is not rclone" in str(refused.value)
    assert 'pip install "blinkarchive[rclone]"' in str(refused.value)


async def test_a_named_program_is_never_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"1\.60, and 1\.70 or newer is needed"):
        await find_program(script(tmp_path, OLD))


async def test_where_there_is_none_the_error_says_how_to_get_one() -> None:
    with pytest.raises(ConfigError, match=r'pip install "blinkarchive\[rclone\]"'):
        await find_program(None, installed=(lambda: None, lambda: None))


async def test_rclone_inherits_no_secret_of_the_environment(
    options: RcloneOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "https_proxy", "ALARM_URL", "GITHUB_TOKEN", "BLINK_PASSWORD"):
        monkeypatch.setenv(name, "canary-5ecret")
    monkeypatch.setenv("RCLONE_CONFIG_OTHER_TYPE", "memory")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    real, kept = rclone(), tmp_path / "kept"
    spy = script(tmp_path, f'env >> "{kept}"; exec {real} "$@"')
    async with open_rclone(replace(options, program=spy)):
        assert "canary-5ecret" not in kept.read_text()
        assert "RCLONE_CONFIG_OTHER_TYPE=memory" in kept.read_text()
        assert "LC_ALL=C.UTF-8" in kept.read_text()
        assert "RCLONE_RC_PASS=" in kept.read_text()
    async with open_rclone(replace(options, program=spy, environment=("https_proxy", "NOT_SET"))):
        assert kept.read_text().count("canary-5ecret") == 1
        assert "https_proxy=canary-5ecret" in kept.read_text()


@pytest.mark.parametrize("name", ["RCLONE_DRY_RUN", "", "A=B", "A B", "A" * 101])
async def test_a_name_that_cannot_be_passed_on_is_refused(options: RcloneOptions, name: str) -> None:
    with pytest.raises(ConfigError, match="names of variables"):
        async with open_rclone(replace(options, environment=(name,))):
            pass


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo rclone v1.60.1-DEV", "1.60, and 1.70 or newer is needed"),
        ("echo something else", "is not rclone"),
        ("exit 3", "is not rclone"),
    ],
)
async def test_a_program_that_will_not_do_is_refused(options: RcloneOptions, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        async with open_rclone(RcloneOptions(remote=options.remote, program=script(tmp_path, text))):
            pass


async def test_a_program_that_is_missing_or_no_program_is_refused(options: RcloneOptions, tmp_path: Path, config: Path) -> None:
    for program, words in (
        (tmp_path / "nothing", "No such file"),
        (config, "Permission denied"),
        (tmp_path, "Permission denied"),
    ):
        with pytest.raises(ConfigError, match=words):
            async with open_rclone(RcloneOptions(remote=options.remote, program=program)):
                pass


# -- the remote


async def test_a_remote_that_cannot_be_is_an_error_of_the_config(folder: Path, config: Path) -> None:
    (folder / "file").touch()
    for remote in ("nobody:clips", f"{folder}/file", "", "a]b:", "a\nb:"):
        with pytest.raises(ConfigError):
            async with open_rclone(RcloneOptions(remote=remote, config=config)):
                pass
    for wrong in ({"bwlimit": "fast"}, {"transfers": 0}, {"config_password": SecretRef(kind="env", at="NOT_SET")}):
        with pytest.raises(ConfigError):
            async with open_rclone(RcloneOptions(remote=str(folder), config=config, **wrong)):
                pass


async def test_a_folder_that_does_not_exist_is_not_made(folder: Path, config: Path) -> None:
    with pytest.raises(SinkUnavailable, match="rclone mkdir"):
        async with open_rclone(RcloneOptions(remote=f"{folder}/new", config=config)):
            pass
    assert not (folder / "new").exists()


async def test_an_encrypted_config_is_opened_with_its_password(tmp_path: Path, folder: Path, config: Path) -> None:
    config.write_text(f"[mine]\ntype = alias\nremote = {folder}\n")
    program, env = rclone(), {**os.environ, "RCLONE_CONFIG": str(config)}
    subprocess.run(
        [program, "config", "encryption", "set", "--password-command", "echo right-password"],
        env=env,
        check=True,
        capture_output=True,
    )
    assert "alias" not in config.read_text()

    def options(password: str) -> RcloneOptions:
        ref = SecretRef(kind="inline", inline=Secret(password))
        return RcloneOptions(remote="mine:", config=config, config_password=ref)

    async with open_rclone(options("right-password")) as sink:
        assert await names(sink) == []
    with pytest.raises(ConfigError):
        async with open_rclone(options("wrong-password")):
            pass


async def test_what_the_environment_says_to_rclone_does_not_make_it_lie(
    options: RcloneOptions, make_content: MakeContent, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("RCLONE_DRY_RUN", "true")
    monkeypatch.setenv("RCLONE_EXCLUDE", "*.mp4")
    async with open_rclone(options) as sink:
        await sink.put(KEY, make_content(SIZE))
    assert files_in(folder) == [KEY]


async def test_a_hash_that_is_only_remembered_is_not_told(folder: Path, config: Path, make_content: MakeContent) -> None:
    content = make_content(SIZE)
    async with open_rclone(RcloneOptions(remote=str(folder), config=config)) as sink:
        await sink.put(KEY, content)
        stored = await sink.stat(KEY)
        assert stored is not None
        assert stored.sha256 == content.sha256
    config.write_text(f"[remembering]\ntype = hasher\nremote = {folder}\nhashes = sha256\nmax_age = off\n")
    async with open_rclone(RcloneOptions(remote="remembering:", config=config)) as sink:
        stored = await sink.stat(KEY)
        assert stored is not None
        assert stored.sha256 is None


class Noting(Files):
    """Notes what was flushed."""

    def __init__(self) -> None:
        self.flushed: list[str] = []

    def sync(self, fd: int) -> None:
        self.flushed.append(os.readlink(f"/proc/self/fd/{fd}"))
        super().sync(fd)

    def sync_folder(self, path: Path) -> None:
        self.flushed.append(str(path))
        super().sync_folder(path)


async def test_in_a_folder_of_this_machine_the_clip_and_its_names_are_flushed(
    options: RcloneOptions, make_content: MakeContent, folder: Path
) -> None:
    files = Noting()
    async with open_rclone(options, files=files) as sink:
        await sink.put(KEY, make_content(SIZE))
    assert files.flushed == [str(folder / name) for name in (KEY, "porch/2026/05", "porch/2026", "porch", "")]


# -- leftovers


async def test_a_killed_runs_draft_goes_a_day_later_and_a_younger_one_stays(
    options: RcloneOptions, make_content: MakeContent, folder: Path
) -> None:
    old, young = (f"porch/2026/05/{draft_name(time.time() - hours * 3600)}" for hours in (25, 23))
    other = "porch/2026/05/.blinkarchive-notes"
    (folder / old).parent.mkdir(parents=True)
    for name in (old, young, other):
        (folder / name).write_bytes(b"half")
    async with open_rclone(options) as sink:
        await sink.put(KEY, make_content(10))
        assert await names(sink) == sorted([KEY, other])
    assert files_in(folder) == sorted([KEY, young, other])


# -- the race for a name


class Interfering(Keeper):
    """Lets somebody else store an object right before rclone gives a name, or sends to one."""

    before: str
    do: Callable[[], None]

    async def call(self, what: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        if what == self.before:
            type(self).do()
        return await super().call(what, given)


async def test_who_comes_second_at_the_last_moment_overwrites_nothing(
    options: RcloneOptions, make_content: MakeContent, folder: Path
) -> None:
    def take() -> None:
        (folder / KEY).write_bytes(b"theirs")

    class Keeping(Interfering):
        before = "operations/movefile"
        do = staticmethod(take)

    async with open_rclone(options, keeping=Keeping) as sink:
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, make_content(SIZE))
        assert await read(sink, KEY) == b"theirs"
    assert files_in(folder) == [KEY]


async def test_a_draft_that_is_gone_when_it_should_get_its_name_is_no_fault_of_the_clip(
    options: RcloneOptions, make_content: MakeContent, folder: Path
) -> None:
    def remove() -> None:
        for draft in folder.rglob("*.part"):
            draft.unlink()

    class Keeping(Interfering):
        before = "operations/movefile"
        do = staticmethod(remove)

    async with open_rclone(options, keeping=Keeping) as sink:
        with pytest.raises(SinkUnavailable):
            await sink.put(KEY, make_content(SIZE))
    assert files_in(folder) == []


async def test_where_nothing_can_be_renamed_who_comes_second_overwrites_nothing_either(
    tmp_path: Path, make_content: MakeContent, config: Path
) -> None:
    bucket = tmp_path / "served" / "bucket"
    bucket.mkdir(parents=True)

    def take() -> None:
        (bucket / "clip.mp4").write_bytes(b"theirs")

    class Keeping(Interfering):
        before = "operations/copyfile"
        do = staticmethod(take)

    with serving("s3", bucket.parent, "--auth-key=kept,secret", "--dir-cache-time=0s") as server:
        config.write_text(
            f"[s3]\ntype = s3\nprovider = Rclone\nendpoint = http://127.0.0.1:{server.port}\n"
            "access_key_id = kept\nsecret_access_key = secret\n"
        )
        async with open_rclone(RcloneOptions(remote="s3:bucket", config=config), keeping=Keeping) as sink:
            with pytest.raises(AlreadyThere):
                await sink.put(Key("clip.mp4"), make_content(SIZE))
            assert await read(sink, Key("clip.mp4")) == b"theirs"


# -- the process


async def test_one_process_does_all_the_work_and_is_gone_when_the_sink_is_closed(
    options: RcloneOptions, make_content: MakeContent
) -> None:
    async with open_rclone(options) as sink:
        pid = pid_of(sink)
        for n in range(3):
            await sink.put(Key(f"{n}.mp4"), make_content(10))
        assert pid_of(sink) == pid
        (own,) = (path for path in _sockets_of(pid))
        assert own.parent.stat().st_mode & 0o777 == 0o700
    assert not alive(pid)
    assert not own.parent.exists()
    with pytest.raises(SinkUnavailable):
        await sink.stat(KEY)


def _sockets_of(pid: int) -> Iterator[Path]:
    for argument in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
        if argument.startswith("--rc-addr=unix://"):
            yield Path(argument.removeprefix("--rc-addr=unix://"))


async def test_who_has_no_password_is_not_served(options: RcloneOptions) -> None:
    async with open_rclone(options) as sink:
        (path,) = _sockets_of(pid_of(sink))
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"POST /config/dump HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
async def test_no_rclone_outlives_a_killed_archive(options: RcloneOptions, by: signal.Signals) -> None:
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom blinkarchive_rclone import *\n"
        "async def main():\n"
        "    async with open_rclone(RcloneOptions(remote=sys.argv[1], config=Path(sys.argv[2]))) as sink:\n"
        "        print(sink.pid, flush=True)\n        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, options.remote, str(options.config), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    assert alive(pid)
    process.send_signal(by)
    await process.wait()
    await until(lambda: not alive(pid), 5)


class Dying(Keeper):
    """Kills its rclone at a step: before it is asked, or when it has answered and nobody was told."""

    step = 0
    late = False
    count = 0

    async def call(self, what: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        type(self).count += 1
        now = type(self).count == type(self).step
        if now and not self.late:
            await self._kill()
        answer = await super().call(what, given)
        if now and self.late:
            await self._kill()
            raise SinkUnavailable("killed")
        return answer

    async def _kill(self) -> None:
        pid = self.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        if self.late:
            await until(lambda: self.pid is None)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 9))
async def test_its_death_at_any_step_of_a_put_leaves_all_or_nothing(
    options: RcloneOptions, make_content: MakeContent, folder: Path, step: int, late: bool
) -> None:
    class Keeping(Dying):
        pass

    content = make_content(SIZE)
    async with open_rclone(options, keeping=Keeping) as sink:
        Keeping.step, Keeping.late, Keeping.count = step, late, 0
        with suppress(SinkUnavailable):
            await sink.put(KEY, content)
        assert await names(sink) in ([], [KEY])
        with suppress(AlreadyThere):
            await sink.put(KEY, content)
        assert await read(sink, KEY) == content.path.read_bytes()
        assert await names(sink) == [KEY]


async def test_what_is_under_way_when_it_dies_is_unavailable_and_the_next_call_starts_another(
    options: RcloneOptions, make_content: MakeContent, config: Path
) -> None:
    slow = RcloneOptions(remote=options.remote, config=config, bwlimit="100k")
    content = make_content(1_000_000)
    async with open_rclone(slow) as sink:
        first = pid_of(sink)
        putting = asyncio.create_task(sink.put(KEY, content))
        await asyncio.sleep(0.3)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(SinkUnavailable):
            await putting
        assert await sink.stat(KEY) is None
        assert pid_of(sink) != first
        assert not alive(first)
        assert not Path(f"/proc/{first}").exists(), "a zombie"


async def test_one_that_hangs_is_killed_and_replaced(options: RcloneOptions, make_content: MakeContent) -> None:
    async with open_rclone(options, pulse=0.2) as sink:
        await sink.put(KEY, make_content(SIZE))
        first = pid_of(sink)
        await stopped(first)
        with pytest.raises(SinkUnavailable):
            async with asyncio.timeout(5):
                await sink.stat(KEY)
        assert await names(sink) == [KEY]
        assert not alive(first)


async def test_one_that_hangs_does_not_hold_up_the_end(options: RcloneOptions) -> None:
    began = time.monotonic()
    async with open_rclone(options) as sink:
        first = pid_of(sink)
        await stopped(first)
        looking = asyncio.create_task(sink.stat(KEY))
        await asyncio.sleep(0.05)
    with pytest.raises(SinkUnavailable):
        await looking
    assert time.monotonic() - began < 5
    assert not alive(first)


async def test_a_start_that_is_cut_short_leaves_no_process(tmp_path: Path, options: RcloneOptions) -> None:
    pids = tmp_path / "pids"
    real = rclone()
    mute = script(tmp_path, f'[ "$1" = version ] && exec {real} version\necho $$ >> {pids}\nexec sleep 60')

    async def start() -> None:
        async with open_rclone(RcloneOptions(remote=options.remote, program=mute)):
            pass

    starting = asyncio.create_task(start())
    await until(lambda: pids.exists() and pids.read_text().strip() != "")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert [pid for pid in map(int, pids.read_text().split()) if alive(pid)] == []


# -- cancellation


async def test_a_cancelled_put_is_stopped_within_rclone_and_its_draft_removed(
    options: RcloneOptions, make_content: MakeContent, folder: Path, config: Path
) -> None:
    slow = RcloneOptions(remote=options.remote, config=config, bwlimit="100k")
    async with open_rclone(slow) as sink:
        assert isinstance(sink, RcloneSink)
        putting = asyncio.create_task(sink.put(KEY, make_content(3_000_000)))
        await until(lambda: any(is_draft(Path(name).name.removesuffix(".partial")) for name in files_in(folder)))
        putting.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert time.monotonic() - began < 0.5
        await until(lambda: sink.at_work == 0)
        assert time.monotonic() - began < 5, "thirty seconds were left to send"
        assert files_in(folder) == []


# -- a server that is cut off


@pytest.mark.parametrize("after", [0, 2_000, 200_000])
async def test_a_server_that_is_cut_off_is_unavailable_and_shows_no_half(
    tmp_path: Path, config: Path, make_content: MakeContent, after: int
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    content = make_content(1_000_000)
    with serving("webdav", served, f"--user={USER}", f"--pass={PASSWORD}") as server:
        async with proxied(server.port) as proxy:
            config.write_text(
                f"[dav]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:{proxy.port}\n"
                f"user = {USER}\npass = {obscured(PASSWORD)}\npacer_min_sleep = 100us\n"
            )
            async with open_rclone(RcloneOptions(remote="dav:", config=config)) as sink:
                proxy.passed, proxy.cut_after = 0, after
                with pytest.raises(SinkUnavailable):
                    await sink.put(KEY, content)
                with pytest.raises(SinkUnavailable):
                    await sink.stat(KEY)
                proxy.cut_after = None
                assert await names(sink) == []
                await sink.put(KEY, content)
                assert await read(sink, KEY) == content.path.read_bytes()


async def test_a_reading_that_is_cut_off_is_no_end(tmp_path: Path, config: Path, make_content: MakeContent) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "clip.mp4").write_bytes(bytes(8_000_000))
    with serving("webdav", served) as server:
        async with proxied(server.port) as proxy:
            config.write_text(f"[dav]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:{proxy.port}\n")
            async with open_rclone(RcloneOptions(remote="dav:", config=config)) as sink:
                got = 0
                with pytest.raises(SinkUnavailable):
                    async with sink.open(Key("clip.mp4")) as chunks:
                        async for chunk in chunks:
                            if not got:
                                await proxy.stop()
                            got += len(chunk)
                assert 0 < got < 8_000_000


# -- what is seen of secrets

CANARY = "canary-7f3a99-secret"


async def test_no_secret_is_in_arguments_logs_or_errors(
    tmp_path: Path, config: Path, make_content: MakeContent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hidden = obscured(CANARY)
    config.write_text(f"[dav]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:9\nuser = u\npass = {hidden}\n")
    password = SecretRef(kind="inline", inline=Secret("canary-of-the-config"))
    seen: list[str] = []

    async def attempt(remote: str) -> None:
        try:
            async with open_rclone(RcloneOptions(remote=remote, config=config, config_password=password)) as sink:
                seen.append(Path(f"/proc/{pid_of(sink)}/cmdline").read_text())
                await sink.put(KEY, make_content(10))
                await sink.delete(Key("nothing"))
        except SinkError as error:
            seen.append(f"{error!r} {error} {error.__cause__!r}")
        except ConfigError as error:
            seen.append(f"{error!r} {error}")

    (tmp_path / "there").mkdir()
    await attempt("dav:")
    await attempt(f":webdav,url='http://127.0.0.1:9/',bearer_token={CANARY}:x")
    await attempt(f":webdav,bearer_token='{CANARY}',url='http://u:{CANARY}@127.0.0.1:9/?token={CANARY}':x")
    await attempt(f":nosuchkind,key={CANARY}:x")
    await attempt(f":webdav,pass={CANARY}:x")
    await attempt(f":local,description={CANARY}:{tmp_path}/there")
    logged = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    assert any("rclone says" in text for text in logged)
    assert len(seen) >= 7
    for text in (*seen, *logged):
        for secret in (CANARY, hidden, "canary-of-the-config"):
            assert secret not in text, text.replace(secret, "<HERE>")


# -- three answers


@pytest.mark.parametrize("call", ["stat", "open", "list", "delete", "put"])
async def test_a_folder_that_vanished_is_no_empty_archive(
    options: RcloneOptions, make_content: MakeContent, folder: Path, call: str
) -> None:
    async with open_rclone(options) as sink:
        await sink.put(KEY, make_content(10))
        folder.rename(folder.with_name("away"))
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "stat": lambda: sink.stat(KEY),
            "open": lambda: read(sink, KEY),
            "list": lambda: names(sink),
            "delete": lambda: sink.delete(KEY),
            "put": lambda: sink.put(Key("new"), make_content(10)),
        }
        with pytest.raises(SinkUnavailable):
            await calls[call]()
        assert not folder.exists(), "a new one was made"


async def test_a_folder_that_vanishes_in_the_middle_of_a_listing_ends_it_with_an_error(
    options: RcloneOptions, make_content: MakeContent, folder: Path
) -> None:
    async with open_rclone(options) as sink:
        for name in ("a/1.mp4", "b/2.mp4", "c/3.mp4"):
            await sink.put(Key(name), make_content(10))
        with pytest.raises(SinkUnavailable):
            async for _ in sink.list():
                if folder.exists():
                    folder.rename(folder.with_name("away"))


async def test_a_name_above_an_object_is_absent_and_no_outage(options: RcloneOptions, make_content: MakeContent) -> None:
    async with open_rclone(options) as sink:
        await sink.put(Key("a/clip.mp4"), make_content(10))
        assert await sink.stat(Key("a")) is None
        assert await sink.stat(Key("a/clip.mp4/below")) is None
        for name in ("a", "a/clip.mp4/below"):
            with pytest.raises(NotFound):
                await read(sink, Key(name))


async def test_a_folder_that_a_server_forgets_for_a_moment_is_not_taken_for_gone(
    options: RcloneOptions, make_content: MakeContent
) -> None:
    class Forgetting(Keeper):
        times = 0

        async def call(self, what: str, given: Mapping[str, object]) -> Mapping[str, Any]:
            if what == "operations/list" and given["remote"] == "a" and type(self).times:
                type(self).times -= 1
                given = {**given, "remote": "not there"}
            return await super().call(what, given)

    async with open_rclone(options, keeping=Forgetting) as sink:
        await sink.put(Key("a/clip.mp4"), make_content(10))
        Forgetting.times = 2
        assert await names(sink) == ["a/clip.mp4"]
        Forgetting.times = 100
        with pytest.raises(SinkUnavailable):
            await names(sink)


async def test_a_folder_that_a_server_shows_empty_for_a_moment_is_not_taken_for_empty(
    options: RcloneOptions, make_content: MakeContent, folder: Path
) -> None:
    class Blinking(Keeper):
        times = 0

        async def call(self, what: str, given: Mapping[str, object]) -> Mapping[str, Any]:
            if what == "operations/list" and given["remote"] == "a" and type(self).times:
                type(self).times -= 1
                return {"list": []}
            return await super().call(what, given)

    async with open_rclone(options, keeping=Blinking) as sink:
        await sink.put(Key("a/clip.mp4"), make_content(10))
        (folder / "truly empty").mkdir()
        Blinking.times = 1
        assert await names(sink) == ["a/clip.mp4"]


async def test_many_puts_keep_their_hashes_whatever_the_number_at_a_time(
    folder: Path, config: Path, make_content: MakeContent
) -> None:
    class Counting(Keeper):
        now = most = 0

        async def call(self, what: str, given: Mapping[str, object]) -> Mapping[str, Any]:
            if what != "operations/copyfile":
                return await super().call(what, given)
            Counting.now += 1
            Counting.most = max(Counting.most, Counting.now)
            try:
                await asyncio.sleep(0.05)
                return await super().call(what, given)
            finally:
                Counting.now -= 1

    contents = {Key(f"{n}.mp4"): make_content(SIZE + n) for n in range(12)}
    three = RcloneOptions(remote=str(folder), config=config, transfers=3)
    async with open_rclone(three, keeping=Counting) as sink, asyncio.TaskGroup() as group:
        for key, content in contents.items():
            group.create_task(sink.put(key, content))
    assert Counting.most == 3
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()} == {
        key: content.sha256 for key, content in contents.items()
    }
