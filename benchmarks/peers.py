"""The peers: which are installed, and what is asked of each.

The functions on pydicom and dicomsdl are run in a process of their own.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import UUID

from pydicom import dcmread
from pydicom.fileset import FileSet

from benchmarks.inputs import events_of_instances
from benchmarks.measuring import Cost, command, passes, resident, timed
from ledger.journal import codec


def versions() -> dict[str, str | None]:
    """Return the version of each peer, `None` for one that is not installed."""
    return {
        "pydicom": importlib.metadata.version("pydicom"),
        "dicomsdl": _distribution("dicomsdl"),
        "dcmmkdir": _line("dcmmkdir", "--version"),
        "eventsourcing": _distribution("eventsourcing"),
        "cp": _line("cp", "--version"),
        "xorriso": _line("xorriso", "--version"),
        "cat": _line("cat", "--version"),
        "zip": _line("zip", "-v", number=1),
        "unzip": _line("unzip", "-v"),
        "mcopy": _line("mcopy", "--version"),
    }


def _distribution(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _line(program: str, option: str, *, number: int = 0) -> str | None:
    if shutil.which(program) is None:
        return None
    run = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return "".join(run.stdout.split("\n")[number : number + 1]).strip(" $") or "of unknown version"


# --- journals of events --------------------------------------------------------------------------


def plain_chain(database: Path, count: int, times: int) -> list[Cost]:
    """Append so many events, so many times, to a table of SQLite with a hash chain, durable.

    Their payloads are bytes already.
    """
    payloads = [codec.encode(event, "0" * 16) for event in events_of_instances(count)]

    def rows(first: int) -> Iterator[tuple[int, bytes, bytes]]:
        link = b""
        for position, payload in enumerate(payloads, first):
            link = hashlib.sha256(link + payload).digest()
            yield position, payload, link

    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE event (position INTEGER PRIMARY KEY, payload BLOB, hash BLOB)")

        def append(first: int) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO event VALUES (?, ?, ?)", rows(first))
            db.execute("COMMIT")

        return [timed(partial(append, n * count))[0] for n in range(times)]


def eventsourcing(database: Path, count: int, times: int) -> list[Cost]:
    """Do the same with the recorder of the `eventsourcing` library, which has no chain."""
    persistence = importlib.import_module("eventsourcing.persistence")  # seldom installed
    sqlite = importlib.import_module("eventsourcing.sqlite")
    payloads = [codec.encode(event, "0" * 16) for event in events_of_instances(count)]
    recorder = sqlite.SQLiteAggregateRecorder(sqlite.SQLiteDatastore(str(database)))
    recorder.create_table()
    origin = UUID(int=1)

    def append(first: int) -> None:
        recorder.insert_events(
            [
                persistence.StoredEvent(origin, position, "instance-added", payload)
                for position, payload in enumerate(payloads, first)
            ]
        )

    return [timed(partial(append, n * count))[0] for n in range(times)]


# --- pydicom -------------------------------------------------------------------------------------


def pydicom_add(folder: Path, count: int) -> Cost:
    """Add the first `count` files of a folder one by one, which is the only way there is."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())[:count]
    fs = FileSet()

    def add() -> None:
        for path in paths:
            fs.add(path)

    cost, _ = timed(add)
    return cost


def pydicom_correct(folder: Path, corrected: Path) -> Cost:
    """Read, change and save each instance of a folder; nothing of it is flushed."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    corrected.mkdir()

    def correct() -> None:
        for number, path in enumerate(paths):
            ds = dcmread(path)
            ds.PatientName = "Right^Name"
            ds.save_as(corrected / str(number))

    return timed(correct)[0]


def pydicom_load(dicomdir: Path) -> Cost:
    """Load a DICOMDIR."""
    return timed(lambda: FileSet(dicomdir))[0]


def pydicom_change_id(dicomdir: Path, id_: str) -> Cost:
    """Change the File-set ID and write; loading is not counted."""
    fs = FileSet(dicomdir)

    def change() -> None:
        fs.ID = id_
        fs.write()

    return timed(change)[0]


def pydicom_find(dicomdir: Path, queries: dict[str, str], times: int) -> Cost:
    """Search by each query so many times; loading is not counted."""
    fs = FileSet(dicomdir)

    def find() -> None:
        for _ in range(times):
            for keyword, value in queries.items():
                assert fs.find(False, **{keyword: value})

    return timed(find)[0]


def pydicom_attributes(dicomdir: Path, keywords: Sequence[str], times: int) -> list[Cost]:
    """Read attributes of each instance, so many times; loading is not counted."""
    return passes(FileSet(dicomdir), keywords, times)


def pydicom_memory(dicomdir: Path) -> float:
    """Return how many bytes of memory an instance of a loaded File-set takes."""
    before = resident()
    fs = FileSet(dicomdir)
    return (resident() - before) / len(fs)


# --- dicomsdl ------------------------------------------------------------------------------------


def dicomsdl_scan(folder: Path, count: int, keywords: Sequence[str]) -> Cost:
    """Open the first `count` files of a folder, and take some elements of each."""
    dicomsdl = importlib.import_module("dicomsdl")  # seldom installed, and without types
    paths = sorted(os.fspath(path) for path in folder.rglob("*") if path.is_file())[:count]

    def scan() -> None:
        for path in paths:
            found = dicomsdl.open(path)
            for keyword in keywords:
                getattr(found, keyword)

    return timed(scan)[0]


# --- commands ------------------------------------------------------------------------------------


def dcmmkdir(folder: Path) -> Cost:
    """Make a DICOMDIR for all that lies in a folder, in place."""
    (folder / "DICOMDIR").unlink(missing_ok=True)
    return command(["dcmmkdir", "+r", "+id", folder, "+D", folder / "DICOMDIR"])


def copy_twice(source: Path, scratch: Path) -> Cost:
    """Copy a folder, copy the copy, and flush it: the bytes that add and write move."""
    script = 'cp -a "$1" "$2/a" && cp -a "$2/a" "$2/b" && sync -f "$2/b"'
    return command(["sh", "-c", script, "sh", os.fspath(source), os.fspath(scratch)])


def xorriso(source: Path, image: Path) -> Cost:
    """Write a folder, and make an ISO image of it."""
    return _flushed(
        'cp -r "$1" "$2.folder" && xorriso -as mkisofs -quiet -o "$2" "$2.folder"', source, image
    )


def cat_and_hash(source: Path, image: Path) -> Cost:
    """Join all files of a folder to one, and hash it."""
    return _flushed(
        'find "$1" -type f -print0 | sort -z | xargs -0 cat | tee "$2" | sha256sum', source, image
    )


def zip_stored(source: Path, image: Path) -> Cost:
    """Make a ZIP of a folder, without compressing."""
    return _flushed('cd "$1" && zip -0 -q -r "$2" . && mv "$2.zip" "$2"', source, image)


def unzip_and_add(archive: Path, repository: Path, program: str) -> Cost:
    """Unpack a ZIP file beside a repository, and add the folder with our `program`."""
    script = 'unzip -q "$1" -d "$2.study" && "$3" --repo "$2" add "$2.study"'
    return command(["sh", "-c", script, "sh", archive, repository, program])


def mcopy(source: Path, image: Path) -> Cost:
    """Make an image of a stick of a folder, with room for a tenth more; without a partition."""
    size = sum(path.stat().st_size for path in source.rglob("*")) * 11 // 10 + (64 << 20)
    return _flushed(
        f'truncate -s {size} "$2" && mkfs.vfat -F 32 "$2" && mcopy -s -i "$2" "$1"/* ::',
        source,
        image,
    )


def _flushed(script: str, source: Path, image: Path) -> Cost:
    """Run a script that makes the file `$2` of the folder `$1`, and flush that."""
    script += ' && sync "$2"'
    return command(["sh", "-c", script, "sh", os.fspath(source), os.fspath(image)])
