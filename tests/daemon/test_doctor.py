"""`doctor` and alarms: is there an address for everybody, and does a test reach them."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from blinkarchive.cli import main
from blinkarchive.cli.exits import Exit

CANARY = "canary-5ecret"
Doctor = Callable[..., tuple[int, Any, str]]


class Phone(HTTPServer):
    """A web server that a person's phone stands for."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Ears)

    def url(self, path: str = "") -> str:
        return f"json://me:{CANARY}@127.0.0.1:{self.server_port}/{path}"


class Ears(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Phone)
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def phone() -> Iterator[Phone]:
    with Phone() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Doctor]:
    """Run `doctor` with an `[alarm]` table: gives its exit code, the checks by name, and stderr."""
    root, ours = logging.getLogger(), logging.getLogger("blinkarchive")
    before = (root.handlers[:], root.level, ours.level)

    def run(table: str, *arguments: str) -> tuple[int, Any, str]:
        file = tmp_path / "blinkarchive.toml"
        file.write_text(f'[archive]\nstate = "state"\n[alarm]\n{table}\n')
        file.chmod(0o600)
        capsys.readouterr()
        code = main(["doctor", "--config", str(file), "--json", *arguments])
        said = capsys.readouterr()
        checks = {check["what"]: check for check in json.loads(said.out)["checks"]} if said.out else {}
        return code, checks, said.err

    yield run
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def test_a_test_alarm_reaches_everybody_and_says_what_it_is(
    doctor: Doctor, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", phone.url("one"))
    monkeypatch.setenv("TWO", phone.url("two"))
    code, checks, said = doctor('notify = [{ env = "ONE" }, { env = "TWO" }]', "--test-alarm")
    assert code == Exit.DONE
    assert {what: check["found"] for what, check in checks.items()} == {
        "alarm 1 (environment variable ONE)": "was told",
        "alarm 2 (environment variable TWO)": "was told",
    }
    assert [heard["title"] for heard in phone.heard] == ["blinkarchive: test"] * 2
    assert "this is a test" in phone.heard[0]["message"]
    assert CANARY not in said


def test_somebody_who_is_not_reached_is_told_and_the_others_are_reached(
    doctor: Doctor, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", phone.url("broken"))
    monkeypatch.setenv("TWO", phone.url("two"))
    code, checks, said = doctor('notify = [{ env = "ONE" }, { env = "TWO" }, { env = "THREE" }]', "--test-alarm", "-vv")
    assert code == Exit.SOME_FAILED
    assert [check["verdict"] for check in checks.values()] == ["fail", "ok", "fail"]
    assert "was not delivered" in checks["alarm 1 (environment variable ONE)"]["found"]
    assert "THREE holds nothing" in checks["alarm 3 (environment variable THREE)"]["found"]
    assert len(phone.heard) == 2
    assert CANARY not in said


def test_where_nobody_would_be_told_a_test_is_an_error_of_the_config(doctor: Doctor) -> None:
    code, checks, said = doctor("", "--test-alarm")
    assert (code, checks) == (Exit.USAGE, {})
    assert "[alarm] notify is empty" in said


def test_a_checkup_sends_nothing_and_tells_of_addresses_that_are_missing(
    doctor: Doctor, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", phone.url())
    monkeypatch.setenv("PING", f"http://example.org/{CANARY}")
    _, checks, said = doctor('notify = [{ env = "ONE" }, { file = "missing" }]\nping = { env = "PING" }')
    assert checks["alarm 1 (environment variable ONE)"]["verdict"] == "ok"
    missing = next(check for what, check in checks.items() if what.startswith("alarm 2"))
    assert (missing["verdict"], missing["advice"]) == ("fail", "mend [alarm] notify")
    assert "only https:// may be pinged" in checks["ping"]["found"]
    assert phone.heard == []
    monkeypatch.setenv("PING", f"https://example.org/{CANARY}")
    assert doctor('ping = { env = "PING" }')[1]["ping"]["verdict"] == "ok"
    assert CANARY not in said + json.dumps(checks)


def test_an_address_that_stands_in_the_config_is_told(doctor: Doctor) -> None:
    _, checks, said = doctor(
        f'notify = ["json://{CANARY}/"]\nping = "https://example.org/{CANARY}"\n[account.home]\nusername = "x"'
    )
    assert checks["config"]["verdict"] == "warn"
    assert "holds [alarm] notify, [alarm] ping in clear" in checks["config"]["found"]
    assert CANARY not in said + json.dumps(checks)


BELL = """
from blinkarchive import hookimpl

@hookimpl
def blinkarchive_alarm(alarm):
    if alarm.what != "this is a test, nothing is wrong" or FATE:
        raise ValueError("the bell is cracked")
"""


@pytest.mark.parametrize(
    ("cracked", "code", "found"), [(False, Exit.DONE, "was told"), (True, Exit.SOME_FAILED, "the bell is cracked")]
)
def test_a_plugin_that_listens_is_told_too(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cracked: bool, code: Exit, found: str
) -> None:
    info = tmp_path / "site" / "a_bell-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-bell\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[blinkarchive]\nbell = bell_module\n")
    (tmp_path / "site" / "bell_module.py").write_text(BELL + f"\nFATE = {cracked}\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "bell_module", raising=False)
    ended, checks, _ = doctor('[plugins]\nload = ["bell"]', "--test-alarm")
    monkeypatch.delitem(sys.modules, "bell_module", raising=False)
    assert ended == code
    assert found in checks["plugin bell"]["found"]
