"""A house whose clips go to a folder of another machine: the installed command, a simulated cloud, a real OpenSSH server."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from blinkarchive.simulator import World
from tests import sshd as servers
from tests.acceptance.conftest import House, Houses, films


def world() -> World:
    return World.from_seed(7, clips=20, clip_bytes=(8_000, 600_000), until=datetime.now(UTC))


pytestmark = pytest.mark.timeout(180)  # some seconds, where the machine has nothing else to do

PASSPHRASE = "canary-passphrase-5ecret"
PASSWORD = "canary-passw0rd"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Sshd]:
    (tmp_path / "server").mkdir()
    with servers.serving(tmp_path / "server") as sshd:
        key = asyncssh.read_private_key(sshd.user_key)
        key.write_private_key(sshd.user_key, passphrase=PASSPHRASE)
        yield sshd


def go_off_site(house: House, server: servers.Sshd, *, alone: bool = True) -> Path:
    """Have the clips of a house stored on the server. Gives the folder there."""
    house.environment |= {"KEY_PASSPHRASE": PASSPHRASE, "SERVER_PASSWORD": PASSWORD}
    folder = server.home / "clips"
    house.configure()
    config = house.config.read_text()
    if alone:
        config = config.partition("[sink.nas]")[0]
    house.config.write_text(
        f'{config}\n[sink.offsite]\ntype = "sftp"\nhost = "127.0.0.1"\nport = {server.port}\nusername = "{getpass.getuser()}"\n'
        f'path = "clips"\nkey = "{server.user_key}"\nkey_passphrase = {{ env = "KEY_PASSPHRASE" }}\n'
        f'password = {{ env = "SERVER_PASSWORD" }}\nknown_hosts = "{house.folder / "known_hosts"}"\n'
    )
    return folder


def stored(folder: Path) -> set[str]:
    """The hashes of the clips in a folder."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.mp4")}


async def test_the_clips_of_a_house_come_to_the_server_whole_and_no_secret_is_shown(
    house_of: Houses, server: servers.Sshd
) -> None:
    async with house_of(world()) as house:
        folder = go_off_site(house, server)
        server.trust(house.folder / "known_hosts")
        first = await house("-vv", "run", "--json")
        assert first.code == 0, first.err
        assert stored(folder) == films(house.cloud.world)
        names = {path.name for path in folder.rglob("*") if path.is_file()}
        assert all(name.endswith((".mp4", ".jsonl")) or name == ".blinkarchive-sink" for name in names)

        second = await house("-vv", "run", "--json")
        assert second.report["stored"] == 0
        assert second.report["known"] > 0
        for secret in (PASSPHRASE, PASSWORD):
            assert secret not in first.out + first.err + second.out + second.err


async def test_a_server_that_is_not_known_gets_nothing_until_it_was_accepted(house_of: Houses, server: servers.Sshd) -> None:
    async with house_of(world()) as house:
        folder = go_off_site(house, server)
        refused = await house("run", "--json")
        assert refused.code == 3
        assert "host key is not known" in refused.out + refused.err
        assert server.host_key.get_fingerprint() in refused.out + refused.err
        assert not folder.exists()

        accepted = await house("doctor", "--accept-host-key", "offsite")
        assert accepted.code == 0, accepted.err
        assert server.host_key.get_fingerprint() in accepted.out
        doctor = await house("-vv", "doctor")
        assert "stores, reads and deletes" in doctor.out
        for secret in (PASSPHRASE, PASSWORD):
            assert secret not in refused.out + refused.err + accepted.out + accepted.err + doctor.out + doctor.err


async def test_a_server_with_another_host_key_gets_nothing_and_both_keys_are_shown(
    house_of: Houses, server: servers.Sshd
) -> None:
    async with house_of(world()) as house:
        folder = go_off_site(house, server)
        server.trust(house.folder / "known_hosts")
        before = server.host_key.get_fingerprint()
        server.stop()
        server.change_host_key()
        server.start()
        changed = await house("-vv", "run", "--json")
        assert changed.code == 3
        shown = changed.out + changed.err
        assert "host key has changed" in shown
        assert before in shown
        assert server.host_key.get_fingerprint() in shown
        assert not folder.exists()
        assert "is trusted already" not in (await house("doctor", "--accept-host-key", "offsite")).out
        assert "is trusted already" in (await house("doctor", "--accept-host-key", "offsite")).out


async def test_a_server_that_is_away_holds_up_no_other_sink_and_gets_its_clips_later(
    house_of: Houses, server: servers.Sshd
) -> None:
    async with house_of(world()) as house:
        folder = go_off_site(house, server, alone=False)
        server.trust(house.folder / "known_hosts")
        server.stop()
        away = await house("run", "--json")
        assert away.code == 3
        assert set(house.clips().values()) == films(house.cloud.world)
        server.start()
        back = await house("run", "--json")
        assert back.code == 0, back.err
        assert stored(folder) == films(house.cloud.world)


@pytest.mark.parametrize(("name", "words"), [("nas", "no host key"), ("ofsite", 'did you mean "offsite"')])
async def test_only_a_sink_with_a_host_key_has_one_to_accept(
    house_of: Houses, server: servers.Sshd, name: str, words: str
) -> None:
    async with house_of(world()) as house:
        go_off_site(house, server, alone=False)
        ended = await house("doctor", "--accept-host-key", name)
        assert ended.code == 2
        assert words in ended.err
