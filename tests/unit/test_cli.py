"""The command line in this process: what is said where, and with which exit code it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blinkarchive import Clip, ClipId, Copy, Key, SinkName, SourceName, errors
from blinkarchive.cli import doctor, logs, main, report
from blinkarchive.cli.exits import Exit, exit_for, exit_for_report
from blinkarchive.cli.root import VERBS
from blinkarchive.cli.session import Session
from blinkarchive.cli.words import record
from blinkarchive.clock import ManualClock
from blinkarchive.config import load
from blinkarchive.index import Index
from blinkarchive.interfaces import Unreadable
from blinkarchive.model import RunReport, Tally, Trouble
from blinkarchive.pipeline.progress import Progress
from blinkarchive.secret import Secret

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAS = SinkName("nas")


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Said]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Run a command line in this process."""
    root, ours = logging.getLogger(), logging.getLogger("blinkarchive")
    before = (root.handlers[:], root.level, ours.level)

    def run(*arguments: str | Path) -> Said:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Said(code, *capsys.readouterr())

    yield run
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with an account and a sink, none of which was ever used."""
    file = tmp_path / "blinkarchive.toml"
    file.write_text(f"""
[archive]
state = "{tmp_path / "state"}"
[account.home]
username = "me@example.org"
[sink.nas]
type = "disk"
path = "{tmp_path / "clips"}"
""")
    return file


def clip(number: int, camera: str = "Front Door") -> Clip:
    return Clip(
        id=ClipId(f"cloud:home:{number}"),
        account="home",
        network_id="1",
        network="Home",
        camera_id="11",
        camera=camera,
        source=SourceName.CLOUD,
        trigger="pir",
        recorded_at=NOW + timedelta(minutes=number),
    )


@pytest.fixture
def archive(config: Path) -> Path:
    """An archive of three clips: one stored, one that failed, one with an odd camera and not tried yet."""

    async def fill() -> None:
        clock = ManualClock(NOW)
        state = load(config, {}).archive.state
        state.mkdir()
        async with Index.open(state / "index.sqlite3", clock=clock) as index:
            clips = [clip(1), clip(2), clip(3, "Gar\x1b[31mage")]
            await index.lacking(clips, [NAS], lambda one: Key(f"{one.id}.mp4".replace(":", "-")))
            await index.record(
                Copy(clip=clips[0].id, sink=NAS, key=Key("cloud-home-1.mp4"), size=1234567, sha256="ab" * 32, stored_at=NOW)
            )
            await index.failed(clips[1].id, NAS, "the sink is full", counts=True)
            await index.unreadable("home", SourceName.CLOUD, [Unreadable(item="77", reason="no time", raw="{}")])
            await index.finished(RUN)

    asyncio.run(fill())
    return config


@pytest.fixture
def machine_in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine in the zone UTC."""
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


RUN = RunReport(
    run="20260301T120000Z-abcd",
    started_at=NOW,
    total=Tally(listed=3, stored=1, failed=2, bytes=1234567),
    accounts={"home": Tally(listed=3, stored=1, failed=2, bytes=1234567)},
    sources={SourceName.CLOUD: Tally(listed=3, stored=1, failed=2, bytes=1234567)},
    sinks={NAS: Tally(listed=3, stored=1, failed=2, bytes=1234567)},
    troubles=(Trouble(where="sink nas", what="the sink is full"),),
    seconds=2.5,
)


class TestUsage:
    def test_help_tells_of_every_verb(self, call: Call) -> None:
        said = call("--help")
        assert said.code == Exit.DONE
        words = " ".join(said.out.split())
        for name, sentence in VERBS.items():
            assert f"{name} {sentence}" in words

    def test_the_version_is_told(self, call: Call) -> None:
        assert (call("--version").code, call("--version").out) == (0, "blinkarchive 0.1.0\n")

    @pytest.mark.parametrize("verb", VERBS)
    def test_the_help_of_a_verb_begins_as_the_list_of_verbs_says(self, call: Call, verb: str) -> None:
        said = call(verb, "--help")
        assert said.code == Exit.DONE
        assert VERBS[verb].rstrip(".") in " ".join(said.out.split())

    @pytest.mark.parametrize(
        ("line", "what"),
        [
            ("", "Verbs:"),
            ("lst", 'there is no verb "lst"; did you mean "list"?'),
            ("xyzzy", "verbs: demo, init, login"),
            ("run --sice 7d", "--sice"),
            ("run --since 7", '"7" is no time'),
            ("run --since 2026-02-30", "2026-02-30"),
            ("run --source usb", "usb"),
            ("simulate --port 99999", "99999"),
            ("list extra", "extra"),
        ],
    )
    def test_a_wrong_command_line_is_told_on_stderr_and_ends_with_2(self, call: Call, line: str, what: str) -> None:
        said = call(*line.split())
        assert (said.code, said.out) == (Exit.USAGE, "")
        assert what in said.err

    def test_since_must_be_before_until(self, call: Call, config: Path) -> None:
        said = call("--config", config, "run", "--since", "2d", "--until", "3d")
        assert said.code == Exit.USAGE
        assert "--since must be before --until" in said.err

    def test_a_zone_that_was_not_named_is_said_aloud(self, call: Call, archive: Path, machine_in_utc: None) -> None:
        said = call("list", "--config", archive, "--since", "2026-03-01T12:01")
        assert "--since is 2026-03-01 12:01:00 +00:00, in the time zone of this machine" in said.err
        assert "time zone" not in call("list", "--config", archive, "--since", "2026-03-01T12:01Z").err

    def test_shared_options_are_taken_before_and_after_the_verb(self, call: Call, archive: Path) -> None:
        before, after = call("--config", archive, "--json", "-q", "status"), call("status", "--config", archive, "--json", "-q")
        assert before == after
        assert before.json["clips"] == 3


class TestErrors:
    def test_without_a_config_a_run_says_what_to_do_first(self, call: Call) -> None:
        said = call("run")
        assert (said.code, said.out) == (Exit.USAGE, "")
        assert "there is no configuration yet" in said.err
        assert "blinkarchive init" in said.err

    def test_a_broken_config_is_one_message_for_every_verb_that_reads_it(self, call: Call, config: Path) -> None:
        config.write_text("[archive]\nstat = 1\n[accounts]\n")
        alone = ("run", "login", "status", "list", "doctor", "cameras", "networks")
        for line in (*alone, "snap x", "record x", "arm x", "disarm x"):
            said = call(*line.split(), "--config", config)
            assert said.code == Exit.USAGE
            assert said.out == ""
            assert said.err.startswith("Error: 2 things in the configuration cannot be used:\n")
            assert "Traceback" not in said.err

    def test_a_sink_that_the_config_does_not_have_is_a_wrong_usage(self, call: Call, config: Path) -> None:
        said = call("run", "--config", config, "--sink", "nass")
        assert said.code == Exit.USAGE
        assert "nass" in said.err

    def test_a_kind_of_sink_that_is_not_installed_is_told_before_anything_starts(self, call: Call, config: Path) -> None:
        config.write_text(config.read_text().replace('type = "disk"', 'type = "dsk"'))
        said = call("run", "--config", config)
        assert said.code == Exit.USAGE
        assert "dsk" in said.err

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (errors.ConfigError(), Exit.USAGE),
            (errors.ArchiveBusy(), Exit.BUSY),
            (errors.LoginNeeded(), Exit.SIGN_IN),
            (errors.WrongPassword(), Exit.SIGN_IN),
            (errors.CodeNeeded(), Exit.SIGN_IN),
            (errors.IndexUnusable(), Exit.ERROR),
            (errors.SinkFull(), Exit.ERROR),
            (errors.UpdateRequired(), Exit.ERROR),
            (OSError(28, "No space left on device"), Exit.ERROR),
            (RuntimeError("a fault"), Exit.ERROR),
            (ExceptionGroup("", [errors.SinkFull(), ExceptionGroup("", [errors.LoginNeeded()])]), Exit.SIGN_IN),
        ],
    )
    def test_an_error_has_an_exit_code(self, error: BaseException, code: Exit) -> None:
        assert exit_for(error) == code

    @pytest.mark.parametrize(
        ("ended", "code"),
        [
            ({}, Exit.DONE),
            ({"total": Tally(listed=2, known=1, excluded=1)}, Exit.DONE),
            ({"troubles": (Trouble(where="sink nas", what="slow"),)}, Exit.DONE),
            ({"total": Tally(listed=1, failed=1)}, Exit.SOME_FAILED),
            ({"total": Tally(listed=1, gave_up=1), "gave_up_now": 1}, Exit.SOME_FAILED),
            ({"total": Tally(listed=1, gave_up=1)}, Exit.DONE),
            ({"complete": False, "crashed": "a fault"}, Exit.ERROR),
            ({"complete": False}, Exit.SOME_FAILED),
            ({"complete": False, "login_needed": ("home",)}, Exit.SIGN_IN),
            ({"sinks_failed": ("nas",)}, Exit.SOME_FAILED),
            ({"sinks_failed": ("nas",), "optional": ("nas",)}, Exit.DONE),
            ({"deleted": 3, "deletions_confirmed": 2}, Exit.DONE),
            ({"deleted": 3, "deletions_failed": 1}, Exit.SOME_FAILED),
            ({"total": Tally(listed=1, failed=1), "login_needed": ("home",), "stopped": True}, Exit.STOPPED),
        ],
    )
    def test_a_run_has_an_exit_code(self, ended: dict[str, Any], code: Exit) -> None:
        assert exit_for_report(replace(RunReport(run="r", started_at=NOW, total=Tally()), **ended)) == code


class TestStatusAndList:
    def test_before_the_first_run_nothing_is_archived_and_nothing_is_wrong(self, call: Call, config: Path) -> None:
        status = call("status", "--config", config)
        assert status.code == Exit.DONE
        assert "Nothing has been archived yet. Next: blinkarchive run" in status.out
        assert "blinkarchive login --account home" in status.out
        listed = call("list", "--config", config)
        assert (listed.code, listed.out) == (Exit.DONE, "")
        assert call("status", "--config", config, "--json").json["clips"] == 0

    def test_status_tells_every_state_and_reason(self, call: Call, archive: Path) -> None:
        status = call("status", "--config", archive)
        assert status.code == Exit.DONE
        assert ["nas", "1", "1.2", "MB", "1", "1", "0", "0", "never"] in [line.split() for line in status.out.splitlines()]
        assert "nas lacks 1 clip (tried, and tried again by the next run" in status.out
        assert "the sink is full" in status.out
        assert "nas lacks 1 clip (not tried yet" in status.out
        assert "Not understood: cloud of account home, item 77, 1 time: no time" in status.out
        assert "some failed; 3 listed, 1 stored, 0 stored before, 2 lacking" in status.out

    def test_status_for_programs_holds_the_same(self, call: Call, archive: Path) -> None:
        told = call("status", "--json", "--config", archive).json
        sink = told["sinks"]["nas"]
        assert {name: sink[name] for name in ("stored", "pending", "failed", "gave_up", "excluded", "bytes")} == {
            "stored": 1, "pending": 1, "failed": 1, "gave_up": 0, "excluded": 0, "bytes": 1234567,
        }  # fmt: skip
        assert {(lack["state"], lack["reason"], lack["clips"]) for lack in told["lacking"]} == {
            ("failed", "the sink is full", 1),
            ("pending", "", 1),
        }
        assert told["accounts"]["home"]["sign_in"] == "not signed in"
        assert told["last_runs"] == [report.as_record(RUN)]
        assert [seen["item"] for seen in told["unreadable"]] == ["77"]

    def test_list_gives_an_object_for_each_clip(self, call: Call, archive: Path) -> None:
        first, second, third = map(json.loads, call("list", "--json", "--config", archive).out.splitlines())
        assert first == {
            "id": "cloud:home:1",
            "key": "cloud-home-1.mp4",
            "description": "",
            "detections": [],
            "twin": None,
            "account": "home",
            "camera": "Front Door",
            "network": "Home",
            "source": "cloud",
            "trigger": "pir",
            "recorded_at": "2026-03-01T12:01:00Z",
            "size": 1234567,
            "sha256": "ab" * 32,
            "copies": [
                {
                    "sink": "nas",
                    "key": "cloud-home-1.mp4",
                    "size": 1234567,
                    "sha256": "ab" * 32,
                    "stored_at": "2026-03-01T12:00:00Z",
                    "encrypted": False,
                }
            ],
        }
        assert (second["copies"], second["size"], second["sha256"]) == ([], None, None)
        assert third["camera"] == "Gar\x1b[31mage"

    def test_list_can_be_narrowed(self, call: Call, archive: Path) -> None:
        def ids(*options: str) -> list[str]:
            return [json.loads(line)["id"][-1] for line in call("list", "--json", "--config", archive, *options).out.splitlines()]

        assert ids("--since", "2026-03-01T12:02Z") == ["2", "3"]
        assert ids("--until", "2026-03-01T12:02Z") == ["1"]
        assert ids("--camera", "Front Door") == ["1", "2"]

    def test_a_name_from_outside_cannot_speak_to_the_terminal(self, call: Call, archive: Path) -> None:
        assert "\x1b" not in call("list", "--config", archive).out
        assert r"Gar\x1b[31mage" in call("list", "--config", archive).out

    def test_quiet_leaves_the_data_and_no_talk(self, call: Call, archive: Path) -> None:
        said = call("list", "-q", "--config", archive)
        assert len(said.out.splitlines()) == 3
        assert said.err == ""


def test_quiet_is_silent_of_what_is_well_and_not_of_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(verbosity=-1)
    session.say("all is well")
    session.say("one failed", error=True)
    assert capsys.readouterr().err == "one failed\n"


class TestInit:
    def test_it_writes_a_config_that_only_its_owner_reads(self, call: Call, clean_environment: Path, tmp_path: Path) -> None:
        said = call("init", "--username", 'a"b@example.org', "--path", tmp_path / "clips", "--state", "~/blink")
        assert said.code == Exit.DONE
        file = clean_environment / ".config/blinkarchive/blinkarchive.toml"
        assert file.stat().st_mode & 0o777 == 0o600
        read = load(None, {})
        assert read.file == file
        assert read.accounts["home"].username == 'a"b@example.org'
        assert read.sinks[NAS].raw == {"path": str(tmp_path / "clips")}
        assert read.archive.state == clean_environment / "blink"
        assert "Next: blinkarchive login" in said.err
        assert file.read_text().count("#") == (ROOT / "config" / "blinkarchive.toml").read_text().count("#")

    def test_it_takes_the_place_of_another_only_by_force(self, call: Call, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text("# mine")
        line = ("init", "--username", "x", "--path", "/clips", "--file", file)
        said = call(*line)
        assert (said.code, file.read_text()) == (Exit.USAGE, "# mine")
        assert "--force" in said.err
        assert call(*line, "--force").code == Exit.DONE
        assert load(file, {}).accounts["home"].username == "x"
        assert f"Next: blinkarchive --config {file} login" in call(*line, "--force").err

    def test_without_a_terminal_it_says_which_flag_is_needed(self, call: Call, tmp_path: Path) -> None:
        said = call("init", "--username", "x", "--file", tmp_path / "new.toml")
        assert said.code == Exit.USAGE
        assert "--path" in said.err
        assert not (tmp_path / "new.toml").exists()

    def test_a_place_that_cannot_be_written_is_told(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        said = call("init", "--username", "x", "--path", "/clips", "--file", tmp_path / "file" / "new.toml")
        assert said.code == Exit.USAGE
        assert "cannot be written" in said.err


class TestLogin:
    def test_without_a_terminal_and_a_password_it_asks_for_a_person(self, call: Call, config: Path) -> None:
        said = call("login", "--config", config)
        assert said.code == Exit.SIGN_IN
        assert "there is no password" in said.err

    def test_the_account_must_be_named_when_there_are_several(self, call: Call, config: Path) -> None:
        config.write_text(config.read_text() + '[account.cabin]\nusername = "x"\n')
        assert "--account home, --account cabin" in call("login", "--config", config).err
        said = call("login", "--config", config, "--account", "cabbin")
        assert said.code == Exit.USAGE
        assert 'did you mean "cabin"?' in said.err

    def test_without_any_account_it_says_what_to_do(self, call: Call) -> None:
        said = call("login")
        assert said.code == Exit.USAGE
        assert "blinkarchive init" in said.err


class TestPluginsAndDoctor:
    def test_plugins_needs_no_config_and_tells_of_the_disk(self, call: Call) -> None:
        said = call("plugins")
        assert said.code == Exit.DONE
        assert any(line.split()[:2] == ["disk", "blinkarchive"] for line in said.out.splitlines())
        assert 'type = "disk"' in said.out
        [disk] = [plugin for plugin in call("plugins", "--json").json["plugins"] if plugin["name"] == "disk"]
        assert (disk["kind"], disk["failure"]) == ("disk", "")
        assert "path" in [option["name"] for option in disk["options"]]

    def test_plugins_new_writes_a_project_and_says_what_is_next(self, call: Call, tmp_path: Path) -> None:
        folder = tmp_path / "my projects" / "attic"
        said = call("plugins", "new", "attic", "--dir", folder)
        assert said.code == Exit.DONE
        assert said.out.splitlines() == sorted(str(path) for path in folder.rglob("*") if path.is_file())
        assert said.err.splitlines()[1:] == [
            f"  cd '{folder}'",
            "  python -m pip install -e . pytest pytest-asyncio",
            "  python -m pytest",
        ]
        quiet = call("-q", "plugins", "new", "attic", "--dir", tmp_path / "other")
        assert (quiet.code, quiet.err) == (Exit.DONE, "")

    def test_plugins_new_writes_to_a_folder_of_the_packages_name(
        self, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        said = call("plugins", "new", "my_attic", "--json")
        assert (said.code, said.err) == (Exit.DONE, "")
        assert said.json["folder"] == str(tmp_path / "blinkarchive-my-attic")
        assert (tmp_path / "blinkarchive-my-attic" / "blinkarchive_my_attic" / "sink.py").is_file()
        assert "pyproject.toml" in said.json["files"]
        assert len(said.json["next"]) == 3

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("new",), "new needs a name"),
            (("new", "disk"), "'disk' is a sink that ships with blinkarchive"),
            (("new", "class"), "'class' is a word of Python"),
            (("new", "Attic"), "use small letters"),
            (("new", "attic", "attic2"), "unexpected extra argument"),
            (("make", "attic"), "'make' is not 'new'"),
            (("--dir", "x"), "--dir belongs to `plugins new NAME`"),
        ],
    )
    def test_plugins_refuses_what_makes_no_sense_and_writes_nothing(
        self, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        said = call("plugins", *arguments)
        assert (said.code, said.out) == (Exit.USAGE, "")
        assert told in said.err
        assert list(tmp_path.iterdir()) == []

    def test_plugins_new_touches_no_folder_that_holds_something(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("mine")
        said = call("plugins", "new", "attic", "--dir", tmp_path)
        assert (said.code, said.out) == (Exit.USAGE, "")
        assert "is not empty, and was not touched" in said.err
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]

    def test_a_clock_that_is_off_fails(self) -> None:
        assert doctor.clock(timedelta(seconds=5)).verdict is doctor.Verdict.OK
        assert doctor.clock(timedelta(minutes=5)).verdict is doctor.Verdict.FAIL


class TestReport:
    def test_a_good_run_is_two_lines(self) -> None:
        tally = Tally(listed=3, known=1, stored=2, bytes=2_500_000)
        ended = RunReport(run="r", started_at=NOW, total=tally, sinks={NAS: tally}, seconds=12.3)
        assert report.summary(ended) == [
            "Done in 12 s: 3 clips listed: 2 stored now, 1 stored before.",
            "  nas: 2 new (2.5 MB), 1 there before",
        ]

    def test_what_is_not_stored_is_told_with_its_reason_and_what_comes_next(self) -> None:
        told = "\n".join(report.summary(replace(RUN, excluded={"partial": 2, "deleted": 1})))
        assert told.startswith("Ended, not all done, in 2.5 s: 3 clips listed: 1 stored now, 2 not stored yet.")
        assert "nas: 1 new (1.2 MB), 0 there before, 2 lacking" in told
        assert "left out: 1 deleted, 2 partial" in told
        assert "sink nas: the sink is full" in told
        assert "tried again by the next run" in told

    def test_an_account_that_needs_a_person_is_told_with_the_command(self) -> None:
        told = report.summary(replace(RUN, login_needed=("cabin",), complete=False))
        assert "Account cabin needs you: blinkarchive login --account cabin" in told
        assert not any(line.startswith("Done") for line in told)

    def test_a_dry_run_says_what_it_would_have_done(self) -> None:
        ended = RunReport(
            run="r", started_at=NOW, total=Tally(listed=5, known=1, excluded=4), excluded={"dry run": 3, "deleted": 1}
        )
        assert report.summary(ended, dry_run=True) == [
            "A dry run, nothing was changed: 5 clips listed: 3 would be fetched, 1 stored before, 1 left out.",
            "  left out: 1 deleted",
        ]

    def test_of_many_troubles_a_person_is_told_some(self) -> None:
        ended = replace(RUN, troubles=tuple(Trouble(where=f"clip {n}", what="bad") for n in range(50)))
        told = report.summary(ended)
        assert sum(line.startswith("  clip ") for line in told) == report.MOST_TROUBLES
        assert f"  … and {50 - report.MOST_TROUBLES} more; --json tells them all" in told

    def test_the_record_of_a_run_has_every_name_that_scripts_depend_on(self) -> None:
        told = report.as_record(RUN)
        numbers = {"listed": 3, "known": 0, "stored": 1, "failed": 2, "gave_up": 0, "excluded": 0, "bytes": 1234567} | {
            "seconds": 2.5
        }
        assert told == {
            **numbers,
            "run": RUN.run,
            "started_at": "2026-03-01T12:00:00Z",
            "gave_up_now": 0,
            "ended": "some failed",
            "crashed": "",
            "outcomes": [],
            "deleted": 0,
            "deletions_confirmed": 0,
            "deletions_failed": 0,
            "would_delete": [],
            "complete": True,
            "stopped": False,
            "login_needed": [],
            "sinks_failed": [],
            "optional": [],
            "accounts": {"home": numbers},
            "sources": {"cloud": numbers},
            "sinks": {"nas": numbers},
            "excluded_reasons": {},
            "troubles": [{"where": "sink nas", "what": "the sink is full"}],
            "notes": [],
        }

    def test_progress_moves_while_copies_are_verified_and_clips_deleted(self) -> None:
        progress, marks = Progress(), set()
        for _ in range(3):
            progress.verified += 1
            marks.add(progress.mark)
            progress.deleted += 1
            marks.add(progress.mark)
        assert len(marks) == 6

    def test_progress_tells_rate_and_time_left_once_the_listing_is_over(self) -> None:
        progress = Progress()
        progress.listed("home", SourceName.CLOUD, 100, [NAS])
        progress.total.bytes = 20_000_000
        progress.total.add("stored", 20)
        progress.sinks[NAS].add("stored", 20)
        progress.sinks[NAS].add("failed", 1)
        assert report.lines(progress, 10.0) == [
            "100 clips so far · 20 done · 20.0 MB, 2.0 MB/s",
            "  nas: 20 stored, 0 B, 1 failed",
        ]
        progress.listing = 0
        assert report.lines(progress, 10.0)[0] == "100 clips · 20 done · 20.0 MB, 2.0 MB/s · about 40 s left"


class TestLogs:
    def line(self, **fields: object) -> str:
        record = logging.LogRecord("blinkarchive.x", logging.INFO, "", 0, "it is so", None, None)
        record.created = NOW.timestamp()
        vars(record).update(fields)
        return logs.LineFormatter().format(record)

    def test_a_record_is_a_line_with_its_fields(self) -> None:
        assert self.line(clip="c:1", after=4.0, because="no answer") == (
            '2026-03-01T12:00:00Z INFO blinkarchive.x: it is so clip=c:1 after=4.0 because="no answer"'
        )

    def test_a_record_holds_no_secret_and_no_second_line(self) -> None:
        said = self.line(secret=Secret("hunter2"), header="Authorization: Bearer abc.def", name_="a\nb\x1b[31m")
        assert "hunter2" not in said
        assert "abc.def" not in said
        assert "\n" not in said
        assert "\x1b" not in said

    @pytest.mark.parametrize(
        ("flag", "ours", "theirs"), [("-q", "ERROR", "ERROR"), ("-v", "INFO", "WARNING"), ("-vv", "DEBUG", "INFO")]
    )
    def test_others_say_less_than_we_do(self, call: Call, flag: str, ours: str, theirs: str) -> None:
        call("plugins", flag, "--json")
        assert logging.getLogger("blinkarchive.retry").getEffectiveLevel() == getattr(logging, ours)
        assert logging.getLogger("aiohttp.client").getEffectiveLevel() == getattr(logging, theirs)

    def test_with_vv_the_log_shows_where_a_command_failed(self, call: Call, config: Path) -> None:
        config.write_text("oops")
        assert "Traceback" not in call("status", "--config", config).err
        said = call("status", "-vv", "--config", config)
        assert "Traceback" in said.err
        assert said.err.endswith(
            f"Error: {config}: this is not TOML: Expected '=' after a key in a key/value pair (at end of document)\n"
        )


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    rows = {int(cells[0]) for line in page.splitlines() if (cells := line.strip("| ").split(" | "))[0].isdecimal()}
    assert rows == {int(code) for code in Exit}


def test_every_option_of_run_and_every_name_of_its_report_is_documented() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    from blinkarchive.cli.run import verb

    options = {option for parameter in verb.params for option in parameter.opts}
    assert {option for option in options if f"`{option}" not in page} <= {"--quiet", "--verbose"}
    assert {name for name in report.as_record(RUN) if f"`{name}`" not in page} == set()


@pytest.mark.parametrize(
    "name", ["Door\x9b31m", "a\x7fb", "right\u202eleft", "zero\u200bwidth", "tag\U000e0041", "\ud800", "Tür 🚪 門"]
)
def test_json_holds_names_as_they_are_and_nothing_that_a_terminal_obeys(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    record({"name": name})
    line = capsys.readouterr().out
    assert json.loads(line) == {"name": name}
    assert line.removesuffix("\n").isprintable()
