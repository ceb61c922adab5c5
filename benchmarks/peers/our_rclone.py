"""`our_rclone.py FOLDER REMOTE CONFIG TRANSFERS`: every file of a folder through the rclone sink, looked at as a run does."""

import asyncio
import hashlib
import sys
from pathlib import Path

from blinkarchive import Content, Key
from blinkarchive_rclone import RcloneOptions, open_rclone


async def main(folder: Path, remote: str, config: Path, transfers: int) -> int:
    options = RcloneOptions(remote=remote, config=config, transfers=transfers)
    places = asyncio.Semaphore(16)  # as many as the archive puts at a time
    unknown = hashlib.sha256().hexdigest()  # a run knows it since it fetched the clip; rclone compares with the file

    async with open_rclone(options) as sink:

        async def store(path: Path) -> None:
            async with places:
                content = Content(path=path, size=path.stat().st_size, sha256=unknown)
                await sink.put(Key(path.name), content)
                stored = await sink.stat(Key(path.name))
                assert stored is not None
                assert stored.size == content.size

        # As a run does first: it leaves its marker.
        marker = folder.parent / "marker"
        marker.write_bytes(b"{}")
        await sink.put(Key(".blinkarchive-sink"), Content(path=marker, size=2, sha256=hashlib.sha256(b"{}").hexdigest()))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(store(path)) for path in folder.iterdir()]
    return len(tasks)


if __name__ == "__main__":
    print(asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
