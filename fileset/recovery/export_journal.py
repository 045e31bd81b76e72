"""The whole journal as a file of JSON Lines, to be kept elsewhere or imported."""

from __future__ import annotations

from pathlib import Path

from fileset.errors import RefusedError
from fileset.repository.folder import whose_folder
from ledger.disk import new_file
from ledger.files import naming
from ledger.journal.entries import Head
from ledger.journal.lines import write_journal
from ledger.journal.protocol import Journal


def export_journal(journal: Journal, path: Path) -> Head:
    """Write all of `journal` to the new file `path`, and return its head at the beginning.

    The file is there whole, or not at all. Raises `RefusedError` if something is at `path`, or it
    is in a repository or a File-set, `JournalDamagedError` with the first position that is bad.
    """
    if (whose := whose_folder(path)) is not None:
        raise RefusedError(f"{path} is in {whose}: name a file elsewhere.")
    try:
        with naming(path), new_file(path) as file:
            return write_journal(journal, file.write)
    except FileExistsError as exc:
        raise RefusedError(f"{path} exists already: name a new file.") from exc
