"""Indexing a folder: a DICOMDIR for the instances in it, where they lie."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from attrs import define, field, frozen

from fileset.adding import Adder, Offered, OnResult, below, offer
from fileset.contents import Contents
from fileset.errors import RefusedError
from fileset.finding import find_files
from fileset.ingest import Candidate, Outcome, Report, Result
from fileset.repository import Repository
from fileset.writing import Writer, WriteResult
from ledger.digest import digest_of
from ledger.elements import encode
from ledger.events import FileSetImported
from projections.hierarchy import record_key
from projections.layouts import is_conformant
from projections.materializer import (
    DICOMDIR,
    MediumError,
    Progress,
    read_dicomdir,
    remove_leftovers,
)

Criterion: TypeAlias = tuple[str, str]
"""A DICOM keyword and the text of a value."""


@frozen
class Choice:
    """Which instances of a folder are indexed.

    One is taken that has a value of `include` for every keyword in it and none of `exclude`, if
    its series has at least `minimum` such instances.
    """

    include: tuple[Criterion, ...] = ()
    exclude: tuple[Criterion, ...] = ()
    minimum: int = 1


@define
class Indexer:
    """Makes the DICOMDIR of a folder.

    With `complete`, values that directory records must have and an instance lacks are invented, in
    the DICOMDIR only. With `rename`, files whose names are no File IDs (PS3.10 Section 8.5) get
    names that are; without, they are rejected. With `replace`, a DICOMDIR that is there gives way.
    """

    repository: Repository
    root: Path
    choice: Choice = field(factory=Choice)
    complete: bool = False
    rename: bool = False
    replace: bool = False

    def stage(self, *, file_set_id: str | None = None, progress: OnResult | None = None) -> Report:
        """Record the folder's instances in the repository, and return the account of each file.

        Raises :class:`~fileset.errors.RefusedError` if `root` is no folder or has a DICOMDIR.
        """
        root = self.root = self.root.absolute()
        if not root.is_dir():
            raise RefusedError(f"{root} is not a folder.")
        try:
            there = read_dicomdir(root)
        except MemoryError as exc:
            raise RefusedError(
                f"{root / DICOMDIR} is too large for the memory: move it away."
            ) from exc
        if there is not None and not self.replace:
            raise MediumError(
                f"{root} has a DICOMDIR already: adopt it with `fileset init REPO --from "
                f"{root / DICOMDIR}`, or use --replace to make a new one in its place."
            )
        remove_leftovers(root)
        with self.repository.change():
            self.repository.emit(
                FileSetImported(
                    root=os.fspath(root),
                    uid=new_uid(),
                    dicomdir=digest_of(there) if there is not None else None,
                    id=file_set_id,
                )
            )
            adder = Adder(self.repository, Contents(self.repository))
            return adder.add_in_place(self._offered(), root, progress=progress)

    def write(self, *, progress: Progress | None = None) -> WriteResult:
        """Put the DICOMDIR in place, after renaming what had to be renamed."""
        writer = Writer(self.repository, Contents(self.repository))
        layout = "conformant" if self.rename else "existing"
        return writer.write(None, layout, afresh=True, progress=progress)

    def _offered(self) -> Iterator[Offered]:
        enough = self._series_with_enough() if self.choice.minimum > 1 else None
        for item in self._read():
            if isinstance(item, Result):
                yield item
            elif enough is not None and (series := _series(item)) and series not in enough:
                reason = f"its series has fewer than {self.choice.minimum} instances"
                yield Result(item.source or "", Outcome.EXCLUDED, reason=reason)
            else:
                yield item

    def _series_with_enough(self) -> set[str]:
        """Return the series that have enough instances; their files are read once more later."""
        # An instance counts once, however many copies of it there are.
        found = {
            (_series(item), item.instance.sop_instance_uid)
            for item in self._read()
            if isinstance(item, Candidate)
        }
        counts = Counter(series for series, _ in found if series)
        return {series for series, number in counts.items() if number >= self.choice.minimum}

    def _read(self) -> Iterator[Offered]:
        files = find_files([self.root], recursive=True)
        kept = self.repository.path is not None  # and so is the digest of each file's content
        chosen = bool(self.choice.include or self.choice.exclude)
        for item in offer(files, complete=self.complete, contents=kept, headers=chosen):
            if isinstance(item, Result):
                yield item
                continue
            source = item.source or ""
            if not self._is_within(source):
                yield Result(source, Outcome.REJECTED, reason="it is a link that leads elsewhere")
            elif (why := self._unwanted(item)) is not None:
                yield Result(source, Outcome.EXCLUDED, reason=why)
            elif not self.rename and not is_conformant(name := below(self.root, source)):
                yield Result(
                    source,
                    Outcome.REJECTED,
                    reason=f"'{name}' is no File ID (up to 8 components of up to "
                    "8 characters from A-Z, 0-9 and _; PS3.10 8.5): use --rename to have it "
                    "given one",
                )
            else:
                yield item

    def _is_within(self, source: str) -> bool:
        """Whether the file lies in the folder, and not where a link leads out of it."""
        return not os.path.islink(source) or Path(source).resolve().is_relative_to(
            self.root.resolve()
        )

    def _unwanted(self, candidate: Candidate) -> str | None:
        """Return why the choice leaves `candidate` out, ``None`` if it takes it."""
        if not (self.choice.include or self.choice.exclude):
            return None
        matches = _matcher(candidate)
        for keyword in dict.fromkeys(keyword for keyword, _ in self.choice.include):
            values = [value for key, value in self.choice.include if key == keyword]
            if not any(matches(keyword, value) for value in values):
                return f"it is not {keyword}={' or '.join(values)}"
        for keyword, value in self.choice.exclude:
            if matches(keyword, value):
                return f"it is {keyword}={value}"
        return None


def new_uid() -> str:
    """Return a new UID, made of a random UUID (PS3.5 Section B.2)."""
    return f"2.25.{uuid4().int}"


def _matcher(candidate: Candidate) -> Callable[[str, str], bool]:
    """Return whether an element of the instance, by keyword, has a value's text.

    A value that can't be read as what its VR says is no value.
    """
    # pydicom takes long to import, and most folders are indexed whole.
    from fileset.search import has_value  # noqa: PLC0415
    from ledger.datasets import to_dataset  # noqa: PLC0415

    header = to_dataset(encode(candidate.instance.header.values()))
    whole = cache(candidate.dataset)

    def matches(keyword: str, value: str) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they would not say of which file they are
            try:
                ds = header if keyword in header else whole()
                return keyword in ds and has_value(ds[keyword], value)
            except Exception:  # noqa: BLE001 - pydicom raises many things on such values
                return False

    return matches


def _series(candidate: Candidate) -> str | None:
    """Return the key of the SERIES record, ``None`` for an instance that has none above it."""
    return next((record_key(r) for r in candidate.records if r.type == "SERIES"), None)
