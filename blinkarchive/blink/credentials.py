"""The form in which blinkpy keeps a sign-in, and in which scripts hand one over: a dict, a JSON file."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from blinkarchive.blink import private
from blinkarchive.blink.endpoints import Endpoints, is_tier
from blinkarchive.blink.login import CLIENT_ID
from blinkarchive.blink.tokens import Tokens, new_hardware_id
from blinkarchive.blink.wire import NotAsPromised, lenient
from blinkarchive.errors import ConfigError
from blinkarchive.files import Files
from blinkarchive.secret import Secret

Credentials = Mapping[str, Any]


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    token: str | None = None
    refresh_token: str | None = None
    expiration_date: float | None = None
    region_id: str | None = None
    host: str | None = None
    account_id: int | str | None = None
    hardware_id: str | None = None
    username: str | None = None


def tokens_in(credentials: Credentials | bytes, *, servers: Endpoints, now: datetime, device: str | None = None) -> Tokens | None:
    """The sign-in in credentials; None when there is none. Any of their keys may be absent or odd.

    `device` is the hardware id to go on with where they name none; without it a new one is made. Raises `NotAsPromised`
    for what is no object.
    """
    found = lenient(credentials if isinstance(credentials, bytes) else _plain(credentials), _Known)
    if not found.token and not found.refresh_token:
        return None
    tier = found.region_id or (found.host or "").removeprefix("rest-").partition(".")[0]
    account = str(found.account_id or "")
    return Tokens(
        access=Secret(found.token or ""),
        refresh=Secret(found.refresh_token) if found.refresh_token else None,
        expires_at=_moment(found.expiration_date, now) if found.token else now,
        client_id=_client_of(found.token or ""),
        hardware_id=device_in(found.hardware_id) or device or new_hardware_id(),
        oauth=str(servers.oauth),
        api=str(servers.first),
        tier=tier if is_tier(tier) else None,
        username=found.username or None,
        account_id=int(account) if re.fullmatch(r"[1-9]\d{0,18}", account) else None,
    )


def credentials_of(tokens: Tokens, now: datetime) -> dict[str, Any]:
    """A sign-in by blinkpy's keys."""
    return {
        "token": tokens.access.reveal(),
        "expires_in": max(0, int((tokens.expires_at - now).total_seconds())),
        "expiration_date": tokens.expires_at.timestamp(),
        "refresh_token": tokens.refresh.reveal() if tokens.refresh else None,
        "host": f"{tokens.tier}.immedia-semi.com" if tokens.tier else None,
        "region_id": tokens.tier,
        "account_id": tokens.account_id,
        "hardware_id": tokens.hardware_id,
    }


def import_blinkpy(path: Path, *, servers: Endpoints, now: datetime, device: str | None = None) -> Tokens:
    """The sign-in in a blinkpy credential file, which is left as it is.

    Raises `ConfigError` when it cannot be read or holds no sign-in.
    """
    try:
        with path.open("rb") as file:
            tokens = tokens_in(file.read(private.LARGEST), servers=servers, now=now, device=device)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except NotAsPromised:
        raise ConfigError(f"{path} is not a blinkpy credential file") from None
    if tokens is None:
        raise ConfigError(f"{path} holds no sign-in")
    return tokens


async def json_load(file_name: str | Path) -> dict[str, Any]:
    """The credentials in a JSON file. Raises `ConfigError` when there are none."""
    try:
        found = json.loads(await asyncio.to_thread(Path(file_name).read_bytes))
    except OSError as error:
        raise ConfigError(f"{file_name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file_name} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{file_name} holds no credentials: a JSON object with username and password")
    return found


async def json_save(data: Credentials, file_name: str | Path) -> None:
    """Put credentials into a file that only its owner may read: the old or the new ones are there, never half of them.

    Raises `ConfigError`.
    """
    text = json.dumps(dict(data), indent=4).encode() + b"\n"
    try:
        await asyncio.to_thread(Files().replace, Path(file_name).absolute(), text, 0o600)
    except OSError as error:
        raise ConfigError(f"{file_name} cannot be written: {error.strerror}") from error


def device_in(text: str | None) -> str | None:
    """A hardware id that Blink accepts: a UUID; None for anything else."""
    found = re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text or "")
    return text if found else None


def _plain(credentials: Credentials) -> bytes:
    try:
        return msgspec.json.encode(dict(credentials))
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise ConfigError(f"credentials hold something that is no JSON ({error})") from error


def _moment(epoch: float | None, now: datetime) -> datetime:
    """A moment in seconds since 1970; now, when there is none that can be used."""
    try:
        return now if epoch is None else datetime.fromtimestamp(epoch, UTC)
    except (OverflowError, ValueError, OSError):
        return now


def _client_of(token: str) -> str:
    """The client that an access token names, if it can be read in it: Blink issued them to `android` once, to `ios` now."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=dict[str, Any])
    except (IndexError, ValueError, msgspec.MsgspecError):
        return CLIENT_ID
    named = claims.get("client_id")
    return named if named in ("android", "ios") else CLIENT_ID
