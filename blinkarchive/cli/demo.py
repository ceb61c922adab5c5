"""`demo`: the whole way with a simulated Blink cloud; no account, no questions."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from blinkarchive.cli import report, running
from blinkarchive.cli.exits import Exit, exit_for_report
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.shipped import shipped
from blinkarchive.cli.words import count, data, record, size, table
from blinkarchive.clock import Clock
from blinkarchive.config import Config, load
from blinkarchive.errors import ConfigError
from blinkarchive.files import Files
from blinkarchive.model import RunReport, SinkName, Standing
from blinkarchive.pipeline.archive import Ask
from blinkarchive.secret import Secret

ACCOUNT = "demo"
SINK = SinkName("folder")


@click.command(cls=Verb, name="demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="demo-archive",
    show_default=True,
    metavar="DIR",
    help="Where the demo keeps all that it writes.",
)
@click.pass_obj
def verb(session: Session, folder: Path) -> Exit:
    """Show the whole way with a simulated Blink cloud: no account, no questions.

    Starts the simulator on this machine, signs in to it, and archives its clips, those in the cloud and those on a sync
    module's stick, to DIR/clips; what blinkarchive itself keeps
    is in DIR/state. A second demo with the same DIR finds nothing new. Nothing leaves this machine.
    """
    folder = folder.absolute()
    ended, listed = running.run(lambda: _demo(session, folder))
    code = exit_for_report(ended)
    for line in report.summary(ended):
        session.say(line, error=code != Exit.DONE)
    if session.json:
        record({"folder": str(folder / "clips"), **report.as_record(ended)})
    else:
        _tell_where(folder / "clips", listed)
    if ended.total.known and not ended.total.stored:
        session.say("Nothing is new: every clip was there already.")
    session.say("Next, with your own account: blinkarchive init, then login, then run.")
    return code


async def _demo(session: Session, folder: Path) -> tuple[RunReport, list[Standing]]:
    from blinkarchive import wiring
    from blinkarchive.simulator import Simulator, World

    world = World.default(until=_first_time(folder / "state"))
    world.rules.manifest_time = 0.5  # a real module takes some seconds, and its uplink is slow: nobody need wait for that here
    for module in world.account.sync_modules:
        module.uplink = 10_000_000
    async with Simulator(world).serving() as served:
        session.say(f"A simulated Blink cloud is at {served.url}; nothing leaves this machine.")
        config = _config(folder, served.url, world.account.username, world.account.password)
        await wiring.sign_in(
            config,
            ACCOUNT,
            ask_password=lambda: Secret(world.account.password),
            ask_code=lambda sent: Secret(world.account.code),
        )
        session.say("Signed in, with password and code.")
        ended = await report.archived(config, Ask(), quiet=session.verbosity < 0)
        async with wiring.reading(config) as index:
            return ended, [standing async for standing in index.clips([SINK])]


def _config(folder: Path, url: str, username: str, password: str) -> Config:
    """The demo's config: the shipped one, with what only this demo knows."""
    return load(
        shipped("demo.toml"),
        {
            "BLINKARCHIVE__ARCHIVE__STATE": str(folder / "state"),
            "BLINKARCHIVE__ACCOUNT__DEMO__USERNAME": username,
            "BLINKARCHIVE__ACCOUNT__DEMO__PASSWORD": password,
            "BLINKARCHIVE__SINK__FOLDER__PATH": str(folder / "clips"),
            "BLINKARCHIVE_API_URL": url,
            "BLINKARCHIVE_OAUTH_URL": url,
        },
    )


def _first_time(state: Path) -> datetime:
    """When the first demo in this folder ran: the simulated house is the same ever after."""
    file, files = state / "demo-began", Files()
    with suppress(OSError, ValueError):
        return datetime.fromisoformat(file.read_text("utf-8"))
    now = Clock().now().replace(microsecond=0)
    try:
        files.make_folders(state, 0o700)
        files.make_folders(state.parent / "clips")
        files.replace(file, now.isoformat().encode())
    except OSError as error:
        raise ConfigError(f"the folder {state.parent} cannot be used: {error.strerror}") from error
    return now


def _tell_where(clips: Path, listed: list[Standing]) -> None:
    by_camera: dict[str, list[Standing]] = defaultdict(list)
    for standing in listed:
        if standing.held:
            by_camera[standing.clip.camera].append(standing)
    held = [standing for of_camera in by_camera.values() for standing in of_camera]
    data(f"{count(len(held), 'clip')} in {clips}:")
    table(
        ("CAMERA", "CLIPS", "SIZE", "NEWEST"),
        [
            (camera, str(len(those)), size(sum(one.held[0].size for one in those)), those[-1].held[0].key)
            for camera, those in sorted(by_camera.items())
        ],
    )
