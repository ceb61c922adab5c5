"""A config that gives its secrets away, or that others may change, is reported by every command."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from blinkarchive.config import load
from blinkarchive.errors import ConfigError
from blinkarchive.exposure import exposures, readable_by_others

Write = Callable[..., Path]

SINKS = """
[sink.bucket]
type = "s3"
bucket = "clips"
access_key_id = { env = "ID" }
secret_access_key = "canary"

[sink.drive]
type = "rclone"
remote = ":webdav,url=https://dav.test,user=me,pass=canary:clips"

[sink.server]
type = "sftp"
password = "canary"
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str, mode: int) -> Path:
        file = tmp_path / "blinkarchive.toml"
        file.write_text(text)
        file.chmod(mode)
        return file

    return written


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_each_secret_in_a_config_that_others_may_read_is_reported(write: Write, mode: int) -> None:
    file = write(SINKS, mode)
    assert load(file, {}).warnings == tuple(
        f"{file} holds the secret {where}, and others may read it: chmod 600 {file}"
        for where in ("[sink.bucket] secret_access_key", "[sink.drive] remote", "[sink.server] password")
    )
    assert "canary" not in "".join(load(file, {}).warnings)


def test_secrets_in_a_config_that_only_its_owner_may_read_are_no_warning(write: Write) -> None:
    assert load(write(SINKS, 0o600), {}).warnings == ()


def test_a_config_that_others_may_read_is_fine_without_secrets(write: Write) -> None:
    text = """
[account.home]
username = "me@example.test"
password = { env = "PASSWORD" }

[sink.drive]
type = "rclone"
remote = "drive:clips"
encrypt = false
"""
    assert load(write(text, 0o644), {}).warnings == ()


def test_a_secret_of_the_environment_is_not_in_the_file(write: Write) -> None:
    file = write('[sink.server]\ntype = "sftp"', 0o644)
    assert load(file, {"BLINKARCHIVE__SINK__SERVER__PASSWORD": "canary"}).warnings == ()


@pytest.mark.parametrize("named", ["password", "{folder}/password"])
def test_a_secrets_own_file_that_others_may_read_is_reported(write: Write, tmp_path: Path, named: str) -> None:
    kept = tmp_path / "password"
    kept.write_text("canary")
    kept.chmod(0o644)
    name = named.format(folder=tmp_path)
    file = write(f'[account.home]\nusername = "me"\npassword = {{ file = "{name}" }}', 0o644)
    assert load(file, {}).warnings == (
        f"{kept} holds the secret [account.home] password, and others may read it: chmod 600 {kept}",
    )
    kept.chmod(0o600)
    assert load(file, {}).warnings == ()


def test_the_secrets_of_a_container_are_readable_by_all_and_nobody_else_is_there() -> None:
    assert list(exposures(None, {"account": {"home": {"password": {"file": "/run/secrets/password"}}}})) == []


def test_a_config_that_its_group_may_change_is_reported(write: Write) -> None:
    file = write("", 0o660)
    [warning] = load(file, {}).warnings
    assert warning.startswith(f"the group of {file} may change it")
    assert warning.endswith(f": chmod g-w {file}")


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_a_config_that_everybody_may_change_is_refused(write: Write, mode: int) -> None:
    file = write("", mode)
    with pytest.raises(ConfigError, match=f"everybody on this machine may change {file}.*chmod 600"):
        load(file, {})


def test_a_config_of_another_user_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("", 0o644)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    if file.stat().st_uid:
        with pytest.raises(ConfigError, match="belongs to another user"):
            load(file, {})
    else:  # root's: /etc is
        load(file, {})


@pytest.mark.parametrize(("mode", "others"), [(0o600, False), (0o640, True), (0o604, True), (0o700, False)])
def test_a_files_mode_says_whether_others_may_read_it(tmp_path: Path, mode: int, others: bool) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    assert readable_by_others(file) is others
    assert not readable_by_others(tmp_path / "missing")
