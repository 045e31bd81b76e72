"""Indexing a folder: a DICOMDIR for the instances in it, where they lie."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from attrs import define, field, frozen

from fileset.adding.add import Adder, OnResult, below
from fileset.adding.candidate import Candidate
from fileset.adding.find import find_files
from fileset.adding.ignoring import Ignored
from fileset.adding.offer import Offered, offer
from fileset.adding.outcome import Outcome, Result
from fileset.adding.report import AddReport
from fileset.adoption.index_journal import CompletedIndex, is_index_journal
from fileset.errors import RefusedError
from fileset.medium.dicomdir import dicomdirs_at, read_dicomdir, remove_leftovers, remove_others
from fileset.medium.errors import MediumError
from fileset.medium.guards import refuse_place
from fileset.medium.write import Writer, WriteResult
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.digest import digest_of
from ledger.elements import encode
from ledger.errors import LedgerError
from ledger.events import FileSetImported
from ledger.files import read_file
from ledger.names import bare, clash_with_dicomdir, is_conformant
from projections.dicomdir.definitions import DICOMDIR
from projections.dicomdir.mending import decode_damaged
from projections.state.keys import record_key

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

    from fileset.criteria import Query


@frozen
class Choice:
    """Which instances of a folder are indexed.

    One is taken that has a value of `include` for every keyword in it and none of `exclude`, if
    its series has at least `minimum` such instances. Both are pairs of a keyword and what its value
    is to be, as `FileSet.search` takes it.
    """

    include: tuple[tuple[str, str], ...] = ()
    exclude: tuple[tuple[str, str], ...] = ()
    minimum: int = 1


@define
class Indexer:
    """Makes the DICOMDIR of a folder.

    With `complete`, values that directory records must have and an instance lacks are invented, in
    the DICOMDIR only. With `rename`, files whose names are no File IDs (PS3.10 Section 8.5) get
    names that are; without, they are rejected. With `replace`, a DICOMDIR that is there gives way,
    whatever form its name has. Files whose names are `ignored` are passed over.
    Other File-sets in folders of this one are left alone: their DICOMDIRs name their files. The
    DICOMDIR of an interrupted indexing that was `completed` gives way as well.
    """

    repository: Repository
    root: Path
    choice: Choice = field(factory=Choice)
    complete: bool = False
    reject_mismatched: bool = False
    rename: bool = False
    replace: bool = False
    completed: CompletedIndex | None = None
    ignored: Ignored | None = None

    def stage(
        self, *, file_set_id: str | None = None, progress: OnResult | None = None
    ) -> AddReport:
        """Record the folder's instances in the repository, and return the account of each file.

        Raises `RefusedError` if `root` is no folder, `MediumError` if it is no place for a
        File-set or has a DICOMDIR.
        """
        root = self.root = self.root.absolute()
        if not root.is_dir():
            raise RefusedError(f"{root} is not a folder.")
        refuse_place(root, self.repository.path)
        try:
            there = read_dicomdir(root)
        except MemoryError as exc:
            raise RefusedError(f"{root / DICOMDIR} is too large for memory: move it away.") from exc
        done = self.completed
        is_ours = done is not None and there is not None and digest_of(there) == done.dicomdir
        named = dicomdirs_at(root)
        if named and not (self.replace or is_ours):
            raise MediumError(
                f"{root} has a DICOMDIR already: adopt it with `fileset init REPO --from "
                f"{root / named[0]}`, or use --replace to make a new one in its place."
            )
        if self.rename and (above := _file_set_around(root)) is not None:
            raise RefusedError(
                f"{root} is in the File-set at {above}, whose DICOMDIR names files that --rename "
                f"might rename: index {above}, or leave out --rename."
            )
        remove_leftovers(root)
        with self.repository.change():
            self.repository.emit(
                FileSetImported(
                    root=os.fspath(root),
                    uid=done.uid if done is not None and is_ours else new_uid(),
                    dicomdir=digest_of(there) if there is not None else None,
                    id=file_set_id,
                )
            )
            adder = Adder(self.repository, reject_mismatched=self.reject_mismatched)
            return adder.add_in_place(self._offered(), root, progress=progress)

    def write(self, *, progress: Progress | None = None) -> WriteResult:
        """Put the DICOMDIR in place, after renaming what had to be renamed.

        A write that was interrupted is completed instead.
        """
        writer = Writer(self.repository)
        if (plan := writer.plan_resume()) is not None:
            writer.resume(progress=progress)
            result = WriteResult(plan.root, plan, digest_of(plan.dicomdir))
        else:
            layout = "conformant" if self.rename else "existing"
            result = writer.write(None, layout, afresh=True, progress=progress)
        if self.replace:
            remove_others(self.root)
        return result

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
        found = find_files([self.root], recursive=True, in_place=True, ignored=self.ignored)
        files = (file for file in found if not is_index_journal(file.path, self.root))
        kept = self.repository.is_kept  # and so is the digest of each file's content
        chosen = bool(self.choice.include or self.choice.exclude)
        for item in offer(files, complete=self.complete, contents=kept, headers=chosen):
            if isinstance(item, Result):
                yield item
                continue
            source = item.source or ""
            if not self._is_within(source):
                yield Result(
                    source, Outcome.REJECTED, reason="it is a link that leads out of the folder"
                )
            elif (why := self._unwanted(item)) is not None:
                yield Result(source, Outcome.EXCLUDED, reason=why)
            elif (clash := clash_with_dicomdir(name := below(self.root, source))) is not None:
                yield Result(source, Outcome.REJECTED, reason=f"it {clash}: rename the folder")
            elif not self.rename and not is_conformant(name):
                yield Result(
                    source,
                    Outcome.REJECTED,
                    reason=f"'{name}' is not a File ID (up to 8 components of up to "
                    "8 characters from A-Z, 0-9 and _; PS3.10 8.5): use --rename to give "
                    "it one",
                )
            else:
                yield item

    def _is_within(self, source: str) -> bool:
        """Whether the file lies in the folder, and not where a link leads out of it."""
        return not os.path.islink(source) or Path(os.path.realpath(source)).is_relative_to(
            os.path.realpath(self.root)
        )

    def _unwanted(self, candidate: Candidate) -> str | None:
        """Return why the choice leaves `candidate` out, `None` if it takes it."""
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


def _file_set_around(root: Path) -> Path | None:
    """Return the nearest folder above `root` whose DICOMDIR may name files below it."""
    root = root.resolve()
    return next((above for above in root.parents if _names_files_of(above, root)), None)


def _names_files_of(above: Path, root: Path) -> bool:
    """Whether the folder `above` has a DICOMDIR that names files below `root`, or can't be read."""
    below = [bare(name) for name in root.relative_to(above).parts]
    try:
        for name in dicomdirs_at(above):
            directory, _ = decode_damaged(read_file(above / name), name=os.fspath(above / name))
            file_ids = (each.file_id or () for each in directory.records)
            if any([bare(part) for part in parts[: len(below)]] == below for parts in file_ids):
                return True
    except (OSError, LedgerError):
        return True
    return False


def new_uid() -> str:
    """Return a new UID, made of a random UUID (PS3.5 Section B.2)."""
    return f"2.25.{uuid4().int}"


@lru_cache
def _asked(keyword: str, value: str) -> Query:
    from fileset.criteria import Query  # noqa: PLC0415 - as below

    return Query.of({keyword: value})


def _matcher(candidate: Candidate) -> Callable[[str, str], bool]:
    """Return whether an element of the instance, by keyword, has a value's text.

    A value that can't be read as what its VR says is no value.
    """
    # pydicom takes long to import, and most folders are indexed whole.
    from fileset.criteria import element_of  # noqa: PLC0415
    from ledger.instances.datasets import to_dataset  # noqa: PLC0415

    header = to_dataset(encode(candidate.instance.header.values()))
    whole = cache(candidate.dataset)

    def look_up(tag: int) -> DataElement | None:
        found = element_of(header, tag)
        return element_of(whole(), tag) if found is None else found

    def matches(keyword: str, value: str) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they would not say of which file they are
            try:
                return _asked(keyword, value).matches(look_up)
            except Exception:  # noqa: BLE001 - pydicom raises many things on such values
                return False

    return matches


def _series(candidate: Candidate) -> str | None:
    """Return the key of the SERIES record, `None` for an instance that has none above it."""
    return next((record_key(r) for r in candidate.records if r.type == "SERIES"), None)
