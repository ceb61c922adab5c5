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


def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, device: int) -> None:
    """What Linux would list, were the file system of a device of this kind."""
    mounts = tmp_path / "mountinfo"
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts.write_text(
        "22 27 0:21 / /proc rw,relatime - proc proc rw\nnonsense\n"
        f"36 35 {number} /a /mnt/My\\040Disk rw,noatime shared:1 master:2 - {kind} /dev/sda1 rw,uid=0\n"
    )
    monkeypatch.setattr(permissions, "MOUNTS", mounts)


@pytest.mark.parametrize(
    ("kind", "called"), [("exfat", "exFAT"), ("ntfs3", "NTFS"), ("fuseblk", "NTFS or exFAT"), ("vfat", "FAT")]
)
def test_a_disk_without_modes_is_no_place_for_the_state_and_chmod_is_no_advice(
    kind: str, called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    mounted(monkeypatch, tmp_path, kind, tmp_path.stat().st_dev)
    with pytest.raises(ConfigError) as raised:
        permissions.check(tmp_path, tmp_path.stat(), "the state folder", forbidden=permissions.WRITABLE)
    assert f"on a disk of type {called}," in str(raised.value)
    assert "chmod" not in str(raised.value)
    assert f"uid={os.geteuid()},umask=0077" in str(raised.value)
    tmp_path.chmod(0o700)
    permissions.check(tmp_path, tmp_path.stat(), "the state folder", forbidden=permissions.WRITABLE)


def test_a_disk_with_modes_and_a_system_that_lists_no_mounts_get_the_usual_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    mounted(monkeypatch, tmp_path, "ext4", tmp_path.stat().st_dev)
    for _ in range(2):
        with pytest.raises(ConfigError, match="chmod 700"):
            permissions.check(tmp_path, tmp_path.stat(), "the state folder", forbidden=permissions.WRITABLE)
        monkeypatch.setattr(permissions, "MOUNTS", tmp_path / "nothing")
