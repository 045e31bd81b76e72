"""Burning an image with xorriso: how it is called, what it tells, and what to do where it fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from attrs import frozen

from fileset.errors import RefusedError
from fileset.medium.errors import MediumError
from fileset.progress import Progress

PROGRAM: Final = "xorriso"
STDIO: Final = "stdio:"
"""What the device of a file, or of a stick, begins with; others are optical drives."""

_WRITTEN: Final = re.compile(rb"(\d+) of +(\d+) MB written")
_TOO_SMALL: Final = re.compile(r"Image size (\d+)s exceeds free space on media (\d+)s")
_FAULT: Final = re.compile(r": (?:FATAL|FAILURE|SORRY|MISHAP) : (.*)")
_CHUNK: Final = 4096
_SECTOR: Final = 2048
_STOPPING: Final = 60  # seconds that a drive may take to stop
_TAIL: Final = 40  # lines of its output that are looked at

_REMEDIES: Final = (
    (
        r"not existing|not found|directory exist",
        "There is no such device: `xorriso -devices` lists the drives.",
    ),
    (r"busy|already grabbed|in use|exclusive", "Another program uses the drive: close it."),
    (
        r"Permission denied|rw-permission",
        "You may not use the drive: your user has to be in its group, mostly `cdrom`.",
    ),
    (
        r"not MMC|drive_class",
        f"It is no optical drive: put `{STDIO}` before the path of a stick or a file.",
    ),
    (
        r"[Nn]o (?:suitable |writable )?medi|not loaded|not recognizable|not present",
        "There is no disc in the drive that can be written: put one in.",
    ),
    (
        r"not blank|unsuitable|not appendable|closed|already written",
        "The disc is not empty: take another one, or give --blank for a rewritable one.",
    ),
    (r"No space left", "It is full."),
)


@frozen
class Settings:
    """How to burn: the speed as the drive counts it, and whether what is on the disc may go."""

    speed: int | None = None
    blank: bool = False


def program() -> str:
    """Return the path of xorriso; `RefusedError` if it is not installed."""
    if (found := shutil.which(PROGRAM)) is None:
        raise RefusedError(
            "Burning needs the program xorriso: install it, for example with `apt install xorriso`."
        )
    return found


def place_of(device: str) -> Path:
    """Return the path at which what was burnt on a device is read."""
    return Path(device.removeprefix(STDIO))


def burn_image(
    image: Path, device: str, settings: Settings, *, progress: Progress | None = None
) -> None:
    """Burn the file `image` on a device; `progress` is told of megabytes.

    Raises `MediumError` if that fails, with what xorriso says and what to do. An error in the
    block, Ctrl-C among them, stops it.
    """
    arguments = [program(), "-as", "cdrecord", "-v", f"dev={device}"]
    if settings.speed is not None:
        arguments.append(f"speed={settings.speed}")
    if settings.blank:
        arguments.append("blank=as_needed")
    lines = deque[str](maxlen=_TAIL)
    # A session of its own: Ctrl-C comes to this process, which then has the drive stop in order.
    with subprocess.Popen(  # noqa: S603 - found by name, and no shell
        [*arguments, "-data", os.fspath(image)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "LC_ALL": "C"},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            for line in _lines(process.stdout):
                found = _WRITTEN.search(line)
                if found is None:
                    lines.append(line.decode("utf-8", "replace"))
                elif progress is not None:
                    progress(int(found[1]), int(found[2]))
            status = process.wait()
        except BaseException:
            _stop(process)
            raise
    if status != 0:
        raise MediumError(f"The disc was not burnt: {_why(lines, status)}")


def eject(device: str) -> None:
    """Have a drive put out its disc; `MediumError` if it doesn't."""
    done = subprocess.run(  # noqa: S603 - found by name, and no shell
        [program(), "-as", "cdrecord", f"dev={device}", "-eject"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
        env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode != 0:
        why = _why(done.stderr.splitlines(), done.returncode)
        raise MediumError(f"The disc was burnt and read back, and not put out: {why}")


def _lines(output: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of an output as they come: progress ends with a carriage return."""
    rest = b""
    while chunk := os.read(output.fileno(), _CHUNK):
        *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
        yield from lines
    yield rest


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOPPING)
    except subprocess.TimeoutExpired:
        process.kill()


def _why(lines: Iterator[str] | deque[str] | list[str], status: int) -> str:
    """Return what xorriso said that is wrong, and what to do."""
    told = [line.strip() for line in lines]
    faults = [found[1] for line in told if (found := _FAULT.search(line))]
    text = "\n".join(faults)
    if too_small := _TOO_SMALL.search(text):
        needed, free = (int(number) * _SECTOR for number in too_small.groups())
        return f"It takes {needed:,} bytes, and the disc has {free:,}: take a larger one."
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text):
            return f"{remedy} (xorriso: {faults[0]})"
    if faults:
        return f"xorriso: {faults[0]}"
    if status < 0:
        return f"xorriso was killed by signal {-status}."
    return f"xorriso has failed with exit code {status}."
