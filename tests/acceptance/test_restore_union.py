"""What the index and the catalogues of several sinks list is restored together; and what somebody planted is not believed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from blinkarchive.encryption import Recipients
from blinkarchive.model import Clip, Copy, Key, Plain, SinkName
from blinkarchive.pipeline import catalog
from blinkarchive.pipeline.naming import Namer
from tests.acceptance.conftest import COMMAND
from tests.pipeline.fakes import clip, film

NAMER = Namer()


class Place:
    """A folder that is a sink, filled by hand."""

    def __init__(self, folder: Path, recipients: Recipients | None = None, *, marked: bool | None = None) -> None:
        self.folder = folder
        self.recipients = recipients
        self._catalogues = 0
        marker: dict[str, object] = {"blinkarchive sink": folder.name}
        if recipients and marked is not False:
            marker["encrypted"] = True
        self.write(".blinkarchive-sink", json.dumps(marker).encode())

    def hold(self, clips: Iterable[tuple[Clip, bytes]], *, encrypted: bool = True) -> None:
        """Store clips, and a catalogue that lists them."""
        sealing = self.recipients if encrypted else None
        text = "".join(catalog.line(one, self._stored(one, data, sealing)) for one, data in clips).encode()
        self._catalogues += 1
        name = f"catalog/20260501T12000{self._catalogues}Z-abcd.jsonl"
        self.write(*((f"{name}.age", sealed(sealing, text)) if sealing else (name, text)))

    def _stored(self, one: Clip, data: bytes, sealing: Recipients | None) -> Copy:
        key, body, plain = NAMER(one), data, None
        if sealing:
            key, body = Key(f"ab/{hashlib.sha256(data).hexdigest()[:32]}.age"), sealed(sealing, data)
            plain = Plain(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        self.write(key, body)
        digest = hashlib.sha256(body).hexdigest()
        return Copy(
            clip=one.id, sink=SinkName("x"), key=key, size=len(body), sha256=digest, stored_at=one.recorded_at, plain=plain
        )

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def sealed(recipients: Recipients, data: bytes) -> bytes:
    pieces: list[bytes] = []
    recipients.encrypt(io.BytesIO(data), pieces.append)
    return b"".join(pieces)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Recipients, Path]:
    """Whom to encrypt for, and the file of the key."""
    both = [pyrage.x25519.Identity.generate() for _ in range(2)]
    file = tmp_path / "key"
    file.write_text(f"{both[0]}\n")
    file.chmod(0o600)
    return Recipients([str(one.to_public()) for one in both]), file


def restore(
    machine: Path, *places: Place, more: tuple[str, ...] = (), config: str = ""
) -> tuple[int, dict[str, Any], str, set[bytes]]:
    """Restore with the installed command. Gives the exit code, the report, stderr, and the clips."""
    machine.mkdir(exist_ok=True)
    text = f'[archive]\nstate = "{machine / "state"}"\n'
    for place in places:
        text += f'[sink.{place.folder.name}]\ntype = "disk"\npath = "{place.folder}"\n{config}'
    (machine / "c.toml").write_text(text)
    command = [str(COMMAND), "--config", str(machine / "c.toml"), "restore", "--to", str(machine / "out"), "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert "Traceback" not in done.stderr
    clips = {path.read_bytes() for path in (machine / "out").rglob("*.mp4")}
    return done.returncode, json.loads(done.stdout), done.stderr, clips


def test_nothing_unencrypted_is_believed_from_a_place_known_as_encrypted(tmp_path: Path, keys: tuple[Recipients, Path]) -> None:
    recipients, key = keys
    away = Place(tmp_path / "away", recipients)
    away.hold([(clip(1), film(1))])
    away.hold([(clip(1), film(100)), (clip(2), film(200))], encrypted=False)  # a known id, and one that never was
    code, report, err, clips = restore(tmp_path / "m", away, more=("--identity", str(key)))
    assert (code, clips) == (3, {film(1)})
    assert "known as encrypted" in err
    assert "--allow-unencrypted" in err
    assert report["restored"] == 1
    code, report, _, clips = restore(tmp_path / "n", away, more=("--identity", str(key), "--allow-unencrypted"))
    assert (code, clips) == (3, {film(1), film(100), film(200)})
    assert report["contradictory"] == 1


def test_a_place_is_known_as_encrypted_by_the_config_though_its_marker_was_changed(
    tmp_path: Path, keys: tuple[Recipients, Path]
) -> None:
    recipients, key = keys
    away = Place(tmp_path / "away", recipients, marked=False)
    away.hold([(clip(1), film(1))])
    away.hold([(clip(2), film(200))], encrypted=False)
    config = f"encrypt = {{ recipients = {json.dumps(list(recipients.texts))} }}\n"
    code, _, err, clips = restore(tmp_path / "m", away, more=("--identity", str(key)), config=config)
    assert (code, clips) == (3, {film(1)})
    assert "known as encrypted" in err


@pytest.mark.parametrize("first", ["evil", "honest"])
def test_the_catalogue_of_one_sink_does_not_override_that_of_another(tmp_path: Path, first: str) -> None:
    places = {"honest": Place(tmp_path / "honest"), "evil": Place(tmp_path / "evil")}
    places["honest"].hold([(clip(1), film(1)), (clip(2), film(2))])
    places["evil"].hold([(clip(1), film(100))])
    order = [places[first], *(place for name, place in places.items() if name != first)]
    code, report, err, clips = restore(tmp_path / "m", *order)
    assert (code, clips) == (3, {film(1), film(2), film(100)})
    assert report["contradictory"] == 1
    assert "different contents" in err
    code, report, _, _ = restore(tmp_path / "m", *order)
    assert (code, report["restored"], report["there"]) == (3, 0, 3)


def test_bad_lines_of_one_sink_keep_no_clip_of_another_away(tmp_path: Path) -> None:
    nas, other = Place(tmp_path / "nas"), Place(tmp_path / "other")
    nas.hold([(clip(1), film(1))])
    other.hold([(clip(2), film(2))])
    lines = [b"[" * 100_000, b'{"size": Infinity}', b'"\\ud800"', b"\xff"]
    (good,) = (other.folder / "catalog").iterdir()
    good.write_bytes(b"\n".join(lines) + b"\n" + good.read_bytes())
    code, _, err, clips = restore(tmp_path / "m", nas, other)
    assert (code, clips) == (3, {film(1), film(2)})
    assert "line 1 of the catalogue" in err
