"""The command itself: which verbs there are, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import importlib
import io
import logging
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from blinkarchive import __version__
from blinkarchive.cli import ending
from blinkarchive.cli.exits import Exit, exit_for
from blinkarchive.cli.session import shared_options
from blinkarchive.cli.signals import interruptible
from blinkarchive.cli.words import flush, talk, to_nowhere
from blinkarchive.errors import ConfigError, is_ours, leaves

log = logging.getLogger(__name__)

VERBS = {
    "demo": "Show the whole way with a simulated Blink cloud: no account, no questions.",
    "init": "Write a config after a few questions.",
    "login": "Sign in to Blink, once; the sign-in is kept.",
    "run": "Archive what is new, once.",
    "serve": "Look after the archive until stopped: the scheduler.",
    "status": "Say what is stored where, what is pending and why, and what the scheduler does now.",
    "list": "List the archived clips and their copies.",
    "dismiss": "Stop trying to archive a clip, for good; --undo takes that back.",
    "verify": "Look whether every copy is where it should be, and what it was.",
    "restore": "Bring clips back from the sinks to a folder.",
    "cameras": "List the cameras: how they are, and what they saw last.",
    "networks": "List the networks, their sync modules and the sticks in them.",
    "snap": "Take a new picture with a camera.",
    "record": "Let a camera record a clip.",
    "arm": "Arm a network, or let a camera look for motion.",
    "disarm": "Disarm a network, or let a camera look for motion no more.",
    "sinks": "List the archive's sinks; `sinks adopt NAME` begins one where files are, `sinks retire NAME` stops counting one.",
    "plugins": "List the kinds of sinks there are; `plugins new NAME` writes a project for a new one.",
    "simulate": "Serve a simulated Blink cloud on this machine until stopped.",
    "doctor": "Check account, servers, modules, sinks, clock, disk and config.",
}
"""The verbs, each a module of this package, in the order in which one meets them."""


class LazyGroup(click.Group):
    """A group that loads a verb's module when the verb is called, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"blinkarchive.cli.{cmd_name}").verb
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            from difflib import get_close_matches

            close = get_close_matches(args[0], VERBS, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"verbs: {', '.join(VERBS)}"
            ctx.fail(f'there is no verb "{args[0]}"; {hint}')
        return super().resolve_command(ctx, args)


@click.command(
    cls=LazyGroup,
    params=shared_options(hidden=False),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    subcommand_metavar="VERB …",
    epilog="First steps: `blinkarchive demo`; then init, login, run. `blinkarchive VERB --help` tells of one verb.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def blinkarchive(**shared: object) -> None:
    """Keeps every clip of your Blink cameras, off-site, on storage you control."""


def program() -> NoReturn:
    """The installed command, and `python -m blinkarchive`: the process ends with it."""
    ending.end(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit code. Nothing escapes as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with interruptible():
        return _flushed(_ended(sys.argv[1:] if argv is None else argv))


def _ended(argv: Sequence[str]) -> int:
    try:
        result: Any = blinkarchive.main(args=list(argv), prog_name="blinkarchive", standalone_mode=False)
        return int(result or Exit.DONE)
    except click.exceptions.NoArgsIsHelpError as error:
        talk(error.format_message())
        return Exit.USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "blinkarchive"
        talk(f"{command}: {error.format_message()}\nTry: {command} --help")
        return Exit.USAGE
    except click.ClickException as error:
        talk(f"blinkarchive: {error.format_message()}")
        return Exit.ERROR
    except (KeyboardInterrupt, click.Abort, EOFError):
        talk("Stopped.")
        return Exit.STOPPED
    except Exception as error:  # the last line of defence: people get a sentence, the log the rest
        log.debug("the command failed", exc_info=error)
        for one in leaves(error):
            talk(_told(one))
        return exit_for(error)


def _told(error: BaseException) -> str:
    if is_ours(error):
        words = str(error)
        if not isinstance(error, ConfigError):  # those have a line for each finding; others may hold the words of a server
            words = " ".join(filter(None, map(str.strip, words.splitlines())))
        return "\n".join([f"Error: {words}", *getattr(error, "__notes__", ())])
    return f"Error: blinkarchive met a fault of its own ({type(error).__name__}: {error}); the same with -vv shows where."


def _flushed(code: int) -> int:
    """Empty the buffers while a failure can still be told by the exit code. Talk that nobody takes is no failure."""
    try:
        flush()
    except OSError as error:
        to_nowhere(sys.stdout)
        if code == Exit.DONE:
            talk(f"Error: stdout does not take the output: {error.strerror}")
            code = Exit.ERROR
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        to_nowhere(sys.stderr)
    return code
