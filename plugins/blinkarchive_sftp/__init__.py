"""Keeps clips in a folder of another machine, over SSH. The SSH library is imported when a sink is opened, not before."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from blinkarchive import ConfigError, Introduction, Sink, SinkType, hookimpl
from blinkarchive_sftp.options import SftpOptions

__all__ = ["SFTP", "SftpOptions", "introduce_sftp", "open_sftp", "open_sftp_to_read"]


@asynccontextmanager
async def open_sftp(options: SftpOptions, *, make: bool = True) -> AsyncIterator[Sink]:
    """Log in and open the folder as a sink. Without `make` nothing is made or removed there.

    Raises `ConfigError` for a secret or key that cannot be read, and where asyncssh is not installed; `SinkUnavailable` when the
    server cannot be reached, is not the one it was, or does not let us in.
    """
    _require_asyncssh()
    from blinkarchive_sftp.sink import opened

    async with opened(options, make=make) as sink:
        yield sink


def open_sftp_to_read(options: SftpOptions) -> AbstractAsyncContextManager[Sink]:
    """Log in and open the folder as a sink, with an account that can only read. Raises what `open_sftp` raises."""
    return open_sftp(options, make=False)


async def introduce_sftp(options: SftpOptions) -> Introduction:
    """Ask the server for its host key, without logging in. Raises what `open_sftp` raises."""
    _require_asyncssh()
    from blinkarchive_sftp.host_keys import introduced

    return await introduced(options)


def _require_asyncssh() -> None:
    try:
        import asyncssh  # noqa: F401
    except ImportError as error:
        raise ConfigError(f'sinks of type "sftp" need asyncssh: pip install "blinkarchive[sftp]" ({error})') from error


SFTP = SinkType(
    kind="sftp",
    options=SftpOptions,
    open=open_sftp,
    open_to_read=open_sftp_to_read,
    introduce=introduce_sftp,
    help="A folder of another machine, over SSH.",
)


@hookimpl
def blinkarchive_sink_types() -> Iterable[SinkType[SftpOptions]]:
    """Offer the one kind there is here."""
    return (SFTP,)
