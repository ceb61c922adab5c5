"""What is known of runs: those that go on, how the last ones ended, and how the last one ended for each subject."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from blinkarchive.index.facts import LastOutcome
from blinkarchive.index.schema import outcome, run, running
from blinkarchive.model import Outcome, Result, RunReport, SourceName, Subject, SubjectKind, Tally

RUNS_KEPT = 1000
"""How many reports of runs are kept."""

KILLED = "the process ended during the run: it was killed, or the machine stopped"


def began(connection: sa.Connection, run_id: str, started_at: datetime, subjects: Sequence[Subject]) -> None:
    """Keep that a run goes on, and of what it will report."""
    text = msgspec.json.encode(list(subjects)).decode()
    connection.execute(running.insert(), {"id": run_id, "started_at": started_at, "subjects": text})


def left_over(connection: sa.Connection) -> list[RunReport]:
    """The runs that began and did not end, as what they are when no process works on them any more: crashed."""
    rows = connection.execute(sa.select(running).order_by(running.c.started_at, running.c.id))
    return [_killed(row.id, row.started_at, msgspec.json.decode(row.subjects, type=tuple[Subject, ...])) for row in rows]


def _killed(run_id: str, started_at: datetime, subjects: Sequence[Subject]) -> RunReport:
    sources = [subject for subject in subjects if subject.source is not None]
    return RunReport(
        run=run_id,
        started_at=started_at,
        total=Tally(),
        complete=False,
        crashed=KILLED,
        outcomes=tuple(Outcome(subject=one, result=Result.CRASHED, reason=KILLED) for one in sources or subjects),
    )


def finished(connection: sa.Connection, report: RunReport) -> None:
    """Keep how a run ended, and how it ended for each of its subjects."""
    connection.execute(sa.delete(running).where(running.c.id == report.run))
    ended_at = report.started_at + timedelta(seconds=report.seconds)
    facts = {"started_at": report.started_at, "ended_at": ended_at, "report": msgspec.json.encode(report).decode()}
    if not connection.execute(sa.update(run).where(run.c.id == report.run).values(facts)).rowcount:
        connection.execute(run.insert(), {"id": report.run} | facts)
    kept = sa.select(run.c.id).order_by(run.c.started_at.desc(), run.c.id.desc()).limit(RUNS_KEPT)
    connection.execute(sa.delete(run).where(run.c.id.not_in(kept)))
    for one in report.outcomes:
        _keep(connection, one, ended_at)


def dropped(connection: sa.Connection, run_id: str) -> None:
    """A run ended of which nothing is kept."""
    connection.execute(sa.delete(running).where(running.c.id == run_id))


def _keep(connection: sa.Connection, one: Outcome, ended_at: datetime) -> None:
    row = _row_of(one.subject)
    before = connection.execute(sa.select(outcome.c.good_at, outcome.c.since).where(row)).one_or_none()
    good_at, since = before or (None, None)
    if one.result is Result.GOOD:
        good_at, since = ended_at, None
    facts = {"result": one.result.value, "reason": one.reason, "ended_at": ended_at, "good_at": good_at}
    facts["since"] = None if one.result is Result.GOOD else since or ended_at
    if before is not None:
        connection.execute(sa.update(outcome).where(row).values(facts))
    else:
        connection.execute(outcome.insert(), _key_of(one.subject) | facts)


def outcomes(connection: sa.Connection) -> dict[Subject, LastOutcome]:
    """How the last run ended for each subject that a run ever reported on."""
    found = {}
    for row in connection.execute(sa.select(outcome).order_by(outcome.c.kind, outcome.c.name, outcome.c.source)):
        source = SourceName(row.source) if row.source else None
        subject = Subject(kind=SubjectKind(row.kind), name=row.name, source=source)
        last = Outcome(subject=subject, result=Result(row.result), reason=row.reason)
        found[subject] = LastOutcome(outcome=last, ended_at=row.ended_at, good_at=row.good_at, since=row.since)
    return found


def last_runs(connection: sa.Connection, limit: int) -> list[RunReport]:
    """How the last runs ended, newest first."""
    newest = sa.select(run.c.report).order_by(run.c.started_at.desc(), run.c.id.desc()).limit(limit)
    return [msgspec.json.decode(text, type=RunReport) for text in connection.execute(newest).scalars()]


def forget(connection: sa.Connection, subject: Subject) -> None:
    """The archive has no such subject any more."""
    connection.execute(sa.delete(outcome).where(_row_of(subject)))


def rename(connection: sa.Connection, old: Subject, new: Subject) -> None:
    """The subject has another name from now on."""
    connection.execute(sa.update(outcome).where(_row_of(old)).values(_key_of(new)))


def _key_of(subject: Subject) -> dict[str, str]:
    return {"kind": subject.kind.value, "name": subject.name, "source": subject.source.value if subject.source else ""}


def _row_of(subject: Subject) -> sa.ColumnElement[bool]:
    return sa.and_(*(outcome.c[name] == value for name, value in _key_of(subject).items()))
