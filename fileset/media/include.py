"""An institution's own files that go on a medium, with names that every medium can have.

Names are put into capitals. Programs are refused unless they are wanted: a disc from a hospital is
not what anybody should start a program from without knowing.
"""

from __future__ import annotations

from collections.abc import Iterator
from os.path import relpath
from pathlib import Path
from typing import Final

from fileset.errors import RefusedError
from fileset.media.keeping import Keeper
from ledger.events import Content
from ledger.phrases import some
from projections.medium.images.tree import check_path

_PROGRAMS: Final = frozenset(
    (
        "APP", "BAT", "CMD", "COM", "CPL", "DLL", "EXE", "HTA", "INF", "JAR", "JSE", "LNK", "MSI",
        "PIF", "PS1", "REG", "SCR", "SH", "SYS", "VBE", "VBS", "WSF", "WSH",
    )
)  # fmt: skip
_BEGINNINGS: Final = (b"MZ", b"\x7fELF", b"#!", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")


def included(folder: Path, keeper: Keeper, *, programs: bool) -> Iterator[tuple[str, Content]]:
    """Have the files in `folder` kept; yield the path that each has on a medium, and what it is.

    `RefusedError`, before anything is taken, for names that not every medium can have, for two
    files that would have one name, for links and, unless `programs` are wanted, for these. OSError
    if something can't be read.
    """
    found: dict[str, Path] = {}
    for path in sorted(files_in(folder)):
        name = relpath(path, folder).upper()
        check_path(name)
        if name in found:
            raise RefusedError(f"{path} and {found[name]} would have one name: {name}")
        found[name] = path
    if not found:
        raise RefusedError(f"{folder} has no files that could go on a medium.")
    unwanted = [] if programs else [path for path in found.values() if _is_program(path)]
    if unwanted:
        named = some([str(path) for path in unwanted])
        raise RefusedError(
            f"Programs don't belong on a medium for patients: {named}. Take them out, or say "
            "--include-programs."
        )
    for name, path in found.items():
        yield name, keeper.add_file(path)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the files in `folder` and those below; `RefusedError` for what is none, and links."""
    for path in folder.iterdir():
        if path.is_symlink():
            raise RefusedError(f"{path} is a link: put what it leads to in its place.")
        if path.is_dir():
            yield from files_in(path)
        elif path.is_file():
            yield path
        else:
            raise RefusedError(f"{path} is not a regular file: take it out.")


def _is_program(path: Path) -> bool:
    if path.suffix[1:].upper() in _PROGRAMS:
        return True
    with path.open("rb") as file:
        return file.read(4).startswith(_BEGINNINGS)
