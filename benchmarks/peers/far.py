"""A wire to a port of this machine that takes its time: every byte arrives so many milliseconds later, in each direction.

Arguments: the port, and the milliseconds. Prints the port it listens on, and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import sys

BUFFERED = 64 * 1024 * 1024


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    sent: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await sent.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    async with asyncio.TaskGroup() as group:
        group.create_task(arrive())
        data = b"."
        while data:
            data = await reader.read(262_144)
            sent.put_nowait((loop.time() + delay, data))


async def main(port: int, delay: float) -> None:
    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port, limit=BUFFERED)
        await asyncio.gather(carry(reader, back, delay), carry(there, writer, delay), return_exceptions=True)

    server = await asyncio.start_server(through, "127.0.0.1", 0, limit=BUFFERED)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000))
