"""A sink that cannot be loaded, checked or opened costs itself alone: the others are filled, and its reason is reported."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
import pytest
from aiohttp import web

from blinkarchive.simulator import World
from tests.acceptance.conftest import House, Houses

CLIPS = 3
KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").strip()
PLUGIN = """
from dataclasses import dataclass
from blinkarchive import SinkType, hookimpl

@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    when: complex = 0
    size: int = 0

    def __post_init__(self):
        if self.size:
            raise RuntimeError("the plugin is broken")

@hookimpl
def blinkarchive_sink_types():
    return [SinkType(kind="odd", options=Options, open=lambda options: None)]
"""

Breaks = Callable[[House], str]
"""Prepares something that is wrong, and gives the keys of the sink that suffers from it."""


def root_is_a_file(house: House) -> str:
    (house.folder / "a-file").write_text("not a folder")
    return f'type = "rclone"\nremote = "{house.folder / "a-file"}"\n'


def server_fails_to_parse(house: House) -> str:
    config = f"[away]\ntype = webdav\nurl = {house.environment['FAILS_TO_PARSE']}\nvendor = other\n"
    (house.folder / "rclone.conf").write_text(config)
    return 'type = "rclone"\nremote = "away:"\nconfig = "rclone.conf"\n'


def too_old(house: House) -> str:
    program = house.folder / "old-rclone"
    program.write_text("#!/bin/sh\necho rclone v1.53.3\n")
    program.chmod(0o700)
    return f'type = "rclone"\nremote = "{house.folder}"\nprogram = "{program}"\n'


def wrong_config_password(house: House) -> str:
    sealed = base64.b64encode(b"\7" * 200).decode()
    (house.folder / "rclone.conf").write_text(f"# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n{sealed}\n")
    house.environment["RCLONE_SECRET"] = "not the right one"
    return 'type = "rclone"\nremote = "away:"\nconfig = "rclone.conf"\nconfig_password = { env = "RCLONE_SECRET" }\n'


def _missing(module: str) -> Callable[[House], None]:
    def hide(house: House) -> None:
        site = house.folder / "site"
        site.mkdir()
        (site / f"{module}.py").write_text(f"raise ImportError('No module named {module}')\n")
        house.environment["PYTHONPATH"] = str(site)

    return hide


def no_boto3(house: House) -> str:
    _missing("boto3")(house)
    return 'type = "s3"\nbucket = "clips"\nregion = "eu-central-1"\n'


SFTP = 'type = "sftp"\nhost = "127.0.0.1"\nport = 1\nusername = "nobody"\npath = "clips"\npassword = "x"\n'


def no_asyncssh(house: House) -> str:
    _missing("asyncssh")(house)
    return SFTP


def no_pyrage(house: House) -> str:
    _missing("pyrage")(house)
    keys = (
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
        "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
    )
    return f'type = "disk"\npath = "{house.folder}"\nencrypt = {{ recipients = {json.dumps(keys)} }}\n'


def known_hosts(content: bytes) -> Breaks:
    def write(house: House) -> str:
        (house.folder / "known_hosts").write_bytes(b"# hosts\n" + content + b"\n")
        return f'{SFTP}known_hosts = "{house.folder / "known_hosts"}"\n'

    return write


def plugin(more: str) -> Breaks:
    def install(house: House) -> str:
        info = house.folder / "site" / "odd-1.0.dist-info"
        info.mkdir(parents=True)
        (info.parent / "odd_module.py").write_text(PLUGIN)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[blinkarchive]\nodd = odd_module\n")
        house.environment["PYTHONPATH"] = str(info.parent)
        return f'type = "odd"\n{more}\n'

    return install


@asynccontextmanager
async def failing_server() -> AsyncIterator[str]:
    """A WebDAV server whose every answer is an error in words that rclone has for a wrong config as well."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=500, text="failed to parse the request: config is invalid")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        pytest.param(root_is_a_file, "is a file", id="rclone-root-is-a-file"),
        pytest.param(server_fails_to_parse, "failed to parse", id="rclone-server-fails-to-parse"),
        pytest.param(too_old, "1.53", id="rclone-too-old"),
        pytest.param(wrong_config_password, "rclone does not start", id="rclone-wrong-config-password"),
        pytest.param(no_boto3, 'pip install "blinkarchive[s3]"', id="no-boto3"),
        pytest.param(no_asyncssh, 'pip install "blinkarchive[sftp]"', id="no-asyncssh"),
        pytest.param(no_pyrage, "pip install 'blinkarchive[encrypt]'", id="no-pyrage"),
        pytest.param(known_hosts(b"nonsense"), "line 2 of", id="known-hosts-garbage"),
        pytest.param(known_hosts(b"|1|abc|def " + KEY), "line 2 of", id="known-hosts-bad-hash"),
        pytest.param(known_hosts(b"m\xfcller ssh-ed25519 AAAA"), "line 2 of", id="known-hosts-latin-1"),
        pytest.param(plugin("when = 1"), "complex", id="plugin-option-of-an-unsupported-type"),
        pytest.param(plugin("size = 1"), "the plugin is broken", id="plugin-fails-to-read-its-options"),
    ],
)
async def test_the_trouble_of_one_sink_is_its_own(house_of: Houses, breaks: Breaks, reason: str) -> None:
    async with house_of(World.from_seed(5, clips=CLIPS)) as house, failing_server() as url:
        house.environment["FAILS_TO_PARSE"] = url
        sink = breaks(house)
        house.configure(more=f"[sink.bad]\n{sink}")
        ran = await house("run", "--json")
        assert (ran.code, len(house.clips())) == (3, CLIPS), ran.err
        assert ran.report["sinks_failed"] == ["bad"]
        assert reason in _said(ran.report)
        checks = {check["what"]: check for check in (await house("doctor", "--json")).report["checks"]}
        assert (checks["sink bad"]["verdict"], checks["sink nas"]["verdict"]) == ("fail", "ok")
        assert reason in checks["sink bad"]["found"]

        house.configure(more=f"[sink.bad]\nrequired = false\n{sink}")
        ran = await house("run", "--json")
        assert (ran.code, ran.report["sinks_failed"]) == (0, ["bad"]), ran.err
        [last, *_] = (await house("status", "--json")).report["last_runs"]
        assert reason in _said(last)


def _said(report: Mapping[str, Any]) -> str:
    return " ".join(trouble["what"] for trouble in report["troubles"] if trouble["where"] == "sink bad")


async def test_a_plugin_that_is_to_be_loaded_and_is_not_installed_keeps_no_clip_from_a_sink(house_of: Houses) -> None:
    async with house_of(World.from_seed(5, clips=CLIPS)) as house:
        house.configure(more='[plugins]\nload = ["ears", "attic"]\n[sink.bad]\ntype = "attic"\n')
        ran = await house("run", "--json")
        assert (ran.code, len(house.clips()), ran.report["sinks_failed"]) == (3, CLIPS, ["bad"]), ran.err
        assert "no plugin 'attic' is installed" in _said(ran.report)
        assert any(one["where"] == "plugin ears" for one in ran.report["troubles"])
        checks = {check["what"]: check for check in (await house("doctor", "--json")).report["checks"]}
        assert (checks["plugin ears"]["verdict"], checks["sink bad"]["verdict"], checks["sink nas"]["verdict"]) == (
            "fail",
            "fail",
            "ok",
        )
        house.configure(more='[plugins]\nload = ["ears"]\n')
        ran = await house("run")
        assert ran.code == 0
        assert "no plugin 'ears' is installed" in ran.err


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """A port that takes connections, and says nothing."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def test_silent_sinks_delay_doctor_and_verify_no_longer_than_one_of_them(house_of: Houses) -> None:
    """One by one, four of them would take longer than this test waits for a command."""
    async with house_of(World.from_seed(5, clips=CLIPS)) as house, silent_server() as port:
        assert (await house("run", "--json")).code == 0
        known = house.folder / "known_hosts"
        known.write_bytes(f"[127.0.0.1]:{port} ".encode() + KEY)
        sinks = "".join(
            f'[sink.silent{number}]\ntype = "sftp"\nhost = "127.0.0.1"\nport = {port}\nusername = "me"\npath = "/x"\n'
            f'password = "x"\nknown_hosts = "{known}"\n'
            for number in range(4)
        )
        house.configure(more=sinks)
        checks = {check["what"]: check for check in (await house("doctor", "--json")).report["checks"]}
        assert [checks[f"sink silent{number}"]["verdict"] for number in range(4)] == ["fail"] * 4
        assert checks["sink nas"]["verdict"] == "ok"
        order = [what for what in checks if what.startswith("sink ")]
        assert order == ["sink nas", *(f"sink silent{number}" for number in range(4))]
        verified = await house("verify", "--json")
        assert verified.report["sinks"]["nas"]["sound"] == CLIPS
        assert [bool(verified.report["sinks"][f"silent{number}"]["closed"]) for number in range(4)] == [True] * 4
