"""What the simulator's page says is so."""

import re
from pathlib import Path

import pytest

from blinkarchive.simulator import World
from blinkarchive.simulator.faults import Fault, Kind, Place

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


def test_the_world_of_the_page_is_a_world(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "world.toml"
    file.write_text(example)
    world = World.load(file)
    assert (world.rules.page_size, world.rules.refresh, world.account.second_factor) == (25, "strict", "412")
    assert len(world.account.clips) == 200
    assert [fault.name for fault in world.faults.planned] == ["media.cut", "list.status"]


def test_the_page_names_every_place_and_kind_of_fault() -> None:
    words = set(re.findall(r"[a-z-]+", PAGE[PAGE.index("A fault is a place") :]))
    assert {*Place, *Kind} <= words


@pytest.mark.parametrize("name", ["media.cut", "list.insert", "token.invalid-grant", "signin.html"])
def test_faults_of_the_page_are_faults(name: str) -> None:
    assert Fault(name=name).name == name
