"""`serve`: look after the archive until stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from blinkarchive.cli import running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb


@click.command(cls=Verb, name="serve")
@click.pass_obj
def verb(session: Session) -> Exit:
    """Look after the archive until stopped: the scheduler.

    Looks at each source when the config says so, keeps the sinks even, and tells you when something is wrong. While it is idle
    other commands may have the archive. `blinkarchive status` says from another terminal what it does.

    SIGHUP reads the config anew; one that cannot be used is refused, and the old one stays. SIGTERM and SIGINT stop it within ten
    seconds; what was on its way is brought by the next start.

    Exit codes: 0 stopped, 2 usage or config, 5 another `serve` looks after this archive, 1 any other error.
    """
    if session.verbosity == 0:  # who serves for months leaves a line where something was stored
        logging.getLogger("blinkarchive.daemon").setLevel(logging.INFO)
    running.run(lambda: _serve(session))
    return Exit.DONE


async def _serve(session: Session) -> None:
    from blinkarchive.daemon.serve import serve

    reloads = asyncio.Event()
    with _reloading(reloads):
        try:
            await serve(session.load, reloads=reloads)
        except asyncio.CancelledError:
            session.say("Stopped.")


@contextmanager
def _reloading(reloads: asyncio.Event) -> Iterator[None]:
    """SIGHUP asks for the config to be read anew."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reloads.set)
    try:
        yield
    finally:
        with suppress(RuntimeError):
            loop.remove_signal_handler(signal.SIGHUP)
