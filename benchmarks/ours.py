"""blinkarchive as its owner runs it: the installed command, a config file, a folder of state, a folder of clips."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.cloud import Cloud
from benchmarks.measure import CannotRun, Command, Ran, Rival, run

PROGRAM = Path(sys.executable).parent / "blinkarchive"


def blinkarchive(cloud: Cloud, *, at_once: int = 16, named: str = "", env: Mapping[str, str] | None = None) -> Rival:
    """`blinkarchive run` into an empty archive: list, fetch, check, hash, flush, publish, read back, record; signed in before."""

    def ready(folder: Path) -> Command:
        shutil.copytree(signed_in(cloud), folder / "state")
        return command(cloud, folder, at_once=at_once, env=env)

    return Rival(name=named or f"blinkarchive {at_once}", ready=ready, check=lambda folder, ran: check(cloud, folder, ran))


def check(cloud: Cloud, folder: Path, ran: Ran) -> None:
    """Raises `CannotRun` unless every clip of the cloud was stored by this run."""
    (cloud.all_came if cloud.module_id else cloud.all_are_under)(folder, ran)
    require_stored(cloud, ran)


def require_stored(cloud: Cloud, ran: Ran) -> None:
    """Raises `CannotRun` unless the run says that it stored every clip of the cloud."""
    report = json.loads(ran.said)
    if report["stored"] != cloud.clips:
        raise CannotRun(f"{report['stored']} of {cloud.clips} clips were stored: {ran.said[-500:]}")


def command(
    cloud: Cloud,
    folder: Path,
    *,
    at_once: int = 16,
    env: Mapping[str, str] | None = None,
    sinks: Mapping[str, Mapping[str, object]] | None = None,
) -> Command:
    """`blinkarchive run` with its state, its clips and its config in a folder. The clips go to the disk, or, where the tables of
    `sinks` are given by their names, to those.
    """
    config = folder / "blinkarchive.toml"
    config.touch(mode=0o600)
    config.write_text(
        f"""
        [archive]
        state = {str(folder / "state")!r}
        in_flight = {2 * at_once}

        [account.home]
        username = {cloud.username!r}
        password = {cloud.password!r}
        api_url = {cloud.url!r}
        oauth_url = {cloud.url!r}
        pace = {{ requests_per_second = inf, burst = 1, downloads = {at_once} }}

        [source.{"sync-module" if cloud.module_id else "cloud"}]
        """
    )
    if sinks is None:
        (folder / "clips").mkdir(exist_ok=True)
        sinks = {"nas": {"type": "disk", "path": str(folder / "clips")}}
    with config.open("a") as more:
        for name, keys in sinks.items():
            more.write("\n".join([f"[sink.{name}]", *(f"{key} = {value!r}" for key, value in keys.items()), ""]))
    return Command(argv=[PROGRAM, "--config", config, "run", "--json"], env=dict(env or {}))


def signed_in(cloud: Cloud) -> Path:
    """A folder of state that holds this cloud's tokens and nothing else yet: made once, to be copied."""
    state = cloud.folder / "signed-in" / "state"
    if not state.exists():
        state.parent.mkdir()
        run_it = command(cloud, state.parent)
        run(Command(argv=[*run_it.argv[:3], "login"], env=run_it.env))
    return state
