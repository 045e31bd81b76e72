"""What a repository is on disk: a folder of mode 0700.

```text
repository.toml     what it is, for people and for this module
journal.sqlite      the truth
vault/              the content of instances, in packs
cache/              disposable: the vault's index, a snapshot and a summary of the state, and
                    who changed it last
lock                held by the one process that is changing it
quarantine/, watch/ what watched folders brought and could not be taken; what they are known by
audit/              how far the receivers of audit messages are
damaged-TIME/       a damaged journal, kept when it was recovered
recovering/         the same, while that goes on or if it was killed
roots.json          where the journal was made elsewhere: the roots that were named here since
```
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileset.errors import RepositoryError
from ledger.disk import private
from ledger.errors import UnknownFormatError
from ledger.files import naming, read_start
from projections.dicomdir.definitions import DICOMDIR

if TYPE_CHECKING:
    from ledger.vault.vault import PackVault

FORMAT: Final = 1
"""The version of the folder's layout."""

SETTINGS: Final = "repository.toml"
JOURNAL: Final = "journal.sqlite"
VAULT: Final = "vault"
CACHE: Final = "cache"
LOCK: Final = "lock"
INDEX: Final = "vault-index.sqlite"
SNAPSHOT: Final = "snapshot"
SUMMARY: Final = "summary.json"
HOLDER: Final = "holder"
ROOTS: Final = "roots.json"
KEPT_DAMAGED: Final = "damaged-"
"""How the names of folders begin that hold what was damaged, kept by a recovery."""

RECOVERING: Final = "recovering"
"""The folder of a recovery that is not complete, which holds what is damaged."""

PASSING: Final = f".{RECOVERING}."
"""How the names of folders begin that hold copies of it as long as a recovery runs."""

_MOST: Final = 1 << 16  # bytes of settings that are read: what we write is far shorter

_SETTINGS_TEXT: Final = f"""\
# A repository of fileset-ledger: the journal of a DICOM File-set.
# Look at it with `fileset --repo . status`; nothing in here is to be edited by hand.
format = {FORMAT}
"""


def is_repository(path: Path) -> bool:
    """Whether the folder `path` is a repository."""
    return (path / SETTINGS).is_file()


def find_repository(start: Path) -> Path | None:
    """Return the nearest repository at or above the folder `start`, as named or by its links."""
    return next((path for path in _upwards(start) if is_repository(path)), None)


def whose_folder(path: Path) -> str | None:
    """Return in whose folder `path` is: a repository's or a File-set's; `None` if in neither."""
    if (repository := find_repository(path.parent)) is not None:
        return f"the repository {repository}"
    roots = (above for above in _upwards(path.parent) if (above / DICOMDIR).is_file())
    return next((f"the File-set at {root}" for root in roots), None)


def _upwards(start: Path) -> Iterator[Path]:
    """Yield the folder `start` and those above it, as it is named and then without links."""
    named = start.absolute()
    if ".." not in named.parts:
        yield from (named, *named.parents)
    real = Path(os.path.realpath(named))
    yield from (real, *real.parents)


def open_vault(path: Path, *, writable: bool = True) -> PackVault:
    """Open the vault of the repository in the folder `path`."""
    from ledger.vault.vault import PackVault  # noqa: PLC0415 - many commands don't look into it

    return PackVault(path / VAULT, path / CACHE / INDEX, writable=writable)


def settings_text(journal_id: str) -> str:
    """Return what a repository's settings hold, that of the journal with the id `journal_id`.

    They tell a journal that is another's, and should the journal be damaged they still know its id.
    """
    return f'{_SETTINGS_TEXT}journal = "{journal_id}"\n'


def write_settings(path: Path, journal_id: str) -> None:
    """Write the settings to `path`, a new file."""
    with naming(path), open(path, "x", encoding="utf-8", opener=private) as file:
        file.write(settings_text(journal_id))


def read_settings(path: Path) -> str | None:
    """Return the id of the journal that belongs to the settings at `path`, if they tell it.

    Raises `RepositoryError` if they can't be read, and
    `UnknownFormatError` if a newer version made them.
    """
    try:
        settings = tomllib.loads(read_start(path, _MOST).decode("utf-8"))
        version, journal_id = settings.get("format"), settings.get("journal")
        if type(version) is not int or not isinstance(journal_id, str | None):
            raise ValueError("it does not name the repository's format")  # noqa: TRY301
    except PermissionError as exc:
        raise RepositoryError(
            f"{path} can't be read: {exc.strerror}. `chmod u+r` makes it readable for its owner."
        ) from exc
    except (OSError, ValueError, RecursionError) as exc:
        why = "it is nested too deeply" if isinstance(exc, RecursionError) else exc
        raise RepositoryError(
            f"{path} can't be read: {why}. `fileset recover` rebuilds it."
        ) from exc
    if version != FORMAT:
        raise UnknownFormatError(
            f"{path.parent} is a repository of format {version}; this version of fileset-ledger "
            f"knows format {FORMAT} and changes nothing. `fileset log`, `show`, `verify` and "
            "`export-journal` work; for everything else use the version that made it, or a later "
            "one."
        )
    return journal_id
