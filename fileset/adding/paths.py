"""Very many paths, in few bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from projections.state.facts import split


class Paths:
    """Paths in their order: of those in one folder, the folder is kept once."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._folders: list[str] = []
        self._names = bytearray()
        self._ends = array("Q")
        for path in paths:
            self.append(path)

    def append(self, path: str) -> None:
        """Add a path at the end."""
        folder, name = split(path)
        self._folders.append(folder)
        self._names += name.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._names))

    def __len__(self) -> int:
        return len(self._folders)

    def __getitem__(self, index: int) -> str:
        folder = self._folders[index]  # IndexError where there is none
        index %= len(self._folders)
        name = self._names[self._ends[index - 1] if index else 0 : self._ends[index]]
        return folder + name.decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))
