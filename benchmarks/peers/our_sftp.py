"""Put the files of a folder into our SFTP sink, 16 at a time, as the archive does.

Arguments: the folder, the server's port, the folder there, the private key, the file of known hosts, how many connections.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import sys
from pathlib import Path

from blinkarchive import Content, Key
from blinkarchive_sftp import SftpOptions, open_sftp

AT_ONCE = 16


async def main(folder: str, port: str, there: str, key: str, known_hosts: str, connections: str) -> None:
    options = SftpOptions(
        host="127.0.0.1",
        port=int(port),
        path=there,
        username=getpass.getuser(),
        key=Path(key),
        known_hosts=Path(known_hosts),
        connections=int(connections),
    )
    files = iter(sorted(Path(folder).iterdir()))
    unknown = hashlib.sha256().hexdigest()  # the sink tells no hash, and asks for none

    async with open_sftp(options) as sink, asyncio.TaskGroup() as group:

        async def work() -> None:
            for file in files:
                await sink.put(Key(file.name), Content(path=file, size=file.stat().st_size, sha256=unknown))

        for _ in range(AT_ONCE):
            group.create_task(work())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
