"""Whose a file is, and what others may do with it, as the file system reports it."""

import os
import stat
from pathlib import Path

import pytest

from blinkarchive import permissions
from blinkarchive.errors import ConfigError


def found(mode: int, *, owner: int | None = None) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, os.geteuid() if owner is None else owner, 0, 0, 0, 0, 0))


def test_a_file_of_another_user_is_refused_whatever_its_mode() -> None:
    with pytest.raises(ConfigError, match=rf"the index /x belongs to another user \(uid 12345\).*sudo chown {os.geteuid()} '/x'"):
        permissions.check(Path("/x"), found(stat.S_IFREG | 0o600, owner=12345), "the index", forbidden=permissions.WRITABLE)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o700, 0o755])
def test_what_others_may_only_read_may_not_be_changed_by_them(mode: int) -> None:
    permissions.check(Path("/x"), found(stat.S_IFREG | mode), "the file", forbidden=permissions.WRITABLE)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o622, 0o666, 0o777])
def test_what_others_may_change_is_refused(mode: int) -> None:
    with pytest.raises(ConfigError, match=f"the file /x may be changed by others .mode {mode:04o}.*chmod 600 '/x'"):
        permissions.check(Path("/x"), found(stat.S_IFREG | mode), "the file", forbidden=permissions.WRITABLE)
    with pytest.raises(ConfigError, match="chmod 700 '/x'"):
        permissions.check(Path("/x"), found(stat.S_IFDIR | mode), "the folder", forbidden=permissions.WRITABLE)


def test_what_must_not_be_read_is_refused_with_that_reason() -> None:
    with pytest.raises(ConfigError, match="the file /x may be read by others"):
        permissions.check(Path("/x"), found(stat.S_IFREG | 0o640), "the file", forbidden=permissions.OPEN)


def test_what_is_not_there_is_no_danger(tmp_path: Path) -> None:
    permissions.check_inside(tmp_path / "nothing", "the index")
