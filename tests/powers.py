"""Permissions count for root too: a program that is started without the powers to ignore them."""

from __future__ import annotations

import ctypes
import os

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
"""From linux/prctl.h and linux/capability.h."""


def drop_powers() -> None:
    """For `preexec_fn`: what is started from here on is stopped by the modes of files and folders, also as root."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for power in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            libc.prctl(_PR_CAPBSET_DROP, power, 0, 0, 0)
