"""New files that a command makes: keys and checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fileset.errors import RefusedError
from fileset.repository.folder import whose_folder
from ledger.disk import new_file
from ledger.errors import SigningError

PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644


def refuse_if_there(path: Path) -> None:
    """Raise `RefusedError` if there is something at `path`, or it is in others' folders."""
    if os.path.lexists(path):
        raise RefusedError(f"{path} exists already: name a new file.")
    if (whose := whose_folder(path)) is not None:
        raise RefusedError(f"{path} is in {whose}: name a file elsewhere.")


def write_signing_file(path: Path, data: bytes, mode: int) -> None:
    """Write the new file of a key or checkpoint; SigningError if it can't be made."""
    try:
        with new_file(path, mode) as file:
            file.write(data)
    except OSError as exc:
        raise SigningError(f"{path} can't be made: {exc.strerror}.") from exc
