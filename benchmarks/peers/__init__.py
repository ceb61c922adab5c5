"""Other tools at the same work: how each is installed, and what it is told to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.cloud import Cloud
from benchmarks.measure import CannotRun, Command, Ran, Rival

HERE = Path(__file__).parent
INSTALLED = HERE.parent / ".peers"
BLINKPY = "blinkpy==0.25.9"
AWSCLI = "awscli==1.46.3"


def needs(program: str) -> None:
    """Raises `CannotRun` when a program is not on this machine. What belongs to the system, its owner installs."""
    if shutil.which(program) is None:
        raise CannotRun(f"there is no `{program}` here (Debian, Ubuntu: apt install {program})")


def version(*argv: str) -> str:
    """The first two words a program says of itself: its name and its version; "" when it is not there."""
    try:
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return " ".join(said.split()[:2])


def curl(cloud: Cloud, *, at_once: int = 16, then: str = "", kept: bool = True) -> Rival:
    """curl, given the addresses and the token, so that it lists nothing; `then` is more shell, in the folder of the clips."""
    needs("curl")

    def ready(folder: Path) -> Command:
        names = [f"{number}.mp4" if kept else os.devnull for number in range(cloud.clips)]
        wanted = [f'url = "{cloud.url}{path}"\noutput = "{name}"' for name, path in zip(names, cloud.paths(), strict=True)]
        orders = folder / "curl.config"
        orders.touch(mode=0o600)
        orders.write_text(
            f'header = "Authorization: Bearer {cloud.token}"\nfail\nsilent\nshow-error\n' + "\n".join(wanted) + "\n"
        )
        fetch = f"curl --parallel --parallel-immediate --parallel-max {at_once} --config ../curl.config"
        clips = folder / "clips"
        clips.mkdir()
        return Command(argv=["sh", "-ec", f"cd '{clips}'; {fetch}{'; ' + then if then else ''}"])

    def check(folder: Path, ran: Ran) -> None:
        if kept:
            cloud.all_are_under(folder, ran)

    told = f"{', then ' + then if then else ''}{'' if kept else ', kept nowhere'}"
    return Rival(name=f"curl {at_once}{told}", ready=ready, check=check)


def curl_hashed(cloud: Cloud) -> Rival:
    """curl, then what an archive owes besides: a hash of every clip, and all of it flushed to the disk."""
    needs("openssl")
    return curl(cloud, then="openssl dgst -sha256 *.mp4 > sums; sync")


def blinkpy(cloud: Cloud, *, delay: int = 0) -> Rival:
    """blinkpy's own `download_videos`, unmodified; only its addresses are led to the simulator."""
    python = _blinkpy_python()

    def ready(folder: Path) -> Command:
        clips = folder / "clips"
        clips.mkdir()
        call: list[str | Path] = [python, HERE / "blinkpy_download.py", cloud.url, str(cloud.account_id), clips, str(delay)]
        return Command(argv=call, env={"TOKEN": cloud.token})

    return Rival(name=f"blinkpy, delay {delay}", ready=ready, check=cloud.all_are_under)


def blinkpy_stick(cloud: Cloud) -> Rival:
    """blinkpy's own manifest, upload and download of a stick's clips, unmodified and with its own waits."""
    python = _blinkpy_python()

    def ready(folder: Path) -> Command:
        clips = folder / "clips"
        clips.mkdir()
        where = (str(cloud.account_id), str(cloud.network_id), str(cloud.module_id))
        return Command(argv=[python, HERE / "blinkpy_stick.py", cloud.url, *where, clips], env={"TOKEN": cloud.token})

    return Rival(name="blinkpy, stick", ready=ready, check=cloud.all_came)


def aws() -> Path:
    """The AWS CLI's program."""
    return _installed("awscli", AWSCLI) / "aws"


def _blinkpy_python() -> Path:
    return _installed("blinkpy", BLINKPY) / "python"


def _installed(name: str, requirement: str) -> Path:
    """The programs of an environment of its own that holds a package: made once."""
    home = INSTALLED / name
    mark = home / requirement
    if not mark.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        pip: list[str | Path] = [home / "bin" / "python", "-m", "pip", "--quiet", "install", requirement]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotRun(f"{requirement} could not be installed: {done.stderr.strip()[-300:]}")
        mark.touch()
    return home / "bin"
