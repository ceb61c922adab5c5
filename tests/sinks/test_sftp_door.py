"""Whom the SFTP sink talks to, and what it shows him: host keys, passwords, keys, and words without secrets."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import asyncssh
import pytest

from blinkarchive import ConfigError, SinkUnavailable
from blinkarchive.convert import SecretRef
from blinkarchive.secret import Secret
from blinkarchive_sftp import SFTP, SftpOptions, introduce_sftp, open_sftp, open_sftp_to_read
from blinkarchive_sftp.algorithms import shown
from tests.sinks.odd_server import OddServer
from tests.sshd import Sshd, new_key, serving


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddServer]:
    (tmp_path / "there").mkdir()
    async with OddServer(tmp_path / "there").serving() as server:
        yield server


def secret(text: str) -> SecretRef:
    return SecretRef(kind="inline", inline=Secret(text))


async def refusal(options: SftpOptions) -> str:
    """What is said when the sink cannot be opened."""
    with pytest.raises(SinkUnavailable) as refused:
        async with open_sftp(options):
            pass
    return str(refused.value)


# -- host keys


async def test_an_unknown_host_is_refused_with_its_fingerprint_and_the_way_to_accept_it(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    said = await refusal(sshd.options(tmp_path / "clips", known_hosts=known))
    assert sshd.host_key.get_fingerprint() in said
    assert "not known" in said
    assert "doctor --accept-host-key" in said
    assert not known.exists()


async def test_an_unknown_host_is_sent_no_password(odd: OddServer, tmp_path: Path) -> None:
    said = await refusal(odd.options(host_key=None, known_hosts=tmp_path / "none"))
    assert "not known" in said
    assert odd.passwords_tried == 0


async def test_the_file_in_the_home_folder_is_no_way_around_the_one_that_is_named(
    sshd: Sshd, tmp_path: Path, clean_environment: Path
) -> None:
    (clean_environment / ".ssh").mkdir()
    sshd.trust(clean_environment / ".ssh" / "known_hosts")
    for known in (tmp_path / "none", tmp_path / "empty"):
        (tmp_path / "empty").touch()
        assert "not known" in await refusal(sshd.options(tmp_path / "clips", known_hosts=known))


async def test_the_file_in_the_home_folder_is_the_one_that_counts_by_default(
    sshd: Sshd, tmp_path: Path, clean_environment: Path
) -> None:
    (clean_environment / ".ssh").mkdir()
    sshd.trust(clean_environment / ".ssh" / "known_hosts")
    async with open_sftp(sshd.options(tmp_path / "clips", known_hosts=SftpOptions.__dataclass_fields__["known_hosts"].default)):
        pass


async def test_a_changed_host_key_stops_the_sink_and_both_fingerprints_are_shown(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as server:
        before = server.host_key.get_fingerprint()
        async with open_sftp(server.options(tmp_path / "clips")) as sink:
            server.stop()
            server.change_host_key()
            server.start()
            await asyncio.sleep(0.1)
            with pytest.raises(SinkUnavailable) as refused:
                async for _ in sink.list():
                    pass
            assert before in str(refused.value)
            assert server.host_key.get_fingerprint() in str(refused.value)
            assert "has changed" in str(refused.value)
            server.stop()
            with pytest.raises(SinkUnavailable, match="has changed"):
                async for _ in sink.list():
                    pass
            server.start()
        said = await refusal(server.options(tmp_path / "clips"))
        assert "has changed" in said


async def test_a_changed_host_is_sent_no_password(odd: OddServer, tmp_path: Path) -> None:
    known = tmp_path / "known"
    other = asyncssh.generate_private_key("ssh-ed25519")
    known.write_text(f"[127.0.0.1]:{odd.port} {other.export_public_key().decode()}")
    said = await refusal(odd.options(host_key=None, known_hosts=known))
    assert shown(other) in said
    assert shown(odd.host_key) in said
    assert odd.passwords_tried == 0


async def test_a_host_key_of_another_kind_than_the_known_one_is_a_changed_one(odd: OddServer, tmp_path: Path) -> None:
    known = tmp_path / "known"
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    known.write_text(f"[127.0.0.1]:{odd.port} {other.export_public_key().decode()}")
    said = await refusal(odd.options(host_key=None, known_hosts=known))
    assert "has changed" in said
    assert shown(other) in said
    assert shown(odd.host_key) in said


async def test_a_pinned_fingerprint_is_the_only_one_that_counts(odd: OddServer, tmp_path: Path) -> None:
    async with open_sftp(odd.options()):
        pass
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint()
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{odd.port} {odd.host_key.export_public_key().decode()}")
    said = await refusal(odd.options(host_key=other, known_hosts=known))
    assert other in said
    assert odd.host_key.get_fingerprint() in said
    assert odd.passwords_tried == 1


async def test_a_revoked_host_key_is_refused(odd: OddServer, tmp_path: Path) -> None:
    known, line = tmp_path / "known", odd.host_key.export_public_key().decode()
    known.write_text(f"[127.0.0.1]:{odd.port} {line}@revoked * {line}")
    assert "revoked" in await refusal(odd.options(host_key=None, known_hosts=known))


async def test_a_revoked_host_key_is_never_introduced_as_trusted(sshd: Sshd, tmp_path: Path) -> None:
    known, line = tmp_path / "known", sshd.host_key.export_public_key().decode()
    options = sshd.options(tmp_path / "clips", known_hosts=known)
    for trusting in (f"[127.0.0.1]:{sshd.port} {line}", ""):
        known.write_text(f"{trusting}@revoked * {line}")
        with pytest.raises(SinkUnavailable, match="revoked in") as refused:
            await introduce_sftp(options)
        assert shown(sshd.host_key) in str(refused.value)
        said = await refusal(options)
        assert f"the host key is revoked in {known}" in said
        assert shown(sshd.host_key) in said
        assert known.read_text() == f"{trusting}@revoked * {line}"


async def test_a_known_key_of_another_kind_than_the_preferred_one_stays_the_one_that_is_compared(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as server:
        server.stop()
        for kind in ("ssh-rsa", "ecdsa-sha2-nistp521"):
            other = new_key(tmp_path / kind, kind=kind)
            server.more = f"HostKey {tmp_path / kind}\n"
            server.start()
            known = tmp_path / "known"
            known.write_text(f"[127.0.0.1]:{server.port} {other.export_public_key().decode()}")
            options = server.options(tmp_path / "clips", known_hosts=known)
            async with open_sftp(options):
                pass
            assert (await introduce_sftp(options)).shows == shown(other)
            server.stop()


@pytest.mark.parametrize("kind", ["ecdsa-sha2-nistp256", "ssh-rsa"])
async def test_a_key_of_another_kind_at_openssh_is_a_changed_one(sshd: Sshd, tmp_path: Path, kind: str) -> None:
    """OpenSSH hangs up without a word when it is asked for a kind of key that it has not."""
    known = tmp_path / "known"
    other = asyncssh.generate_private_key(kind)
    known.write_text(f"[127.0.0.1]:{sshd.port} {other.export_public_key().decode()}")
    said = await refusal(sshd.options(tmp_path / "clips", known_hosts=known))
    assert "has changed" in said
    assert shown(other) in said
    assert shown(sshd.host_key) in said


@pytest.mark.parametrize(
    "bad",
    [
        b"[nonsense",
        b"caf\xe9 ssh-ed25519 \xe9",
        b"@revoked * ssh-ed25519 garbage",
        b"@revoked *",
    ],
)
async def test_a_bad_line_of_known_hosts_is_named(sshd: Sshd, tmp_path: Path, bad: bytes) -> None:
    known = tmp_path / "known"
    sshd.trust(known)
    known.write_bytes(known.read_bytes() + bad + b"\n")
    options = sshd.options(tmp_path / "clips", known_hosts=known)
    for opening in (open_sftp(options).__aenter__, partial(introduce_sftp, options)):
        with pytest.raises(ConfigError, match=r"line 2 of .* cannot be understood: correct or remove it"):
            await opening()


async def test_comments_of_known_hosts_may_be_in_any_encoding_and_stay_as_they_are(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    line = f"[127.0.0.1]:{sshd.port} {sshd.host_key.export_public_key().decode().strip()} caf".encode() + b"\xe9 au lait\n"
    known.write_bytes(b"# \xe9\nother." + line + line)
    options = sshd.options(tmp_path / "clips", known_hosts=known)
    async with open_sftp(options):
        pass
    (await introduce_sftp(options)).accept()
    assert known.read_bytes().startswith(b"# \xe9\nother." + line)
    async with open_sftp(options):
        pass


async def test_who_is_introduced_can_be_accepted_and_the_file_is_its_owners_alone(sshd: Sshd, tmp_path: Path) -> None:
    options = sshd.options(tmp_path / "clips", known_hosts=tmp_path / "ssh" / "known_hosts")
    introduction = await introduce_sftp(options)
    assert introduction.shows == shown(sshd.host_key)
    assert introduction.trusted == ()
    assert not options.known_hosts.exists()
    assert introduction.accept() == options.known_hosts
    assert options.known_hosts.stat().st_mode & 0o777 == 0o600
    async with open_sftp(options):
        pass


async def test_an_accepted_key_takes_the_place_of_the_old_one_and_of_nothing_else(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    old = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    name = f"[127.0.0.1]:{sshd.port}"
    known.write_text(f"# mine\nother.example {old}{name} {old}{name},alias.example {old}@revoked {name} {old}")
    options = sshd.options(tmp_path / "clips", known_hosts=known)
    introduction = await introduce_sftp(options)
    assert introduction.trusted == (), "the old key is revoked"
    introduction.accept()
    now = f"{name} {' '.join(sshd.host_key.export_public_key().decode().split()[:2])}\n"
    assert known.read_text() == f"# mine\nother.example {old}alias.example {old}@revoked {name} {old}{now}"
    async with open_sftp(options):
        pass


async def test_a_line_with_a_pattern_is_left_to_its_owner(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    line = f"[127.0.0.*]:* {asyncssh.generate_private_key('ssh-ed25519').export_public_key().decode()}"
    known.write_text(line)
    introduction = await introduce_sftp(sshd.options(tmp_path / "clips", known_hosts=known))
    with pytest.raises(ConfigError, match="by hand"):
        introduction.accept()
    assert known.read_text() == line


async def test_a_pinned_key_is_not_accepted_behind_the_configs_back(sshd: Sshd, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint()
    options = sshd.options(tmp_path / "clips", known_hosts=tmp_path / "known", host_key=other)
    with pytest.raises(ConfigError, match="SHA256"):
        (await introduce_sftp(options)).accept()
    assert not (tmp_path / "known").exists()


async def test_to_be_introduced_no_password_is_sent(odd: OddServer) -> None:
    await introduce_sftp(odd.options())
    assert odd.passwords_tried == 0


async def test_a_server_with_a_signed_host_key_is_known_by_its_key_or_by_who_signed_it(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    authority = asyncssh.generate_private_key("ssh-ed25519")
    with serving(tmp_path / "server") as server:
        server.stop()
        signed = authority.generate_host_certificate(server.host_key, "the server", principals=["127.0.0.1"])
        signed.write_certificate(tmp_path / "signed")
        server.more = f"HostCertificate {tmp_path / 'signed'}\n"
        server.start()
        async with open_sftp(server.options(tmp_path / "clips", host_key=server.host_key.get_fingerprint())):
            pass
        unknown = server.options(tmp_path / "clips", known_hosts=tmp_path / "known")
        assert shown(server.host_key) in await refusal(unknown)
        assert (await introduce_sftp(unknown)).shows == shown(server.host_key)
        unknown.known_hosts.write_text(f"@cert-authority [127.0.0.1]:{server.port} {authority.export_public_key().decode()}")
        async with open_sftp(unknown):
            pass
        stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        unknown.known_hosts.write_text(f"@cert-authority [127.0.0.1]:{server.port} {stranger}")
        await refusal(unknown)


async def test_known_hosts_that_cannot_be_read_are_a_mistake_at_first_and_an_outage_later(odd: OddServer, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{odd.port} {odd.host_key.export_public_key().decode()}")
    options = odd.options(host_key=None, known_hosts=known)
    async with open_sftp(options) as sink:
        known.unlink()
        known.mkdir()
        odd.cut()
        await asyncio.sleep(0.05)
        with pytest.raises(SinkUnavailable, match="known_hosts"):
            async for _stored in sink.list():
                pass
    with pytest.raises(ConfigError, match="known_hosts"):
        async with open_sftp(options):
            pass


# -- logging in


async def test_a_password_opens(odd: OddServer) -> None:
    async with open_sftp(odd.options()) as sink:
        assert [stored async for stored in sink.list()] == []


async def test_a_wrong_password_is_told_apart_from_a_server_that_is_away_and_is_tried_once(odd: OddServer) -> None:
    said = await refusal(odd.options(password=secret("a wrong guess")))
    assert "the server is there and takes not the password" in said
    assert odd.passwords_tried == 1
    assert "wrong guess" not in said


async def test_once_turned_away_an_open_sink_asks_no_more(odd: OddServer) -> None:
    async with open_sftp(odd.options()) as sink:
        odd.password = "changed"
        odd.cut()
        await asyncio.sleep(0.05)
        for _ in range(4):
            with pytest.raises(SinkUnavailable, match="takes not the password"):
                async for _stored in sink.list():
                    pass
    assert odd.passwords_tried == 2


async def test_a_key_that_is_not_accepted_is_named(sshd: Sshd, tmp_path: Path) -> None:
    new_key(tmp_path / "stranger")
    assert f"takes not the key {tmp_path / 'stranger'}" in await refusal(sshd.options("clips", key=tmp_path / "stranger"))


async def test_a_key_with_a_passphrase_opens(sshd: Sshd, tmp_path: Path) -> None:
    key = asyncssh.read_private_key(sshd.user_key)
    key.write_private_key(tmp_path / "locked", passphrase="open sesame")
    (tmp_path / "locked").chmod(0o600)
    options = sshd.options(tmp_path / "clips", key=tmp_path / "locked", key_passphrase=secret("open sesame"))
    async with open_sftp(options):
        pass
    for wrong, words in ((secret("nonsense"), "does not open"), (None, "needs a key_passphrase")):
        with pytest.raises(ConfigError, match=words) as refused:
            async with open_sftp(sshd.options("clips", key=tmp_path / "locked", key_passphrase=wrong)):
                pass
        assert "nonsense" not in str(refused.value)


async def test_the_keys_of_an_agent_open(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    options = sshd.options(tmp_path / "clips", key=None, agent=True)
    assert "SSH_AUTH_SOCK is not set" in await refusal(options)
    path = Path("/tmp") / f"sftp-agent-{tmp_path.name[-20:]}-{sshd.port}"
    agent = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        while not path.exists():
            await asyncio.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        async with asyncssh.connect_agent(str(path)) as client:
            await client.add_keys([asyncssh.read_private_key(sshd.user_key)])
        async with open_sftp(options):
            pass
    finally:
        agent.terminate()
        await agent.wait()
        path.unlink(missing_ok=True)


async def test_a_key_that_nobody_named_is_not_used(sshd: Sshd, tmp_path: Path, clean_environment: Path) -> None:
    folder = clean_environment / ".ssh"
    folder.mkdir()
    (folder / "id_ed25519").write_bytes(sshd.user_key.read_bytes())
    (folder / "config").write_text(f"IdentityFile {folder / 'id_ed25519'}\n")
    assert "takes not the password" in await refusal(sshd.options("clips", key=None, password=secret("none")))


async def test_a_server_that_is_away_is_told_as_that() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = await refusal(SftpOptions(host="127.0.0.1", port=port, path="clips", username="me", password=secret("hush hush")))
    assert "cannot be reached" in said


async def test_something_that_is_no_ssh_server_is_told_as_that(tmp_path: Path) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = SftpOptions(host="127.0.0.1", port=port, path="clips", username="me", password=secret("hush hush"))
    assert "cannot be reached" in await refusal(options)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sh -c 'echo Welcome to this machine; exec sleep 60'", "the login shell there prints something"),
        ("sh -c 'echo This account is currently not available.; exit 1'", "the login shell there prints something"),
        ("sh -c 'exit 1'", "may this account use SFTP?"),
    ],
)
async def test_a_login_shell_in_the_way_is_told_as_that(tmp_path: Path, command: str, words: str) -> None:
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as server:
        server.stop()
        server.command = command
        server.start()
        said = await refusal(server.options(tmp_path / "clips"))
    assert "logged in" in said
    assert words in said


async def test_a_wrong_path_names_what_the_login_folder_holds(sshd: Sshd, tmp_path: Path) -> None:
    for name in ("volume1", "backups", "sign\x1b[31m"):
        (sshd.home / name).mkdir(exist_ok=True)
    (sshd.home / "a file").touch()
    for path in ("/no/such/clips", "missing/clips"):
        said = await refusal(sshd.options(path))
        assert f"{path} does not exist, nor does the folder above it" in said
        assert f"the login folder is {str(sshd.home)[:60]}" in said
        assert '"backups"' in said
        assert '"volume1"' in said
        assert '"sign?[31m"' in said
        assert "a file" not in said
        assert "\x1b" not in said
        with pytest.raises(SinkUnavailable, match="volume1"):
            async with open_sftp_to_read(sshd.options(path)):
                pass
    for number in range(100):
        (sshd.home / f"folder {number:03}").mkdir()
    said = await refusal(sshd.options("/no/such/clips"))
    assert "and more" in said
    assert said.count("folder 0") <= 10
    for entry in sshd.home.iterdir():
        entry.unlink() if entry.is_file() else entry.rmdir()
    assert "no folder is in it" in await refusal(sshd.options("/no/such/clips"))


async def test_a_folder_below_nothing_is_not_made(sshd: Sshd, tmp_path: Path) -> None:
    assert "does not exist" in await refusal(sshd.options(tmp_path / "not" / "mounted"))
    assert not (tmp_path / "not").exists()


async def test_a_file_is_no_folder(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is a file" in await refusal(sshd.options(tmp_path / "file"))


async def test_a_path_that_is_not_absolute_begins_at_the_login_folder(sshd: Sshd) -> None:
    async with open_sftp(sshd.options("clips of a test")):
        pass
    assert (sshd.home / "clips of a test").is_dir()


# -- options


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"key": None}, "nothing to log in with"),
        ({"username": ""}, "username"),
        ({"key": None, "password": secret("x"), "key_passphrase": secret("y")}, "no key that it could open"),
    ],
    ids=["no way to log in", "nobody", "a passphrase for nothing"],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, object], words: str) -> None:
    given: dict[str, object] = {"host": "nas", "path": "clips", "username": "me", "key": Path("key"), **wrong}
    with pytest.raises(ConfigError, match=words):
        SftpOptions(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('host = "me@nas"', "name or the address"),
        ('path = "~/clips"', "begins at the login folder"),
        ("port = 0", "between 1 and 65535"),
        ("connections = 99", "between 1 and 8"),
        ('host_key = "SHA256:short"', "fingerprint"),
        ('host_key = "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"', "fingerprint"),
    ],
)
def test_what_cannot_be_an_option_is_told_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    from blinkarchive.config import load, options

    given = {"host": '"nas"', "path": '"clips"', "username": '"me"', "agent": "true"}
    key, _, value = line.partition(" = ")
    file = tmp_path / "blinkarchive.toml"
    file.write_text("[sink.away]\ntype = 'sftp'\n" + "".join(f"{k} = {v}\n" for k, v in {**given, key: value}.items()))
    with pytest.raises(ConfigError, match=words):
        options(SFTP.options, load(file, {}).sinks["away"])  # type: ignore[index]


# -- secrets and noise


async def test_a_server_that_repeats_the_password_does_not_get_it_into_our_words(odd: OddServer) -> None:
    odd.farewell = "we do not know {password} here"
    said = await refusal(odd.options(password=secret("correct horse battery")))
    assert "correct horse battery" not in said
    assert "***" in said


async def test_the_library_is_quiet_unless_its_user_wants_it_otherwise(odd: OddServer, caplog: pytest.LogCaptureFixture) -> None:
    library = logging.getLogger("asyncssh")
    before = library.level
    try:
        library.setLevel(logging.NOTSET)
        with caplog.at_level(logging.DEBUG):
            async with open_sftp(odd.options()):
                assert library.level == logging.WARNING
        assert odd.password not in caplog.text
        library.setLevel(logging.INFO)
        async with open_sftp(odd.options()):
            assert library.level == logging.INFO
    finally:
        library.setLevel(before)


def test_the_ssh_library_is_imported_when_a_sink_is_opened_and_not_before() -> None:
    import subprocess
    import sys

    code = "import sys, blinkarchive_sftp; assert 'asyncssh' not in sys.modules and 'cryptography' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_without_the_ssh_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "asyncssh", None)
    options = SftpOptions(host="nas", path="clips", username="me", agent=True)
    with pytest.raises(ConfigError, match=r'pip install "blinkarchive\[sftp\]"'):
        async with open_sftp(options):
            pass
    with pytest.raises(ConfigError, match="pip install"):
        await introduce_sftp(options)
