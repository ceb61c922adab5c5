"""yt-dlp's way to know what it has: a text file of ids, read into a set at the start. Prints the seconds from file to answer."""

import sys
import time
from pathlib import Path


def main(archive: str, wanted: str) -> None:
    ids = Path(wanted).read_text().split()
    began = time.perf_counter()
    have = set()
    with open(archive, encoding="utf-8") as lines:
        for line in lines:
            have.add(line.strip())
    lacking = [id for id in ids if id not in have]
    print(time.perf_counter() - began, len(lacking))


if __name__ == "__main__":
    main(*sys.argv[1:])
