"""Moments on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import click

from blinkarchive.cli.session import Session
from blinkarchive.cli.words import moment
from blinkarchive.clock import Clock
from blinkarchive.when import names_a_zone, parse_duration, parse_when
from blinkarchive.zone import local_zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment that was given as an option."""

    at: datetime
    #: Whether the zone of the machine was taken, for want of another.
    local: bool


class When(click.ParamType[Moment]):
    """A moment, as `parse_when` reads it."""

    name = "WHEN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        text = str(value)
        try:
            return Moment(at=parse_when(text, Clock().now(), local_zone()), local=not names_a_zone(text))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Length(click.ParamType[timedelta]):
    """A length of time, as `parse_duration` reads it."""

    name = "LENGTH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def between(session: Session, since: Moment | None, until: Moment | None) -> tuple[datetime | None, datetime | None]:
    """The two moments; a zone that nobody named is said aloud. Raises `click.UsageError` when nothing lies between them."""
    for option, given in (("--since", since), ("--until", until)):
        if given is not None and given.local:
            session.say(f"{option} is {moment(given.at)}, in the time zone of this machine.")
    if since is not None and until is not None and since.at >= until.at:
        raise click.UsageError("--since must be before --until")
    return (since.at if since else None), (until.at if until else None)
