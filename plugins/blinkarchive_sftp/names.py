"""What stands on a server, as part of a key."""

from blinkarchive.keys import why_not


def name_of(raw: bytes) -> str | None:
    """The name of a file as part of a key; None when it cannot be one, and so is nothing that we put there."""
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if why_not(name) else name
