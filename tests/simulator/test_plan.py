"""Worlds from files: every key is understood, and every mistake is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.errors import ConfigError
from blinkarchive.simulator import Rules, World, WorldPlan

WHOLE = """
seed = 7
until = 2026-02-01T00:00:00Z
days = 2.0
bursts = 0.5
clip_bytes = [8_000, 9_000]
film_index = "last"
media_paths = "v2"

[rules]
page_size = 25
order = "shuffled"
access_token_life = 60
refresh = "strict"
signin_limit = 3
wrong_code_status = 412
fetching_watches = true
latency = 0.05
bandwidth = 2_000_000
command_time = 1.5
manifest_time = 2.5
manifest_times = "millis"
upload_start = 0.2
upload_life = 60
partial_for = 20
module_queue = 2
old_manifest = "misleading"

[[account]]
username = "me@example.org"
password = "mine"
second_factor = "412"
code = "654321"
tier = "e008"
subscription = false
clips = 20

[[account.network]]
name = "Home"
time_zone = "America/Chicago"
armed = false

[[account.network.sync_module]]
name = "Module"
local_storage = "unmounted"
clips = 5
uplink = 250_000
online = false

[[account.network.camera]]
name = "Front Door"
type = "lotus"
enabled = false
formerly = "Entrance"

[[account]]
username = "you@example.org"
password = "yours"
clips = 0

[[account.network]]
name = "Nowhere"

[[fault]]
name = "media.cut"
times = 2
camera = "Front Door"
after = 1000
"""

LEAST = """
[[account]]
username = "me@example.org"
password = "mine"
[[account.network]]
name = "Home"
[[account.network.camera]]
name = "Door"
"""


def load(folder: Path, text: str) -> World:
    path = folder / "world.toml"
    path.write_text(text)
    return World.load(path, ManualClock(datetime(2026, 5, 1, tzinfo=UTC)))


def test_every_key_reaches_the_world(tmp_path: Path) -> None:
    world = load(tmp_path, WHOLE)
    assert world.seed == 7
    assert world.rules == Rules(
        page_size=25,
        order="shuffled",
        access_token_life=60,
        refresh="strict",
        signin_limit=3,
        wrong_code_status=412,
        fetching_watches=True,
        latency=0.05,
        bandwidth=2_000_000,
        command_time=1.5,
        manifest_time=2.5,
        manifest_times="millis",
        upload_start=0.2,
        upload_life=60,
        partial_for=20,
        module_queue=2,
        old_manifest="misleading",
    )
    me, you = world.accounts
    assert (me.username, me.password, me.second_factor, me.code, me.tier) == ("me@example.org", "mine", "412", "654321", "e008")
    (network,), (camera,) = me.networks, me.cameras
    assert (network.name, network.time_zone, network.armed) == ("Home", "America/Chicago", False)
    [module] = network.sync_modules
    assert (module.name, module.local_storage, module.uplink, module.online) == ("Module", "unmounted", 250_000, False)
    assert {clip.camera for clip in module.stick.clips} == {"Front Door", "Entrance"}
    assert len(module.stick.clips) == 5
    assert not me.subscription
    assert (camera.name, camera.type, camera.enabled) == ("Front Door", "lotus", False)
    assert len(me.clips) == 20
    assert all(8_000 <= clip.take.size <= 9_000 and not clip.take.index_first and clip.paths == "v2" for clip in me.clips)
    assert all(datetime(2026, 1, 29, 23, tzinfo=UTC) < clip.created_at < datetime(2026, 2, 1, tzinfo=UTC) for clip in me.clips)
    assert len({clip.created_at for clip in me.clips}) < 20
    assert (you.second_factor, you.clips, you.cameras) == ("202", [], [])
    (fault,) = world.faults.planned
    assert (fault.name, fault.times, fault.camera, fault.after) == ("media.cut", 2, "Front Door", 1000)


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    world = load(tmp_path, LEAST)
    assert world.rules == Rules()
    assert (len(world.account.clips), world.account.code) == (60, "123456")
    assert datetime(2026, 4, 28, tzinfo=UTC) < world.account.clips[0].created_at < datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("sede = 1\n" + LEAST, "sede"),
        ("seed = 'one'\n" + LEAST, "seed"),
        ("clip_bytes = [9_000, 8_000]\n" + LEAST, "clip_bytes"),
        ("until = 2026-01-01T00:00:00\n" + LEAST, "until"),
        ("bursts = 2.0\n" + LEAST, "bursts"),
        ("days = -1.0\n" + LEAST, "days"),
        (LEAST + "[rules]\npage_size = 0\n", "page_size"),
        (LEAST + "[rules]\nmodule_queue = 0\n", "module_queue"),
        (LEAST + "[rules]\ncommand_time = -1\n", "rule"),
        (LEAST.partition("[[account.network.camera]]")[0] + "[[account.network.sync_module]]\nclips = 1\n", "stick"),
        (LEAST + "[[account.network.sync_module]]\nuplink = -1\n", "uplink"),
        (LEAST + "[rules]\norder = 'backwards'\n", "rules.order"),
        (LEAST.replace("password", "pasword"), "pasword"),
        (LEAST.replace('password = "mine"', ""), "password"),
        (
            LEAST.replace('name = "Door"', 'name = "Door"\ncolour = "red"'),
            "account[0].network[0].camera[0]: unknown key `colour`",
        ),
        (LEAST + LEAST, "username"),
        (LEAST.partition("[[account.network.camera]]")[0], "camera"),
        (LEAST + "[[fault]]\nname = 'media.nothing'\n", "media.nothing"),
        ("seed = 1", "account"),
        ("[[account", "not a TOML file"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, wrong: str, named: str) -> None:
    with pytest.raises(ConfigError) as failure:
        load(tmp_path, wrong)
    assert str(tmp_path / "world.toml") in str(failure.value)
    assert named in str(failure.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        World.load(tmp_path / "nowhere.toml")


def test_the_default_world_is_fit_to_be_shown(clock: ManualClock) -> None:
    world = World.default(clock)
    account = world.account
    assert account.second_factor != "none"
    assert len(account.clips) == 60
    assert len({camera.name for camera in account.cameras}) == len(account.cameras) > 3
    assert {clip.camera.name for clip in account.clips} == {camera.name for camera in account.cameras}
    assert [(module.local_storage, len(module.stick.clips) > 0) for module in account.sync_modules] == [("active", True)]
    assert all(timedelta() < clock.now() - clip.created_at < timedelta(days=3, hours=1) for clip in account.clips)
    assert all(100_000 <= clip.take.size <= 700_000 and clip.id > 2**31 for clip in account.clips)


def test_a_house_may_have_the_same_names_everywhere() -> None:
    account = World.from_seed(1, networks=2, cameras=2, clips=1, same_names=True).account
    assert len({network.name for network in account.networks}) == 1
    assert len({camera.name for camera in account.cameras}) == 2
    assert len({camera.id for camera in account.cameras}) == 4


def test_names_are_unique_otherwise() -> None:
    account = World.from_seed(1, networks=3, cameras=20, clips=1).account
    assert len({camera.name for camera in account.cameras}) == 60


def test_rules_belong_to_one_world() -> None:
    rules = Rules()
    one, other = World.from_seed(1, clips=0, rules=rules), World.from_seed(1, clips=0, rules=rules)
    one.rules.page_size = 3
    assert (other.rules.page_size, rules.page_size) == (500, 500)


def test_a_plan_needs_an_account() -> None:
    with pytest.raises(ValueError, match="account"):
        WorldPlan(accounts=())


def test_a_house_by_figures_has_so_much_of_each() -> None:
    world = World.from_seed(1, accounts=2, networks=3, modules=2, cameras=2, clips=4, local_clips=5)
    for account in world.accounts:
        assert [(len(n.sync_modules), len(n.cameras)) for n in account.networks] == [(2, 2)] * 3
        assert len({module.name for module in account.sync_modules}) == 6
        assert [len(module.stick.clips) for module in account.sync_modules] == [5] * 6
        assert len(account.clips) == 4
    films = [clip.film() for a in world.accounts for m in a.sync_modules for clip in m.stick.clips]
    assert len(set(films)) == len(films) == 60, "all different"


def test_what_is_on_sticks_changes_nothing_in_the_cloud() -> None:
    bare, full = (World.from_seed(1, clips=9, local_clips=number).account for number in (0, 7))
    assert [(clip.id, clip.film()) for clip in bare.clips] == [(clip.id, clip.film()) for clip in full.clips]
    again = World.from_seed(1, clips=9, local_clips=7).account
    one, other = (account.sync_modules[0].stick.clips for account in (full, again))
    assert [(clip.number, clip.film()) for clip in one] == [(clip.number, clip.film()) for clip in other]


async def test_what_is_planned_happens_in_the_order_of_its_time(clock: ManualClock) -> None:
    world = World.from_seed(1, clips=0, clock=clock)
    happened: list[tuple[str, datetime]] = []
    began = clock.now()
    world.timeline.after(20, lambda at: happened.append(("second", at)))
    world.timeline.after(10, lambda at: happened.append(("first", at)))
    world.timeline.settle()
    assert happened == []
    await clock.sleep(15)
    world.timeline.settle()
    await clock.sleep(15)
    world.timeline.settle()
    assert happened == [("first", began + timedelta(seconds=10)), ("second", began + timedelta(seconds=20))]
