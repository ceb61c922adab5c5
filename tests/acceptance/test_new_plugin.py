"""From nothing to a published plugin, as docs/writing-a-sink.md tells it: with what an owner would install, in an environment
of its own, and at the end with clips in the new sink.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import Houses
from tests.sinks.page import commands, configs

ROOT = Path(__file__).parents[2]
HOME = os.environ.get("HOME", "/")
"""The owner's: what was downloaded once is kept there."""

UV = Path(sys.executable).with_name("uv")
CERTIFICATES = any(
    map(os.path.exists, ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"))
)
CLIPS = 3

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Author:
    """Somebody with an environment that has what an owner would install, and with an empty folder."""

    environment: Path
    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "blinkarchive-attic"

    def program(self, name: str) -> Path:
        return self.environment / "bin" / name

    def uv(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run uv, which installs into that environment."""
        options = ["--no-config"]
        options += ["--system-certs"] if CERTIFICATES else []
        options += [] if os.access(HOME, os.W_OK) else ["--no-cache"]
        return self._run([UV, *options, *arguments])

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run commands as they would be typed, up to the first that fails."""
        return self._run(["bash", "-e", "-o", "pipefail", "-c", script])

    def _run(self, command: list[str | Path]) -> subprocess.CompletedProcess[str]:
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV", "UV_"))
        }
        env |= {"HOME": HOME, "VIRTUAL_ENV": str(self.environment), "PATH": f"{self.environment / 'bin'}:{os.environ['PATH']}"}
        env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never"}
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=200)


def well(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said that went well."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def author(tmp_path_factory: pytest.TempPathFactory) -> Author:
    """An author with this blinkarchive, from its wheel."""
    place = tmp_path_factory.mktemp("author")
    author = Author(environment=place / "environment", folder=place / "work")
    author.folder.mkdir()
    well(author.uv("venv", "--python", sys.executable, author.environment))
    asked = author.uv("pip", "install", "--refresh-package", "pip", "pip", "hatchling")
    if asked.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"PyPI could not be asked: {asked.stderr}", pytrace=False)
        pytest.skip(f"PyPI could not be asked: {asked.stderr}")
    well(author.uv("build", "--wheel", "--quiet", "--out-dir", place / "wheel", ROOT))
    well(author.uv("pip", "install", *(place / "wheel").glob("*.whl")))
    return author


async def test_what_the_page_tells_an_author_leads_to_a_plugin_that_archives(author: Author, house_of: Houses) -> None:
    said = well(author.shell("\n".join(f"echo '$' {shlex.quote(command)}\n{command}" for command in commands())))
    assert f"blinkarchive-attic/{Path('blinkarchive_attic') / 'store.py'}\n" in said
    assert re.search(r"^=+ \d{2} passed in", said, re.MULTILINE), said
    assert re.search(r"^attic +blinkarchive-attic +0\.1\.0 +ok +A folder\.$", said, re.MULTILINE), said

    [wheel] = (author.project / "dist").glob("*.whl")
    assert (author.project / "dist" / "blinkarchive_attic-0.1.0.tar.gz").is_file()
    well(author.uv("pip", "install", "--reinstall-package", "blinkarchive-attic", wheel))
    where = well(author.shell("python -c 'import blinkarchive, blinkarchive_attic; print(blinkarchive, blinkarchive_attic)'"))
    assert where.count("site-packages") == 2
    again = well(author.shell(f"cd {author.project} && pytest -q -k 'it_is_a_sink or damaged or second_put'"))
    assert "passed" in again

    async with house_of(World.from_seed(3, clips=CLIPS)) as house:
        house.command = author.program("blinkarchive")
        (house.folder / "attic").mkdir()
        text = house.config.read_text().partition("[sink.")[0]
        house.config.write_text(text + configs()[0].replace("/mnt/attic", str(house.folder / "attic")))
        ended = await house("run", "--json")
        assert (ended.code, ended.counts) == (0, (CLIPS, 0, CLIPS, 0, 0, 0)), ended.err
        assert ended.report["sinks"]["roof"]["stored"] == CLIPS
        assert (await house("run", "--json")).report["stored"] == 0
        [attic] = [plugin for plugin in (await house("plugins", "--json")).report["plugins"] if plugin["name"] == "attic"]
        assert (attic["distribution"], attic["kind"], attic["failure"]) == ("blinkarchive-attic", "attic", "")
        stored = sum(b".mp4" in file.read_bytes().partition(b"\n")[0] for file in (house.folder / "attic" / "objects").iterdir())
        assert stored == CLIPS
