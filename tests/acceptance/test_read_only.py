"""Who can only read a sink can restore from it and verify it; and what is not the archive's there stands in nobody's way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import COMMAND
from tests.acceptance.test_restore_union import Place
from tests.pipeline.fakes import clip, film
from tests.powers import drop_powers
from tests.seaweed import READER_KEY_ID, SECRET_ACCESS_KEY, Seaweed
from tests.sshd import serving

FILMS = {film(1), film(2)}
RCLONE = COMMAND.with_name("rclone")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A sink with two clips."""
    place = Place(tmp_path / "place")
    place.hold([(clip(1), film(1)), (clip(2), film(2))])
    return place


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A tree that nobody writes to, as a mount that is read-only."""
    every = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in every if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def command(machine: Path, sink: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run the installed command as somebody whom permissions stop. Gives exit code, report and stderr."""
    machine.mkdir(exist_ok=True)
    config = machine / "c.toml"
    config.touch(mode=0o600)
    config.write_text(f'[archive]\nstate = "{machine / "state"}"\n[sink.old]\n{sink}')
    argv = [str(COMMAND), "--config", str(config), *arguments, "--json"]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, env=os.environ, preexec_fn=drop_powers
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def restored(machine: Path) -> set[bytes]:
    return {path.read_bytes() for path in (machine / "out").rglob("*.mp4")}


def check(machine: Path, sink: str) -> dict[str, Any]:
    """Restore, and see that all came; and that doctor says what can be done. Gives the report."""
    code, report, err = command(machine, sink, "restore", "--to", str(machine / "out"))
    assert (code, restored(machine)) == (0, FILMS), (report, err)
    _, found, _ = command(machine, sink, "doctor")
    [line] = [one for one in found["checks"] if one["what"] == "sink old"]
    assert line["verdict"] == "fail"
    assert "can be read, and nothing can be stored" in line["found"]
    return report


def test_a_folder_that_is_read_only(tmp_path: Path, place: Place) -> None:
    with read_only(place.folder):
        check(tmp_path / "m", f'type = "disk"\npath = "{place.folder}"\n')


def test_a_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    code, report, _ = command(tmp_path / "m", f'type = "disk"\npath = "{tmp_path / "gone"}"\n', "restore", "--to", str(tmp_path))
    assert (code, (tmp_path / "gone").exists()) == (3, False)
    assert "does not exist" in report["troubles"][0]["what"]


def test_a_bucket_with_a_key_that_can_read_and_list_only(tmp_path: Path, place: Place, seaweed: Seaweed) -> None:
    bucket, client = seaweed.bucket(), seaweed.client()
    for path in place.folder.rglob("*"):
        if path.is_file():
            client.put_object(Bucket=bucket, Key=path.relative_to(place.folder).as_posix(), Body=path.read_bytes())
    before = {(one["Key"], one["ETag"]) for one in client.list_objects_v2(Bucket=bucket)["Contents"]}
    check(
        tmp_path / "m",
        f'type = "s3"\nbucket = "{bucket}"\nendpoint_url = "{seaweed.url}"\naccess_key_id = "{READER_KEY_ID}"\n'
        f'secret_access_key = "{SECRET_ACCESS_KEY}"\n',
    )
    assert {(one["Key"], one["ETag"]) for one in client.list_objects_v2(Bucket=bucket)["Contents"]} == before
    client.close()


def test_an_account_of_a_server_that_can_only_read(tmp_path: Path, place: Place) -> None:
    (tmp_path / "server").mkdir()
    draft = place.folder / ".blinkarchive-0123456789abcdef.part"
    draft.touch()
    os.utime(draft, (0, 0))
    with serving(tmp_path / "server", sftp="-R", powerless=True) as server:
        given = server.options(place.folder)
        check(
            tmp_path / "m",
            f'type = "sftp"\nhost = "{given.host}"\nport = {given.port}\nusername = "{given.username}"\npath = "{given.path}"\n'
            f'key = "{given.key}"\nknown_hosts = "{given.known_hosts}"\n',
        )


def test_a_remote_that_can_only_be_read(tmp_path: Path, place: Place) -> None:
    with read_only(place.folder):
        check(tmp_path / "m", f'type = "rclone"\nremote = "{place.folder}"\nprogram = "{RCLONE}"\n')


@pytest.mark.parametrize("kind", ["disk", "sftp", "rclone"])
def test_what_is_not_the_archives_is_skipped_with_a_message(tmp_path: Path, place: Place, kind: str) -> None:
    for name in ("@eaDir", "#recycle", "lost+found", "porch/@eaDir"):
        (place.folder / name).mkdir(parents=True)
        (place.folder / name / "x.mp4").touch()
        (place.folder / name).chmod(0)
    (tmp_path / "elsewhere").mkdir()
    (place.folder / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server", powerless=True) as server:
        given = server.options(place.folder)
        sinks = {
            "disk": f'type = "disk"\npath = "{place.folder}"\n',
            "sftp": f'type = "sftp"\nhost = "{given.host}"\nport = {given.port}\nusername = "{given.username}"\n'
            f'path = "{given.path}"\nkey = "{given.key}"\nknown_hosts = "{given.known_hosts}"\n',
            "rclone": f'type = "rclone"\nprogram = "{RCLONE}"\nremote = ":sftp,host=127.0.0.1,port={given.port},'
            f'user={given.username},key_file={given.key},shell_type=none:{place.folder}"\n',
        }
        code, report, err = command(tmp_path / "m", sinks[kind], "restore", "--to", str(tmp_path / "m" / "out"))
    assert (code, restored(tmp_path / "m")) == (0, FILMS), (report, err)
    said = " ".join(note["what"] for note in report["notes"])
    assert "@eaDir was skipped: " in said
    assert "#recycle was skipped: " in said
    for name in ("@eaDir", "#recycle", "lost+found", "porch/@eaDir"):
        (place.folder / name).chmod(0o700)


def test_catalogues_that_cannot_be_read_are_a_failure(tmp_path: Path, place: Place) -> None:
    (place.folder / "catalog").chmod(0)
    sink = f'type = "disk"\npath = "{place.folder}"\n'
    code, report, _ = command(tmp_path / "m", sink, "restore", "--to", str(tmp_path / "m" / "out"))
    (place.folder / "catalog").chmod(0o700)
    assert (code, restored(tmp_path / "m")) == (3, set())
    assert "Permission denied" in report["troubles"][0]["what"]
