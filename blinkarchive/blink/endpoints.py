"""Where Blink's servers are, which of their addresses exist, and which addresses may be trusted with a credential."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

from blinkarchive.errors import ConfigError, ForeignHost
from blinkarchive.loopback import is_this_machine

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"
_TIER = re.compile(_LABEL, re.IGNORECASE | re.ASCII)
_REST_HOST = re.compile(rf"rest-{_LABEL}\.immedia-semi\.com", re.ASCII)
_HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_TARGET = re.compile(r"/(?:[A-Za-z0-9._~/%-]*)(?:\?[!-~]*)?")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One server: credentials are given to an origin as a whole or not at all."""

    scheme: str
    #: In lower case; an IPv6 address is without its brackets.
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}")


OAUTH = Origin(scheme="https", host="api.oauth.blink.com", port=443)
FIRST = Origin(scheme="https", host="rest-prod.immedia-semi.com", port=443)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The servers of one account: Blink's own, or one that the owner named to stand in for all of them."""

    oauth: Origin = OAUTH
    #: Where the account's tier is asked for.
    first: Origin = FIRST

    @classmethod
    def of(cls, *, api_url: str | None = None, oauth_url: str | None = None) -> Endpoints:
        """Blink's servers, or others in their place. Raises `ConfigError` for an address that cannot be trusted."""
        return cls(
            oauth=own_origin(oauth_url, "oauth_url") if oauth_url else OAUTH,
            first=own_origin(api_url, "api_url") if api_url else FIRST,
        )

    def rest(self, tier: str | None) -> Origin:
        """The server that holds the data of an account of this tier. Raises `ForeignHost` for what is no tier."""
        if self.first != FIRST or tier is None:
            return self.first
        if not is_tier(tier):
            raise ForeignHost(f"Blink named a tier that cannot be part of a host name: {tier[:40]!r}")
        return Origin(scheme="https", host=f"rest-{tier.lower()}.immedia-semi.com", port=443)

    def trusted(self, origin: Origin) -> bool:
        """Whether anything at all may be sent there."""
        return origin == self.oauth or self.serves_accounts(origin)

    def serves_accounts(self, origin: Origin) -> bool:
        """Whether it is a server of Blink for the data of accounts, of whatever tier: a token may be shown there."""
        of_blink = _REST_HOST.fullmatch(origin.host) is not None and (origin.scheme, origin.port) == ("https", 443)
        return origin == self.first or (self.first == FIRST and of_blink)


def is_tier(text: str) -> bool:
    """Whether it can be the name of a tier: letters, digits and hyphens, as in a host name."""
    return _TIER.fullmatch(text) is not None


def own_origin(address: str, key: str) -> Origin:
    """The origin of an address that the owner wrote under `key`: https, or plain http to this machine alone.

    Raises `ConfigError` for anything else: another scheme, a user name, a path, a host name that is not plain ASCII.
    """

    def refuse(why: str) -> ConfigError:
        return ConfigError(f"{key}: {why}")

    if re.search(r"[^!-~]|\\", address):
        raise refuse("an address has only plain characters")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise refuse(f"not an address ({error})") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise refuse("an address begins with https:// (or http:// for this machine)")
    if "@" in parts.netloc:
        raise refuse("an address has no user name or password in it")
    if parts.path not in ("", "/") or "?" in address or "#" in address:
        raise refuse("an address ends after its host and port")
    if port == 0 or not (_HOST_NAME.fullmatch(host) or ":" in host):
        raise refuse("an address names a host, and no dot follows it")
    if parts.scheme == "http" and not is_this_machine(host):
        raise refuse("plain http is for this machine alone (127.0.0.1, ::1, localhost); use https")
    return Origin(scheme=parts.scheme, host=host, port=port or _DEFAULT_PORTS[parts.scheme])


def target_on(origin: Origin, address: str) -> str:
    """The path and query to ask `origin` for, from a path or an absolute address that a server gave us.

    The authority of the address is compared and then thrown away: what is sent goes to `origin` in any case.
    Raises `ForeignHost` when the address leads elsewhere or is not one that Blink would give.
    """
    target = address
    if not address.startswith("/"):
        if re.search(r"[^!-~]|[\\#]", address):
            raise ForeignHost(f"an address with characters that none has: {address[:80]!r}")
        try:
            parts = urlsplit(address)
            there = (parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme))
        except ValueError as error:
            raise ForeignHost(f"not an address: {address[:80]!r}") from error
        if there != (origin.scheme, origin.host, origin.port) or "@" in parts.netloc:
            raise ForeignHost(f"the address leads to {parts.netloc[:80]!r}, which is not {origin}")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
    check_target(target)
    return target


def check_target(target: str) -> None:
    """Raise `ForeignHost` unless this is a plain path, with or without a query."""
    path = target.partition("?")[0]
    # A server may decode a path once more than we think, so the rules hold for the decoded path as well.
    decoded = unquote(path, errors="replace")
    if not _TARGET.fullmatch(target) or "#" in target or "\\" in target:
        raise ForeignHost(f"not a path that Blink would give: {target[:80]!r}")
    if any(part in form for form in (path, decoded) for part in ("//", "..", "\\")) or not decoded.isprintable():
        raise ForeignHost(f"not a path that Blink would give: {target[:80]!r}")


# The paths. What they answer is in `wire`.

AUTHORIZE = "/oauth/v2/authorize"
SIGN_IN = "/oauth/v2/signin"
VERIFY = "/oauth/v2/2fa/verify"
TOKEN = "/oauth/token"  # noqa: S105  # a path, not a password
TIER = "/api/v1/users/tier_info"


def homescreen(account: int, *, version: int = 3) -> str:
    """All devices of an account. There is version 3, and the newer 4."""
    return f"/api/v{version}/accounts/{account}/homescreen"


def media_changed(account: int, since: datetime, page: int) -> str:
    """One page, from 1, of the clips that changed since a time (aware), in whole seconds rounded down.

    The "+" of the zone is escaped: a server that decodes the query as a form would read a bare one as a space.
    """
    return f"/api/v1/accounts/{account}/media/changed?since={_moment(since)}%2B0000&page={page}"


def media(account: int, since: datetime, key: str) -> str:
    """One page of the clips recorded since a time (aware), in the newer list: the first, or the one with this key."""
    after = f"&pagination_key={quote(key, safe='')}" if key else ""
    return f"/api/v4/accounts/{account}/media?start_time={_moment(since)}Z{after}"


def _moment(when: datetime) -> str:
    if when.tzinfo is None:
        raise ValueError(f"a time without a zone: {when!r}")
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def media_delete(account: int, *, version: int = 1) -> str:
    """Delete clips. There is version 1, and the newer 4."""
    return f"/api/v{version}/accounts/{account}/media/delete"


def network(network: int) -> str:
    """What a network says of itself."""
    return f"/network/{network}"


def arming(account: int, network: int, *, arm: bool) -> str:
    """Arm or disarm a network."""
    return f"/api/v1/accounts/{account}/networks/{network}/state/{'arm' if arm else 'disarm'}"


def command(network: int, command: int) -> str:
    """How far a command has come."""
    return f"/network/{network}/command/{command}"


def camera(account: int, network: int, family: str, camera: int) -> str:
    """Where a camera of a family ("cameras", "owls", "doorbells") is asked for things."""
    if family == "cameras":
        return f"/network/{network}/camera/{camera}"
    return f"/api/v1/accounts/{account}/networks/{network}/{family}/{camera}"


def liveview(account: int, network: int, family: str, camera: int) -> str:
    """Open a live view."""
    version = "v6" if family == "cameras" else "v2"
    return f"/api/{version}/accounts/{account}/networks/{network}/{family}/{camera}/liveview"


def notifications(account: int) -> str:
    """What the owner is told of."""
    return f"/api/v1/accounts/{account}/notifications/configuration"


def logout(account: int, client: int) -> str:
    """End this client."""
    return f"/api/v4/account/{account}/client/{client}/logout"


USER = "/user"


def local_storage(account: int, network: int, module: int) -> str:
    """Where a sync module's stick is."""
    return f"/api/v1/accounts/{account}/networks/{network}/sync_modules/{module}/local_storage"


def local_clip(stick: str, manifest: int | str, clip: int | str) -> str:
    """A clip on a stick, by a manifest and the number it has there: its upload is asked for here, and fetched from here."""
    return f"{stick}/manifest/{manifest}/clip/request/{clip}"


def local_deletion(stick: str, manifest: int | str, clip: int | str) -> str:
    """Delete a clip on a stick, by a manifest and the number it has there."""
    return f"{stick}/manifest/{manifest}/clip/delete/{clip}"
