"""Hostile input: every command ends soon, in little memory, with a clear word and nothing touched.

Each command runs in a process of its own that is killed when it takes more memory or time than it
should. What it prints must not act on a terminal.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest
from attrs import frozen
from cli_runs import CT, Run
from models import EXPLICIT, image, patient, series, study

from fileset import FileSet
from fileset.adding.outcome import Outcome
from fileset.cli import main
from ledger.elements import encode_element
from projections.dicomdir.definitions import FileSetIdentity, Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir

MEMORY = 300 << 20
"""Bytes of address space that a command may take on top of what the tests have."""

SECONDS = 30
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
DEFLATED = b"1.2.840.10008.1.2.1.99"
ACTS_ON_A_TERMINAL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
OPEN = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
"""A sequence of undefined length, and in it an item of undefined length."""

CLOSE = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
EVIL = "\x1b]0;pwned\x07\x1b[2J\x9b31m"


def bounded(folder: Path, *arguments: object) -> Run:
    """Run the command in a process with little memory and time; its paths are below `folder`."""
    out, err = folder / ".out", folder / ".err"
    child = os.fork()
    if not child:
        _become_the_command(out, err, [str(argument) for argument in arguments])
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status), f"{arguments} was killed by {os.WTERMSIG(status)}"
    run = Run(os.waitstatus_to_exitcode(status), out.read_text("utf-8"), err.read_text("utf-8"))
    out.unlink()
    err.unlink()
    assert "Traceback" not in run.err, run.err
    assert run.code in {0, 1, 2, 3}
    assert not ACTS_ON_A_TERMINAL.search(run.out + run.err)
    return run


def _become_the_command(out: Path, err: Path, arguments: list[str]) -> None:
    code = 99
    try:
        for path, stream in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        # The streams that pytest has put in their place are the parent's.
        sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        try:
            main(arguments)
            code = 0
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else 0
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


@frozen
class Disc:
    """A folder with a DICOMDIR, beside which repositories are made."""

    root: Path

    @property
    def dicomdir(self) -> Path:
        return self.root / "DICOMDIR"

    def adopt(self, *options: str) -> Run:
        """Adopt it in a new repository, with and without `--repair`, and look at it."""
        plain = self._adopt("plain", *options)
        self._adopt("mended", "--repair", *options)
        return plain

    def _adopt(self, name: str, *options: str) -> Run:
        before = snapshot(self.root)
        repository = self.root.parent / name
        told = self("init", repository, "--from", self.dicomdir, *options)
        if told.code in {0, 1}:
            self("--repo", repository, "tree")
        else:
            assert told.code == 3
            assert not repository.exists()
        assert snapshot(self.root) == before
        return told

    def __call__(self, *arguments: object) -> Run:
        return bounded(self.root.parent, *arguments)

    def put(self, *rows: DirectoryRecord) -> None:
        self.dicomdir.write_bytes(encode_dicomdir(FileSetIdentity(uid="1.2.3.9"), rows))


def snapshot(root: Path) -> set[tuple[str, int, int]]:
    """Return what is below a folder, so that what is changed there shows."""
    found = set()
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            found.add((str(path), status.st_size, status.st_mtime_ns))
    return found


@pytest.fixture
def disc(tmp_path: Path) -> Disc:
    root = tmp_path / "disc"
    root.mkdir()
    return Disc(root)


def rows(*file_ids: str, kind: str = "IMAGE") -> list[DirectoryRecord]:
    return [
        DirectoryRecord(0, "PATIENT", patient(0).elements),
        DirectoryRecord(1, "STUDY", study("1.2.3").elements),
        DirectoryRecord(2, "SERIES", series("1.2.3.1").elements),
        *(
            DirectoryRecord(
                3, kind, image(n).elements, Reference(file_id, CT_CLASS, f"1.2.3.1.{n}", EXPLICIT)
            )
            for n, file_id in enumerate(file_ids)
        ),
    ]


def chained(number: int, *, deep: bool) -> bytes:
    """Return a DICOMDIR of so many records, each beside or below the one before."""
    empty = encode_dicomdir(FileSetIdentity(uid="1.2.3.9"), [])
    out = bytearray(empty[: empty.index(b"\x04\0\x20\x12SQ") + 12])
    rest = encode_element(0x00041430, "CS", b"PATIENT") + encode_element(0x00100020, "LO", b"P1")
    size = 8 + 12 + 10 + 12 + len(rest)
    start = len(out)
    for tag in (b"\x04\0\0\x12UL\4\0", b"\x04\0\x02\x12UL\4\0"):
        struct.pack_into("<I", out, out.index(tag) + 8, start)
    struct.pack_into("<I", out, start - 4, size * number)
    item = struct.Struct("<4sI8sI10s8sI")
    for n in range(number):
        follower = start + (n + 1) * size if n < number - 1 else 0
        out += item.pack(
            b"\xfe\xff\0\xe0",
            size - 8,
            b"\4\0\0\x14UL\4\0",
            0 if deep else follower,
            b"\4\0\x10\x14US\2\0\xff\xff",
            b"\4\0\x20\x14UL\4\0",
            follower if deep else 0,
        )
        out += rest
    return bytes(out)


def instance(
    target: Path, *, syntax: bytes = EXPLICIT.encode(), tail: bytes = b"", **values: bytes
) -> Path:
    """Make a file of one small instance, whose data set may be deflated; `tail` follows it."""
    told = {
        "SOPInstanceUID": b"1.2.3.4.%d" % (os.urandom(1)[0] + 256 * os.urandom(1)[0]),
        "PatientName": b"Doe^J",
        "PatientID": b"P1",
        **values,
    }
    header = b"".join(
        encode_element(tag, vr, value)
        for tag, vr, value in (
            (0x00080016, "UI", CT_CLASS.encode()),
            (0x00080018, "UI", told["SOPInstanceUID"]),
            (0x00080020, "DA", b"20200101"),
            (0x00080030, "TM", b"101010"),
            (0x00080060, "CS", b"CT"),
            (0x00100010, "PN", told["PatientName"]),
            (0x00100020, "LO", told["PatientID"]),
            (0x0020000D, "UI", b"1.2"),
            (0x0020000E, "UI", b"1.3"),
            (0x00200010, "SH", b"1"),
            (0x00200011, "IS", b"1"),
            (0x00200013, "IS", b"1"),
        )
    )
    body = header + tail
    meta = encode_element(0x00020010, "UI", syntax)
    if syntax == DEFLATED:
        body = deflate(body)
    target.write_bytes(bytes(128) + b"DICM" + meta + body)
    return target


def deflate(*parts: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return b"".join([*map(stream.compress, parts), stream.flush()])


def taken(folder: Path, repository: str) -> dict[str, str]:
    """Return the outcome of each file in `folder` when it is added to a new repository."""
    home = folder.parent
    assert bounded(home, "init", home / repository).code == 0
    told = bounded(home, "--repo", home / repository, "add", "-r", folder, "--json")
    for command in ("tree", "status", "log"):
        bounded(home, "--repo", home / repository, command)
    return {Path(r["path"]).name: r["outcome"] for r in told.document["results"]}


# --- File IDs ------------------------------------------------------------------------------------

FILE_IDS = {
    "up": "../outside/IM",
    "up from below": "A/../../outside/IM",
    "up by backslashes": "..\\outside\\IM",
    "absolute": "/etc/hostname",
    "itself": ".",
    "empty components": "A//IM",
    "a NUL": "IM\0X",
    "the DICOMDIR": "DICOMDIR",
    "by a link to a folder": "FOLDER/IM",
    "by a link to a file": "LINK",
    "by a link to a link": "SECOND",
    "by a link in a circle": "LOOP",
    "a FIFO": "FIFO",
    "a socket": "SOCKET",
    "a device": "ZERO",
    "a folder": "REAL",
    "a name too long": "X" * 5000,
    "too many components": "/".join("A" * 5000),
    "escapes": "IM\x1b]0;pwned\x07\x1b[2J",
}


@pytest.mark.parametrize("file_id", FILE_IDS.values(), ids=FILE_IDS)
def test_a_file_id_that_leads_astray_takes_nothing_from_outside(disc: Disc, file_id: str) -> None:
    root = disc.root
    outside = root.parent / "outside"
    outside.mkdir()
    secret = instance(outside / "IM", PatientID=b"SECRET")
    (root / "FOLDER").symlink_to(outside)
    (root / "LINK").symlink_to(secret)
    (root / "SECOND").symlink_to("LINK")
    (root / "LOOP").symlink_to("LOOP")
    (root / "ZERO").symlink_to("/dev/zero")
    (root / "REAL").mkdir()
    os.mkfifo(root / "FIFO")
    shutil.copy(CT, root / "IM0")
    disc.put(*rows("IM0", file_id))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "SOCKET"))
        disc.adopt()
    told = disc("--repo", root.parent / "mended", "tree", "--json").out
    assert "SECRET" not in told
    assert told.count("sop_instance_uid") == 1
    assert [path.name for path in outside.iterdir()] == ["IM"]


def test_a_dicomdir_that_is_a_link_is_told_to_be_one(disc: Disc) -> None:
    other = disc.root.parent / "other"
    other.mkdir()
    shutil.copy(CT, other / "IM0")
    Disc(other).put(*rows("IM0"))
    disc.dicomdir.symlink_to(other / "DICOMDIR")
    assert f"is a link: the File-set is the one at {other}" in disc.adopt().err


@pytest.mark.parametrize("what", ["loop", "fifo", "device", "folder"])
def test_a_dicomdir_that_is_no_file_is_refused(disc: Disc, what: str) -> None:
    match what:
        case "loop":
            disc.dicomdir.symlink_to("DICOMDIR")
        case "fifo":
            os.mkfifo(disc.dicomdir)
        case "device":
            disc.dicomdir.symlink_to("/dev/zero")
        case "folder":
            disc.dicomdir.mkdir()
    for option in ((), ("--repair",)):
        repository = disc.root.parent / "r"
        told = disc("init", repository, "--from", disc.dicomdir, *option)
        assert told.code in {2, 3}
        assert "DICOMDIR" in told.err or "/dev/zero" in told.err
        assert not repository.exists()


# --- offsets, depths, lengths --------------------------------------------------------------------


@pytest.mark.parametrize("deep", [False, True], ids=["beside", "below"])
def test_a_chain_of_records_longer_than_pythons_stack_is_followed(disc: Disc, deep: bool) -> None:
    disc.dicomdir.write_bytes(chained(10_000, deep=deep))
    told = disc.adopt()
    assert told.code == (3 if deep else 0)


@pytest.mark.soak
@pytest.mark.parametrize("deep", [False, True], ids=["beside", "below"])
def test_a_million_records_in_a_chain_are_followed(
    disc: Disc, deep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "MEMORY", 3 << 30)
    monkeypatch.setitem(globals(), "SECONDS", 300)
    disc.dicomdir.write_bytes(chained(1_000_000, deep=deep))
    disc.adopt()


def dicomdirs() -> dict[str, bytes]:
    sound = encode_dicomdir(FileSetIdentity(uid="1.2.3.9"), rows("IM0", "IM1"))
    at = sound.index(b"\x04\0\x20\x12SQ")
    before = sound[:at]
    first = struct.unpack_from("<I", sound, sound.index(b"\4\0\0\x12UL\4\0") + 8)[0]
    nested = before + sound[at : at + 8] + b"\xff" * 4 + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    deflated = sound[:132] + encode_element(0x00020002, "UI", b"1.2.840.10008.1.3.10")
    deflated += encode_element(0x00020010, "UI", DEFLATED)
    zeros = bytes(1 << 20)

    def patched(offset: int, new: bytes) -> bytes:
        return sound[:offset] + new + sound[offset + len(new) :]

    return {
        "nothing": b"",
        "half a preamble": bytes(64),
        "a preamble": bytes(128),
        "a prefix": bytes(128) + b"DICM",
        "file meta information that claims 4 GB": patched(136, b"OB\0\0\xfe\xff\xff\xff"),
        "a sequence that claims 4 GB": patched(at + 8, b"\xfe\xff\xff\xff"),
        "an item that claims 4 GB": patched(at + 16, b"\xfe\xff\xff\xff"),
        "an odd offset": patched(first + 16, b"\x01\0\0\0"),
        "an offset behind the end": patched(first + 16, b"\xff\xff\xff\x7f"),
        "an offset into a record": patched(first + 16, struct.pack("<I", first + 4)),
        "an offset to itself": patched(first + 16, struct.pack("<I", first)),
        "itself below it": patched(first + 8 + 12 + 10 + 8, struct.pack("<I", first)),
        "the top level below it": patched(first + 8 + 12 + 10 + 8, struct.pack("<I", 132)),
        "sequences without end": nested + OPEN * 100_000,
        "sequences with an end each": nested + (OPEN * 100_000) + (CLOSE * 100_001),
        "items without end": nested
        + b"\xfe\xff\0\xe0\xff\xff\xff\xff\4\0\0\x14UL\4\0\0\0\0\0" * 20_000,
        "items of nothing": nested[:-8] + b"\xfe\xff\0\xe0\0\0\0\0" * 30_000,
        "a bomb": deflated + deflate(*[zeros] * 450),
        "unknown types": encode_dicomdir(
            FileSetIdentity(uid="1.2"), rows("IM0", kind="WH\x1b[31mTEVER")
        ),
        "an identity of escapes": encode_dicomdir(
            FileSetIdentity(uid="1.2\x1b[31m", id="\x1b]0;x\x07"), rows("IM0")
        ),
    }


DICOMDIRS = dicomdirs()


@pytest.mark.parametrize("data", DICOMDIRS.values(), ids=DICOMDIRS)
def test_a_dicomdir_that_nobody_should_have_made_is_read_or_refused(
    disc: Disc, data: bytes
) -> None:
    shutil.copy(CT, disc.root / "IM0")
    disc.dicomdir.write_bytes(data)
    disc.adopt()
    found = disc("--repo", disc.root.parent / "mended", "status", "--json").document
    assert found["instances"] == 1


def test_a_dicomdir_larger_than_its_offsets_reach_is_refused_unread(disc: Disc) -> None:
    disc.put(*rows("IM0"))
    os.truncate(disc.dicomdir, 5 << 30)
    assert "too large for a DICOMDIR: 5,368,709,120 bytes" in disc.adopt().err


# --- files ---------------------------------------------------------------------------------------


def test_files_that_claim_or_unfold_to_too_much_are_rejected_and_the_others_added(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 0xFFFFFFFE)
    zeros = [bytes(1 << 20)] * 450
    instance(folder / "good")
    instance(folder / "claims-4-gb", tail=pixels)
    instance(folder / "unknown-without-end", tail=b"\x41\0\x15\x11UN\0\0\xff\xff\xff\xff" * 50_000)
    instance(folder / "sequences-without-end", tail=OPEN.replace(b"\x08\0", b"\x40\0") * 50_000)
    instance(
        folder / "sequences-with-an-end-each",
        tail=OPEN.replace(b"\x08\0", b"\x40\0") * 50_000 + CLOSE * 50_000,
    )
    instance(
        folder / "sequences-deflated",
        syntax=DEFLATED,
        tail=OPEN.replace(b"\x08\0", b"\x40\0") * 50_000 + CLOSE * 50_000,
    )
    bomb = instance(folder / "bomb", syntax=DEFLATED)
    head = bomb.read_bytes()[: 132 + len(encode_element(0x00020010, "UI", DEFLATED))]
    bomb.write_bytes(head + deflate(pixels, *zeros))
    sparse = instance(folder / "sparse")
    os.truncate(sparse, 5 << 30)
    with (folder / "no-dicom").open("wb") as file:
        file.truncate(5 << 30)

    outcomes = taken(folder, "repository")
    assert outcomes.pop("no-dicom") == "not_dicom"
    assert outcomes.pop("good") == "added"
    assert set(outcomes.values()) <= {"rejected", "added"}
    assert {name for name, outcome in outcomes.items() if outcome == "rejected"} >= {
        "claims-4-gb",
        "unknown-without-end",
        "sequences-without-end",
        "bomb",
        "sparse",
    }


def test_names_and_values_that_act_on_a_terminal_are_printed_escaped(tmp_path: Path) -> None:
    """Whatever has them: names of files and folders, patients, UIDs, reasons, tags and paths."""
    folder = tmp_path / "in"
    (folder / os.fsdecode(b"folder\x1b[31m\n\xff")).mkdir(parents=True)
    escapes = [b"\x1b[31mred", b"new\nline", b"\xff\xfe", b"\x9b31m"]
    names = [*escapes, "\u202ertl".encode(), EVIL.encode()]
    for number, name in enumerate(names):
        (folder / os.fsdecode(b"text" + name)).write_bytes(b"no DICOM")
        instance(
            folder / os.fsdecode(b"dicom" + name),
            SOPInstanceUID=b"1.2.3.%d" % number,
            PatientName=EVIL.encode("latin-1") + b"^\r\n\xe2\x80\xae",
            PatientID=f"P{number % 2}".encode() + EVIL.encode("latin-1"),
        )
    instance(folder / "uid", SOPInstanceUID=b"1.2\x1b[31m")
    instance(folder / "syntax", syntax=b"1.2\x1b[31m")
    home = tmp_path
    repository = home / f"repository{EVIL}"

    turns = count()

    def told(*arguments: object) -> Run:
        as_json = ["--json"] if next(turns) % 2 else []
        return bounded(home, "--repo", repository, *arguments, *as_json)

    assert bounded(home, "init", repository).code == 0
    assert told("add", "-r", folder, "--reason", f"why{EVIL}", "--actor", f"me{EVIL}").code == 1
    told("set", f"ID={EVIL}")
    told("tag", f"name{EVIL}")
    for command in (
        ("status",),
        ("tree",),
        ("find",),
        ("values", "PatientID", "PatientName", "SOPInstanceUID"),
        ("log",),
        ("log", "--events"),
        ("log", "--graph"),
        ("show", "2"),
        ("blame", "SOPInstanceUID=1.2.3.0"),
        ("diff", "1", "2"),
        ("find", f"PatientID={EVIL}"),
        ("find", f"Patient{EVIL}=1"),
        ("at", EVIL),
        (f"no-such-command{EVIL}",),
        ("remove", f"PatientID=P0{EVIL}", "--reason", EVIL),
        ("write", home / f"medium{EVIL}"),
        ("verify",),
        ("write", folder),
        ("undo",),
        ("erase", f"PatientID=P1{EVIL}", "--reason", "asked for"),
        ("export-journal", home / f"journal{EVIL}"),
        ("import-journal", home / f"journal{EVIL}"),
        ("add", folder / f"missing{EVIL}"),
    ):
        told(*command)
    bounded(home, "index", folder, "--rename")
    bounded(home, "index", folder / "uid")
    bounded(home, "status", "--repo", home / f"none{EVIL}")


def test_folders_in_circles_and_deeper_than_a_path_can_be_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    (folder / "a").mkdir(parents=True)
    instance(folder / "a" / "IM")
    (folder / "a" / "up").symlink_to("..")
    (folder / "x").symlink_to("y")
    (folder / "y").symlink_to("x")
    with monkeypatch.context() as here:
        here.chdir(folder)
        for _ in range(60):
            Path("deep" * 25).mkdir()
            os.chdir("deep" * 25)
    outcomes = taken(folder, "repository")
    assert outcomes["IM"] == "added"
    assert outcomes["up"] == "skipped"


def test_a_file_that_grows_shrinks_or_goes_while_it_is_read_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    path = instance(tmp_path / "IM", tail=encode_element(0x00420011, "OB", bytes(1 << 21)))
    read = os.pread  # of a large file the beginning is looked at first
    changes: Iterator[object] = iter(())

    def meddling(fd: int, size: int, offset: int) -> bytes:
        data = read(fd, size, offset)
        next(changes, None)
        return data

    def grow() -> Iterable[object]:
        with path.open("ab") as file:
            yield file.write(b"more")

    def shrink() -> Iterable[object]:
        yield os.truncate(path, 1 << 20)

    def go() -> Iterable[object]:
        yield path.unlink()

    monkeypatch.setattr(os, "pread", meddling)
    for change, outcome in ((grow, Outcome.REJECTED), (shrink, Outcome.REJECTED), (go, None)):
        changes = iter(change())
        with FileSet() as fs:
            (result,) = fs.add_many([path])
            # What was open is read to its end, whatever becomes of its name.
            assert result.outcome is (outcome or Outcome.ADDED) or not path.exists()
        if path.exists():
            os.utime(path)
            instance(path, tail=encode_element(0x00420011, "OB", bytes(1 << 21)))
