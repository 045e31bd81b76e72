"""Job files for robots that burn discs and print them."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import Final

from attrs import frozen

from fileset.errors import RefusedError
from ledger.files import file_content
from projections.medium.volumes import CAPACITIES
from projections.past.media import Medium

ENDING: Final = ".jdf"
MOST_COPIES: Final = 1000
_TYPES: Final = {"cd80": "CD", "dvd": "DVD", "dvd-dl": "DVD-DL"}
_LABELS: Final = frozenset((".bmp", ".jpg", ".png"))  # a PDF is none that TD Bridge prints


@frozen
class Job:
    """What a robot is to do: burn the file `image` so many times, and print the label.

    `folder` is where the robot's computer finds both files, which may be a Windows path; by default
    where they are.
    """

    image: Path
    copies: int = 1
    folder: str | None = None


def epson_job(job: Job, medium: Medium, label: Path) -> bytes:
    """Return a job for Epson's TD Bridge: a JDF file, lines of `KEY=value` in ANSI text.

    The image is read and compared with the medium. `label` is where the picture of its label is.

    Raises `RefusedError` if the image is another one, nothing can be burnt of its size, or a path
    can't be told to TD Bridge. OSError if the image can't be read.
    """
    assert medium.produced is not None  # noqa: S101 - others have no label
    made = medium.produced.image
    if label.suffix.lower() not in _LABELS:
        raise RefusedError(
            f"TD Bridge does not print {label.name}: name a label that ends in .png."
        )
    if file_content(job.image) != made:
        raise RefusedError(
            f"{job.image} is not the image of medium {medium.number}: `fileset media remake "
            f"{medium.number}` makes that again."
        )
    disc = next((kind for name, kind in _TYPES.items() if made.size <= CAPACITIES[name]), None)
    if disc is None:
        raise RefusedError(f"{job.image} has {made.size:,} bytes, which is more than a disc takes.")
    lines = [
        f"COPIES={job.copies}",
        f"DISC_TYPE={disc}",
        f"IMAGE={_path(job.image, job.folder)}",
        f"LABEL={_path(label, job.folder)}",
    ]
    for character in "".join(lines):
        # A line break in a path would begin another key.
        if (character.isascii() and not character.isprintable()) or not _is_ansi(character):
            raise RefusedError(
                f"TD Bridge takes no {character!r} in a path: rename the files, or name the folder "
                "with --job-folder."
            )
    return "".join(f"{line}\r\n" for line in lines).encode("cp1252")


def _is_ansi(character: str) -> bool:
    try:
        character.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _path(file: Path, folder: str | None) -> str:
    if folder is None:
        return str(file)
    return str(PureWindowsPath(folder, file.name) if "\\" in folder else Path(folder, file.name))
