"""The command line as a process: what it loads, how it is stopped, and what it does when nobody takes its output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

Writing = Callable[..., subprocess.CompletedProcess[str]]

KEPT = ("HOME", "PATH", "LANG")
"""What these processes get of the environment."""


def python(*arguments: str | Path, stdin: int = subprocess.DEVNULL, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments], stdin=stdin, capture_output=True, text=True, env=kept | environ, timeout=50, check=False
    )


def script(text: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(text)]


@pytest.mark.parametrize("line", [["--help"], ["--version"], ["lst"], ["-h"]])
def test_help_and_version_load_neither_verbs_nor_heavy_libraries(line: list[str]) -> None:
    done = python(
        "-c",
        f"import json, sys; from blinkarchive.cli import main; main({line!r}); print(); print(json.dumps(list(sys.modules)))",
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {"aiohttp", "sqlalchemy", "alembic", "rich", "msgspec", "platformdirs", "tomllib", "asyncio", "ssl", "hypothesis"}
    assert loaded & heavy == set()
    ours = {name for name in loaded if name.startswith("blinkarchive.")}
    assert {name for name in ours if name.startswith("blinkarchive.cli.")} == {
        f"blinkarchive.cli.{name}" for name in ("ending", "exits", "logs", "root", "session", "signals", "words")
    }
    assert "blinkarchive.config" not in ours
    assert "blinkarchive.wiring" not in ours


@pytest.mark.parametrize("verb", ["cameras", "networks", "snap", "record", "arm", "disarm"])
def test_a_verb_for_cameras_loads_what_speaks_to_blink_only_to_speak_to_it(verb: str) -> None:
    told = "import json, sys; from blinkarchive.cli import main; main([sys.argv[1], '-h']); print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(python("-c", told, verb).stdout.splitlines()[-1]))
    assert loaded & {"aiohttp", "sqlalchemy", "alembic", "rich", "blinkarchive.wiring"} == set()


def test_the_package_runs_as_a_module() -> None:
    done = python("-m", "blinkarchive", "--version")
    assert (done.returncode, done.stdout) == (0, "blinkarchive 0.1.0\n")


STOPPABLE = """
    import asyncio, sys
    from blinkarchive.cli import running

    async def work():
        print("ready", flush=True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            {when_told}

    try:
        code = running.run(work{patience})
    except KeyboardInterrupt:
        code = 7
    sys.exit(code)
"""
OBEDIENT = "return 42"
DEAF = "await asyncio.Event().wait()"
SILENT = "raise"


def stopped(when_told: str, *signals: int, patience: str = "") -> tuple[int, str]:
    """Start work, send the signals one after the other, and give the exit code and what was said."""
    with subprocess.Popen(
        script(STOPPABLE.format(when_told=when_told, patience=patience)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        said = ""
        for signum in signals:
            process.send_signal(signum)
            if not said:
                said = process.stderr.readline()
        return process.wait(30), said + process.stderr.read()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_the_work_to_end_and_takes_what_it_still_gives(signum: int) -> None:
    assert stopped(OBEDIENT, signum) == (42, "Stopping; once more to end at once.\n")


def test_work_that_ends_without_a_result_is_interrupted() -> None:
    assert stopped(SILENT, signal.SIGTERM)[0] == 7


def test_a_second_signal_ends_the_process_at_once() -> None:
    assert stopped(DEAF, signal.SIGINT, signal.SIGTERM)[0] == 130


def test_work_that_does_not_end_in_time_is_ended() -> None:
    assert stopped(DEAF, signal.SIGTERM, patience=", patience=0.1")[0] == 130


def test_a_prompt_is_interrupted_by_either_signal_and_ends_with_130() -> None:
    blocked = """
        import os, signal, sys, threading
        import click
        from blinkarchive.cli import main, root
        from blinkarchive.cli.session import Verb

        @click.command(cls=Verb, name="list")
        def verb(**_):
            threading.Timer(0.1, os.kill, (os.getpid(), {signum})).start()
            os.read(int(sys.argv[1]), 1)

        class Group(type(root.blinkarchive)):
            def get_command(self, ctx, name):
                return verb

        root.blinkarchive.__class__ = Group
        sys.exit(main(["list"]))
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        reader, writer = os.pipe()
        done = subprocess.run(
            [*script(blocked.format(signum=int(signum))), str(reader)],
            pass_fds=[reader], capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        os.close(reader)
        os.close(writer)
        assert (done.returncode, done.stderr.strip()) == (130, "Stopped.")


def test_an_error_of_many_lines_is_one_line() -> None:
    failing = """
        import sys
        import click
        from blinkarchive.cli import main, root
        from blinkarchive.cli.session import Verb
        from blinkarchive.errors import SinkError

        @click.command(cls=Verb, name="list")
        def verb(**_):
            error = SinkError("sink away: first\\n\\n   second\\nthird")
            error.add_note("Try again later.")
            raise error

        class Group(type(root.blinkarchive)):
            def get_command(self, ctx, name):
                return verb

        root.blinkarchive.__class__ = Group
        sys.exit(main(["list"]))
    """
    done = subprocess.run(script(failing), capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.splitlines()) == (1, ["Error: sink away: first second third", "Try again later."])


MANY = """
    import sys
    import click
    from blinkarchive.cli import main, root
    from blinkarchive.cli.session import Verb
    from blinkarchive.cli.words import data, talk

    @click.command(cls=Verb, name="list")
    def verb(**_):
        for number in range(int(sys.argv[1])):
            data("x" * 100)
        talk("said")
        return int(sys.argv[2])

    class Group(type(root.blinkarchive)):
        def get_command(self, ctx, name):
            return verb

    root.blinkarchive.__class__ = Group
    sys.exit(main(["list"]))
"""


@pytest.fixture(params=["buffered", "unbuffered"])
def writing(request: pytest.FixtureRequest) -> Writing:
    """Write so many lines and end with this code: `writing(10, 0, stdout=…)`."""
    environ = {name: os.environ[name] for name in KEPT if name in os.environ}
    if request.param == "unbuffered":
        environ["PYTHONUNBUFFERED"] = "1"

    def run(lines: int, code: int, *, stdout: int | IO[str] = subprocess.PIPE, stderr: int | IO[str] = subprocess.PIPE) -> Any:
        command = [*script(MANY), str(lines), str(code)]
        return subprocess.run(command, stdout=stdout, stderr=stderr, env=environ, text=True, timeout=30, check=False)

    return run


@pytest.fixture
def nobody() -> Iterator[int]:
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("lines", [1, 10_000])
def test_a_reader_that_has_had_enough_is_no_failure(writing: Writing, nobody: int, lines: int) -> None:
    done = writing(lines, 0, stdout=nobody)
    assert (done.returncode, done.stderr) == (0, "said\n")


@pytest.mark.parametrize("lines", [1, 10_000])
def test_a_failure_is_told_by_the_exit_code_though_nobody_reads_it(writing: Writing, nobody: int, lines: int) -> None:
    assert writing(lines, 3, stdout=nobody, stderr=nobody).returncode == 3


@pytest.mark.parametrize("lines", [1, 10_000])
def test_a_full_disk_under_stdout_is_an_error_and_no_traceback(writing: Writing, lines: int) -> None:
    with open("/dev/full", "w") as full:
        done = writing(lines, 0, stdout=full)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_full_disk_under_stderr_loses_the_talk_and_nothing_else(writing: Writing) -> None:
    with open("/dev/full", "w") as full:
        done = writing(2, 0, stderr=full)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)


def test_closed_stdout_and_stderr_are_no_fault() -> None:
    done = subprocess.run(["sh", "-c", f'exec "{sys.executable}" -m blinkarchive --version >&- 2>&-'], timeout=30, check=False)
    assert done.returncode == 0


def test_a_terminal_that_knows_few_letters_gets_what_it_can_show(tmp_path: Path) -> None:
    file = tmp_path / "blinkarchive.toml"
    file.write_text('[account.home]\nusername = "x"\n[süß]\n', encoding="utf-8")
    done = python("-m", "blinkarchive", "--config", file, "status", PYTHONIOENCODING="ascii:strict", PYTHONUTF8="0")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "this is not TOML" in done.stderr


def test_a_fault_of_our_own_is_a_sentence_and_no_traceback() -> None:
    fault = MANY.replace('talk("said")', 'raise RuntimeError("password=hunter2-hunter2")')
    done = subprocess.run([*script(fault), "0", "0"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert (
        done.stderr == "Error: blinkarchive met a fault of its own (RuntimeError: password=***); the same with -vv shows where.\n"
    )


@pytest.mark.parametrize("setting", ["UTC-3", "GMT+5", "CET-1CEST,M3.5.0,M10.5.0/3", "Mars/Base"])
@pytest.mark.parametrize("table", ["", '[serve]\nzone = "Europe/Berlin"\n'])
def test_no_time_zone_ends_a_command_whose_config_has_a_cron(tmp_path: Path, setting: str, table: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[account.home]\nusername = "me@example.org"\n[archive]\nstate = "{tmp_path}/state"\n'
        f'[sink.nas]\ntype = "disk"\npath = "{tmp_path}/nas"\n[source.cloud]\ncron = "30 4 * * *"\n{table}'
    )
    config.chmod(0o600)
    for verb in (["status"], ["status", "--check"], ["list", "--since", "2026-03-01"]):
        done = python("-m", "blinkarchive", *verb, "--config", config, TZ=setting)
        assert done.returncode == (3 if "--check" in verb else 0), done.stderr
        assert "Traceback" not in done.stderr
        assert ("TZ" in done.stderr) <= (setting == "Mars/Base")
