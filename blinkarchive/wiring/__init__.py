"""The one place that knows every part: from a config to a run, a sign-in, a look at the index."""

from blinkarchive.wiring.adopting import adopt
from blinkarchive.wiring.looking import dismiss, killed, reading, retire
from blinkarchive.wiring.signing_in import import_credentials, sign_in, signed_in
from blinkarchive.wiring.state import State
from blinkarchive.wiring.way_back import restore, unknown, verify
from blinkarchive.wiring.workshop import Workshop, check, run

__all__ = [
    "State",
    "Workshop",
    "adopt",
    "check",
    "dismiss",
    "import_credentials",
    "killed",
    "reading",
    "restore",
    "retire",
    "run",
    "sign_in",
    "signed_in",
    "unknown",
    "verify",
]
