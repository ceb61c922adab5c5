"""Plugins are found by their entry points, imported only when wanted, and can harm nobody but themselves."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Any

import pytest

from blinkarchive import Alarm, AlarmChange, Clip, ClipId, ConfigError, Copy, Key, RunReport, SinkName, SourceName, Tally
from blinkarchive.errors import PluginError
from blinkarchive.registry import STRIKES, OptionInfo, Registry

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CLIP = Clip(
    id=ClipId("cloud:home:1"),
    account="home",
    network_id="1",
    network="House",
    camera_id="2",
    camera="Porch",
    source=SourceName.CLOUD,
    trigger="pir",
    recorded_at=NOW,
)
COPY = Copy(clip=CLIP.id, sink=SinkName("nas"), key=Key("a.mp4"), size=1, sha256="0" * 64, stored_at=NOW)
REPORT = RunReport(run="r", started_at=NOW, total=Tally())
ALARM = Alarm(where="sink nas", what="it is away", change=AlarmChange.RAISED, since=NOW, at=NOW)

GOOD = """
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from blinkarchive import SinkType, hookimpl

@dataclass(frozen=True)
class Options:
    url: str = field(metadata={"help": "where it is"})
    port: int = 22
    secure: bool = True
    user: str | None = None
    tags: tuple[str, ...] = ("a", "b")
    folder: str = field(default_factory=lambda: "clips")

@asynccontextmanager
async def opened(options):
    yield None

KIND = SinkType(kind="good", options=Options, open=opened, help="A good one.")

@hookimpl
def blinkarchive_sink_types():
    yield KIND
"""

LISTENER = """
import threading
from blinkarchive import hookimpl

heard = []

def fate():
    pass

@hookimpl
def blinkarchive_clip_stored(clip, copy):
    heard.append((clip, copy, threading.current_thread()))
    fate()

@hookimpl
def blinkarchive_run_finished(report):
    heard.append(report)
    fate()

@hookimpl
def blinkarchive_alarm(alarm):
    heard.append(("alarm", alarm))
    fate()
"""


class Site:
    """A folder of installed packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, package: str, points: Mapping[str, str], **modules: str) -> None:
        """A package with entry points (name to module) and the sources of its modules."""
        info = self.folder / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[blinkarchive]\n" + "".join(f"{name} = {to}\n" for name, to in points.items()))
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(source)

    @property
    def points(self) -> list[EntryPoint]:
        return [point for found in distributions(path=[str(self.folder)]) for point in found.entry_points]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path)
    before = {*sys.modules}
    yield Site(tmp_path)
    for name in {*sys.modules} - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def listener(name: str = "listener_module") -> Any:
    """The module of an imported plugin, to look at and to set the fate of its hooks."""
    return sys.modules[name]


# -- what is imported


def test_only_the_plugin_of_a_wanted_kind_is_imported(site: Site) -> None:
    site.install("good-sinks", {"good": "good_module"}, good_module=GOOD)
    site.install("other-sinks", {"other": "other_module"}, other_module="raise RuntimeError('I was imported')")
    registry = Registry.load({"good"}, points=site.points)
    assert registry.sink_type("good").help == "A good one."
    assert "other_module" not in sys.modules
    assert not registry.failures


def test_the_disk_sink_is_found_where_blinkarchive_is_installed() -> None:
    assert Registry.load({"disk"}).sink_type("disk").kind == "disk"


def test_a_kind_that_nobody_offers_is_an_error_of_the_config_that_names_the_nearest(site: Site) -> None:
    site.install("good-sinks", {"good": "good_module"}, good_module=GOOD)
    registry = Registry.load({"goood"}, points=site.points)
    with pytest.raises(ConfigError, match=r"'goood'.*did you mean 'good'"):
        registry.sink_type("goood")
    assert "good_module" not in sys.modules


def test_a_kind_that_was_not_asked_for_is_not_loaded_later(site: Site) -> None:
    site.install("good-sinks", {"good": "good_module"}, good_module=GOOD)
    with pytest.raises(PluginError, match="not asked for"):
        Registry.load((), points=site.points).sink_type("good")


def test_one_module_may_offer_two_kinds_by_two_entry_points(site: Site) -> None:
    two = GOOD.replace("yield KIND", "yield KIND\n    yield SinkType(kind='better', options=Options, open=opened)")
    site.install("good-sinks", {"good": "good_module", "better": "good_module"}, good_module=two)
    registry = Registry.load({"good", "better"}, points=site.points)
    assert registry.sink_type("good").kind == "good"
    assert registry.sink_type("better").kind == "better"


# -- plugins that fail


BAD = {
    "import error": ("import nowhere_to_be_found", "ModuleNotFoundError"),
    "syntax error": ("def", "SyntaxError"),
    "exit on import": ("raise SystemExit(3)", "SystemExit"),
    "odd exception on import": ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
    "speechless exception": ("class Mute(Exception):\n  def __str__(self): raise Mute\nraise Mute", "Mute"),
    "no hooks": ("x = 1", "implements no hook"),
    "hook without its mark": ("def blinkarchive_sink_types(): return []", "not marked with @hookimpl"),
    "misspelt hook": (
        "from blinkarchive import hookimpl\n@hookimpl\ndef blinkarchive_sink_type(): pass",
        "no hook blinkarchive_sink_type; did you mean 'blinkarchive_sink_types'",
    ),
    "hook of another name": ("from blinkarchive import hookimpl\n@hookimpl\ndef sink_types(): pass", "unknown hook 'sink_types'"),
    "hook with an unknown argument": (
        "from blinkarchive import hookimpl\n@hookimpl\ndef blinkarchive_run_finished(reprot): pass",
        "reprot",
    ),
    "coroutine as a hook": (
        "from blinkarchive import hookimpl\n@hookimpl\nasync def blinkarchive_run_finished(report): pass",
        "plain functions",
    ),
    "hook that raises": (GOOD.replace("yield KIND", "raise OSError('no such device')"), "OSError: no such device"),
    "hook that raises half-way": (GOOD.replace("yield KIND", "yield KIND\n    raise SystemExit"), "SystemExit"),
    "nothing iterable": (GOOD.replace("yield KIND", "return 5"), "TypeError"),
    "no SinkType": (GOOD.replace("yield KIND", "yield 'good'"), "'good', which is no SinkType"),
    "endless": (GOOD.replace("yield KIND", "while True: yield KIND"), "twice"),
    "bad name of a kind": (GOOD.replace('kind="good"', 'kind="Good One"'), "'Good One' cannot name a kind"),
    "kind that is no text": (GOOD.replace('kind="good"', "kind=5"), "5 cannot name a kind"),
    "kind without an entry point": (GOOD.replace('kind="good"', 'kind="best"'), "no entry point of that name"),
    "options that can change": (GOOD.replace("frozen=True", "frozen=False"), "no frozen dataclass"),
    "options that are a dict": (GOOD.replace("options=Options", "options={}"), "no frozen dataclass"),
    "option called type": (GOOD.replace("port:", "type:"), "called `type`"),
    "option called required": (GOOD.replace("port:", "required:"), "called `required`: that key belongs to every sink"),
    "option called encrypt": (GOOD.replace("port:", "encrypt:"), "called `encrypt`"),
    "options of unknown types": (GOOD.replace("port: int", "port: 'Int'"), "NameError"),
    "open that cannot be called": (GOOD.replace("open=opened", "open=None"), "cannot be called"),
}


@pytest.mark.parametrize(("source", "words"), BAD.values(), ids=BAD)
def test_a_plugin_that_fails_is_named_with_its_package_and_others_work(site: Site, source: str, words: str) -> None:
    site.install("bad-sinks", {"bad": "bad_module"}, bad_module=source.replace('kind="good"', 'kind="bad"'))
    site.install("good-sinks", {"good": "good_module"}, good_module=GOOD)
    registry = Registry.load({"bad", "good"}, points=site.points)
    with pytest.raises(PluginError, match="plugin 'bad' of bad-sinks") as raised:
        registry.sink_type("bad")
    assert words in str(raised.value)
    assert registry.sink_type("good").kind == "good"
    assert {*registry.failures} == {"bad"}


def test_ctrl_c_while_a_plugin_is_imported_is_no_failure_of_the_plugin(site: Site) -> None:
    site.install("slow-sinks", {"slow": "slow_module"}, slow_module="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Registry.load({"slow"}, points=site.points)


def test_of_two_packages_that_offer_one_kind_neither_is_imported(site: Site) -> None:
    site.install("one-sinks", {"good": "one_module"}, one_module=GOOD)
    site.install("two-sinks", {"good": "two_module"}, two_module=GOOD)
    registry = Registry.load({"good"}, points=site.points)
    with pytest.raises(PluginError, match="one-sinks and two-sinks: uninstall all but one"):
        registry.sink_type("good")
    assert not {"one_module", "two_module"} & {*sys.modules}
    assert [bool(info.failure) for info in registry.plugins()] == [True, True]


def test_nobody_can_take_the_place_of_what_ships_with_blinkarchive(site: Site) -> None:
    site.install("blinkarchive", {"good": "own_module"}, own_module=GOOD.replace("A good one.", "Our own."))
    site.install("a-stranger", {"good": "strange_module"}, strange_module=GOOD)
    registry = Registry.load({"good"}, points=site.points)
    assert registry.sink_type("good").help == "Our own."
    assert "strange_module" not in sys.modules
    assert {info.distribution: bool(info.failure) for info in registry.plugins()} == {"a-stranger": True, "blinkarchive": False}


# -- what is told of them


def test_everything_there_is_to_know_of_a_plugin_is_told(site: Site) -> None:
    site.install("good-sinks", {"good": "good_module"}, good_module=GOOD)
    site.install("bad-sinks", {"bad": "bad_module"}, bad_module="import nowhere_to_be_found")
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    bad, ears, good = Registry.load_all(points=site.points).plugins()
    assert (bad.name, bad.distribution, bad.version, bad.kind) == ("bad", "bad-sinks", "1.2", "")
    assert "nowhere_to_be_found" in bad.failure
    assert (ears.kind, ears.hooks, ears.failure) == (
        "",
        ("blinkarchive_alarm", "blinkarchive_clip_stored", "blinkarchive_run_finished"),
        "",
    )
    assert (good.kind, good.help, good.hooks) == ("good", "A good one.", ("blinkarchive_sink_types",))
    assert good.options == (
        OptionInfo(name="url", type="str", required=True, default="", help="where it is"),
        OptionInfo(name="port", type="int", required=False, default="22", help=""),
        OptionInfo(name="secure", type="bool", required=False, default="true", help=""),
        OptionInfo(name="user", type="str | None", required=False, default="", help=""),
        OptionInfo(name="tags", type="tuple[str, ...]", required=False, default='["a", "b"]', help=""),
        OptionInfo(name="folder", type="str", required=False, default='"clips"', help=""),
    )


def test_a_plugin_that_was_not_loaded_is_told_by_name_alone(site: Site) -> None:
    site.install("good-sinks", {"good": "good_module"}, good_module=GOOD)
    (info,) = Registry.load((), points=site.points).plugins()
    assert (info.name, info.distribution, info.kind, info.failure) == ("good", "good-sinks", "", "")


# -- plugins that listen


def test_a_plugin_that_only_listens_is_loaded_by_name(site: Site) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    assert Registry.load(also=["ears"], points=site.points).failures == {}
    assert "listener_module" in sys.modules


def test_a_name_to_load_that_is_not_installed_is_a_failure_like_any_other(site: Site) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    registry = Registry.load(also=["eras"], points=site.points)
    assert "load: no plugin 'eras' is installed; did you mean 'ears'" in str(registry.failures["eras"])
    with pytest.raises(PluginError, match="no plugin 'eras' is installed"):
        registry.sink_type("eras")


def test_a_plugin_that_only_listens_is_no_kind_of_sink(site: Site) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    with pytest.raises(PluginError, match="'ears' of ears offers no sink"):
        Registry.load({"ears"}, points=site.points).sink_type("ears")


async def test_hooks_are_told_the_facts_in_a_thread_of_their_own(site: Site) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    registry = Registry.load(also=["ears"], points=site.points)
    await registry.clip_stored(CLIP, COPY)
    await registry.run_finished(REPORT)
    await registry.alarm(ALARM)
    (clip, copy, thread), report, alarm = listener().heard
    assert (clip, copy, report, alarm) == (CLIP, COPY, REPORT, ("alarm", ALARM))
    assert thread is not threading.current_thread()
    assert registry.troubles == ()


async def test_one_module_behind_two_entry_points_is_told_once(site: Site) -> None:
    site.install("ears", {"left": "listener_module", "right": "listener_module"}, listener_module=LISTENER)
    registry = Registry.load(also=["left", "right"], points=site.points)
    await registry.run_finished(REPORT)
    assert listener().heard == [REPORT]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_a_hook_that_raises_is_told_once_and_after_five_times_called_no_more(site: Site, error: BaseException) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    site.install("deaf", {"deaf": "deaf_module"}, deaf_module=LISTENER)
    registry = Registry.load(also=["deaf", "ears"], points=site.points)

    def fate() -> None:
        raise error

    listener("deaf_module").fate = fate
    for _ in range(STRIKES + 3):
        await registry.clip_stored(CLIP, COPY)
    assert len(listener("deaf_module").heard) == STRIKES
    assert len(listener().heard) == STRIKES + 3
    (trouble,) = registry.troubles
    assert trouble.where == "plugin deaf"
    assert type(error).__name__ in trouble.what
    assert "called no more" in trouble.what


async def test_a_plugin_that_fails_now_and_then_is_called_on(site: Site) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    registry = Registry.load(also=["ears"], points=site.points)
    times = iter(range(100))

    def fate() -> None:
        if next(times) % STRIKES:
            raise ValueError("now and then")

    listener().fate = fate
    for _ in range(4 * STRIKES):
        await registry.run_finished(REPORT)
    assert len(listener().heard) == 4 * STRIKES
    assert "no more" not in registry.troubles[0].what


async def test_a_hook_that_hangs_is_given_up_and_called_no_more(site: Site) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    site.install("stuck", {"stuck": "stuck_module"}, stuck_module=LISTENER)
    registry = Registry.load(also=["ears", "stuck"], points=site.points, deadline=0.02)
    release = threading.Event()
    listener("stuck_module").fate = release.wait
    try:
        for _ in range(STRIKES + 2):
            await registry.run_finished(REPORT)
        assert len(listener("stuck_module").heard) == 1
        assert len(listener().heard) == STRIKES + 2
        assert "took longer than 0.02 s" in registry.troubles[0].what
        stuck = [thread for thread in threading.enumerate() if thread.name == "plugin-stuck"]
        assert [thread.daemon for thread in stuck] == [True]
    finally:
        release.set()


async def test_calls_of_one_plugin_do_not_overlap(site: Site) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    registry = Registry.load(also=["ears"], points=site.points)
    alone = threading.Lock()

    def fate() -> None:
        assert alone.acquire(blocking=False)
        alone.release()

    listener().fate = fate
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(registry.clip_stored(CLIP, COPY))
    assert len(listener().heard) == 20
    assert registry.troubles == ()


async def test_an_alarm_reaches_every_plugin_whatever_another_makes_of_it(site: Site) -> None:
    site.install("ears", {"ears": "listener_module"}, listener_module=LISTENER)
    site.install("deaf", {"deaf": "deaf_module"}, deaf_module=LISTENER)
    registry = Registry.load(also=["deaf", "ears"], points=site.points)

    def fate() -> None:
        raise SystemExit(3)

    listener("deaf_module").fate = fate
    await registry.alarm(ALARM)
    assert listener().heard == [("alarm", ALARM)]
    assert [trouble.where for trouble in registry.troubles] == ["plugin deaf"]
