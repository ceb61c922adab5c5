"""Keeps every clip of your Blink cameras, off-site, on storage you control.

The names here are what a plugin's author and a library's user import; there is no code.
"""

from blinkarchive import errors, files
from blinkarchive.errors import (
    AlreadyThere,
    BadKey,
    BlinkArchiveError,
    ConfigError,
    CopyDiffers,
    NotFound,
    SinkError,
    SinkFull,
    SinkUnavailable,
    Transient,
    Unavailable,
)
from blinkarchive.hookspecs import hookimpl
from blinkarchive.interfaces import Introduction, Sink, SinkType
from blinkarchive.model import (
    Alarm,
    AlarmChange,
    Clip,
    ClipId,
    Content,
    Copy,
    Key,
    Plain,
    RunReport,
    SinkName,
    SourceName,
    State,
    Stored,
    Tally,
)

__version__ = "0.1.0"

__all__ = [
    "Alarm",
    "AlarmChange",
    "AlreadyThere",
    "BadKey",
    "BlinkArchiveError",
    "Clip",
    "ClipId",
    "ConfigError",
    "Content",
    "Copy",
    "CopyDiffers",
    "Introduction",
    "Key",
    "NotFound",
    "Plain",
    "RunReport",
    "Sink",
    "SinkError",
    "SinkFull",
    "SinkName",
    "SinkType",
    "SinkUnavailable",
    "SourceName",
    "State",
    "Stored",
    "Tally",
    "Transient",
    "Unavailable",
    "errors",
    "files",
    "hookimpl",
]
