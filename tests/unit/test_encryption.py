"""Encryption as age does it: who can open what, what errors are, and that the standard tool and we understand each other."""

from __future__ import annotations

import errno
import hashlib
import hmac
import io
import itertools
import random
import shutil
import subprocess
import sys
import textwrap
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from blinkarchive.encryption import Identities, Recipients, is_secret_key, most
from blinkarchive.errors import ArchiveError, CannotDecrypt, ConfigError, PluginError

KEY = pyrage.x25519.Identity.generate()
PUBLIC = str(KEY.to_public())
PASSPHRASE = "canary-passphrase-of-a-key"


def nobody_asks(file: Path) -> str:
    raise AssertionError(f"the passphrase of {file} was asked for")


def sealed(plain: bytes, *recipients: str) -> bytes:
    out = io.BytesIO()
    Recipients(recipients or (PUBLIC,)).encrypt(io.BytesIO(plain), out.write)
    return out.getvalue()


def opened(data: bytes, *files: Path, ask: Callable[[Path], str] = nobody_asks) -> bytes:
    out = io.BytesIO()
    Identities(files, ask).decrypt(io.BytesIO(data), out.write)
    return out.getvalue()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """An identity in a file as age-keygen writes it."""
    return identity(tmp_path / "key", KEY)


def identity(file: Path, *keys: pyrage.x25519.Identity) -> Path:
    file.write_text("".join(f"# created: 2026-05-01T12:00:00Z\n# public key: {key.to_public()}\n{key}\n\n" for key in keys))
    return file


def ssh_key(file: Path, kind: str, passphrase: str = "") -> str:
    """A key of SSH as its own tool makes it; gives the public one."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("this test makes keys of SSH with its own tool, and there is none: install openssh-client")
    size = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", passphrase, "-C", "me@home", "-f", file], check=True)
    return file.with_name(f"{file.name}.pub").read_text()


def age(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """What the standard tool says."""
    if shutil.which("age") is None:
        pytest.skip("this test asks the standard tool, and there is none: install age")
    return subprocess.run(["age", *arguments], input=stdin, capture_output=True, check=True).stdout


def with_passphrase(plain: bytes, passphrase: str) -> bytes:
    """What `age --passphrase` makes, after the letters of its specification, but cheap to open: pyrage takes a second or more."""
    file_key, salt, nonce = (random.Random(number).randbytes(16) for number in range(3))

    def base64(data: bytes) -> bytes:
        return b64encode(data).rstrip(b"=")

    def hkdf(salt: bytes, info: bytes) -> bytes:
        extracted = hmac.digest(salt or bytes(32), file_key, "sha256")
        return hmac.digest(extracted, info + b"\x01", "sha256")

    wrap = hashlib.scrypt(passphrase.encode(), salt=b"age-encryption.org/v1/scrypt" + salt, n=2, r=8, p=1, dklen=32)
    body = base64(ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None))
    header = b"age-encryption.org/v1\n-> scrypt " + base64(salt) + b" 1\n" + body + b"\n---"
    seal = base64(hmac.digest(hkdf(b"", b"header"), header, "sha256"))
    payload = ChaCha20Poly1305(hkdf(nonce, b"payload")).encrypt(bytes(11) + b"\x01", plain, None)
    return header + b" " + seal + b"\n" + nonce + payload


# --- for whom


def test_each_recipient_opens_it_alone_and_nobody_else_does(tmp_path: Path) -> None:
    other, stranger = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    data = sealed(b"a clip", PUBLIC, str(other.to_public()))
    for one in (KEY, other):
        assert opened(data, identity(tmp_path / "key", one)) == b"a clip"
    with pytest.raises(CannotDecrypt, match="it was encrypted for others"):
        opened(data, identity(tmp_path / "key", stranger))


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_key_of_ssh_is_a_recipient_and_opens_it(tmp_path: Path, kind: str) -> None:
    public = ssh_key(tmp_path / "id", kind)
    assert opened(sealed(b"a clip", public, PUBLIC), tmp_path / "id") == b"a clip"
    assert opened(sealed(b"a clip", f"  {public.replace(' ', '   ')}\n", PUBLIC), tmp_path / "id") == b"a clip"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        PUBLIC[:-1],
        PUBLIC + "q",
        PUBLIC[:-1] + ("p" if PUBLIC[-1] != "p" else "q"),
        "ssh-ed25519",
        "ssh-rsa AAAA",
        "me",
    ],
    ids=["nothing", "a beginning", "cut", "longer", "mistyped", "no key of SSH", "a short key of SSH", "a word"],
)
def test_what_is_no_public_key_is_refused_by_its_number(text: str) -> None:
    with pytest.raises(ConfigError, match="recipient 2 is no public key"):
        Recipients([PUBLIC, text])


@pytest.mark.parametrize("kind", ["ecdsa"])
def test_a_key_of_a_kind_that_age_does_not_know_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match="recipient 1 is no public key"):
        Recipients([ssh_key(tmp_path / "id", kind)])


def test_a_secret_key_among_the_recipients_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        Recipients([str(KEY)])
    assert str(KEY)[20:40] not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [str(KEY), str(KEY).lower(), f" {KEY}", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "AGE-SECRET-KEY-PQ-1Q"],
    ids=["of age", "in small letters", "after a space", "of SSH", "of a later age"],
)
def test_a_secret_key_is_known_as_one(text: str) -> None:
    assert is_secret_key(text)


def test_a_public_key_is_not_taken_for_a_secret_one(tmp_path: Path) -> None:
    assert not is_secret_key(PUBLIC)
    assert not is_secret_key(ssh_key(tmp_path / "id", "ed25519"))


def test_the_mark_tells_recipients_apart_whatever_their_order() -> None:
    other, third = (str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2))
    assert Recipients([PUBLIC, other]).mark == Recipients([other, f" {PUBLIC}\n"]).mark
    assert len({Recipients(texts).mark for texts in ([PUBLIC], [PUBLIC, other], [PUBLIC, third], [PUBLIC, other, third])}) == 4


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, key: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    for work in (lambda: Recipients([PUBLIC]), lambda: Identities([key], nobody_asks)):
        with pytest.raises(PluginError, match=r"pip install 'blinkarchive\[encrypt\]'"):
            work()


# --- reading and writing


def test_no_two_times_give_the_same_bytes() -> None:
    assert sealed(b"a clip") != sealed(b"a clip")


def test_it_is_written_in_pieces_and_none_is_large() -> None:
    pieces: list[int] = []
    Recipients([PUBLIC]).encrypt(io.BytesIO(bytes(3_000_000)), lambda piece: pieces.append(len(piece)))
    assert max(pieces) < 200_000


ERRORS = [
    OSError(errno.ENOSPC, "no space"),
    OSError(errno.EIO, "broken"),
    ArchiveError("ours"),
    ValueError("a fault"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_what_writing_raises_comes_through_as_it_is(error: BaseException, key: Path) -> None:
    """At whatever piece: a disk that is full is known as such by its number, and a text has none."""
    plain = bytes(200_000)
    for work, data in ((Recipients([PUBLIC]).encrypt, plain), (Identities([key], nobody_asks).decrypt, sealed(plain))):
        calls = itertools.count()
        work(io.BytesIO(data), lambda piece, calls=calls: next(calls))  # type: ignore[misc]  # bound now
        pieces = next(calls)
        assert pieces > 3
        for failing in range(pieces):
            with pytest.raises(type(error)) as raised:
                work(io.BytesIO(data), failing_at(failing, error))
            assert raised.value is error


def failing_at(number: int, error: BaseException) -> Callable[[bytes], None]:
    """Takes so many pieces, and then raises."""
    left = iter(range(number))

    def write(piece: bytes) -> None:
        if next(left, None) is None:
            raise error

    return write


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_what_reading_raises_comes_through_as_it_is(error: BaseException, key: Path) -> None:
    class Breaks(io.BytesIO):
        left = 2

        def read(self, size: int | None = -1, /) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise error
            return super().read(min(size or 0, 100) if size and size > 0 else 100)

    for work, data in (
        (Recipients([PUBLIC]).encrypt, bytes(500)),
        (Identities([key], nobody_asks).decrypt, sealed(bytes(70_000))),
    ):
        with pytest.raises(type(error)) as raised:
            work(Breaks(data), lambda piece: None)
        assert raised.value is error


@pytest.mark.parametrize("recipients", [1, 2, 20])
def test_the_room_that_is_asked_for_is_enough(recipients: int, tmp_path: Path) -> None:
    keys = [str(pyrage.x25519.Identity.generate().to_public()) for _ in range(recipients - 1)]
    keys.append(ssh_key(tmp_path / "id", "rsa"))
    chance = random.Random(recipients)
    pieces = [n * 65536 + off for n in (1, 2, 3, 16, 64) for off in (-1, 0, 1)]
    for size in (0, 1, 15, 16, *pieces, chance.randrange(6_000_000)):
        needed = len(sealed(bytes(size), *keys))
        assert size < needed <= most(size)
        assert most(size) <= size * 1.001 + 100_000, "nor is it asked for much more"


# --- what is no encryption for us


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_000])
def test_what_is_cut_or_changed_anywhere_is_not_taken_for_whole(key: Path, size: int) -> None:
    plain = random.Random(size).randbytes(size)
    data = sealed(plain)
    assert opened(data, key) == plain
    header = data.index(b"\n---") + 48
    cuts = {0, 1, 21, header - 1, header, header + 16, header + 16 + 65_552, len(data) - 65_552, len(data) - 16, len(data) - 1}
    for cut in cuts & set(range(len(data))):
        with pytest.raises(CannotDecrypt):
            opened(data[:cut], key)
    for at in {30, header - 5, header + 3, header + 20, len(data) // 2, len(data) - 1}:
        with pytest.raises(CannotDecrypt):
            opened(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], key)
    with pytest.raises(CannotDecrypt):
        opened(data + b"x", key)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x18ftypmp42" + bytes(500),
        b"age-encryption.org/v1\n",
        b"age-encryption.org/v9\n" + bytes(99),
        with_passphrase(b"x", "y"),
    ],
    ids=["a clip", "a header alone", "another version", "for a passphrase"],
)
def test_what_was_never_encrypted_for_us_is_not_opened(key: Path, data: bytes) -> None:
    with pytest.raises(CannotDecrypt):
        opened(data, key)


# --- identities


def test_a_file_may_hold_several_keys_and_there_may_be_several_files(tmp_path: Path) -> None:
    keys = [pyrage.x25519.Identity.generate() for _ in range(4)]
    files = identity(tmp_path / "one", *keys[:3]), identity(tmp_path / "two", keys[3])
    for one in keys:
        assert opened(sealed(b"a clip", str(one.to_public())), *files) == b"a clip"


def test_a_file_from_another_system_opens_it_too(key: Path) -> None:
    key.write_bytes(key.read_bytes().replace(b"\n", b"\r\n"))
    assert opened(sealed(b"a clip"), key) == b"a clip"


@pytest.mark.parametrize("armored", [False, True])
def test_an_identity_that_has_a_passphrase_is_opened_with_it(key: Path, armored: bool) -> None:
    data = with_passphrase(key.read_bytes(), PASSPHRASE)
    lines = "\n".join(textwrap.wrap(b64encode(data).decode(), 64))
    armor = f"-----BEGIN AGE ENCRYPTED FILE-----\n{lines}\n-----END AGE ENCRYPTED FILE-----\n"
    key.write_bytes(armor.encode() if armored else data)
    asked: list[Path] = []

    def ask(file: Path) -> str:
        asked.append(file)
        return PASSPHRASE

    assert opened(sealed(b"a clip"), key, ask=ask) == b"a clip"
    assert asked == [key]
    with pytest.raises(ConfigError, match="is the passphrase right"):
        Identities([key], lambda file: "another")


@pytest.mark.parametrize(("kind", "passphrase"), [("ecdsa", ""), ("ed25519", PASSPHRASE), ("rsa", PASSPHRASE)])
def test_a_key_of_ssh_that_cannot_be_used_is_refused_in_words(tmp_path: Path, kind: str, passphrase: str) -> None:
    ssh_key(tmp_path / "id", kind, passphrase)
    with pytest.raises(ConfigError, match="must be ed25519 or rsa, and have no passphrase"):
        Identities([tmp_path / "id"], lambda file: PASSPHRASE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PUBLIC, "is no identity"),
        (f"{KEY}\n{str(KEY)[:-1]}\n", "is no identity"),
        (f"{str(KEY)[:-9]}", "is no identity"),
        (f"my key: {KEY}", "is no identity"),
        (f"# {KEY}\n", "holds no identity"),
        ("", "holds no identity"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY}\n", "a secret key of SSH must be"),
        (f"age-encryption.org/v1\n{KEY}\n", "is the passphrase right"),
    ],
    ids=["public", "a second line that is cut", "cut", "in words", "in a comment", "nothing", "no key of SSH", "no sealed file"],
)
def test_a_file_that_is_no_identity_is_refused_and_nothing_of_it_is_shown(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "identity"
    file.write_text(content)
    with pytest.raises(ConfigError, match=words) as refused:
        Identities([file], lambda file: PASSPHRASE)
    shown, whole = "", refused.value
    while whole is not None:
        shown += f"{whole}{whole!r}{whole.args}"
        whole = whole.__cause__  # type: ignore[assignment]  # any error
    for secret in (str(KEY)[16:40], str(KEY)[16:40].lower(), PASSPHRASE):
        assert secret not in shown
    assert str(file) in shown


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    for file, words in ((tmp_path / "nowhere", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigError, match=words):
            Identities([file], nobody_asks)


# --- the standard tool


@pytest.mark.parametrize("size", [0, 1, 65_536, 200_001])
def test_what_we_encrypt_the_standard_tool_opens(key: Path, size: int) -> None:
    plain = random.Random(size).randbytes(size)
    assert age("--decrypt", "-i", key, stdin=sealed(plain)) == plain


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_what_we_encrypt_for_a_key_of_ssh_the_standard_tool_opens(tmp_path: Path, kind: str) -> None:
    public = ssh_key(tmp_path / "id", kind)
    assert age("--decrypt", "-i", tmp_path / "id", stdin=sealed(b"a clip", PUBLIC, public)) == b"a clip"


@pytest.mark.parametrize("armor", [[], ["--armor"]])
def test_what_the_standard_tool_encrypts_we_open(key: Path, armor: list[str]) -> None:
    plain = random.Random(1).randbytes(100_000)
    assert opened(age(*armor, "-r", PUBLIC, stdin=plain), key) == plain


def test_an_identity_that_the_standard_tool_made_is_one(tmp_path: Path) -> None:
    if shutil.which("age-keygen") is None:
        pytest.skip("this test makes a key with the standard tool, and there is none: install age")
    file = tmp_path / "key.txt"
    subprocess.run(["age-keygen", "-o", file], capture_output=True, check=True)
    public = subprocess.run(["age-keygen", "-y", file], capture_output=True, check=True, text=True).stdout
    assert opened(sealed(b"a clip", public), file) == b"a clip"
