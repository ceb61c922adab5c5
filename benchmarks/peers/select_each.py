"""gallery-dl's way to know what it has: a table of ids, asked once an id. Prints the seconds from file to answer."""

import sqlite3
import sys
import time
from pathlib import Path


def main(archive: str, wanted: str) -> None:
    ids = Path(wanted).read_text().split()
    began = time.perf_counter()
    with sqlite3.connect(archive, timeout=60, check_same_thread=False) as connection:
        cursor = connection.cursor()
        lacking = []
        for id in ids:
            cursor.execute("SELECT 1 FROM archive WHERE entry=? LIMIT 1", (id,))
            if not cursor.fetchone():
                lacking.append(id)
    print(time.perf_counter() - began, len(lacking))


if __name__ == "__main__":
    main(*sys.argv[1:])
