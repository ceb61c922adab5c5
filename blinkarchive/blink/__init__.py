"""A client library for the Blink camera cloud: usable alone, and it knows nothing of archives.

    async with Blink.open(Path("tokens/home.json")) as blink:
        await blink.sign_in("me@example.org", Secret("…"))      # raises CodeNeeded: then blink.send_code(Secret("123456"))
        page = await blink.media_page(since, 1)
        async with blink.media(page.items[0].media) as body:
            async for chunk in body.chunks: ...

A name is imported when it is first used: the library underneath `Blink` takes a third of a second, and what only
looks at tokens or addresses needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blinkarchive.blink.client import Blink
    from blinkarchive.blink.endpoints import Endpoints
    from blinkarchive.blink.http import Deadlines
    from blinkarchive.blink.login import PendingSignIn
    from blinkarchive.blink.tokens import TokenFile, Tokens, import_blinkpy
    from blinkarchive.blink.wire import Camera, Family, Homescreen, MediaItem, MediaPage, Network, Signals, SyncModule

_WHERE = {
    "client": ("Blink",),
    "endpoints": ("Endpoints",),
    "http": ("Deadlines",),
    "login": ("PendingSignIn",),
    "tokens": ("TokenFile", "Tokens", "import_blinkpy"),
    "wire": ("Camera", "Family", "Homescreen", "MediaItem", "MediaPage", "Network", "Signals", "SyncModule"),
}

__all__ = [
    "Blink",
    "Camera",
    "Deadlines",
    "Endpoints",
    "Family",
    "Homescreen",
    "MediaItem",
    "MediaPage",
    "Network",
    "PendingSignIn",
    "Signals",
    "SyncModule",
    "TokenFile",
    "Tokens",
    "import_blinkpy",
]


def __getattr__(name: str) -> object:
    for module, names in _WHERE.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
