"""P9: files of 1 MB into a bucket of a real S3 server on loopback: by our sink, each proven as in a run; by `rclone copy`; and by
`aws s3 cp --recursive`.

All put 16 at once. rclone takes an MD5 of each file and looks at each object afterwards, as it does by itself; the AWS CLI sends
a checksum of its own choice and looks at nothing; we send the SHA-256 that is known since a clip was fetched, and ask the server
for the one it has. The server, SeaweedFS, shares the cores.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import peers, servers
from benchmarks.bench import Bench
from benchmarks.measure import MB, CannotRun, Command, take_turns
from benchmarks.report import Measure, Row, Told
from benchmarks.servers import AT_ONCE
from tests.seaweed import ACCESS_KEY_ID, SECRET_ACCESS_KEY

OUR_SINK = Path(__file__).parent.parent / "peers" / "our_sink.py"
US, RCLONE, AWS = "we", f"rclone copy with {AT_ONCE} transfers", f"aws s3 cp --recursive with {AT_ONCE}"
TARGETS: dict[str, dict[Measure, float]] = {RCLONE: {"wall": 0.9, "cpu": 0.8}}
WHY = (
    "The server binds: of the 12 ms that two cores have while an object is stored it takes 8 to 10, whoever brings it, with a "
    "hash and `If-None-Match` or without. Of our processor time 0.3 s are the start, most of it boto3 and its description of S3, "
    "where rclone needs 0.05; then it is 3.3 ms an object, 2 to put it and 1.3 to look at what is there, nearly all of that "
    "boto3's own. We hash nothing, and ask nothing twice. Fewer threads, and no `Expect: 100-continue`, made no difference."
)


def measure(bench: Bench) -> Iterator[Row | Told]:
    with servers.s3(bench.scratch) as server:
        source = servers.filled(bench.scratch / "source", bench.files)
        listed = bench.scratch / "listed.json"
        sums = [(str(file), MB, hashlib.sha256(file.read_bytes()).hexdigest()) for file in sorted(source.iterdir())]
        listed.write_text(json.dumps(sums))

        def ours(folder: Path) -> Command:
            return Command(
                argv=[sys.executable, OUR_SINK, listed, server.seaweed.url, server.bucket(folder)],
                env={"KEY": ACCESS_KEY_ID, "SECRET": SECRET_ACCESS_KEY},
            )

        commands: dict[str, Callable[[Path], Command]] = {US: ours, RCLONE: lambda folder: server.rclone(source, folder, AT_ONCE)}
        try:
            peers.aws()
        except CannotRun as reason:
            yield Told(road="P9", what=f"not raced against the AWS CLI: {reason}")
        else:
            commands[AWS] = lambda folder: server.aws(source, folder, AT_ONCE)
        rivals = [servers.rival(name, server, command, bench.files) for name, command in commands.items()]
        rounds = take_turns(rivals, bench.pairs, bench.scratch)
    for other in rounds:
        if other != US:
            what = f"{bench.files} x 1 MB into SeaweedFS: {US} / {other}"
            yield from Row.of_whole_race(rounds, US, other, road="P9", what=what, targets=TARGETS.get(other), why=WHY)
