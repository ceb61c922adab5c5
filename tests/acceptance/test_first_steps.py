"""The first minutes of a new owner: demo, simulate, init, login at a terminal, run, status, doctor."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
from pathlib import Path

import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import COMMAND, Ended, House, Houses, ended


def world() -> World:
    return World.from_seed(3, clips=8, clip_bytes=(8_000, 20_000), second_factor="202")


async def command(*arguments: str | Path, **environ: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environ,
    )
    return await ended(process)


async def at_a_terminal(*arguments: str | Path, answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run a command at a terminal; each answer is typed when its question is seen. Gives the exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown, at = "", 0
    while True:
        try:
            shown += (await asyncio.wait_for(asyncio.to_thread(os.read, ours, 4096), 30)).decode(errors="replace")
        except OSError:  # the other side has closed the terminal
            break
        while answers and answers[0][0] in shown[at:]:
            question, answer = answers.pop(0)
            at = shown.index(question, at) + len(question)
            os.write(ours, f"{answer}\n".encode())
    os.close(ours)
    assert answers == [], f"never asked: {answers}\n{shown}"
    return await process.wait(), shown.replace("\r\n", "\n")


async def test_the_demo_shows_the_whole_way_and_a_second_one_finds_nothing_new(tmp_path: Path) -> None:
    first = await command("demo", "--dir", tmp_path / "demo")
    assert first.code == 0, first.err
    assert "72 stored now" in first.err
    assert f"72 clips in {tmp_path / 'demo' / 'clips'}:" in first.out
    assert "Next, with your own account: blinkarchive init" in first.err
    clips = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo" / "clips").rglob("*.mp4")}
    assert len(clips) == 72

    second = await command("demo", "--dir", tmp_path / "demo", "--json")
    assert second.code == 0, second.err
    assert "Nothing is new" in second.err
    report = json.loads(second.out)
    assert (report["stored"], report["known"]) == (0, report["listed"])
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "demo" / "clips").rglob("*.mp4")} == clips


async def test_a_demo_in_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = await command("demo", "--dir", tmp_path / "file" / "demo")
    assert done.code == 2
    assert done.err.startswith("Error: the folder ")


@pytest.mark.parametrize("as_json", [False, True])
async def test_simulate_prints_what_one_needs_and_serves_until_stopped(as_json: bool) -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "simulate", *(["--json"] if as_json else []), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        if as_json:
            facts = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        else:
            lines = [(await asyncio.wait_for(process.stdout.readline(), 30)).decode() for _ in range(4)]
            facts = dict(line.rstrip("\n").split(": ", 1) for line in lines)
        assert list(facts) == ["url", "username", "password", "code"]
        host, port = facts["url"].removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        await writer.wait_closed()
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
    assert (process.returncode, rest) == (0, b"")


async def test_a_port_that_is_taken_is_one_sentence() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        done = await command("simulate", "--port", str(server.sockets[0].getsockname()[1]))
    assert done.code == 1
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err


async def _login(house: House, *answers: tuple[str, str]) -> tuple[int, str]:
    return await at_a_terminal("--config", house.config, "login", answers=list(answers))


async def test_from_init_to_status_at_a_terminal(house_of: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house_of(world()) as house:
        account = house.account
        for variable in ("BLINKARCHIVE_API_URL", "BLINKARCHIVE_OAUTH_URL"):
            monkeypatch.setenv(variable, house.cloud.url)
        house.config.unlink()
        monkeypatch.setenv("BLINKARCHIVE_CONFIG", str(house.config))

        code, shown = await at_a_terminal(
            "init", answers=[("sign in to Blink with", account.username), ("folder", str(house.nas))]
        )
        assert (code, "Wrote" in shown) == (0, True)
        config = house.config.read_text()
        house.config.write_text(config.replace('state = "~/.local/state/blinkarchive"', f'state = "{house.folder / "state"}"'))

        code, shown = await _login(house, ("Password", account.password), ("Code", "000000"), ("Code", account.code))
        assert code == 0, shown
        assert account.password not in shown, "a password is never echoed"
        assert "Try again" in shown
        assert "Account home is signed in." in shown

        code, shown = await at_a_terminal("run", answers=[])
        assert code == 0, shown
        assert "8 stored now" in shown
        assert set(house.clips())

        code, shown = await at_a_terminal("status", answers=[])
        assert (code, "all done; 8 listed, 8 stored" in shown) == (0, True), shown


async def test_three_wrong_codes_end_a_login_with_4(house_of: Houses) -> None:
    async with house_of(world()) as house:
        house.configure(password=False)
        wrong = ("Code", "000000")
        code, shown = await _login(house, ("Password", house.account.password), wrong, wrong, wrong)
        assert code == 4
        assert shown.count("Try again") == 2


async def test_a_wrong_password_ends_a_login_at_once_with_4(house_of: Houses) -> None:
    async with house_of(world()) as house:
        house.configure(password=False)
        code, shown = await _login(house, ("Password", "wrong-password-1"))
        assert code == 4
        assert "wrong-password-1" not in shown
        assert len(house.cloud.seen("POST", "/oauth/v2/signin")) == 1


async def test_without_a_terminal_the_code_comes_in_a_second_call(house_of: Houses) -> None:
    async with house_of(world()) as house:
        asked = await house("login")
        assert asked.code == 4
        assert "blinkarchive login --code" in asked.err
        status = json.loads((await house("status", "--json")).out)
        assert status["accounts"]["a0"]["sign_in"] == "waits for its code"
        house.environment["BLINKARCHIVE_CODE"] = house.account.code
        assert (await house("login")).code == 0
        assert json.loads((await house("status", "--json")).out)["accounts"]["a0"]["sign_in"] == "signed in"


async def test_doctor_finds_a_healthy_house_healthy_and_leaves_no_trace(house_of: Houses) -> None:
    async with house_of(world()) as house:
        house.environment["BLINKARCHIVE_CODE"] = house.account.code
        await house("login")
        await house("run")
        before = set(house.nas.rglob("*"))
        done = await house("doctor", "--json")
        assert done.code == 0, done.out
        assert {check["verdict"] for check in done.report["checks"]} == {"ok"}
        assert set(house.nas.rglob("*")) == before


async def test_doctor_says_what_is_wrong_and_what_to_do(house_of: Houses) -> None:
    async with house_of(world()) as house:
        house.environment["BLINKARCHIVE_CODE"] = house.account.code
        await house("login")
        await house("run")
        house.nas.rename(house.folder / "elsewhere")
        house.nas.mkdir()
        house.configure(more='[sink.away]\ntype = "disk"\npath = "/nonexistent/folder"\n[sink.odd]\ntype = "disk"\npth = "/x"\n')
        text = house.config.read_text().replace('password = { env = "PASSWORD_0" }', 'password = "inline-password"')
        house.config.write_text(text.replace(house.cloud.url, "http://127.0.0.1:9"))
        house.config.chmod(0o644)
        done = await house("doctor", "--json")
        assert done.code == 1
        checks = {check["what"]: check for check in done.report["checks"]}
        failed = {what for what, check in checks.items() if check["verdict"] == "fail"}
        assert failed == {"config", "account a0", "server http://127.0.0.1:9", "sink nas", "sink away", "sink odd"}
        assert checks["config"]["advice"].startswith("chmod 600")
        assert "blinkarchive login --account a0" in checks["account a0"]["advice"]
        assert "is the right disk mounted" in checks["sink nas"]["advice"]
        assert 'did you mean "path"?' in checks["sink odd"]["found"]
        assert "inline-password" not in done.out + done.err
        assert list(house.nas.iterdir()) == [], "nothing is written where the marker is missing"


async def test_everything_at_the_loudest_shows_no_secret(house_of: Houses) -> None:
    async with house_of(world()) as house:
        account = house.account
        said = [await house("-vv", "login")]
        house.environment["BLINKARCHIVE_CODE"] = account.code
        said += [await house("-vv", *line.split()) for line in ("login", "run", "status", "doctor", "list --json", "plugins")]
        text = "".join(one.out + one.err for one in said)
        tokens = json.loads((house.folder / "state" / "accounts" / "a0" / "tokens.json").read_text())
        secrets = [value for key, value in tokens.items() if "token" in key or key in ("access", "refresh")]
        assert secrets
        for secret in (account.password, *map(str, secrets)):
            assert secret not in text
        assert "DEBUG" in text or "INFO" in text
        assert "Traceback" in said[0].err, "the loudest log shows where a command failed"
