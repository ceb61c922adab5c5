"""One run at a time."""

import os
from pathlib import Path

import pytest

from blinkarchive.errors import ArchiveBusy, ArchiveError
from blinkarchive.pipeline.lock import held


def test_a_second_run_is_told_who_holds_the_archive_and_may_have_it_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held(lock), pytest.raises(ArchiveBusy, match=f"process {os.getpid()}"), held(lock):
        pass
    with held(lock):
        pass


def test_a_lock_file_of_a_dead_process_holds_nobody_back(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    child = os.fork()
    if child == 0:
        manager = held(lock)
        manager.__enter__()
        os._exit(0)
    os.waitpid(child, 0)
    assert lock.read_text().strip() == str(child)
    with held(lock):
        assert lock.read_text().strip() == str(os.getpid())


def test_a_lock_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="No such file"), held(tmp_path / "missing" / "lock"):
        pass
