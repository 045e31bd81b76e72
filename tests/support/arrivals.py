"""A program that puts files into a folder in all the ways that others do, while it is watched.

It leaves beside the folder what is to become of them. `python arrivals.py FOLDER`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).parent))
sys.path.insert(0, os.fspath(Path(__file__).parents[2]))

from watched import digests, instance

PAUSE = 0.25  # seconds, longer than it takes a file to settle


def slowly(path: Path, data: bytes) -> None:
    """Write with pauses in which the file looks complete, but for what it declares."""
    with path.open("wb") as file:
        for start in range(0, len(data), len(data) // 3):
            file.write(data[start : start + len(data) // 3])
            file.flush()
            time.sleep(PAUSE)


def reopened(path: Path, data: bytes) -> None:
    """Write in parts, with the file closed in between."""
    path.write_bytes(data[:3000])
    time.sleep(PAUSE)
    with path.open("ab") as file:
        file.write(data[3000:])


def preallocated(path: Path, data: bytes) -> None:
    """Give the file its size first, and write it from the end."""
    with path.open("wb") as file:
        file.truncate(len(data))
        time.sleep(PAUSE / 3)
        file.seek(1000)
        file.write(data[1000:])
        file.flush()
        time.sleep(PAUSE / 3)
        file.seek(0)
        file.write(data[:1000])


def as_rsync(path: Path, data: bytes) -> None:
    """Write to a hidden name beside, set the time, and rename."""
    temporary = path.with_name(f".{path.name}.x7Gh2p")
    slowly(temporary, data)
    os.utime(temporary, (1_000_000_000, 1_000_000_000))
    temporary.rename(path)


def as_browser(path: Path, data: bytes) -> None:
    """Write to another name and rename, half way to the wrong one."""
    temporary = path.with_name(f"{path.name}.unfinished.part")
    temporary.write_bytes(data[:4000])
    time.sleep(PAUSE)
    temporary.write_bytes(data)
    temporary.rename(path)


def truncated(path: Path, data: bytes) -> None:
    """Write whole, and cut it."""
    path.write_bytes(data)
    os.truncate(path, 4000)


def main(inbox: Path) -> None:
    """Do all of it at once."""
    outside = inbox.parent / "outside"
    outside.mkdir()
    good = [instance(number, study=number % 3) for number in range(12)]
    ways = [slowly, reopened, preallocated, as_rsync, as_browser]
    threads = [
        threading.Thread(target=way, args=(inbox / f"{way.__name__}.dcm", data))
        for way, data in zip(ways, good, strict=False)
    ]
    threads.append(threading.Thread(target=truncated, args=(inbox / "cut", instance(99))))
    for thread in threads:
        thread.start()

    (outside / "renamed").write_bytes(good[5])
    (outside / "renamed").rename(inbox / "renamed")
    (outside / "linked").write_bytes(good[6])
    os.link(outside / "linked", inbox / "linked")

    tree = outside / "tree" / "deep" / "deeper"
    tree.mkdir(parents=True)
    for number in (7, 8):
        (tree / f"{number}").write_bytes(good[number])
    (outside / "tree").rename(inbox / "tree")  # with all that is in it

    shutil.copytree(inbox / "tree", inbox / "copied")  # the same instances once more
    deep = inbox / "/".join("abcdefghij" * 3)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(good[9])

    shutil.move(inbox / "renamed", inbox / "renamed again")
    (inbox / "back").mkdir()
    (inbox / "back" / "file").write_bytes(good[10])
    (inbox / "back").rename(outside / "back")
    (outside / "back").rename(inbox / "back")
    (inbox / "gone").write_bytes(good[11])
    (inbox / "gone").rename(inbox / "tree" / "gone")
    for thread in threads:
        thread.join()
    told = {"taken": digests(good), "bad": {"cut": "rejected"}}
    inbox.with_name(f"{inbox.name}.expected").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
