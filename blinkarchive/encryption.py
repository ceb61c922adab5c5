"""Encryption as age does it (age-encryption.org/v1), so that the standard tool alone can open what is encrypted here.

Encrypting takes public keys only. Who holds one of the identities (the secret keys) that they belong to can decrypt.
Pyrage does the work; it is asked for when something is encrypted or decrypted, not before.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from blinkarchive.errors import ArchiveError, CannotDecrypt, ConfigError, PluginError

_PIECE = 64 * 1024
_HEADER = 64 * 1024
_SEALED_FILE = b"age-encryption.org/v1"
_IDENTITY = "AGE-SECRET-KEY-"
_LARGEST_KEY_FILE = 1024**2


class Reads(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes: ...


def most(size: int) -> int:
    """More bytes than the encryption of so many takes: each piece has a seal of 16, and there is a header for the recipients."""
    return size + 16 * (size // _PIECE + 1) + _HEADER


class Recipients:
    """Who can open what is encrypted."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Of public keys as age writes them, `age1…`, or as SSH does, `ssh-ed25519 …` and `ssh-rsa …`.

        Raises `ConfigError` for one that is none, and `PluginError` where encrypting is not installed.
        """
        self.texts = tuple(" ".join(text.split()) for text in texts)
        self._keys = [_public_key(number, text) for number, text in enumerate(self.texts, 1)]
        #: Tells these recipients from others: 64 hex digits.
        self.mark = hashlib.sha256("\n".join(sorted(self.texts)).encode()).hexdigest()

    def encrypt(self, plain: Reads, write: Callable[[bytes], object]) -> None:
        """Read all there is and write it encrypted, piece by piece. No two times give the same bytes. Blocks.

        Raises what reading and writing raise, and `ArchiveError`.
        """
        _through(_pyrage().encrypt_io, plain, write, self._keys)


class Identities:
    """Secret keys that can open what was encrypted for one of them."""

    def __init__(self, files: Sequence[Path], ask: Callable[[Path], str]) -> None:
        """From files as `age-keygen` writes them, or secret keys of SSH. `ask` gives the passphrase of one that has one.

        Raises `ConfigError`, whose words show nothing of a key.
        """
        self._keys = [key for file in files for key in _secret_keys(file, ask)]

    def decrypt(self, sealed: Reads, write: Callable[[bytes], object]) -> None:
        """Read all there is and write it decrypted, piece by piece. Until it returns, nothing that was written is worth anything:
        the end may be missing. Blocks.

        Raises what reading and writing raise, and `CannotDecrypt`.
        """
        _through(_pyrage().decrypt_io, sealed, write, self._keys)


class _Reader:
    """Keeps the error that reading ended with: on its way through pyrage it would become a text."""

    def __init__(self, inner: Reads) -> None:
        self._inner = inner
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        try:
            return self._inner.read(size)
        except BaseException as error:
            self.error = error
            raise


class _Writer:
    """The same for writing."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.error: BaseException | None = None

    def write(self, piece: bytes) -> int:
        try:
            self._write(piece)
        except BaseException as error:
            self.error = error
            raise
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""


def _through(work: Callable[..., None], source: Reads, write: Callable[[bytes], object], keys: list[Any]) -> None:
    pyrage = _pyrage()
    reader, writer = _Reader(source), _Writer(write)
    try:
        work(reader, writer, keys)
    except (pyrage.EncryptError, pyrage.DecryptError, OSError) as error:
        if cause := reader.error or writer.error:
            raise cause from None
        if work is pyrage.encrypt_io:
            raise ArchiveError(f"it cannot be encrypted: {error}") from error
        raise CannotDecrypt(_why(error)) from error
    if cause := reader.error or writer.error:  # pyrage says nothing when its last piece could not be written
        raise cause


def _why(error: Exception) -> str:
    if "matching keys" in str(error):
        return "it was encrypted for others: none of the identities that were given opens it"
    return f"it is not whole, or is not what was encrypted: {error}"


def _pyrage() -> Any:
    try:
        return importlib.import_module("pyrage")
    except ImportError as error:
        raise PluginError("encryption needs the package pyrage: pip install 'blinkarchive[encrypt]'") from error


def _public_key(number: int, text: str) -> Any:
    pyrage = _pyrage()
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ConfigError(
            f"recipient {number} is no public key of age (age1…) or SSH (ssh-ed25519 …, ssh-rsa …): {error}"
        ) from error


def is_secret_key(text: str) -> bool:
    """Whether somebody wrote a secret key where a public one belongs."""
    return _IDENTITY in text.upper() or "PRIVATE KEY" in text.upper()


def _secret_keys(file: Path, ask: Callable[[Path], str]) -> list[Any]:
    pyrage = _pyrage()
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST_KEY_FILE)
    except OSError as error:
        raise ConfigError(f"the identity {file} cannot be read: {error.strerror}") from error
    if data.startswith((_SEALED_FILE, b"-----BEGIN AGE ENCRYPTED FILE-----")):
        try:
            data = pyrage.passphrase.decrypt(data, ask(file))
        except (pyrage.DecryptError, OSError) as error:
            raise ConfigError(f"the identity {file} cannot be opened: is the passphrase right?") from error
    if b"PRIVATE KEY-----" in data:
        try:
            return [pyrage.ssh.Identity.from_buffer(data)]
        except pyrage.IdentityError as error:
            raise ConfigError(
                f"the identity {file} cannot be used: a secret key of SSH must be ed25519 or rsa, and have no passphrase"
            ) from error
    keys = []
    for line in data.decode(errors="replace").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        try:
            keys.append(pyrage.x25519.Identity.from_str(line.strip()))
        except pyrage.IdentityError:
            raise ConfigError(f"{file} is no identity: it has a line that is no secret key of age (AGE-SECRET-KEY-1…)") from None
    if not keys:
        raise ConfigError(f"{file} holds no identity")
    return keys
