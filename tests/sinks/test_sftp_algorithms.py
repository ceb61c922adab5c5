"""Which cryptography the SFTP sink accepts: nothing old unless its owner says so; and private keys that are private."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from blinkarchive import ConfigError, SinkUnavailable
from blinkarchive_sftp import SftpOptions, introduce_sftp, open_sftp
from tests.sshd import Sshd, new_key, serving

# An old server's algorithms are what is tested here; the libraries say so.
pytestmark = [
    pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*key size.*"),
]

OLD = {
    "key exchange": "KexAlgorithms diffie-hellman-group14-sha1\n",
    "message authentication": "MACs hmac-sha1\nCiphers aes128-ctr\n",
    "host key": "HostKeyAlgorithms ssh-rsa\n",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as running:
        running.stop()
        yield running


async def refusal(options: SftpOptions) -> str:
    with pytest.raises(SinkUnavailable) as refused:
        async with open_sftp(options):
            pass
    return str(refused.value)


@pytest.mark.parametrize("old", OLD)
async def test_a_server_that_knows_only_old_algorithms_is_refused_as_that_unless_they_are_accepted(
    server: Sshd, tmp_path: Path, old: str
) -> None:
    if old == "host key":
        server.change_host_key("ssh-rsa", key_size=3072)
        server.trust(server.known_hosts)
    server.more = OLD[old]
    server.start()
    said = await refusal(server.options(tmp_path / "clips"))
    assert "the server knows only old algorithms (SHA-1), which are not accepted" in said
    assert "legacy_algorithms = true" in said
    with pytest.raises(SinkUnavailable, match="only old algorithms"):
        await introduce_sftp(
            server.options(tmp_path / "clips", known_hosts=tmp_path / "none")
        ) if old != "message authentication" else (await introduce_sftp(server.options(tmp_path / "clips")))
    async with open_sftp(server.options(tmp_path / "clips", legacy_algorithms=True)):
        pass


async def test_a_signature_of_sha_1_is_not_given_unless_it_is_accepted(server: Sshd, tmp_path: Path) -> None:
    key = new_key(tmp_path / "rsa", kind="ssh-rsa", key_size=3072)
    (server.folder / "authorized_keys").write_bytes(key.export_public_key())
    server.more = "PubkeyAcceptedAlgorithms ssh-rsa\n"
    server.start()
    options = server.options(tmp_path / "clips", key=tmp_path / "rsa")
    assert f"takes not the key {tmp_path / 'rsa'}" in await refusal(options)
    server.stop()
    server.more = "PubkeyAcceptedAlgorithms rsa-sha2-256\n"
    server.start()
    async with open_sftp(options):
        pass


async def test_a_short_rsa_key_of_the_server_is_refused_unless_it_is_accepted(server: Sshd, tmp_path: Path) -> None:
    server.change_host_key("ssh-rsa", key_size=1024)
    server.trust(server.known_hosts)
    server.more = "RequiredRSASize 1024\n"
    server.start()
    pinned = server.host_key.get_fingerprint()
    for options in (server.options(tmp_path / "clips"), server.options(tmp_path / "clips", host_key=pinned)):
        said = await refusal(options)
        assert "the host key is too weak" in said
        assert "RSA of 1024 bits, and 2048 or more are needed" in said
        assert "legacy_algorithms = true" in said
    with pytest.raises(SinkUnavailable, match="too weak"):
        await introduce_sftp(server.options(tmp_path / "clips", known_hosts=tmp_path / "none"))
    for more in ({}, {"host_key": pinned}):
        async with open_sftp(server.options(tmp_path / "clips", legacy_algorithms=True, **more)):
            pass


async def test_a_short_rsa_key_is_refused_before_anything_is_sent(server: Sshd, tmp_path: Path) -> None:
    new_key(tmp_path / "short", kind="ssh-rsa", key_size=1024)
    with pytest.raises(ConfigError, match="RSA of 1024 bits, and 2048 or more are needed"):
        async with open_sftp(server.options(tmp_path / "clips", key=tmp_path / "short")):
            pass


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620])
async def test_a_private_key_that_others_may_read_is_refused_with_what_to_do(sshd: Sshd, tmp_path: Path, mode: int) -> None:
    key = tmp_path / "key"
    key.write_bytes(sshd.user_key.read_bytes())
    key.chmod(mode)
    with pytest.raises(ConfigError) as refused:
        async with open_sftp(sshd.options(tmp_path / "clips", key=key)):
            pass
    assert f"key: {key} may be read by others (mode {mode:04o}). Run: chmod 600 '{key}'" in str(refused.value)
    key.chmod(0o600)
    async with open_sftp(sshd.options(tmp_path / "clips", key=key)):
        pass


def test_what_is_accepted_names_algorithms_that_the_library_knows() -> None:
    from blinkarchive_sftp.algorithms import accepted, host_keys

    for legacy in (False, True):
        given = asyncssh.SSHClientConnectionOptions(
            config=None, server_host_key_algs=host_keys(["ssh-rsa"], certificates=True, legacy=legacy), **accepted(legacy=legacy)
        )
        names = b" ".join([*given.kex_algs, *given.mac_algs, *given.signature_algs])
        assert (b"sha1" in names) == legacy
        assert (b"ssh-rsa" in names.split()) == legacy
