"""The other names that a missing file may have: media and copies change names in known ways.

Systems show names in lower case, with the version that ISO 9660 has (`;1`), or with the full stop
in front of an extension that isn't there; programs and people put `.dcm` behind them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from ledger.names import bare


class OtherNames:
    """Looks for files below `root` by their names; each folder is listed once."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root: Final = os.fspath(root)
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, components: Sequence[str]) -> str | None:
        """Return the only file that may be the one at a File ID, by its path below the root."""
        found: list[str] = []
        for name in components:
            here = self._list(os.path.join(self.root, *found))
            names = here.get(bare(name), [])
            if name in names:
                names = [name]
            if len(names) != 1:
                return None
            found += names
        is_other = found != list(components)
        return "/".join(found) if is_other and found else None

    def advise(self, components: Sequence[str]) -> str:
        """Return a sentence on the file that may be the one at a File ID, `""` for none."""
        found = self.find(components)
        if found is None:
            return ""
        if found.upper() == "/".join(components).upper():
            return f" There is {found}: mount the medium so that names keep their case."
        return f" There is {found}: if it is that file, rename it."

    def _list(self, folder: str) -> dict[str, list[str]]:
        """Return the names in a folder by what they have in common with others."""
        if folder not in self._listed:
            names: dict[str, list[str]] = {}
            try:
                if folder == self.root or not os.path.islink(folder):
                    for name in sorted(os.listdir(folder)):
                        names.setdefault(bare(name), []).append(name)
            except OSError:
                pass  # whatever is in there is not known
            self._listed[folder] = names
        return self._listed[folder]
