"""What all verbs share: the options that every one takes, and the config they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from blinkarchive.cli import logs
from blinkarchive.cli.words import talk


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What was said on the command line beside the verb's own options."""

    #: The config file that was named, if any.
    config: Path | None = None
    #: Whether stdout is for a program.
    json: bool = False
    #: -1 for `-q`, 0, 1 for `-v`, 2 for `-vv`.
    verbosity: int = 0

    def say(self, line: str, *, error: bool = False) -> None:
        """Talk to a person, unless they want quiet; of an error they are told in any case."""
        if error or self.verbosity >= 0:
            talk(line)

    def load(self) -> Any:
        """The config; what should not stay as it is, is said. Raises `ConfigError`."""
        from blinkarchive import config

        loaded = config.load(self.config)
        for warning in loaded.warnings:
            self.say(f"Warning: {warning}")
        return loaded


def shared_options(*, hidden: bool) -> list[click.Parameter]:
    """The options that stand before the verb, and are also taken after it."""
    return [
        click.Option(
            ["--config"],
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The config file, in place of the default one.",
            hidden=hidden,
        ),
        click.Option(["--json"], is_flag=True, help="Give data as JSON on stdout."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing but errors.", hidden=hidden),
        click.Option(["-v", "--verbose"], count=True, help="Log what is done; -vv logs everything.", hidden=hidden),
    ]


class Verb(click.Command):
    """A command that takes the shared options as well; its function gets a `Session` first and gives an exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared_options(hidden=True)

    def invoke(self, ctx: click.Context) -> Any:
        before = ctx.find_root().params
        after = {name: ctx.params.pop(name) for name in ("config", "json", "quiet", "verbose")}
        quiet = before.get("quiet") or after["quiet"]
        session = Session(
            config=after["config"] or before.get("config"),
            json=bool(before.get("json") or after["json"]),
            verbosity=-1 if quiet else min(before.get("verbose", 0) + after["verbose"], 2),
        )
        logs.set_up(session.verbosity)
        ctx.obj = session
        return super().invoke(ctx)
