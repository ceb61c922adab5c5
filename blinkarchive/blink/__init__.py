"""A client library for the Blink camera cloud: usable alone, and it knows nothing of archives.

    async with Client.open(Path("tokens/home.json")) as client:
        await client.sign_in("me@example.org", Secret("…"))      # raises CodeNeeded: then blink.send_code(Secret("123456"))
        page = await client.media_page(since, 1)
        async with client.media(page.items[0].media) as body:
            async for chunk in body.chunks: ...

A name is imported when it is first used: the library underneath `Client` takes a third of a second, and what only
looks at tokens or addresses needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blinkarchive.blink.client import Client
    from blinkarchive.blink.credentials import import_blinkpy, json_load, json_save
    from blinkarchive.blink.endpoints import Endpoints
    from blinkarchive.blink.http import Deadlines
    from blinkarchive.blink.login import PendingSignIn
    from blinkarchive.blink.memory import Memory
    from blinkarchive.blink.tokens import TokenFile, Tokens
    from blinkarchive.blink.wire import Camera, Family, Homescreen, MediaItem, MediaPage, Network, Signals, SyncModule

_WHERE = {
    "client": ("Client",),
    "endpoints": ("Endpoints",),
    "http": ("Deadlines",),
    "login": ("PendingSignIn",),
    "credentials": ("import_blinkpy", "json_load", "json_save"),
    "memory": ("Memory",),
    "tokens": ("TokenFile", "Tokens"),
    "wire": ("Camera", "Family", "Homescreen", "MediaItem", "MediaPage", "Network", "Signals", "SyncModule"),
}

__all__ = [
    "Camera",
    "Client",
    "Deadlines",
    "Endpoints",
    "Family",
    "Homescreen",
    "MediaItem",
    "MediaPage",
    "Memory",
    "Network",
    "PendingSignIn",
    "Signals",
    "SyncModule",
    "TokenFile",
    "Tokens",
    "import_blinkpy",
    "json_load",
    "json_save",
]


def __getattr__(name: str) -> object:
    for module, names in _WHERE.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
