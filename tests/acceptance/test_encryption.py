"""Clips that leave the house encrypted: nobody at the other end can read them, and their owner can, with age alone."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import json
import re
import shutil
import signal
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from blinkarchive.simulator import World
from tests import sshd as servers
from tests.acceptance.conftest import House, Houses, films
from tests.seaweed import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Seaweed

pytestmark = pytest.mark.timeout(180)  # some seconds, where the machine has nothing else to do

CLIPS = 8
MARKER = ".blinkarchive-sink"
NAMES = re.compile(r"(?P<two>[0-9a-f]{2})/(?P=two)[0-9a-f]{30}\.age|catalog/\d{8}T\d{6}Z-[0-9a-f]{4}\.jsonl\.age")
"""What may be called so away from home."""


@pytest.fixture
def keys(tmp_path: Path) -> list[pyrage.x25519.Identity]:
    """Two identities, each in a file as age-keygen writes one."""
    made = [pyrage.x25519.Identity.generate() for _ in range(2)]
    for number, key in enumerate(made):
        (tmp_path / f"key{number}").write_text(f"# created: long ago\n# public key: {key.to_public()}\n{key}\n")
    return made


def two(keys: list[pyrage.x25519.Identity]) -> str:
    return json.dumps([str(key.to_public()) for key in keys])


def configure(house: House, keys: list[pyrage.x25519.Identity], more: str = "") -> Path:
    """One sink, a folder that stands for another house, and all that goes there encrypted."""
    away = house.folder / "away"
    away.mkdir(exist_ok=True)
    house.configure()
    text = house.config.read_text()
    house.config.write_text(
        text[: text.index("[sink.nas]")]
        + f'[sink.away]\ntype = "disk"\npath = "{away}"\nencrypt = {{ recipients = {two(keys)} }}\n{more}'
    )
    return away


def age(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """What the standard tool says."""
    if shutil.which("age") is None:
        pytest.skip("this test opens what was encrypted with the standard tool, and there is none: install age")
    return subprocess.run(["age", *arguments], input=stdin, capture_output=True, check=True).stdout


async def test_what_leaves_tells_nothing_and_the_standard_tool_opens_it(
    house_of: Houses, keys: list[pyrage.x25519.Identity], tmp_path: Path
) -> None:
    async with house_of(World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 300_000), until=datetime.now(UTC))) as house:
        away = configure(house, keys)
        ended = await house("run", "--json")
        assert ended.code == 0, ended.err
        assert ended.report["sinks"]["away"]["stored"] == CLIPS
        files = [path for path in away.rglob("*") if path.is_file()]
        sealed = [path for path in files if path.name != ".blinkarchive-sink"]
        assert all(path.suffix == ".age" for path in sealed)
        for key in ("key0", "key1"):
            opened = {
                hashlib.sha256(age("--decrypt", "-i", tmp_path / key, path)).hexdigest()
                for path in sealed
                if not path.is_relative_to(away / "catalog")
            }
            assert opened == films(house.cloud.world)
        [catalogue] = (away / "catalog").iterdir()
        lines = [json.loads(line) for line in age("-d", "-i", tmp_path / "key0", catalogue).splitlines()]
        assert {line["plain_sha256"] for line in lines} == films(house.cloud.world)
        for line in lines:
            data = (away / line["key"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (line["size"], line["sha256"])
            assert hashlib.sha256(age("-d", "-i", tmp_path / "key1", away / line["key"])).hexdigest() == line["plain_sha256"]
        assert (await house("run", "--json")).report["stored"] == 0
        assert not list((house.folder / "state" / "spool").iterdir())
        listed = [json.loads(line) for line in (await house("list", "--json")).out.splitlines()]
        assert {clip["sha256"] for clip in listed} == films(house.cloud.world)
        assert {clip["id"]: clip["size"] for clip in listed} == {line["id"]: line["plain_size"] for line in lines}
        assert all(clip["copies"][0]["encrypted"] and clip["copies"][0]["size"] > clip["size"] for clip in listed)


# --- what leaves the house


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Sshd]:
    (tmp_path / "server").mkdir()
    with servers.serving(tmp_path / "server") as sshd:
        yield sshd


def in_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_bucket(seaweed: Seaweed, bucket: str) -> tuple[dict[str, bytes], str]:
    """The objects of a bucket, and all that the store says about them."""
    client = seaweed.client()
    listed = client.list_objects_v2(Bucket=bucket)
    objects, said = {}, repr(listed)
    for key in [one["Key"] for one in listed["Contents"]]:
        found = client.get_object(Bucket=bucket, Key=key)
        objects[key] = found.pop("Body").read()
        said += repr(found) + repr(client.head_object(Bucket=bucket, Key=key))
        said += repr(client.get_object_tagging(Bucket=bucket, Key=key))
    client.close()
    return objects, said


def assert_nothing_is_told(world: World, objects: Mapping[str, bytes], said: str = "") -> None:
    """No 32 bytes of any clip, no name of anybody or anything, and no name of an object that says more than another."""
    account = world.account
    windows = {film[at : at + 32] for film in (clip.film() for clip in account.clips) for at in range(len(film) - 31)}
    words = {account.username, str(account.id), *(camera.name for camera in account.cameras)}
    words |= {network.name for network in account.networks} | {str(clip.id) for clip in account.clips}
    words |= {clip.created_at.strftime("%Y-%m-%dT%H:%M:%S") for clip in account.clips}
    words |= {clip.created_at.strftime("%Y%m%dT%H%M%SZ") for clip in account.clips}
    words = {word.lower() for word in words if len(word) > 4}
    words |= {word.replace(" ", "-") for word in words}
    assert len(words) > CLIPS
    for key, data in objects.items():
        assert key == MARKER or NAMES.fullmatch(key), f"{key} is a name that tells something"
        assert windows.isdisjoint(data[at : at + 32] for at in range(len(data) - 31)), f"{key} holds something of a clip"
        told = f"{key}\n{data.decode('latin-1')}".lower()
        assert [word for word in words if word in told] == []
    assert [word for word in words if word in said.lower()] == []


async def test_whatever_kind_of_place_it_goes_to_nothing_is_told_there(
    house_of: Houses, keys: list[pyrage.x25519.Identity], tmp_path: Path, seaweed: Seaweed, server: servers.Sshd
) -> None:
    bucket = seaweed.bucket()
    world = World.from_seed(7, clips=CLIPS, cameras=3, clip_bytes=(8_000, 30_000), until=datetime.now(UTC))
    async with house_of(world) as house:
        house.environment |= {"S3_KEY": ACCESS_KEY_ID, "S3_SECRET": SECRET_ACCESS_KEY}
        server.trust(house.folder / "known_hosts")
        (house.folder / "remote").mkdir()
        encrypt = f"encrypt = {{ recipients = {two(keys)} }}"
        house.configure(
            more=textwrap.dedent(f"""
            [sink.bucket]
            type = "s3"
            bucket = "{bucket}"
            endpoint_url = "{seaweed.url}"
            access_key_id = {{ env = "S3_KEY" }}
            secret_access_key = {{ env = "S3_SECRET" }}
            {encrypt}

            [sink.server]
            type = "sftp"
            host = "127.0.0.1"
            port = {server.port}
            username = "{getpass.getuser()}"
            path = "clips"
            key = "{server.user_key}"
            known_hosts = "{house.folder / "known_hosts"}"
            {encrypt}

            [sink.remote]
            type = "rclone"
            remote = "{house.folder / "remote"}"
            {encrypt}
            """)
        )
        ended = await house("-vv", "run", "--json")
        assert ended.code == 0, ended.err
        objects, said = in_bucket(seaweed, bucket)
        places = {"bucket": objects, "server": in_folder(server.home / "clips"), "remote": in_folder(house.folder / "remote")}
        for place, held in places.items():
            assert ended.report["sinks"][place]["stored"] == CLIPS
            assert_nothing_is_told(world, held, said if place == "bucket" else "")
            sealed = [data for key, data in held.items() if key != MARKER and not key.startswith("catalog/")]
            assert {hashlib.sha256(pyrage.decrypt(data, [keys[1]])).hexdigest() for data in sealed} == films(world)
            assert len(sealed) == CLIPS
        assert len({frozenset(held.values()) for held in places.values()}) == 3, "each was encrypted for itself"
        with pytest.raises(AssertionError, match="something of a clip"):
            assert_nothing_is_told(world, {MARKER: b"x" + world.account.clips[0].film()[500:533]})
        with pytest.raises(AssertionError, match="tells something"):
            assert_nothing_is_told(world, {"porch/1.mp4.age": b""})
        again = await house("run", "--json")
        assert (again.code, again.report["stored"]) == (0, 0)
        assert in_bucket(seaweed, bucket)[0] == objects


# --- kills


def clips_in(away: Path, keys: list[pyrage.x25519.Identity]) -> list[str]:
    """The hashes of the clips that are there, once they were opened."""
    sealed = [path for path in away.rglob("*.age") if not path.is_relative_to(away / "catalog")]
    return sorted(hashlib.sha256(pyrage.decrypt(path.read_bytes(), [keys[0]])).hexdigest() for path in sealed)


def stub(house: House, file: str, text: str) -> None:
    """Have the command of this house find a module before all others."""
    folder = house.folder / "stubs"
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(textwrap.dedent(text))
    house.environment["PYTHONPATH"] = str(folder)


async def test_killed_right_after_a_put_it_leaves_no_second_object(house_of: Houses, keys: list[pyrage.x25519.Identity]) -> None:
    async with house_of(World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        away = configure(house, keys)
        stub(
            house,
            "sitecustomize.py",
            """
            import os, signal
            from blinkarchive.index import Index

            async def killed(self, copy):
                os.kill(os.getpid(), signal.SIGKILL)

            Index.record = killed
            """,
        )
        for _ in range(2):
            process = await house.start("run", "--json")
            await process.communicate()
            assert process.returncode == -signal.SIGKILL
        before = in_folder(away)
        assert len(before) > 1, "something was put"
        del house.environment["PYTHONPATH"]
        ended = await house("run", "--json")
        assert (ended.code, ended.report["stored"]) == (0, CLIPS), ended.err
        assert before.items() <= in_folder(away).items()
        assert clips_in(away, keys) == sorted(films(house.cloud.world))
        assert list((house.folder / "state" / "spool").iterdir()) == []


async def test_kills_at_any_moment_lose_nothing_and_double_nothing(house_of: Houses, keys: list[pyrage.x25519.Identity]) -> None:
    async with house_of(World.from_seed(7, clips=40, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        away = configure(house, keys)
        house.cloud.world.rules.latency = 0.1
        assert (await house("login", "--account", "a0")).code in (0, 4)
        for number in (1, 8, 15, 23, 31):
            process = await house.start("run", "--json")
            while sum(path.suffix == ".age" for path in away.rglob("*")) < number:
                assert process.returncode is None
                await asyncio.sleep(0.01)
            process.kill()
            await process.communicate()
            assert process.returncode == -signal.SIGKILL, "it was killed in the middle"
        last = await house("run", "--json")
        assert last.code == 0, last.err
        assert clips_in(away, keys) == sorted(films(house.cloud.world))
        assert list((house.folder / "state" / "spool").iterdir()) == []


# --- what must not be


async def test_without_the_package_that_sink_alone_is_left_alone(house_of: Houses, keys: list[pyrage.x25519.Identity]) -> None:
    async with house_of(World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        away = house.folder / "away"
        away.mkdir()
        house.configure(more=f'[sink.away]\ntype = "disk"\npath = "{away}"\nencrypt = {{ recipients = {two(keys)} }}\n')
        stub(house, "pyrage.py", "raise ImportError('it is broken')")
        ended = await house("-vv", "run", "--json")
        assert (ended.code, ended.report["sinks_failed"]) == (3, ["away"])
        assert ended.report["sinks"]["nas"]["stored"] == CLIPS
        assert "pip install 'blinkarchive[encrypt]'" in ended.out
        assert in_folder(away) == {}
        del house.environment["PYTHONPATH"]
        ended = await house("run", "--json")
        assert (ended.code, ended.report["sinks"]["away"]["stored"]) == (0, CLIPS)
        assert clips_in(away, keys) == sorted(films(house.cloud.world))
        assert_nothing_is_told(house.cloud.world, in_folder(away))

        for path in away.rglob("*.age"):  # a sink that had clips, and is to be given one again
            if not path.is_relative_to(away / "catalog"):
                path.unlink()
        stub(house, "pyrage.py", "raise ImportError('it is broken')")
        held = in_folder(away)
        assert (await house("run", "--json")).code == 3
        assert in_folder(away) == held


async def test_a_run_for_one_sink_alone_keeps_what_another_could_get_from_nowhere(
    house_of: Houses, keys: list[pyrage.x25519.Identity]
) -> None:
    async with house_of(World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        away = house.folder / "away"
        away.mkdir()
        house.configure(more=f'[sink.away]\ntype = "disk"\npath = "{away}"\nencrypt = {{ recipients = {two(keys)} }}\n')
        truth = films(house.cloud.world)
        for _ in range(2):
            assert (await house("run", "--json", "--sink", "away")).code == 0
        for clip in list(house.account.clips):
            house.account.remove_clip(clip)
        ended = await house("run", "--json")
        assert ended.code == 0, ended.err
        assert set(house.clips().values()) == truth
        assert clips_in(away, keys) == sorted(truth)
        assert list((house.folder / "state" / "spool").iterdir()) == []


async def test_a_line_that_got_lost_from_the_config_puts_nothing_in_clear(
    house_of: Houses, keys: list[pyrage.x25519.Identity]
) -> None:
    async with house_of(World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        away = configure(house, keys)
        assert (await house("run", "--json")).code == 0
        whole = house.config.read_text()
        house.account.add_clip()
        held = in_folder(away)
        for name in ("away", "elsewhere"):
            house.config.write_text(re.sub("encrypt = .*\n", "", whole).replace("[sink.away]", f"[sink.{name}]"))
            ended = await house("run", "--json")
            assert (ended.code, ended.report["sinks_failed"]) == (3, [name])
            assert "Put its `encrypt` back, or say `encrypt = false`" in ended.out
            assert in_folder(away) == held
        shutil.rmtree(house.folder / "state")  # nobody but the sink itself remembers now
        ended = await house("run", "--json")
        assert (ended.code, ended.report["sinks_failed"]) == (3, ["elsewhere"])
        assert in_folder(away) == held
        house.config.write_text(re.sub("encrypt = .*\n", "encrypt = false\n", whole))
        ended = await house("run", "--json")
        assert (ended.code, ended.report["stored"]) == (0, CLIPS + 1), ended.err
        assert len(list(away.rglob("*.mp4"))) == CLIPS + 1


async def test_a_secret_key_in_the_config_is_refused_and_shown_nowhere(
    house_of: Houses, keys: list[pyrage.x25519.Identity]
) -> None:
    async with house_of(World.from_seed(7, clips=1, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        away = configure(house, keys)
        whole, secret = house.config.read_text(), str(keys[0])
        recipients = f"{{ recipients = {two(keys)} }}"
        forms = {
            whole.replace(str(keys[0].to_public()), secret): "SECRET key",
            whole.replace(str(keys[0].to_public()), secret.lower()): "SECRET key",
            whole.replace(recipients, f'"{secret}"'): "encrypt in [sink.away]",
            whole.replace(recipients, f'{{ recipients = "{secret}" }}'): "recipients in [sink.away.encrypt]",
            whole.replace(recipients, f"{{ {secret} = 1 }}"): "[sink.away.encrypt]",
            whole.replace("encrypt = ", f"{secret} = 1\nencrypt = "): "[sink.away]",
        }
        assert len(forms) == 6
        for text, words in forms.items():
            house.config.write_text(text)
            line = next(number for number, one in enumerate(text.splitlines(), 1) if secret.lower() in one.lower())
            for verb in (("run",), ("run", "--json"), ("doctor",), ("status",), ("-vv", "run")):
                ended = await house(*verb)
                told = ended.out + ended.err
                assert secret.lower()[16:40] not in told.lower(), f"{verb} shows it: {words}"
                if verb == ("run",):
                    assert ended.code == 2, told
                    assert f"{house.config}:{line}: " in told
                    assert words in told
        for path in (house.folder / "state").rglob("*"):
            assert not path.is_file() or secret[16:40].encode() not in path.read_bytes()
        assert in_folder(away) == {}


async def test_one_recipient_takes_a_sentence(house_of: Houses, keys: list[pyrage.x25519.Identity]) -> None:
    async with house_of(World.from_seed(7, clips=2, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        away = configure(house, keys)
        one = house.config.read_text().replace(two(keys), two(keys[:1]))
        house.config.write_text(one)
        ended = await house("run")
        assert ended.code == 2
        found = re.search('one_recipient = "[^"]+"', ended.err)
        assert found, ended.err
        assert in_folder(away) == {}
        house.config.write_text(one.replace(two(keys[:1]), f"{two(keys[:1])}, {found[0]}"))
        assert (await house("run", "--json")).code == 0
        assert clips_in(away, keys) == sorted(films(house.cloud.world))


async def test_doctor_says_what_in_a_sink_is_not_encrypted_and_that_a_line_got_lost(
    house_of: Houses, keys: list[pyrage.x25519.Identity]
) -> None:
    async with house_of(World.from_seed(7, clips=2, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        configure(house, keys)
        whole = house.config.read_text()
        house.config.write_text(re.sub("encrypt = .*\n", "", whole))
        assert (await house("run", "--json")).code == 0
        house.config.write_text(whole)
        said = [(one["verdict"], one["found"]) for one in (await house("doctor", "--json")).report["checks"]]
        assert ("warn", "holds 2 clips that came before it was to be encrypted, and are not") in said
        house.account.add_clip()
        assert (await house("run", "--json")).code == 0
        house.config.write_text(re.sub("encrypt = .*\n", "", whole))
        said = [(one["verdict"], one["found"]) for one in (await house("doctor", "--json")).report["checks"]]
        lost = "what is in it is encrypted, and the config does not say for whom any more: nothing is put there"
        assert ("fail", lost) in said
