"""A client library for Blink cameras: usable alone, and it knows nothing of archives.

    async with Blink(auth=Auth({"username": "me@example.org", "password": "…"})) as blink:
        await blink.start()                                     # asks for the code that Blink sends
        for name, camera in blink.cameras.items():
            print(name, camera.attributes)
        await blink.download_videos("clips", since="2026/07/04 09:34")

`Blink`, `Auth`, `BlinkCamera`, `BlinkSyncModule` are the house as its owner knows it, with blinkpy's names. Below it is
`Client`: one account's calls as typed values, with its sign-in in a file.

A name is imported when it is first used: the library underneath takes a third of a second, and what only looks at tokens or
addresses needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blinkarchive.blink.auth import Auth
    from blinkarchive.blink.camera import BlinkCamera
    from blinkarchive.blink.client import Client
    from blinkarchive.blink.credentials import import_blinkpy, json_load, json_save
    from blinkarchive.blink.downloads import Downloaded
    from blinkarchive.blink.endpoints import Endpoints
    from blinkarchive.blink.http import Deadlines
    from blinkarchive.blink.local_storage import LocalStorage
    from blinkarchive.blink.login import PendingSignIn
    from blinkarchive.blink.memory import Memory
    from blinkarchive.blink.names import Named
    from blinkarchive.blink.sync_module import BlinkSyncModule, LocalStorageMediaItem
    from blinkarchive.blink.system import Blink
    from blinkarchive.blink.tokens import TokenFile, Tokens
    from blinkarchive.blink.wire import (
        Camera,
        Family,
        Homescreen,
        LocalClip,
        Manifest,
        MediaItem,
        MediaPage,
        Network,
        Signals,
        SyncModule,
    )
    from blinkarchive.errors import CodeNeeded as BlinkTwoFARequiredError
    from blinkarchive.errors import LoginNeeded as LoginError
    from blinkarchive.errors import ServerTrouble as BlinkBadResponse
    from blinkarchive.errors import SourceError as BlinkSetupError
    from blinkarchive.errors import TokenRevoked as TokenRefreshFailed
    from blinkarchive.errors import Unauthorized as UnauthorizedError

_WHERE = {
    "auth": ("Auth",),
    "camera": ("BlinkCamera",),
    "client": ("Client",),
    "credentials": ("import_blinkpy", "json_load", "json_save"),
    "downloads": ("Downloaded",),
    "endpoints": ("Endpoints",),
    "http": ("Deadlines",),
    "local_storage": ("LocalStorage",),
    "login": ("PendingSignIn",),
    "memory": ("Memory",),
    "names": ("Named",),
    "sync_module": ("BlinkSyncModule", "LocalStorageMediaItem"),
    "system": ("Blink",),
    "tokens": ("TokenFile", "Tokens"),
    "wire": (
        "Camera",
        "Family",
        "Homescreen",
        "LocalClip",
        "Manifest",
        "MediaItem",
        "MediaPage",
        "Network",
        "Signals",
        "SyncModule",
    ),
}

_BLINKPY = {
    "BlinkBadResponse": "ServerTrouble",
    "BlinkSetupError": "SourceError",
    "BlinkTwoFARequiredError": "CodeNeeded",
    "LoginError": "LoginNeeded",
    "TokenRefreshFailed": "TokenRevoked",
    "UnauthorizedError": "Unauthorized",
}
"""What blinkpy calls errors of ours."""

__all__ = [
    "Auth",
    "Blink",
    "BlinkBadResponse",
    "BlinkCamera",
    "BlinkSetupError",
    "BlinkSyncModule",
    "BlinkTwoFARequiredError",
    "Camera",
    "Client",
    "Deadlines",
    "Downloaded",
    "Endpoints",
    "Family",
    "Homescreen",
    "LocalClip",
    "LocalStorage",
    "LocalStorageMediaItem",
    "LoginError",
    "Manifest",
    "MediaItem",
    "MediaPage",
    "Memory",
    "Named",
    "Network",
    "PendingSignIn",
    "Signals",
    "SyncModule",
    "TokenFile",
    "TokenRefreshFailed",
    "Tokens",
    "UnauthorizedError",
    "import_blinkpy",
    "json_load",
    "json_save",
]


def __getattr__(name: str) -> object:
    if name in _BLINKPY:
        return getattr(import_module("blinkarchive.errors"), _BLINKPY[name])
    for module, names in _WHERE.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
