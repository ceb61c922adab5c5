"""`run` behind a proxy that opens TLS connections, and with clips whose addresses lead elsewhere."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from blinkarchive.simulator import Simulator, World
from tests.acceptance.conftest import House, Houses, films


def configure(house: House, more: str) -> None:
    house.configure()
    text = house.config.read_text()
    house.config.write_text(text.replace("[account.a0]\n", f"[account.a0]\n{more}\n"))


async def test_ca_file_names_whom_blinks_servers_are_trusted_by(tmp_path: Path) -> None:
    world = World.from_seed(3, clips=3, clip_bytes=(8_000, 9_000))
    world.account.second_factor = "none"
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "empty.pem").touch()
    async with Simulator(world).serving(tls=context) as cloud:
        house = House(tmp_path, cloud)
        for wrong, said in (
            ("", "no safe connection"),
            ('ca_file = "nowhere.pem"', "ca_file: "),
            ('ca_file = "empty.pem"', "holds no certificate"),
        ):
            configure(house, wrong)
            ended = await house("run", "--json")
            assert ended.code == 3
            [trouble] = ended.report["troubles"]
            assert trouble["where"] == "account a0"
            assert said in trouble["what"]
        checked = await house("doctor")
        assert "correct ca_file" in checked.out

        (tmp_path / "state" / "accounts" / "a0" / "tokens.attempt.json").unlink()  # of the first run
        configure(house, 'ca_file = "ca.pem"')
        assert (await house("run")).code == 0
        assert set(house.clips().values()) == films(world)
        checked = await house("doctor")
        assert checked.code == 0, checked.out


async def test_a_clip_that_leads_into_the_own_network_costs_itself_alone(house_of: Houses) -> None:
    world = World.from_seed(3, clips=5, clip_bytes=(8_000, 9_000))
    world.account.second_factor = "none"
    bad = world.account.clips[2]
    async with house_of(world) as house:
        for to in ("https://192.168.1.1/admin", "https://169.254.169.254/latest", house.cloud.url.replace("http", "https")):
            world.faults.clear()
            world.faults.add("media.redirect", clip=bad.id, to=to, times=0)
            ended = await house("run", "--json")
            assert ended.code == 3
            assert any("public internet" in trouble["what"] for trouble in ended.report["troubles"]), ended.report["troubles"]
        assert len(house.clips()) == 4
        world.faults.clear()
        assert (await house("run")).code == 0
        assert set(house.clips().values()) == films(world)
