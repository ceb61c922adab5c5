"""What the page about the library shows works as it is shown."""

from __future__ import annotations

import ast
import builtins
import getpass
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import blinkarchive.blink
from blinkarchive import errors
from blinkarchive.blink import Auth, Blink
from blinkarchive.clock import ManualClock
from blinkarchive.simulator import Running, Simulator, World
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, SyncModulePlan, WorldPlan
from tests.library.conftest import served_beside

PAGE = (Path(__file__).parents[2] / "docs" / "library.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PROGRAMS = [block for block in BLOCKS if "asyncio.run(" in block]
STEPS = [block for block in BLOCKS if "asyncio.run(" not in block]


@pytest.fixture
def world(clock: ManualClock) -> World:
    """The house that the page speaks of."""
    cameras = (CameraPlan(name="Front Door"), CameraPlan(name="Kitchen", type="owl"))
    home = NetworkPlan(name="Home", sync_modules=(SyncModulePlan(clips=3),), cameras=cameras)
    person = AccountPlan(username="me@example.org", password="open sesame", networks=(home,), clips=12)
    return World(WorldPlan(until=clock.now(), clip_bytes=(8_000, 20_000), accounts=(person,)), clock)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, world: World) -> Callable[[Running], None]:
    """Puts a program where the page's words are true: a person at the terminal, a folder, and the simulated cloud for Blink's."""

    def answer(question: str) -> str:
        return world.account.username if question == "Username: " else world.account.code

    def go(cloud: Running) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("BLINKARCHIVE_API_URL", cloud.url)
        monkeypatch.setenv("BLINKARCHIVE_OAUTH_URL", cloud.url)
        monkeypatch.setattr(builtins, "input", answer)
        monkeypatch.setattr(getpass, "getpass", lambda _: world.account.password)

    return go


def test_every_program_of_the_page_runs(world: World, at: Callable[[Running], None], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(PROGRAMS) == 5
    with served_beside(world) as cloud:
        at(cloud)
        for block in PROGRAMS:
            exec(compile(block, "library.md", "exec"), {"__name__": "__main__"})
    assert "['Front Door', 'Kitchen']" in capsys.readouterr().out
    assert Path("blink.json").stat().st_mode & 0o777 == 0o600
    assert len(cloud.seen("POST", "/oauth/v2/signin")) == 2


async def test_every_step_of_the_page_runs(
    world: World, clock: ManualClock, at: Callable[[Running], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(STEPS) == 11
    world.account.second_factor = "none"
    async with Simulator(world).serving() as cloud:
        at(cloud)
        async with Blink(auth=Auth({"username": "me@example.org", "password": "open sesame"}, clock=clock)) as blink:
            await blink.start()
            names: dict[str, Any] = {"blink": blink}
            for block in STEPS:
                done = eval(compile(block, "library.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
                if inspect.isawaitable(done):
                    await done
    shown = {str(path.relative_to(Path.cwd())) for path in Path.cwd().rglob("*.*") if path.is_file()}
    assert {"door.jpg", "door.mp4", "oldest.mp4"} <= shown
    assert len(list(Path("clips").iterdir())) == len([path for path in shown if path.startswith("clips/")]) > 0
    assert len([path for path in shown if path.startswith("stick-")]) == 3
    assert len(world.account.sync_modules[0].stick.clips) == 2
    assert not world.account.cameras[0].enabled
    assert "Front Door False" in capsys.readouterr().out


def test_every_error_of_the_page_exists_and_every_error_of_a_source_is_on_it() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (?:`(\w+)` )?\|$", PAGE.partition("## Errors")[2], re.MULTILINE)
    assert len(rows) > 15
    for ours, theirs in rows:
        assert issubclass(getattr(errors, ours), errors.SourceError)
        if theirs:
            assert getattr(blinkarchive.blink, theirs) is getattr(errors, ours)
    kinds = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.SourceError)}
    assert {name for name in kinds if f"`{name}`" not in PAGE} == {"ListingIncomplete", "ModuleAway"}
