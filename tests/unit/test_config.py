"""The config: what is read, what the environment changes, and how what is wrong is told."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pyrage
import pytest

from blinkarchive.config import (
    EVERY,
    ArchiveConfig,
    Config,
    EncryptConfig,
    SinkConfig,
    default_file,
    inline_secrets,
    load,
    options,
    require,
)
from blinkarchive.convert import Size
from blinkarchive.errors import ConfigError, PluginError
from blinkarchive.model import SinkName, SourceName
from blinkarchive.pace import PACES, Figures
from blinkarchive.secret import Secret, redact
from blinkarchive.wiring.sinks import openings_of, plugins_of
from blinkarchive.wiring.workshop import check

WHOLE = """
[account.home]
username = "me@example.org"
[sink.nas]
type = "disk"
path = "clips"
"""

Load = Callable[..., Config]


@pytest.fixture
def config(tmp_path: Path) -> Load:
    """Load a config from its text, with variables: `config("…", VARIABLE="…")`."""

    def read(text: str = WHOLE, **environ: str) -> Config:
        file = tmp_path / "blinkarchive.toml"
        file.write_text(text)
        file.chmod(0o600)
        return load(file, environ)

    return read


def refusal(config: Load, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as refused:
        config(text, **environ)
    return str(refused.value)


class TestReading:
    def test_a_short_config_has_defaults_for_the_rest(self, config: Load) -> None:
        read = config()
        assert read.archive == ArchiveConfig()
        assert read.accounts["home"].username == "me@example.org"
        assert read.accounts["home"].pace == PACES["polite"]
        assert read.accounts["home"].password is None
        assert read.sinks[SinkName("nas")].type == "disk"
        assert read.sinks[SinkName("nas")].raw == {"path": "clips"}
        assert read.warnings == ()

    def test_without_a_source_table_both_sources_are_used(self, config: Load) -> None:
        assert {name: source.every for name, source in config().sources.items()} == EVERY

    def test_a_source_table_leaves_the_other_source_out(self, config: Load) -> None:
        read = config(WHOLE + "[source.sync-module]\n")
        assert list(read.sources) == [SourceName.SYNC_MODULE]
        assert read.sources[SourceName.SYNC_MODULE].every == timedelta(minutes=15)

    def test_cron_takes_the_place_of_every(self, config: Load) -> None:
        source = config(WHOLE + '[source.cloud]\ncron = "*/5 * * * mon-fri"\n').sources[SourceName.CLOUD]
        assert (source.every, source.cron) == (None, "*/5 * * * mon-fri")

    def test_a_pace_is_a_name_or_figures(self, config: Load) -> None:
        figures = "{ requests_per_second = inf, burst = 3 }"
        for text, pace in (('"brisk"', PACES["brisk"]), (figures, Figures(requests_per_second=math.inf, burst=3))):
            read = config(WHOLE.replace("[sink.nas]", f"pace = {text}\n[sink.nas]"))
            assert read.accounts["home"].pace == pace

    def test_the_state_folder_begins_at_home_or_beside_the_file(
        self, config: Load, tmp_path: Path, clean_environment: Path
    ) -> None:
        assert config('[archive]\nstate = "~/blink"').archive.state == clean_environment / "blink"
        assert config('[archive]\nstate = "blink"').archive.state == tmp_path / "blink"

    def test_there_may_be_several_accounts_and_sinks(self, config: Load) -> None:
        read = config(WHOLE + '[account.cabin]\nusername = "b"\n[sink.off-site]\ntype = "s3"\n')
        assert list(read.accounts) == ["home", "cabin"]
        assert list(read.sinks) == ["nas", "off-site"]


class TestFinding:
    def test_the_named_file_comes_before_the_variable_and_the_default_one(self, tmp_path: Path) -> None:
        files = {name: tmp_path / f"{name}.toml" for name in ("named", "variable")} | {"default": default_file()}
        for name, file in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f'[account.{name}]\nusername = "x"')
        environ = {"BLINKARCHIVE_CONFIG": str(files["variable"])}
        assert list(load(files["named"], environ).accounts) == ["named"]
        assert list(load(None, environ).accounts) == ["variable"]
        assert list(load(None, {}).accounts) == ["default"]

    def test_without_any_file_there_is_an_empty_config(self) -> None:
        assert load(None, {}) == replace(Config(), sources=load(None, {}).sources)

    @pytest.mark.parametrize("by_variable", [False, True])
    def test_a_named_file_that_is_not_there_is_an_error(self, tmp_path: Path, by_variable: bool) -> None:
        missing = tmp_path / "missing.toml"
        with pytest.raises(ConfigError, match=r"there is no file .*missing\.toml"):
            load(None, {"BLINKARCHIVE_CONFIG": str(missing)}) if by_variable else load(missing, {})

    def test_a_folder_or_bytes_that_are_no_text_are_errors_that_name_the_file(self, tmp_path: Path) -> None:
        binary = tmp_path / "binary.toml"
        binary.write_bytes(b"\xff\xfe")
        for file in (tmp_path, binary):
            with pytest.raises(ConfigError, match=str(file)):
                load(file, {})

    def test_what_is_no_toml_is_told_with_its_line(self, config: Load) -> None:
        assert "blinkarchive.toml: this is not TOML: Invalid value (at line 2, column 8)" in refusal(
            config, "[archive]\nname = oops"
        )

    def test_a_run_needs_an_account_and_a_sink(self, config: Load) -> None:
        require(config())
        with pytest.raises(ConfigError, match=r"\[sink\.NAME\] missing"):
            require(config('[account.a]\nusername = "x"'))
        with pytest.raises(ConfigError, match=r"\[account\.NAME\] missing"):
            require(config('[sink.a]\ntype = "disk"'))
        with pytest.raises(ConfigError, match="blinkarchive init"):
            require(load(None, {}))


class TestRefusing:
    def test_everything_that_is_wrong_is_told_at_once_with_file_line_table_and_key(self, config: Load, tmp_path: Path) -> None:
        said = refusal(
            config,
            '[archive]\nin_flight = 0\nstat = "x"\n'
            '[account.home]\nusername = "a"\npace = "politer"\napi_url = "http://example.org"\n'
            '[source.clowd]\n[source.sync-module]\nevery = "5"\n'
            "[sink.x]\n[sinks.y]\n",
        ).splitlines()
        file = tmp_path / "blinkarchive.toml"
        assert said[0] == "8 things in the configuration cannot be used:"
        assert f"  {file}:2: in_flight in [archive]: 0 is too little; the least is 1" in said
        assert f'  {file}:3: stat in [archive]: no such key; did you mean "state"?' in said
        assert f'  {file}:6: pace in [account.home]: "politer" is none of polite, brisk, unlimited, nor a table' in said
        assert any(line.startswith(f"  {file}:7: api_url in [account.home]: not a server: plain http") for line in said)
        assert f'  {file}:8: clowd in [source]: no such source; did you mean "cloud"?' in said
        assert any(line.startswith(f'  {file}:10: every in [source.sync-module]: "5" is no length of time') for line in said)
        assert any(line.startswith(f"  {file}:11: type in [sink.x]: missing") for line in said)
        assert f'  {file}:12: sinks: no such table; did you mean "sink"?' in said

    def test_one_wrong_thing_is_one_line(self, config: Load, tmp_path: Path) -> None:
        said = refusal(config, WHOLE.replace("username", "usrname") + "")
        assert said.splitlines()[1:] == [
            f'  {tmp_path / "blinkarchive.toml"}:3: usrname in [account.home]: no such key; did you mean "username"?',
            f"  {tmp_path / 'blinkarchive.toml'}:2: username in [account.home]: missing, and it has no default",
        ]
        assert "\n" not in refusal(config, "[archive]\nin_flight = true")

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ("in_flight = 1.0", "must be a whole number, not 1.0"),
            ("in_flight = true", "must be a whole number, not true"),
            ('in_flight = "3"', 'must be a whole number, not "3"'),
            ("state = 3", 'must be a path: "…", not 3'),
            ('state = ""', 'must be a path: "…", not ""'),
            ('largest_clip = "512 MiB"', "must be a size"),
            ("largest_clip = 512", "must be a size"),
            ('name = "{camera}.mp4"', "must hold {key} in its last part"),
            ('name = "{kee}.mp4"', "is not a field of a name"),
            ("name = [1]", "must be a text"),
        ],
    )
    def test_a_wrong_value_is_told_with_what_its_key_takes(self, config: Load, line: str, complaint: str) -> None:
        key = line.partition(" ")[0]
        said = refusal(config, f"[archive]\n{line}")
        assert f":2: {key} in [archive]: " in said
        assert complaint in said

    @pytest.mark.parametrize("name", ["a__b", "-a", "a_", "a.b", "a b", "ü", "x" * 41, ""])
    def test_a_name_that_the_environment_could_not_say_is_refused(self, config: Load, name: str) -> None:
        assert "is no name" in refusal(config, f'[account."{name}"]\nusername = "x"')

    @pytest.mark.parametrize(("one", "other"), [("home", "HOME"), ("my-home", "my_home")])
    def test_two_names_that_the_environment_could_not_tell_apart_are_refused(self, config: Load, one: str, other: str) -> None:
        assert f'is the same name as "{one}"' in refusal(
            config, f'[account.{one}]\nusername = "x"\n[account.{other}]\nusername = "y"'
        )

    def test_a_key_outside_a_named_table_is_told_where_it_belongs(self, config: Load) -> None:
        assert "username in [account]: a key needs a table with a name: [account.NAME]" in refusal(
            config, '[account]\nusername = "x"'
        )

    def test_only_what_is_on_sticks_can_be_left_to_twins(self, config: Load) -> None:
        assert config("[source.sync-module]\nskip_twins = true\n").sources[SourceName.SYNC_MODULE].skip_twins
        with pytest.raises(ConfigError, match=r"\[source.cloud\]: skip_twins is for \[source.sync-module\]"):
            config("[source.cloud]\nskip_twins = true\n")

    def test_nothing_is_deleted_unless_it_is_asked_for(self, config: Load) -> None:
        for source in config("").sources.values():
            assert (source.delete_after_archive, source.delete_cameras) == (False, ())
            assert (source.delete_grace, source.delete_limit) == (timedelta(days=7), 100)

    def test_what_is_to_be_deleted_is_each_sources_own(self, config: Load) -> None:
        text = (
            "[source.cloud]\n[source.sync-module]\ndelete_after_archive = true\n"
            'delete_cameras = ["Porch", "77"]\ndelete_grace = "36h"\ndelete_limit = 5\n'
        )
        sources = config(text).sources
        assert not sources[SourceName.CLOUD].delete_after_archive
        stick = sources[SourceName.SYNC_MODULE]
        assert (stick.delete_after_archive, stick.delete_cameras) == (True, ("Porch", "77"))
        assert (stick.delete_grace, stick.delete_limit) == (timedelta(hours=36), 5)

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ('delete_cameras = ["Porch"]', "without delete_after_archive = true deletes nothing"),
            ('delete_after_archive = true\ndelete_cameras = [""]', "a name must not be empty"),
            ('delete_after_archive = true\ndelete_cameras = "Porch"', "must be a list"),
            ("delete_after_archive = true\ndelete_limit = 0", "the least is 1"),
            ("delete_after_archive = true\ndelete_limit = -3", "the least is 1"),
            ("delete_after_archive = true\ndelete_grace = 7", "must be a length of time"),
            ('delete_after_archive = true\ndelete_grace = "-7d"', "is no length of time"),
            ('delete_after_archive = "yes"', "must be true or false"),
        ],
    )
    def test_a_deletion_that_makes_no_sense_is_refused(self, config: Load, line: str, complaint: str) -> None:
        assert complaint in refusal(config, f"[source.cloud]\n{line}")

    def test_every_and_cron_together_are_refused(self, config: Load) -> None:
        assert "keep one of them" in refusal(config, '[source.cloud]\nevery = "5m"\ncron = "* * * * *"')

    @pytest.mark.parametrize(
        "line", ['every = "0"', "every = 0", 'every = "10s"', 'every = ""', 'every = "-5m"', 'cron = "5m"', 'cron = "* * *"']
    )
    def test_a_pace_of_polling_that_makes_no_sense_is_refused(self, config: Load, line: str) -> None:
        assert "[source.cloud]" in refusal(config, f"[source.cloud]\n{line}")

    @pytest.mark.parametrize(
        "pace", ["{ burst = 0 }", "{ requests_per_second = 0 }", "{ requests_per_second = nan }", "{ speed = 1 }", "3"]
    )
    def test_a_pace_that_would_never_move_is_refused(self, config: Load, pace: str) -> None:
        assert "pace" in refusal(config, f'[account.home]\nusername = "x"\npace = {pace}')

    @pytest.mark.parametrize("value", ["[1]", "true", '"disk"'])
    def test_a_value_where_a_table_belongs_is_refused(self, config: Load, value: str) -> None:
        for table in ("archive", "account", "source", "sink", "plugins", "alarm"):
            assert "must be a table" in refusal(config, f"{table} = {value}")


class TestEnvironment:
    def test_every_key_has_a_name_in_the_environment(self, config: Load) -> None:
        read = config(
            WHOLE,
            BLINKARCHIVE__ARCHIVE__IN_FLIGHT="3",
            BLINKARCHIVE__ARCHIVE__LARGEST_CLIP="2GB",
            BLINKARCHIVE__ACCOUNT__HOME__USERNAME="you@example.org",
            BLINKARCHIVE__ACCOUNT__HOME__PACE="{ burst = 9 }",
            BLINKARCHIVE__SOURCE__SYNC_MODULE__EVERY="1h",
            BLINKARCHIVE__SINK__NAS__PATH="/srv/clips",
            BLINKARCHIVE__PLUGINS__LOAD='["bell"]',
        )
        assert read.archive.in_flight == 3
        assert read.archive.largest_clip == 2_000_000_000
        assert read.accounts["home"].username == "you@example.org"
        assert read.accounts["home"].pace.burst == 9
        assert read.sources[SourceName.SYNC_MODULE].every == timedelta(hours=1)
        assert read.sinks[SinkName("nas")].raw == {"path": "/srv/clips"}
        assert read.plugins.load == ("bell",)

    def test_a_name_with_a_dash_or_capitals_is_met(self, config: Load) -> None:
        read = config('[sink.My-NAS]\ntype = "disk"\n', BLINKARCHIVE__SINK__MY_NAS__TYPE="s3")
        assert {name: sink.type for name, sink in read.sinks.items()} == {"My-NAS": "s3"}

    def test_a_whole_config_can_be_in_the_environment(self) -> None:
        environ = {
            "BLINKARCHIVE__ACCOUNT__HOME__USERNAME": "me@example.org",
            "BLINKARCHIVE__SINK__NAS__TYPE": "disk",
            "BLINKARCHIVE__SINK__NAS__PATH": "/clips",
        }
        read = load(None, environ)
        require(read)
        assert read.accounts["home"].username == "me@example.org"

    def test_what_is_wrong_there_is_told_with_the_name_of_the_variable(self, config: Load) -> None:
        said = refusal(config, WHOLE, BLINKARCHIVE__ARCHIVE__IN_FLIGHT="many", BLINKARCHIVE__ACCOUNT__HOME__USRNAME="x")
        assert (
            'BLINKARCHIVE__ARCHIVE__IN_FLIGHT in the environment: in_flight in [archive]: must be a whole number, not "many"'
            in said
        )
        assert "BLINKARCHIVE__ACCOUNT__HOME__USRNAME in the environment: usrname in [account.home]: no such key" in said

    def test_a_server_for_all_accounts_gives_way_to_one_for_a_single_account(self, config: Load) -> None:
        read = config(
            WHOLE + '[account.cabin]\nusername = "b"\napi_url = "https://file.example"\n',
            BLINKARCHIVE_API_URL="http://127.0.0.1:1",
            BLINKARCHIVE_OAUTH_URL="http://127.0.0.1:2",
            BLINKARCHIVE__ACCOUNT__CABIN__OAUTH_URL="http://127.0.0.1:3",
        )
        assert {name: (one.api_url, one.oauth_url) for name, one in read.accounts.items()} == {
            "home": ("http://127.0.0.1:1", "http://127.0.0.1:2"),
            "cabin": ("http://127.0.0.1:1", "http://127.0.0.1:3"),
        }

    def test_an_empty_server_is_none(self, config: Load) -> None:
        assert config(WHOLE, BLINKARCHIVE_API_URL="").accounts["home"].api_url is None


class TestSecrets:
    def account(self, config: Load, password: str, **environ: str) -> Config:
        return config(f'[account.home]\nusername = "x"\npassword = {password}\n', **environ)

    def test_a_password_is_read_from_where_the_config_says(self, config: Load, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("from the file\n")
        for text, expected in (
            ('"inline"', "inline"),
            ('{ env = "BLINK_PASSWORD" }', "from the environment"),
            ('{ file = "password" }', "from the file"),
        ):
            read = self.account(config, text, BLINK_PASSWORD="from the environment")
            assert read.accounts["home"].read_password() == Secret(expected)

    def test_a_password_may_come_in_a_variable_of_its_own(self, config: Load) -> None:
        read = config(WHOLE, BLINKARCHIVE__ACCOUNT__HOME__PASSWORD="{hunter2")
        assert read.accounts["home"].read_password() == Secret("{hunter2")
        assert not read.accounts["home"].password_in_file

    @pytest.mark.parametrize("text", ['{ env = "NOT_SET" }', '{ file = "missing" }'])
    def test_a_password_that_is_not_there_is_none_and_no_error(self, config: Load, text: str) -> None:
        assert self.account(config, text).accounts["home"].read_password() is None

    def test_a_password_file_that_cannot_be_read_is_an_error(self, config: Load, tmp_path: Path) -> None:
        read = self.account(config, f'{{ file = "{tmp_path}" }}')
        with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
            read.accounts["home"].read_password()

    def test_an_entry_of_the_keyring_is_a_service_and_a_name(self, config: Load) -> None:
        with pytest.raises(ConfigError, match='write "SERVICE/NAME"'):
            self.account(config, '{ keyring = "blinkarchive" }').accounts["home"].read_password()

    @pytest.mark.parametrize("text", ["3", '{ enw = "X" }', "{}", '{ env = "A", file = "B" }', '{ env = "" }', '""', '["x"]'])
    def test_what_says_no_place_for_a_secret_is_refused(self, config: Load, text: str) -> None:
        with pytest.raises(ConfigError, match=r"password in \[account\.home\]: must be one of"):
            self.account(config, text)

    @pytest.mark.parametrize("line", ["password = 3", "pasword = 3", 'token = "x"', 'pace = "x"'])
    def test_what_is_told_of_a_secrets_key_is_not_hidden_as_a_secret(self, config: Load, line: str) -> None:
        said = refusal(config, f'[account.home]\nusername = "x"\n{line}')
        assert redact(said) == said

    def test_a_password_shows_nowhere(self, config: Load) -> None:
        read = self.account(config, '"hunter2-hunter2"')
        assert "hunter2" not in repr(read) + str(read.accounts["home"].password)

    def test_others_who_may_read_a_password_are_warned_of(self, config: Load, tmp_path: Path) -> None:
        assert self.account(config, '"inline"').warnings == ()
        file = tmp_path / "blinkarchive.toml"
        file.chmod(0o640)
        (warning,) = load(file, {}).warnings
        assert f"{file} holds the secret [account.home] password" in warning
        assert f"chmod 600 {file}" in warning
        file.write_text(WHOLE)
        assert load(file, {}).warnings == ()


class TestAlarm:
    def test_without_a_table_only_the_log_is_told(self, config: Load) -> None:
        alarm = config().alarm
        assert (alarm.notify, alarm.ping, alarm.remind_every) == ((), None, timedelta(days=1))

    def test_addresses_are_read_from_where_the_config_says(self, config: Load, tmp_path: Path) -> None:
        (tmp_path / "url").write_text("json://file\n")
        alarm = config(
            '[alarm]\nnotify = [{ env = "URL" }, { file = "url" }, "json://inline"]\n'
            'ping = { env = "PING" }\nremind_every = "7d"',
            URL="json://variable",
            PING="https://ping.example/1",
        ).alarm
        assert [ref.read() for ref in alarm.notify] == [Secret(f"json://{name}") for name in ("variable", "file", "inline")]
        assert alarm.ping is not None
        assert alarm.ping.read() == Secret("https://ping.example/1")
        assert alarm.remind_every == timedelta(days=7)

    def test_addresses_may_come_in_variables_of_their_own(self, config: Load, tmp_path: Path) -> None:
        environ = {
            "BLINKARCHIVE__ALARM__NOTIFY": '["json://one", { env = "URL" }]',
            "BLINKARCHIVE__ALARM__PING": "https://ping.example/1",
            "URL": "json://two",
        }
        alarm = config(WHOLE, **environ).alarm
        assert [ref.read() for ref in alarm.notify] == [Secret("json://one"), Secret("json://two")]
        assert str(alarm.notify[0]) == "environment variable BLINKARCHIVE__ALARM__NOTIFY"
        (tmp_path / "blinkarchive.toml").chmod(0o644)
        assert load(tmp_path / "blinkarchive.toml", environ).warnings == ()

    @pytest.mark.parametrize(
        "line",
        [
            'notify = "json://canary@host/"',
            'notify = { env = "X", at = "json://canary@host/" }',
            'notify = [{ url = "json://canary@host/" }]',
            'notify = [["json://canary@host/"]]',
            "notify = [3]",
            "ping = 3",
            'ping = { url = "https://canary" }',
            'pong = "https://canary"',
        ],
    )
    def test_what_says_no_place_for_an_address_is_refused_and_shows_none(self, config: Load, line: str) -> None:
        said = refusal(config, f"[alarm]\n{line}")
        assert f":2: {line.partition(' ')[0]} in [alarm]: " in said
        assert "canary" not in said

    def test_an_address_that_is_no_list_in_the_environment_is_not_shown(self, config: Load) -> None:
        said = refusal(config, WHOLE, BLINKARCHIVE__ALARM__NOTIFY="json://canary@host/")
        assert "notify in [alarm]: must be a list" in said
        assert "canary" not in said

    @pytest.mark.parametrize("every", ["59m", "0", "30s"])
    def test_reminders_that_nobody_could_bear_are_refused(self, config: Load, every: str) -> None:
        assert "more often than 1h" in refusal(config, f'[alarm]\nremind_every = "{every}"')
        assert config('[alarm]\nremind_every = "1h"').alarm.remind_every == timedelta(hours=1)

    @pytest.mark.parametrize(
        ("line", "key"), [('notify = [{ env = "X" }, "json://canary"]', "notify"), ('ping = "https://canary"', "ping")]
    )
    def test_others_who_may_read_an_address_are_warned_of(self, config: Load, tmp_path: Path, line: str, key: str) -> None:
        assert config(f"[alarm]\n{line}").warnings == ()
        file = tmp_path / "blinkarchive.toml"
        file.chmod(0o640)
        (warning,) = load(file, {}).warnings
        assert f"{file} holds the secret [alarm] {key}, and others may read it" in warning
        assert "canary" not in warning + repr(load(file, {}))
        file.write_text('[alarm]\nnotify = [{ env = "X" }]\nping = { file = "y" }')
        assert load(file, {}).warnings == ()


ONE = Size(1)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """Options of all the types that a plugin may use."""

    text: str
    number: int = 0
    ratio: float = 0.5
    flag: bool = False
    folder: Path = Path("/")
    wait: timedelta = timedelta(seconds=1)
    part: Size = ONE
    key: Secret | None = None
    level: Literal["low", "high", 3] = "low"
    colour: Colour = Colour.RED
    names: tuple[str, ...] = ()
    sizes: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    inner: Inner = Inner()
    either: int | str | None = None
    keys: tuple[Secret, ...] = ()

    def __post_init__(self) -> None:
        if self.text == "impossible":
            raise ValueError("this text is impossible")


class TestOptions:
    def sink(self, config: Load, lines: str, **environ: str) -> SinkConfig:
        return config(f'[sink.nas]\ntype = "x"\n{lines}', **environ).sinks[SinkName("nas")]

    def test_every_type_is_read_from_the_file(self, config: Load, tmp_path: Path) -> None:
        made = options(
            Everything,
            self.sink(
                config,
                'text = "t"\nnumber = 3\nratio = 2\nflag = true\nfolder = "sub"\nwait = "5m"\npart = "8MiB"\n'
                'key = { env = "KEY" }\nlevel = 3\ncolour = "green"\nnames = ["a", "b"]\nsizes = [1, 2]\nheaders = { a = "b" }\n'
                'inner = { depth = 2 }\neither = "x"',
                KEY="open",
            ),
        )
        assert made == Everything(
            text="t",
            number=3,
            ratio=2.0,
            flag=True,
            folder=tmp_path / "sub",
            wait=timedelta(minutes=5),
            part=Size(8 * 1024**2),
            key=Secret("open"),
            level=3,
            colour=Colour.GREEN,
            names=("a", "b"),
            sizes=[1, 2],
            headers={"a": "b"},
            inner=Inner(depth=2),
            either="x",
        )

    def test_every_type_is_read_from_the_environment(self, config: Load) -> None:
        values = {
            "text": "3", "number": "3", "ratio": "0.25", "flag": "TRUE", "folder": "/srv", "wait": "0", "part": "0",
            "key": "open", "level": "3", "colour": "green", "names": '["a"]', "sizes": "[1]", "headers": '{ a = "b" }',
            "inner": "{ depth = 2 }", "either": "7",
        }  # fmt: skip
        made = options(
            Everything, self.sink(config, "", **{f"BLINKARCHIVE__SINK__NAS__{key.upper()}": text for key, text in values.items()})
        )
        assert made == Everything(
            text="3", number=3, ratio=0.25, flag=True, folder=Path("/srv"), wait=timedelta(), part=Size(0), key=Secret("open"),
            level=3, colour=Colour.GREEN, names=("a",), sizes=[1], headers={"a": "b"}, inner=Inner(depth=2), either=7,
        )  # fmt: skip

    def test_a_table_within_is_reached_key_by_key_from_the_environment(self, config: Load) -> None:
        sink = self.sink(config, 'text = "t"', BLINKARCHIVE__SINK__NAS__INNER__DEPTH="5")
        assert options(Everything, sink).inner == Inner(depth=5)

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ("number = 1.5", "number in [sink.nas]: must be a whole number"),
            ("ratio = nan", "ratio in [sink.nas]: must be a number"),
            ("flag = 1", "flag in [sink.nas]: must be true or false, not 1"),
            ("wait = 5", "wait in [sink.nas]: must be a length of time"),
            ("wait = true", "wait in [sink.nas]: must be a length of time"),
            ("part = 0.0", "part in [sink.nas]: must be a size"),
            ('key = { env = "MISSING" }', "key in [sink.nas]: environment variable MISSING holds nothing"),
            ('level = "medium"', 'level in [sink.nas]: "medium" is none of low, high, 3'),
            ("colour = true", "colour in [sink.nas]: true is none of red, green"),
            ('names = "a"', 'names in [sink.nas]: must be a list: [ …, … ], not "a"'),
            ("names = [1]", "names in [sink.nas]: must be a text"),
            ("headers = { a = 1 }", "headers in [sink.nas]: must be a text"),
            ("inner = { depht = 2 }", 'depht in [sink.nas.inner]: no such key; did you mean "depth"?'),
            ("either = 1.5", "either in [sink.nas]: must be a whole number, not 1.5, or must be a text"),
            ('txet = "x"', 'txet in [sink.nas]: no such key; did you mean "text"?'),
        ],
    )
    def test_a_wrong_option_is_told_with_its_sink_and_what_it_takes(self, config: Load, line: str, complaint: str) -> None:
        with pytest.raises(ConfigError) as refused:
            options(Everything, self.sink(config, f'text = "t"\n{line}'))
        assert complaint in str(refused.value)
        assert "[sink.nas" in str(refused.value)
        assert ":4: " in str(refused.value)

    def test_what_the_options_themselves_refuse_is_told_with_the_sink(self, config: Load) -> None:
        with pytest.raises(ConfigError, match=r"\[sink\.nas\]: this text is impossible"):
            options(Everything, self.sink(config, 'text = "impossible"'))

    def test_what_is_wrong_with_several_sinks_is_told_at_once(self, config: Load) -> None:
        read = config(
            '[sink.a]\ntype = "disk"\n[sink.b]\ntype = "disk"\npath = 1\n'
            '[sink.c]\ntype = "disk"\npath = "/c"\n[sink.d]\ntype = "y"'
        )
        with pytest.raises(ConfigError, match=r"3 things") as refused:
            openings_of(read, plugins_of(read), ())
        assert "path in [sink.a]: missing" in str(refused.value)
        assert 'path in [sink.b]: must be a text: "…", not 1' in str(refused.value)
        assert ":10: type in [sink.d]: no plugin for sinks of type 'y'" in str(refused.value)
        assert list(openings_of(read, plugins_of(read), [SinkName("c")])) == ["c"]

    def test_options_that_no_table_can_fill_are_the_plugins_fault(self, config: Load) -> None:
        @dataclass(frozen=True)
        class Odd:
            when: complex = 0j

        sink = self.sink(config, "when = 1")
        for kind in (Odd, int):
            with pytest.raises(PluginError):
                options(kind, sink)

    def test_secrets_that_stand_in_the_file_are_found(self, config: Load) -> None:
        assert inline_secrets(Everything, self.sink(config, 'text = "t"\nkey = "open"')) == ["key"]
        assert inline_secrets(Everything, self.sink(config, 'text = "t"\nkey = { env = "KEY" }')) == []
        assert inline_secrets(Everything, self.sink(config, 'text = "t"', BLINKARCHIVE__SINK__NAS__KEY="open")) == []
        assert inline_secrets(Everything, self.sink(config, 'text = "t"\nkeys = [{ env = "KEY" }, "open"]')) == ["keys"]
        assert inline_secrets(Everything, self.sink(config, 'text = "t"\nkeys = [{ env = "KEY" }]\nnames = ["a"]')) == []


class TestEncryption:
    ONE, TWO = (str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2))
    SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN"
    ALONE = 'one_recipient = "I know that a lost key loses the clips"'

    def encrypt(self, config: Load, said: str, **environ: str) -> EncryptConfig | bool | None:
        return config(f"{WHOLE}encrypt = {said}", **environ).sinks[SinkName("nas")].encrypt

    def test_a_sink_is_encrypted_for_nobody_unless_it_is_said(self, config: Load) -> None:
        assert config().sinks[SinkName("nas")].encrypt is None
        assert self.encrypt(config, "false") is False

    def test_two_keys_are_enough(self, config: Load) -> None:
        assert self.encrypt(config, f'{{ recipients = ["{self.ONE}", "{self.SSH} me@home"] }}') == EncryptConfig(
            recipients=(self.ONE, f"{self.SSH} me@home")
        )

    @pytest.mark.parametrize(
        "keys",
        [
            [ONE],
            [ONE, ONE],
            [ONE, f" {ONE} "],
            [ONE, ONE.upper()],
            [f"{SSH} me@home", f"{SSH} me@work"],
            [f"{SSH} me@home", SSH],
        ],
    )
    def test_one_key_however_often_it_is_written_takes_a_sentence(self, config: Load, keys: list[str]) -> None:
        """A key that is lost opens nothing any more: nobody has but one without knowing it."""
        recipients = f"recipients = {json.dumps(keys)}"
        said = refusal(config, f"{WHOLE}encrypt = {{ {recipients} }}")
        assert self.ALONE in said
        assert ":7: " in said
        for close in ("", "yes", "i know that a lost key loses the clips"):
            assert self.ALONE in refusal(config, f'{WHOLE}encrypt = {{ {recipients}, one_recipient = "{close}" }}')
        assert isinstance(self.encrypt(config, f"{{ {recipients}, {self.ALONE} }}"), EncryptConfig)

    @pytest.mark.parametrize(
        ("said", "complaint"),
        [
            ("true", "true does not say for whom"),
            ("{ recipients = [] }", "nobody could open"),
            ("{}", "recipients in [sink.nas.encrypt]: missing"),
            ('{ recipients = "age1" }', "must be a list"),
            ('{ recipients = ["age1…", "age1…"] }', "recipient 1 is no public key"),
            (f'{{ recipients = ["{ONE}", "{TWO[:-1]}"] }}', "recipient 2 is no public key"),
            (f'{{ recipient = ["{ONE}", "{TWO}"] }}', 'did you mean "recipients"'),
            ('"age1"', "must be a table"),
            ("0", "must be"),
        ],
    )
    def test_what_says_no_recipients_is_refused_with_its_line(self, config: Load, said: str, complaint: str) -> None:
        told = refusal(config, f"{WHOLE}encrypt = {said}")
        assert complaint in told
        assert ":7: " in told

    @pytest.mark.parametrize("form", ['["{}", "{}"]', '["age1", " {}"]', '"{}"', '[["{}"]]'])
    def test_a_secret_key_in_the_config_is_refused_and_not_shown(self, config: Load, form: str) -> None:
        for key in (str(pyrage.x25519.Identity.generate()), str(pyrage.x25519.Identity.generate()).lower()):
            said = redact(refusal(config, f"{WHOLE}encrypt = {{ recipients = {form.replace('{}', key)} }}"))
            assert ":7: " in said
            assert key[16:30] not in said
        assert "SECRET key" in refusal(config, f'{WHOLE}encrypt = {{ recipients = ["{key}"] }}')

    def test_it_can_be_in_the_environment(self, config: Load) -> None:
        table = f'{{ recipients = ["{self.ONE}", "{self.TWO}"] }}'
        found = config(BLINKARCHIVE__SINK__NAS__ENCRYPT=table).sinks[SinkName("nas")].encrypt
        assert found == EncryptConfig(recipients=(self.ONE, self.TWO))
        keys = f'["{self.TWO}", "{self.ONE}"]'
        others = config(f"{WHOLE}encrypt = {table}", BLINKARCHIVE__SINK__NAS__ENCRYPT__RECIPIENTS=keys)
        assert others.sinks[SinkName("nas")].encrypt == EncryptConfig(recipients=(self.TWO, self.ONE))
        nobody = config(f"{WHOLE}encrypt = {table}", BLINKARCHIVE__SINK__NAS__ENCRYPT="false")
        assert nobody.sinks[SinkName("nas")].encrypt is False
        key = str(pyrage.x25519.Identity.generate())
        said = refusal(config, WHOLE, BLINKARCHIVE__SINK__NAS__ENCRYPT=f'{{ recipients = ["{key}"] }}')
        assert "SECRET key" in said
        assert key not in said

    def test_where_the_package_is_missing_the_config_is_read_all_the_same(
        self, config: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyrage", None)
        assert isinstance(self.encrypt(config, f'{{ recipients = ["{self.ONE}", "{self.TWO}"] }}'), EncryptConfig)
        assert "SECRET key" in refusal(config, f'{WHOLE}encrypt = {{ recipients = ["AGE-SECRET-KEY-1QQ", "{self.ONE}"] }}')

    def test_what_turns_out_to_be_no_key_when_a_run_begins_opens_no_sink_in_clear(
        self, config: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "pyrage", None)
            read = config(f'{WHOLE}encrypt = {{ recipients = ["{self.ONE}", "age1…"] }}')
        with pytest.raises(ConfigError, match=r"recipient 2 is no public key"):
            check(read)
