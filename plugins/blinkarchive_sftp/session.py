"""One connection: how it is made, how it logs in, and what can be sent over it at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from blinkarchive import ConfigError, SinkUnavailable
from blinkarchive.convert import SecretRef
from blinkarchive.permissions import OPEN
from blinkarchive.secret import Secret
from blinkarchive_sftp.algorithms import accepted, is_weak, weakness
from blinkarchive_sftp.host_keys import DEADLINE, Doorkeeper, Trust, only_legacy
from blinkarchive_sftp.options import SftpOptions
from blinkarchive_sftp.telling import LOST, TROUBLE, Teller, TurnedAway

BLOCK = 255 * 1024
"""Bytes of one request, where the server takes so many: OpenSSH does, older ones want less and say so."""

IN_FLIGHT = 2 * 1024 * 1024
"""Bytes on their way over one connection: OpenSSH takes no more before it has answered, so more would only fill memory."""

_KEEPALIVE = 15
_MISSED = 3
"""A peer that does not answer for so many seconds, so many times, is dead."""

_CLOSING = 1.0


class Session:
    """A connection that is logged in, with its SFTP channel."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient, keeper: Doorkeeper, teller: Teller
    ) -> None:
        self.sftp = sftp
        self.teller = teller
        self._connection = connection
        self._keeper = keeper
        self._broken = False
        self.write_block = min(sftp.limits.max_write_len, BLOCK)
        self.read_block = min(sftp.limits.max_read_len, BLOCK)
        #: Places for requests that carry bytes there.
        self.places = asyncio.Semaphore(max(1, IN_FLIGHT // self.write_block))

    @property
    def alive(self) -> bool:
        """Whether there is hope that it still works."""
        return not (self._broken or self._keeper.gone)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Translate what goes wrong, and note when this connection is of no more use. `what` follows "cannot"."""
        try:
            yield
        except TROUBLE as error:
            self._broken = self._broken or isinstance(error, LOST)
            raise self.teller.of(error, what) from error

    async def close(self) -> None:
        """Take leave, and wait a moment for that to be sent. Raises nothing."""
        self._broken = True
        self._connection.close()
        with suppress(TimeoutError, *TROUBLE):
            async with asyncio.timeout(_CLOSING):
                await self._connection.wait_closed()
        self._connection.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What is shown to the server, read once when the sink is opened."""

    options: SftpOptions
    keys: Sequence[asyncssh.SSHKey]
    password: Secret | None
    teller: Teller

    @classmethod
    def of(cls, options: SftpOptions) -> Login:
        """Read key and secrets. Raises `ConfigError`."""
        passphrase, password = _secret("key_passphrase", options.key_passphrase), _secret("password", options.password)
        keys = [] if options.key is None else [_key(options.key, passphrase, legacy=options.legacy_algorithms)]
        secrets = tuple(secret for secret in (passphrase, password) if secret)
        return cls(options=options, keys=keys, password=password, teller=Teller(options.address, secrets))

    async def session(self) -> Session:
        """Connect, see whether it is the right server, and log in.

        Raises `TurnedAway` when it is not or does not let us in, else `SinkUnavailable` when it cannot be reached; `ConfigError`.
        """
        address = self.options.address
        keeper = Doorkeeper(trust := Trust.of(self.options))
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._session(trust, keeper)
        except asyncssh.HostKeyNotVerifiable as error:
            raise trust.refused(keeper.refused, self.teller.words(error)) from error
        except asyncssh.KeyExchangeFailed as error:
            words = await only_legacy(self.options) or f"{address}: no agreement on how to encrypt ({self.teller.words(error)})"
            raise TurnedAway(words) from error
        except asyncssh.PermissionDenied as error:
            ways = " nor ".join(self._ways())
            raise TurnedAway(f"{address}: the server is there and takes not {ways}: {self.teller.words(error)}") from error
        except TimeoutError as error:
            raise SinkUnavailable(f"{address}: no answer within {DEADLINE:g} s") from error
        except asyncssh.SFTPBadMessage as error:
            raise SinkUnavailable(
                f"{address}: logged in, and text came instead of SFTP: the login shell there prints something (~/.bashrc, "
                "/etc/profile, or nologin). Let it print nothing without a terminal, or give the account "
                f"ForceCommand internal-sftp ({self.teller.words(error)})"
            ) from error
        except asyncssh.SFTPConnectionLost as error:
            raise SinkUnavailable(
                f"{address}: logged in, and the session for SFTP ended at once: may this account use SFTP? "
                f"({self.teller.words(error)})"
            ) from error
        except asyncssh.ChannelOpenError as error:
            raise SinkUnavailable(f"{address}: logged in, but it offers no SFTP: {self.teller.words(error)}") from error
        except (*TROUBLE, ValueError) as error:
            said = self.teller.words(error)
            if keeper.gone and isinstance(error, LOST) and (words := await only_legacy(self.options)):
                raise TurnedAway(words) from error
            if "authentication fail" in said.lower():
                raise TurnedAway(f"{address}: the server is there and does not let us in: {said}") from error
            raise SinkUnavailable(f"{address} cannot be reached: {said}") from error

    async def _session(self, trust: Trust, keeper: Doorkeeper) -> Session:
        async with AsyncExitStack() as stack:
            keys: list[asyncssh.SSHKey | asyncssh.SSHKeyPair] = [*self.keys]
            if self.options.agent:
                keys += await stack.enter_async_context(self._agent())
            connection = await asyncssh.connect(
                self.options.host,
                self.options.port,
                client_factory=lambda: keeper,
                config=None,
                known_hosts=trust.lookup,
                server_host_key_algs=trust.kinds,
                x509_trusted_certs=None,
                username=self.options.username,
                password=None if self.password is None else self.password.reveal(),
                client_keys=keys or None,
                agent_path=None,
                gss_auth=False,
                gss_kex=False,
                host_based_auth=False,
                **accepted(legacy=trust.legacy),
                keepalive_interval=_KEEPALIVE,
                keepalive_count_max=_MISSED,
                connect_timeout=DEADLINE,
                login_timeout=DEADLINE,
            )
            try:
                return Session(connection, await connection.start_sftp_client(), keeper, self.teller)
            except BaseException:
                connection.abort()
                raise

    @asynccontextmanager
    async def _agent(self) -> AsyncIterator[Sequence[asyncssh.SSHKeyPair]]:
        """The keys of the agent. It has to be there until they were used."""
        path = os.environ.get("SSH_AUTH_SOCK", "")
        if not path:
            raise SinkUnavailable(f"{self.options.address}: agent = true, and there is no agent: SSH_AUTH_SOCK is not set")
        agent = asyncssh.SSHAgentClient(path)
        try:
            await agent.connect()
            keys = await agent.get_keys()
        except (*TROUBLE, ValueError) as error:
            raise SinkUnavailable(f"the SSH agent at {path} does not answer: {self.teller.words(error)}") from error
        try:
            yield keys
        finally:
            agent.close()

    def _ways(self) -> list[str]:
        ways = [f"the key {self.options.key}"] if self.options.key else []
        ways += ["any key of the agent"] if self.options.agent else []
        return [*ways, "the password"] if self.password else ways


def _secret(option: str, ref: SecretRef | None) -> Secret | None:
    if ref is None:
        return None
    secret = ref.read()
    if secret is None:
        raise ConfigError(f"{option}: {ref} holds nothing")
    return secret


def _key(file: Path, passphrase: Secret | None, *, legacy: bool) -> asyncssh.SSHKey:
    """The private key. Raises `ConfigError` when it cannot be used, or, as `ssh` does, when others can read it."""
    try:
        found = file.stat()
        if found.st_uid == os.geteuid() and found.st_mode & OPEN:
            raise ConfigError(f"key: {file} may be read by others (mode {found.st_mode & 0o7777:04o}). Run: chmod 600 '{file}'")
        key = asyncssh.read_private_key(file, None if passphrase is None else passphrase.reveal())
    except OSError as error:
        raise ConfigError(f"key: {file} cannot be read: {error.strerror}") from error
    except asyncssh.KeyEncryptionError as error:
        raise ConfigError(f"key: key_passphrase does not open {file}") from error
    except asyncssh.KeyImportError as error:
        locked = passphrase is None and "passphrase" in str(error).lower()
        raise ConfigError(f"key: {file} {'needs a key_passphrase' if locked else f'cannot be used ({error})'}") from error
    if is_weak(key, legacy=legacy):
        raise ConfigError(f"key: {file} is {weakness(key)}")
    return key
