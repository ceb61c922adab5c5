"""The cloud's own words: its error bodies, as the real one sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

Json = Mapping[str, Any]

UNAUTHORIZED: Json = {"message": "Unauthorized Access", "error": None, "code": 101}
MEDIA_NOT_FOUND: Json = {"message": "Media not found", "code": 700}
INVALID_DEVICE_TYPE: Json = {"code": 1630, "message": "Invalid Device Type"}
UPDATE_REQUIRED: Json = {"message": "An app update is required"}
SYSTEM_BUSY: Json = {"message": "System is busy, please wait", "error": None, "code": 307}
MANIFEST_NOT_READY: Json = {"message": "The manifest is not ready", "error": None, "code": 2102}
MANIFEST_FAILED: Json = {"message": "The manifest could not be retrieved", "error": None, "code": 1700}
NO_CAMERAS_ENABLED: Json = {"message": "No Cameras Enabled for Motion", "code": 304}
NOT_ENABLED: Json = {"message": "Motion capture not enabled for device", "code": 2805}
INVALID_MEDIA_LIST: Json = {"message": "Invalid Media List Format", "code": 706}
MEDIA_DELETED: Json = {"message": "Successfully deleted media", "code": 711}
INVALID_PURGE_DAYS: Json = {"message": "Invalid auto purge days value", "code": 213}
LOGIN_LIMIT: Json = {
    "message": "Login limit exceeded. Please disable any 3rd party automation and try again in 60 minutes.",
}
EMPTY_COOKIES: Json = {"error": "bad_request", "error_cause": "empty_cookies", "error_description": "Empty Cookies."}
INVALID_GRANT: Json = {"error": "invalid_grant", "error_description": "The provided grant is invalid, expired or revoked."}

EDGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Attention</title></head><body><h1>The edge server has something to say</h1></body></html>"
)
"""What stands between a client and the cloud may answer in its place, for people."""


class Refusal(Exception):
    """A request ends here, with this status and body."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def unauthorized() -> Refusal:
    return Refusal(401, UNAUTHORIZED)


def media_not_found() -> Refusal:
    return Refusal(404, MEDIA_NOT_FOUND)


def not_found() -> Refusal:
    """There is no such thing in this account."""
    return Refusal(404, {"message": "Not found", "code": 404})


def oauth_error(status: int, error: str, description: str) -> Refusal:
    return Refusal(status, {"error": error, "error_description": description})


def as_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )
