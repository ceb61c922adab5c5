"""What is in deploy/ can be used: the units, the image and its set-up name what there is, and say what the program says."""

from __future__ import annotations

import fnmatch
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from blinkarchive.cli import root
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.root import VERBS
from blinkarchive.cli.running import PATIENCE
from blinkarchive.config import load, require

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(file for file in DEPLOY.iterdir() if file.suffix in (".service", ".timer"))
PAGE = (ROOT / "docs" / "deploying.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

WORDS = {
    "Unit": {
        "After", "Description", "Documentation", "RequiresMountsFor", "StartLimitBurst", "StartLimitIntervalSec", "Wants",
    },
    "Service": {
        "CapabilityBoundingSet", "ConfigurationDirectory", "ConfigurationDirectoryMode", "EnvironmentFile", "ExecReload",
        "ExecStart", "Group", "LimitCORE", "LoadCredential", "LockPersonality", "MemoryDenyWriteExecute", "MemoryHigh",
        "MemoryMax",
        "NoNewPrivileges", "PrivateDevices", "PrivateTmp", "ProcSubset", "ProtectClock", "ProtectControlGroups", "ProtectHome",
        "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc",
        "ProtectSystem", "ReadWritePaths", "RemoveIPC", "Restart", "RestartPreventExitStatus", "RestartSec",
        "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "StateDirectory",
        "StateDirectoryMode", "SuccessExitStatus", "SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallFilter",
        "TasksMax", "TimeoutStartSec", "TimeoutStopSec", "Type", "UMask", "User", "WatchdogSec",
    },
    "Timer": {"OnCalendar", "Persistent", "RandomizedDelaySec"},
    "Install": {"WantedBy"},
}  # fmt: skip
"""What systemd knows, as far as it is used here: a misspelt word would be ignored by it without a word."""

Unit = dict[str, dict[str, list[str]]]


def unit(text: str) -> Unit:
    """A unit as sections with their words, and what each is set to."""
    read: Unit = {}
    section = ""
    for line in text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
            assert section not in read, f"twice: {line}"
            read[section] = {}
        elif line and not line.startswith("#"):
            word, sign, value = line.partition("=")
            assert sign, f"neither a word nor a comment: {line}"
            assert section, f"before any section: {line}"
            read[section].setdefault(word, []).append(value)
    return read


def shipped(name: str) -> Unit:
    return unit((DEPLOY / name).read_text())


def with_examples(text: str) -> str:
    """A unit with its commented settings in force."""
    return re.sub(r"^#(?=[A-Z]\w+=)", "", text, flags=re.MULTILINE)


def is_known(arguments: list[str]) -> bool:
    """Whether the command line knows a verb with these options, as its help tells."""
    options = root.blinkarchive.params
    while arguments and arguments[0].startswith("--"):
        option = next((one for one in options if arguments[0] in one.opts), None)
        if option is None:
            return False
        arguments = arguments[1 if getattr(option, "is_flag", False) else 2 :]
    if not arguments or arguments[0] not in VERBS:
        return False
    verb = root.blinkarchive.get_command(click.Context(root.blinkarchive), arguments[0])
    assert verb is not None
    known = {word for one in verb.params for word in one.opts}
    return all(word in known for word in arguments[1:] if word.startswith("-"))


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command of blinkarchive in deploy/, with the file it is in."""
    for file in UNITS:
        for line in unit(file.read_text()).get("Service", {}).get("ExecStart", ()):
            program, *arguments = shlex.split(line)
            assert program == "/opt/blinkarchive/bin/blinkarchive"
            yield file.name, arguments
    told = dict(instructions())
    yield "Dockerfile", [*json.loads(told["ENTRYPOINT"])[1:], *json.loads(told["CMD"])]
    program, *arguments = json.loads(told["HEALTHCHECK"].partition("CMD ")[2])
    assert program == json.loads(told["ENTRYPOINT"])[0] == "blinkarchive"
    yield "Dockerfile", arguments


def instructions() -> list[tuple[str, str]]:
    """What the Dockerfile says, line by line, without comments."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def copied() -> list[str]:
    """What the Dockerfile takes from the checkout."""
    return [source for word, rest in instructions() if word == "COPY" and "--from" not in rest for source in rest.split()[:-1]]


class TestUnits:
    @pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
    def test_every_word_is_one_of_systemds(self, file: Path) -> None:
        for text in (file.read_text(), with_examples(file.read_text())):
            for section, words in unit(text).items():
                assert words.keys() <= WORDS[section], section

    def test_systemd_itself_finds_nothing_to_say(self, tmp_path: Path) -> None:
        analyze = shutil.which("systemd-analyze")
        program = Path(sys.executable).with_name("blinkarchive")
        for file in UNITS:
            text = with_examples(file.read_text())
            assert re.search(r"^(ExecStart|OnCalendar)=", text, re.MULTILINE)
            (tmp_path / file.name).write_text(text.replace("/opt/blinkarchive/bin/blinkarchive", str(program)))
        if analyze is None:  # no systemd here: what can be said without it, the other tests say
            return
        done = subprocess.run(
            [analyze, "verify", "--man=no", *(tmp_path / file.name for file in UNITS)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("name", ["blinkarchive.service", "blinkarchive-run.service"])
    def test_a_service_has_a_user_and_a_state_folder_that_last(self, name: str) -> None:
        service = shipped(name)["Service"]
        assert service["User"] == service["Group"] == service["StateDirectory"] == ["blinkarchive"]
        assert service["StateDirectoryMode"] == ["0700"]
        assert "DynamicUser" not in service

    def test_a_stop_has_time_to_end_well(self) -> None:
        for name in ("blinkarchive.service", "blinkarchive-run.service"):
            assert float(shipped(name)["Service"]["TimeoutStopSec"][0]) > PATIENCE

    def test_a_stop_is_no_failure_and_a_config_that_cannot_be_used_is_not_tried_again(self) -> None:
        service = shipped("blinkarchive.service")
        assert service["Service"]["SuccessExitStatus"] == [str(int(Exit.STOPPED))]
        assert service["Service"]["RestartPreventExitStatus"] == [str(int(Exit.USAGE))]
        assert service["Service"]["Restart"] == ["on-failure"]
        assert int(service["Unit"]["StartLimitBurst"][0]) > 1

    def test_the_service_is_waited_for_watched_and_told_to_read_its_config(self) -> None:
        service = shipped("blinkarchive.service")["Service"]
        assert service["Type"] == ["notify"]
        assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
        assert service["WatchdogSec"]

    @pytest.mark.parametrize("name", ["blinkarchive.service", "blinkarchive-run.service"])
    def test_a_crash_writes_no_secret_to_a_disk(self, name: str) -> None:
        assert shipped(name)["Service"]["LimitCORE"] == ["0"]

    def test_both_services_are_as_confined(self) -> None:
        day, once = (shipped(name)["Service"] for name in ("blinkarchive.service", "blinkarchive-run.service"))
        own = {
            "Type",
            "ExecStart",
            "ExecReload",
            "WatchdogSec",
            "Restart",
            "RestartSec",
            "RestartPreventExitStatus",
            "TimeoutStartSec",
        }
        assert {word: value for word, value in day.items() if word not in own} == {
            word: value for word, value in once.items() if word not in own
        }
        assert day["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
        assert day["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]

    def test_the_timer_starts_the_service_of_its_name_and_makes_up_for_what_was_missed(self) -> None:
        timer = shipped("blinkarchive-run.timer")
        assert (DEPLOY / "blinkarchive-run.service").exists()
        assert timer["Timer"]["Persistent"] == ["true"]
        assert timer["Timer"]["RandomizedDelaySec"]


class TestCommands:
    def test_every_command_is_one_that_the_command_line_knows(self) -> None:
        assert [(file, arguments) for file, arguments in commands() if not is_known(arguments)] == []

    def test_a_command_with_a_wrong_word_would_be_found(self) -> None:
        assert is_known(["--config", "x", "run"])
        for wrong in (["--config", "x", "runn"], ["run", "--every"], ["--confg", "x", "run"], []):
            assert not is_known(wrong)

    @pytest.mark.parametrize("arguments", [one for _, one in commands() if is_known(one)], ids=" ".join)
    def test_a_command_is_accepted_by_the_installed_program(self, arguments: list[str], tmp_path: Path) -> None:
        program = Path(sys.executable).with_name("blinkarchive")
        done = subprocess.run([program, *arguments, "--help"], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout


class TestImage:
    def test_what_is_copied_is_there_and_is_sent(self) -> None:
        rules = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"]
        assert rules[0] == "*"
        for source in copied():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in rules

    def test_what_is_built_has_all_it_is_built_of(self) -> None:
        wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
        needed = [*wheel["packages"], *wheel["force-include"], PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]]
        lacking = [name for name in needed if not any(fnmatch.fnmatch(f"{name}/", f"{source}/*") for source in copied())]
        assert lacking == []
        assert "pyproject.toml" in copied()

    def test_its_extras_are_extras(self) -> None:
        extras = dict(part.split("=") for word, part in instructions() if word == "ARG")["EXTRAS"].split(",")
        assert set(extras) <= PROJECT["project"]["optional-dependencies"].keys()

    def test_its_stages_are_there_and_the_last_one_is_not_run_by_root(self) -> None:
        told = instructions()
        stages = [rest.partition(" AS ")[2] for word, rest in told if word == "FROM"]
        assert {match[1] for word, rest in told if (match := re.match(r"--from=(\w+)", rest))} <= {*stages}
        last = max(number for number, (word, _) in enumerate(told) if word == "FROM")
        after = dict(told[last:])
        assert after["USER"] == "blinkarchive"
        assert after["STOPSIGNAL"] == "SIGTERM"
        assert json.loads(after["VOLUME"]) == ["/state", "/archive"]

    def test_its_variables_make_a_config(self, tmp_path: Path) -> None:
        (text,) = [rest for word, rest in instructions() if word == "ENV"]
        variables = dict(part.split("=", 1) for part in text.split())
        (shown,) = [block for block in blocks("toml") if "/archive" in block]
        (tmp_path / "blinkarchive.toml").write_text(shown)
        variables["BLINKARCHIVE_CONFIG"] = variables["BLINKARCHIVE_CONFIG"].replace("/config", str(tmp_path))
        read = load(None, variables)
        require(read)
        assert read.archive.state == Path("/state")

    def test_the_set_up_fits_the_image(self) -> None:
        compose: Any = importlib.import_module("yaml").safe_load((DEPLOY / "compose.yaml").read_text())
        service = compose["services"]["blinkarchive"]
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")
        assert (DEPLOY / service["build"]["context"]).samefile(ROOT)
        targets = [volume.split(":")[1] for volume in service["volumes"]]
        after = dict(instructions())
        assert {*json.loads(after["VOLUME"])} < {*targets}
        assert f"BLINKARCHIVE_CONFIG={next(one for one in targets if one.endswith('.toml'))}" in after["ENV"]
        assert {*service["secrets"]} == {*compose["secrets"]}
        assert all(f"/run/secrets/{name}" in PAGE for name in service["secrets"])
        assert float(service["stop_grace_period"].rstrip("s")) > PATIENCE


def blocks(kind: str) -> list[str]:
    """The blocks of this kind that the page shows."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


class TestPage:
    def test_every_file_is_told_of(self) -> None:
        assert [file.name for file in DEPLOY.iterdir() if file.name not in PAGE and file.suffix != ".dockerignore"] == []

    @pytest.mark.parametrize("block", blocks("toml"))
    def test_its_configs_are_accepted(self, block: str, tmp_path: Path) -> None:
        file = tmp_path / "blinkarchive.toml"
        file.write_text(block)
        read = load(file, {})
        require(read)
        assert read.warnings == ()

    def test_its_drop_in_is_one_that_systemd_knows(self) -> None:
        (block,) = blocks("ini")
        for section, words in unit(block).items():
            assert words.keys() <= WORDS[section]

    def test_its_folders_are_those_of_the_units(self) -> None:
        assert 'state = "/var/lib/blinkarchive"' in PAGE
        assert shipped("blinkarchive.service")["Service"]["ConfigurationDirectory"] == ["blinkarchive"]
        assert "/etc/blinkarchive/blinkarchive.toml" in PAGE
        assert os.path.basename(shipped("blinkarchive.service")["Service"]["EnvironmentFile"][0]) == "environment"
