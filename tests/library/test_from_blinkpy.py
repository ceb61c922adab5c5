"""Who comes from blinkpy finds what the page promises, and their script runs with its import lines replaced."""

from __future__ import annotations

import ast
import contextlib
import inspect
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import blinkarchive.blink
from blinkarchive import errors
from blinkarchive.blink import Auth, Blink, BlinkCamera, BlinkSyncModule, LocalStorageMediaItem, wire
from blinkarchive.simulator import Running, World
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, SyncModulePlan, WorldPlan
from tests.library.conftest import served_beside

PAGE = (Path(__file__).parents[2] / "docs" / "from-blinkpy.md").read_text()
SCRIPT = Path(__file__).parent / "scripts" / "moved_over.py"
ROWS = [
    (theirs, ours, why)
    for theirs, ours, why in re.findall(r"^\| (.+?) \| (.+?) \|(.*)\|$", PAGE.partition("## Blink")[2], re.MULTILINE)
    if theirs not in ("blinkpy", "---")
]

THEIRS = {
    "Blink": """
        account_id auth available cameras check_if_ok_to_update client_id do_http_get download_videos get_homescreen
        get_status get_videos_metadata homescreen last_refresh merge_cameras motion_interval network_ids networks
        no_owls prompt_2fa refresh refresh_rate save send_2fa_code set_status setup_camera_list setup_lotus
        setup_network_ids setup_networks setup_owls setup_post_verify setup_sync_module setup_urls start sync urls
        user_id validate_homescreen version video_list
    """,
    "Auth": """
        account_id callback client_id complete_2fa_login data expiration_date expires_in extract_login_info
        extract_tier_info get_tier_info hardware_id header host is_errored login login_attributes login_response
        logout need_refresh no_prompt query refresh_token refresh_tokens region_id session startup tier_info token
        user_id validate_login validate_response
    """,
    "BlinkCamera": """
        arm async_arm async_set_floodlight async_set_night_vision attributes battery battery_check_time
        battery_level battery_state battery_voltage camera_id camera_type clip expire_recent_clips
        extract_config_info floodlight_enabled get_liveview get_media get_sensor_info get_thumbnail get_video_clip
        image_from_cache image_to_file init_livestream last_record motion_detected motion_enabled name network_id
        night_vision online product_type recent_clips record save_recent_clips serial set_motion_detect snap_picture
        status sync sync_signal_strength temperature temperature_c temperature_calibrated thumbnail update
        update_images version video_from_cache video_to_file wifi_strength
    """,
    "BlinkSyncModule": """
        arm async_arm attributes available blink camera_list cameras check_new_video_time check_new_videos events
        get_camera_info get_events get_network_info get_unique_info host last_records local_storage
        local_storage_manifest_ready motion motion_interval name network_id network_info online
        poll_local_storage_manifest refresh region_id serial start status summary sync_id sync_initialize
        type_key_map update_cameras update_local_storage_manifest urls version
    """,
    "LocalStorageMediaItem": """
        cmp_key created_at delete_video download_video download_video_delete id name prepare_download size url
    """,
}
"""The public names of blinkpy 0.26, by class."""

ALONE = """
    BlinkCameraMini BlinkDoorbell BlinkOwl BlinkLotus BlinkLiveStream BlinkSetupError TokenRefreshFailed LoginError
    BlinkBadResponse BlinkTwoFARequiredError UnauthorizedError BlinkException BlinkAuthenticationException
    BlinkURLHandler Throttle json_load json_save json_dumps gen_uid time_to_seconds get_time merge_dicts
    prompt_login_data prompt_2fa_data validate_login_data local_storage_clip_url_template backoff_seconds
    to_alphanumeric
"""
"""Those that belong to no class of these."""


def example(name: str) -> object:
    """A thing of ours of this class."""
    blink = Blink(auth=Auth())
    sync = BlinkSyncModule(blink, wire.Network(id=1), None)
    camera = BlinkCamera(sync, wire.Camera(id=1, network_id=1))
    clip = wire.LocalClip(id=1, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    manifest = wire.Manifest(id=1, clips=(clip,), malformed=())
    item = LocalStorageMediaItem(sync=sync, manifest=manifest, clip=clip, camera=camera)
    found = {type(each).__name__: each for each in (blink, blink.auth, sync, camera, item)}
    return found[name]


def exists(name: str) -> bool:
    of, _, attribute = name.partition(".")
    if not attribute:
        return hasattr(blinkarchive.blink, of)
    return attribute in dir(example(of))


def spelt(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


@pytest.mark.parametrize("ours", sorted({name for _, cell, _ in ROWS for name in spelt(cell)}))
def test_every_name_the_page_has_here_exists(ours: str) -> None:
    assert exists(ours)


def test_no_name_that_exists_is_said_to_be_missing() -> None:
    missing = [name for theirs, ours, _ in ROWS if ours == "–" for name in spelt(theirs) if not name.startswith("blinkpy")]
    assert len(missing) > 40
    assert [name for name in missing if exists(name)] == []


def test_every_public_name_of_blinkpy_is_on_the_page() -> None:
    told = {name for theirs, _, _ in ROWS for name in spelt(theirs)}
    names = {*THEIRS, *ALONE.split(), *(f"{of}.{name}" for of, names in THEIRS.items() for name in names.split())}
    assert names - told == set()
    assert told - names == {"Auth.send_auth_key", "blinkpy.api"}


def test_an_error_has_blinkpys_name_and_ours() -> None:
    for theirs, ours in re.findall(r"^\| `(\w+)` \| `\w+` \| our `(\w+)`", PAGE, re.MULTILINE):
        assert getattr(blinkarchive.blink, theirs) is getattr(errors, ours)
    assert issubclass(errors.CodeNeeded, errors.LoginNeeded)
    assert issubclass(errors.TokenRevoked, errors.LoginNeeded)


def test_the_same_arguments_are_taken_in_the_same_order() -> None:
    taken: dict[Callable[..., Any], str] = {
        Blink: "refresh_rate motion_interval no_owls session",
        Auth: "login_data no_prompt session agent app_build callback",
        Blink.refresh: "self force force_cache",
        Blink.download_videos: "self path since camera stop delay debug filename_format",
        Blink.get_videos_metadata: "self since camera stop",
        Blink.set_status: "self data_dict",
        Blink.save: "self file_name",
        BlinkCamera.async_arm: "self value",
        BlinkCamera.set_motion_detect: "self value",
        BlinkCamera.async_set_night_vision: "self value",
        BlinkCamera.async_set_floodlight: "self enable",
        BlinkCamera.get_media: "self media_type",
        BlinkCamera.get_thumbnail: "self url",
        BlinkCamera.get_video_clip: "self url",
        BlinkCamera.image_to_file: "self path",
        BlinkCamera.video_to_file: "self path",
        BlinkCamera.save_recent_clips: "self output_dir file_pattern",
        BlinkCamera.expire_recent_clips: "self delta",
        BlinkSyncModule.async_arm: "self value",
        LocalStorageMediaItem.prepare_download: "self blink max_retries",
        LocalStorageMediaItem.download_video: "self blink file_name max_retries",
        LocalStorageMediaItem.delete_video: "self blink max_retries",
        LocalStorageMediaItem.download_video_delete: "self blink file_name max_retries",
    }
    for call, names in taken.items():
        found = [name for name, each in inspect.signature(call).parameters.items() if each.kind is not each.KEYWORD_ONLY]
        assert found == names.split(), call


# A script


def moved_over() -> str:
    """The script with its import lines replaced as the page says, and nothing else."""
    text = SCRIPT.read_text()
    moved = re.sub(r"^from blinkpy\.[\w.]+ import", "from blinkarchive.blink import", text, flags=re.MULTILINE)
    assert [one for one, other in zip(text.splitlines(), moved.splitlines(), strict=True) if one != other] == [
        line for line in text.splitlines() if line.startswith("from blinkpy.")
    ]
    assert "blinkpy" not in {name.split(".")[0] for name in imported(moved)}
    return moved


def imported(text: str) -> set[str]:
    return {node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}


@pytest.fixture
def world() -> World:
    """A house on the machine's own clock whose commands take no time: another process asks it."""
    home = NetworkPlan(
        name="Home",
        armed=False,
        sync_modules=(SyncModulePlan(),),
        cameras=(CameraPlan(name="Front Door"), CameraPlan(name="Kitchen", type="owl", enabled=False)),
    )
    person = AccountPlan(username="owner@example.org", password="open-sesame-42", networks=(home,), clips=6)
    until = datetime(2026, 7, 1, tzinfo=UTC)
    world = World(WorldPlan(until=until, clip_bytes=(8_000, 20_000), accounts=(person,)))
    world.rules.command_time = 0.0
    return world


def run(cloud: Running, folder: Path, answers: dict[str, str]) -> tuple[int, str]:
    """Run the script at a terminal where these questions are answered. Gives its exit code and what was shown."""
    script = folder / "moved_over.py"
    script.write_text(moved_over())
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-W", "error", str(script), str(folder)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "BLINKARCHIVE_API_URL": cloud.url, "BLINKARCHIVE_OAUTH_URL": cloud.url},
        start_new_session=True,
    )
    os.close(theirs)
    shown, left = "", dict(answers)
    with contextlib.suppress(OSError), program:  # the terminal's end is an error on Linux
        while data := os.read(ours, 4000):
            shown += data.decode()
            for question in [question for question in left if shown.endswith(question)]:
                os.write(ours, f"{left.pop(question)}\n".encode())
    os.close(ours)
    return program.returncode, shown


def test_a_script_of_blinkpys_runs_with_its_import_lines_replaced(world: World, tmp_path: Path) -> None:
    account = world.account
    answers = {"Username: ": account.username, "Password: ": account.password, "has sent: ": account.code}
    with served_beside(world) as cloud:
        code, shown = run(cloud, tmp_path, answers)
        assert code == 0, shown
        assert "Unclosed" not in shown
        assert "Home: armed=True online=True" in shown
        assert "Front Door: catalina ok 20.0 2026-" in shown
        assert f"6 clips, account {account.id}" in shown
        assert account.networks[0].armed
        assert all(camera.enabled for camera in account.cameras)
        assert {path.read_bytes() for path in (tmp_path / "clips").iterdir()} == {clip.film() for clip in account.clips}
        pictures = list(tmp_path.glob("*.jpg"))
        assert len(pictures) == 2
        assert all(path.read_bytes().startswith(b"\xff\xd8\xff") for path in pictures)
        filmed = {clip.camera for clip in account.clips}
        assert len(list(tmp_path.glob("*.mp4"))) == len(filmed)
        kept = json.loads((tmp_path / "credentials.json").read_text())
        assert (kept["username"], kept["account_id"], "password" in kept) == (account.username, account.id, False)

        code, shown = run(cloud, tmp_path, {})  # the second night: nobody is there, and nobody is asked
        assert code == 0, shown
        assert len(cloud.seen("POST", "/oauth/v2/signin")) == 1
        assert len(cloud.seen("GET", ".mp4")) == 6 + 4 * len(filmed)  # none of the six was fetched again
