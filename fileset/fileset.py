"""`FileSet`: a DICOM File-set as pydicom's class of that name presents it, over a journal.

Each method hands over to the module that does the work, and imports it: who imports the class waits
only for what is then used. What makes this one long is its signatures and docstrings, which are the
reference for people who program with it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

from fileset.errors import NoSuchInstanceError, RefusedError, RepositoryError

if TYPE_CHECKING:
    from pydicom.uid import UID

    from fileset.adding.add import Adder
    from fileset.adding.coercing import Coercer
    from fileset.adding.given import DSPathType
    from fileset.adding.outcome import Result
    from fileset.adding.report import AddReport
    from fileset.adoption.adopt import Doubt
    from fileset.checking.findings import RepositoryFinding
    from fileset.correcting.correct import CorrectionReport, CorrectionResult
    from fileset.erasure.plan import Erasure
    from fileset.media.media import HandedOutMedia
    from fileset.medium.write import Writer
    from fileset.pictures.sheet import Sheet
    from fileset.progress import Progress
    from fileset.repository.contents import Contents
    from fileset.repository.repository import Repository
    from fileset.repository.undo import UndoPlan
    from fileset.timeline.moments import Moment
    from fileset.views.difference import Difference
    from fileset.views.history import History, HistoryEntry, PendingChanges
    from fileset.views.instance import FileInstance
    from fileset.views.preview import Preview
    from fileset.views.records import RecordNode
    from fileset.views.view import View
    from ledger.events import Handle, Record, RecordMended
    from ledger.vault.protocol import Excess
    from projections.past.provenance import Touch
    from projections.state.persons import Mismatch
    from projections.state.state import FileSetState


class FileSet:
    """A DICOM File-set: a flat collection of its SOP Instances, whose changes are staged.

    Nothing on the medium changes until `write`. Every change is an event in a journal, so
    all of them can be undone and redone. A `FileSet()` or `FileSet(dicomdir)` lasts as long as
    the object; with `repository`, and by `open`, it is kept in a folder.
    """

    def __init__(
        self,
        ds: DSPathType | None = None,
        *,
        repository: str | os.PathLike[str] | Repository | None = None,
        progress: Progress | None = None,
        repair: bool = False,
    ) -> None:
        """Make a new File-set, or load or adopt the one whose DICOMDIR `ds` is (path or dataset).

        Parameters
        ----------
        ds : pydicom.dataset.Dataset, str or PathLike, optional
            The DICOMDIR of an existing File-set.
        repository : str, PathLike or Repository, optional
            A new folder to keep the File-set's journal and content in. Every file of an existing
            File-set is then read, and its digest recorded. Or an open repository, which is
            presented as it is.
        progress : optional
            Called with the number of files of an existing File-set looked at, and of all.
        repair : bool, optional
            Correct what is wrong with the DICOMDIR of an existing File-set from its files; `mends`
            lists what that was. The next write rewrites the DICOMDIR.
        """
        from fileset.repository.repository import Repository

        self._doubts: Mapping[Doubt, list[str]] = {}
        if isinstance(repository, Repository):
            self._use(repository)
        else:
            self._use(self._begun(ds, repository, progress, repair=repair))

    def _begun(
        self,
        ds: DSPathType | None,
        folder: str | os.PathLike[str] | None,
        progress: Progress | None,
        *,
        repair: bool,
    ) -> Repository:
        """Return a new repository in `folder`, else an ephemeral one, for `ds` or from nothing."""
        from fileset.python_gc import gc_paused
        from fileset.repository.folder import is_repository
        from fileset.repository.repository import Repository

        begin = self._adopting(ds, progress, repair=repair) if ds else _begin
        if folder is None:
            kept = Repository.ephemeral()
            try:
                with gc_paused():
                    begin(kept)
            except BaseException:
                kept.close()
                raise
            return kept
        if is_repository(Path(folder)):
            raise RepositoryError(
                f"{Path(folder)} is a repository already: open it with "
                f"FileSet.open({os.fspath(folder)!r}), or name a new folder."
            )
        return Repository.create(Path(folder), begin)

    def _adopting(
        self, ds: DSPathType, progress: Progress | None, *, repair: bool
    ) -> Callable[[Repository], None]:
        """Read a DICOMDIR, and return what records its File-set in an empty repository."""
        from fileset.adoption.load import load, read_existing
        from fileset.adoption.mend import Mending

        found = read_existing(ds, repair=repair)

        def begin(new: Repository) -> None:
            if repair:
                Mending(new, found, digest=new.is_kept).run(progress)
            else:
                self._doubts = load(new, found, progress=progress)

        return begin

    @classmethod
    def open(cls, repository: str | os.PathLike[str]) -> FileSet:
        """Return the File-set that is kept in the folder `repository`."""
        from fileset.repository.repository import Repository

        return cls(repository=Repository.open(Path(repository)))

    def _use(self, repository: Repository) -> None:
        from fileset.views.instance import FileInstance
        from fileset.views.records import tree_node
        from fileset.views.view import View

        self._shown = View(self, repository, make_node=tree_node, make_instance=FileInstance)
        self._listed: tuple[str, ...] | None = None  # a descriptor file ID that was set as a list

    @property
    def _view(self) -> View:
        """What is presented; `ClosedError` after `close`."""
        self._shown.refuse_if_closed()
        return self._shown

    @property
    def _repository(self) -> Repository:
        return self._view.repository

    @cached_property
    def _adder(self) -> Adder:
        from fileset.adding.add import Adder

        return Adder(self._repository)

    @cached_property
    def _writer(self) -> Writer:
        from fileset.medium.write import Writer

        return Writer(self._repository)

    def _become(self, repository: Repository) -> None:
        """Become the File-set of another repository; instances of this one are no longer known."""
        self._view.is_shown = False
        for name in ("_adder", "_writer"):
            vars(self).pop(name, None)
        self._use(repository)

    def close(self) -> None:
        """Close the repository's files: whatever is asked for then raises `ClosedError`.

        Of a past File-set, see `at`, only this object is closed.
        """
        self._shown.close()

    def __enter__(self) -> Self:
        """Return the File-set itself, to be closed at the end of a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the File-set."""
        self.close()

    def __repr__(self) -> str:
        """Return what the File-set is and what is staged, in a line."""
        from fileset.views.words import file_set_line

        return file_set_line(self._shown)

    def _repr_html_(self) -> str:
        from fileset.views.words import file_set_html

        return file_set_html(self._shown)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what leads to the File-set: its repository and the position.

        Unpickled, in this or another process, it is read-only and as of that position, whatever
        was recorded since. `RefusedError` if it has no repository, or a change is open.
        """
        from fileset.views.reference import opened, reference

        return opened, (type(self), *reference(self._view))

    def __copy__(self) -> Self:
        """Return another object for the same File-set: whatever one changes, the other has, too."""
        another = object.__new__(type(self))
        vars(another).update(vars(self))
        return another

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        """Raise `RefusedError`: what happened to a File-set has one journal."""
        raise RefusedError(
            "A File-set can't be deep-copied: there is one journal of what happened to it. copy() "
            "writes a copy to a folder, at() gives the File-set as it was, and copy.copy() another "
            "object for the same one."
        )

    # --- the state and views of it ---------------------------------------------------------------

    @property
    def repository(self) -> Repository:
        """The journal, vault and state behind the File-set."""
        return self._repository

    @property
    def state(self) -> FileSetState:
        """The state that is presented: the present one, or that of `at`."""
        return self._view.state

    def refresh(self) -> None:
        """Take in what others, with another object, have recorded since; every change does so."""
        if self._view.fixed is None:
            self._repository.refresh()

    @property
    def contents(self) -> Contents:
        """What reads the instances, from wherever they are."""
        return self._view.contents

    def instance(self, handle: Handle) -> FileInstance:
        """Return the one `FileInstance` that stands for the instance `handle`."""
        return cast("FileInstance", self._view.instance(handle))

    # Programs reach for these of pydicom's FileSet although they are not public.

    @property
    def _instances(self) -> list[FileInstance]:
        return list(self._view.instances())

    @property
    def _tree(self) -> RecordNode:
        return cast("RecordNode", self._view.node(self.state.hierarchy.root))

    @property
    def _stage(self) -> Mapping[str, Any]:
        staged = self.pending
        return MappingProxyType(
            {
                "+": {str(instance.SOPInstanceUID): instance for instance in staged.additions},
                "-": {str(instance.SOPInstanceUID): instance for instance in staged.removals},
                "~": bool(staged.moves),
                "^": staged.creation
                or bool(staged.metadata)
                or staged.mends
                or bool(staged.records)
                or bool(staged.corrections),
            }
        )

    def __iter__(self) -> Iterator[FileInstance]:
        """Yield the instances of the File-set as it is when the iteration begins."""
        yield from self._view.instances()[:]

    def __len__(self) -> int:
        """Return the number of instances."""
        return len(self.state.live)

    # --- identity --------------------------------------------------------------------------------

    @property
    def ID(self) -> str | None:  # noqa: N802 - pydicom's name
        """The *File-set ID*, at most 16 characters, or `None`."""
        return self.state.identity.id

    @ID.setter
    def ID(self, val: str | None) -> None:  # noqa: N802 - pydicom's name
        from fileset.repository.identity import checked_id

        self._set("id", checked_id(val))

    @property
    def UID(self) -> UID:  # noqa: N802 - pydicom's name
        """The File-set UID."""
        from pydicom.uid import UID

        return UID(self.state.identity.uid)

    @UID.setter
    def UID(self, uid: str) -> None:  # noqa: N802 - pydicom's name
        from fileset.repository.identity import checked_uid

        known = uid == self.state.identity.uid  # an adopted one may not be valid
        self._set("uid", str(uid) if known else checked_uid(uid))

    @property
    def descriptor_file_id(self) -> str | list[str] | None:
        """The *File-set Descriptor File ID*: a name, the components of a path, or `None`."""
        value = self.state.identity.descriptor_file_id
        if value is None:
            return None
        return value[0] if len(value) == 1 and value != self._listed else list(value)

    @descriptor_file_id.setter
    def descriptor_file_id(self, val: str | list[str] | None) -> None:
        from fileset.repository.identity import checked_descriptor

        value = checked_descriptor(val)
        self._set("descriptor_file_id", value)
        self._listed = value if isinstance(val, list) else None

    @property
    def descriptor_character_set(self) -> str | None:
        """The *Specific Character Set of File-set Descriptor File*, or `None`."""
        return self.state.identity.descriptor_character_set

    @descriptor_character_set.setter
    def descriptor_character_set(self, val: str | None) -> None:
        from fileset.repository.identity import checked_text

        self._set("descriptor_character_set", checked_text("descriptor character set", val))

    @property
    def profile(self) -> str | None:
        """The identifier of the application profile (PS3.11), or `None`.

        Setting one gives directory records the keys that it asks for: the instances are read for
        them, and a warning names those that can't be. ValueError for a name that is none.
        """
        return self.state.identity.profile

    @profile.setter
    def profile(self, val: str | None) -> None:
        from fileset.profiles.names import profile_named
        from fileset.profiles.recording import set_profile, warn_unread
        from fileset.repository.identity import checked_text

        name = checked_text("application profile", val)
        if name is not None:
            name = profile_named(name, to_set=True).identifier
        warn_unread(set_profile(self._writable(), name).unread)

    def _set(self, name: str, value: Any) -> None:
        self._writable().set_identity(name, value)

    def _writable(self) -> Repository:
        if (past := self._view.fixed) is not None:
            raise RefusedError(
                f"This is the File-set as of position {past.position}; it can't be changed."
            )
        return self._repository

    @property
    def path(self) -> str | None:
        """The absolute path of the File-set's root folder, `None` before the first write."""
        written = self.state.written
        return written.root if written else None

    @property
    def root_path(self) -> Path:
        """The same as a path; AttributeError before the first write."""
        if self.path is None:
            raise AttributeError("No root path set in the File-set")
        return Path(self.path)

    # --- adding ----------------------------------------------------------------------------------

    def add(self, ds_or_path: DSPathType) -> FileInstance:
        """Stage an instance to be added, and return it.

        One that is part of the File-set already is returned as it is, with a warning if its content
        is different. Adding what is staged for removal takes the removal back.

        Raises ValueError (`InstanceError`) if it can't be in a File-set.
        """
        return self._add(ds_or_path)

    def add_custom(self, ds_or_path: DSPathType, leaf: RecordNode) -> FileInstance:
        """Stage an instance to be added with directory records of your own, and return it.

        `leaf` is the node of the record that references it, below the nodes of the records above
        it, at most 7. The elements that link and reference are filled in.
        """
        from fileset.adding.given import refer_to
        from fileset.views.records import to_record

        if leaf.depth > 7:
            raise ValueError(
                "The 'leaf' node must not have more than 7 ancestors as 'FileSet' supports a "
                "maximum directory structure depth of 8"
            )
        records = tuple(to_record(node._record) for node in (leaf, *leaf.ancestors))[::-1]  # noqa: SLF001 - ours
        instance = self._add(ds_or_path, records)
        leaf.instance = instance
        refer_to(leaf._record, self.state.leaf(instance.handle))  # noqa: SLF001 - ours
        return instance

    def _add(
        self, ds_or_path: DSPathType, records: tuple[Record, ...] | None = None
    ) -> FileInstance:
        from fileset.adding.given import add_given

        self._writable()
        return self.instance(add_given(self._adder, ds_or_path, records))

    def add_many(  # noqa: PLR0913 - all but the first are named
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        recursive: bool = True,
        reference: bool = False,
        complete: bool = False,
        reject_mismatched: bool = False,
        coerce: str | os.PathLike[str] | Coercer | None = None,
        ignore: Iterable[str] | None = None,
        dry_run: bool = False,
        reason: str | None = None,
        progress: Callable[[Result], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> AddReport:
        """Add files, and what is in folders, as one change; return the account of each.

        `paths` is one path or several. Of a ZIP file or disc image that is named, what is in it is
        added, as if it were a folder.

        A bad file is reported and the others are added. With `reference` the files are left where
        they are, and checked against their digest when they are written. With `complete` values
        that directory records must have and an instance lacks are invented, in the DICOMDIR only;
        the account tells which. Files that may belong to a different person from others with their
        Patient ID are reported and, with `reject_mismatched`, not added. With `coerce`, the path of
        a file of rules or what `fileset.correcting.coercer` makes of one, what is new is corrected
        by these rules in the same change; what can't be is not added. With `ignore`, what has a
        name in folders or archives that fits one of these patterns (`fnmatch`, in any case), or one
        that a watcher would pass over, is skipped: `()` for these alone. With `dry_run` nothing is
        recorded, and the account says what would be. `progress` is called with the
        account of each file. `stop` is called before each file, and ends the work if it returns
        true: what was added by then is kept.

        Raises `CorrectionError` (ValueError) if the rules are wrong, and ValueError for `reference`
        with `coerce`, since what a correction replaces is kept.
        """
        from fileset.adding.add import Adder
        from fileset.adding.find import FoundFiles, archives_among, find_files
        from fileset.adding.ignoring import Ignored
        from fileset.adding.members import room_of
        from fileset.adding.offer import Offers, offer
        from fileset.correcting.coercion import coercer
        from ledger.events import Placement
        from ledger.phrases import some

        self._writable()
        if reference and coerce is not None:
            raise ValueError(
                "What is coerced is kept as it arrived: it can't be added by reference"
            )
        if isinstance(coerce, str | os.PathLike):
            coerce = coercer(Path(coerce))
        repository = self._repository
        given: Iterable[str | os.PathLike[str]] = (
            paths
            if isinstance(paths, FoundFiles)
            else ([paths] if isinstance(paths, str | os.PathLike) else list(paths))
        )
        if reference and (archives := archives_among(given)):
            raise ValueError(f"{some(archives)}: what is in an archive can't be added by reference")
        ignored = None if ignore is None else Ignored(ignore)
        offered = Offers(
            lambda: offer(
                find_files(given, recursive=recursive, ignored=ignored),
                complete=complete,
                room=room_of(repository),
                ignored=ignored,
            )
        )
        placement = Placement.REFERENCE if reference else Placement.VAULT
        adder = Adder(repository, reject_mismatched=reject_mismatched, coerce=coerce)
        return adder.add(
            offered,
            placement=placement,
            reason=reason,
            progress=progress,
            stop=stop,
            dry_run=dry_run,
        )

    @property
    def mismatches(self) -> list[Mismatch]:
        """The Patient IDs that several persons seem to have, and that nobody has settled."""
        from projections.state.persons import mismatches

        return mismatches(self.state)

    def settle(self, patient_id: str, *, reason: str | None = None) -> Mismatch | None:
        """Accept the persons who have `patient_id` as they are known now, as one change.

        `None` if there is nothing to settle. Persons that are added later and differ from all of
        them are reported again.
        """
        from fileset.repository.persons import settle

        return settle(self._writable(), patient_id, reason=reason)

    # --- correcting ------------------------------------------------------------------------------

    def correct(  # noqa: PLR0913 - all but the first two are named
        self,
        instances: FileInstance | Iterable[FileInstance],
        values: Mapping[str, Any] = MappingProxyType({}),
        *,
        reason: str | None = None,
        coerce: bool = False,
        new_uids: bool = False,
        original_attributes: bool | None = None,
        drop_signatures: bool = False,
        dry_run: bool = False,
        progress: Callable[[CorrectionResult], None] | None = None,
    ) -> CorrectionReport:
        """Give elements of instances other values, as one change; return the account of each.

        An instance is replaced by one with the same bytes but for these elements, and stays where
        it is in the order and on the medium. Undo brings back the very bytes of before.

        Parameters
        ----------
        values
            The new values by keyword, by tag, or by a path such as
            `"ReferencedStudySequence[0].ReferencedSOPInstanceUID"`: text, numbers, or lists of
            them; `None` for an empty value, `fileset.correcting.REMOVE` for no such element. UIDs
            of instances, studies, series and frames of reference are replaced wherever the File-set
            has them.
        coerce
            The values are one's own rather than right (COERCE in place of CORRECT).
        new_uids
            Replace the UIDs of the instances by new ones; then `values` need not be given.
        original_attributes
            Add an item to Original Attributes Sequence (PS3.3 Section C.12.1.1.9) that says what
            was there before. `None` adds one unless the Patient ID is corrected: the medium of one
            patient is not to tell of another.
        drop_signatures
            Remove digital signatures over what is corrected; without it they no longer fit.
        dry_run
            Try it, and record nothing.

        Raises
        ------
        CorrectionError
            If the values can't be those of any instance: an element can't be corrected, or a value
            is not one of its kind. An instance that can't be corrected is in the account, and is as
            it was; the others are corrected.
        NoSuchInstanceError
            If one is not part of the File-set (ValueError).
        """
        if not values and not new_uids:
            raise ValueError("Say what is to be corrected: values, or new_uids=True")
        from fileset.correcting.correct import Corrector
        from fileset.correcting.correction import Correction
        from fileset.correcting.wanted import corrections_of
        from fileset.views.instance import FileInstance
        from ledger.events import CorrectionReason

        repository = self._writable()
        given = [instances] if isinstance(instances, FileInstance) else list(instances)
        how = Correction(
            reason=CorrectionReason.COERCE if coerce else CorrectionReason.CORRECT,
            original_attributes=original_attributes,
            drop_signatures=drop_signatures,
        )
        corrector = Corrector(repository)
        with repository.exclusively():  # nothing comes between what is asked and what is done
            repository.refresh()
            leaves = [self.state.leaf(handle) for handle in self._handles_of(given)]
            wanted = corrections_of(corrector, self.state, leaves, values, how, new_uids=new_uids)
            return corrector.correct(wanted, reason=reason, progress=progress, dry_run=dry_run)

    def move(
        self, instances: FileInstance | Iterable[FileInstance], patient_id: str, **options: Any
    ) -> CorrectionReport:
        """Give instances that are filed under the wrong patient to another one of the File-set.

        They get the Patient ID and all else by which the File-set knows that patient: name, birth
        date, sex, issuer of the ID; what it doesn't know is emptied. `options` and what is returned
        are those of `correct`. NoSuchInstanceError (ValueError) if there is no such patient.
        """
        from fileset.correcting.persons import values_of_patient

        with self._writable().exclusively():
            self.refresh()
            return self.correct(instances, values_of_patient(self.state, patient_id), **options)

    def merge(self, patient_id: str, into: str, **options: Any) -> CorrectionReport:
        """Make all instances of a patient those of another one, who is the same person.

        As `move`, but what the File-set doesn't know of the patient `into` stays as it is in them.
        NoSuchInstanceError (ValueError) if the File-set lacks one of the two.
        """
        from fileset.correcting.persons import values_of_patient

        if patient_id.strip() == into.strip():
            raise ValueError(f"'{into}' is the same patient: name two")
        with self._writable().exclusively():
            self.refresh()
            values = values_of_patient(self.state, into, is_same=True)
            if not (found := self.find(PatientID=patient_id)):
                raise NoSuchInstanceError(
                    f"The File-set has no patient with the ID '{patient_id}'."
                )
            return self.correct(found, values, **options)

    # --- removing --------------------------------------------------------------------------------

    def remove(self, instance: FileInstance | list[FileInstance]) -> None:
        """Stage an instance, or each of a list, to be removed: all or none.

        ValueError if one is not part of the File-set.
        """
        repository = self._writable()
        repository.refresh()
        instances = instance if isinstance(instance, list) else [instance]
        repository.remove(self._handles_of(instances))

    def _handles_of(self, instances: Iterable[FileInstance]) -> dict[Handle, None]:
        """Return the handles of instances of this File-set, each once."""
        from fileset.views.instance import FileInstance

        handles: dict[Handle, None] = {}
        for item in instances:
            known = isinstance(item, FileInstance) and item.file_set is self and item.is_current
            # One that was corrected since stands for what took its place.
            leaf = self.state.live_version(item.handle) if known else None
            if leaf is None:
                raise NoSuchInstanceError("No such instance in the File-set")
            handles[leaf.handle] = None
        return handles

    def clear(self) -> None:
        """Empty the File-set.

        Without a repository it becomes a new File-set, which has no root. With one, this is a
        change like any other: all instances are staged for removal and the identity is reset.
        """
        from pydicom.uid import generate_uid

        from fileset.repository.repository import Repository

        if not self._writable().is_kept:
            self._become(Repository.ephemeral())
            _begin(self._repository)
            return
        with self.change(reason="clear"):
            self.remove(list(self))
            self.ID = None
            self.UID = generate_uid()
            self.descriptor_file_id = None
            self.descriptor_character_set = None

    def erase(
        self,
        *,
        reason: str,
        take_off: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
        **query: str,
    ) -> Erasure:
        """Erase a person's data from the repository for good: from journal, vault and caches.

        `query` gives one or more of `PatientID`, `StudyInstanceUID`, `SeriesInstanceUID` and
        `SOPInstanceUID`; all instances that ever were part of the File-set are searched. With
        `take_off`, those that are part of it now are removed, and its medium is written without
        them. With `dry_run`, nothing is done, and what would be erased is returned.

        Raises `StillThereError` without `take_off` if any is part of the File-set or on its medium,
        and RefusedError if the `reason` identifies the person.
        """
        from fileset.erasure.erase import Eraser

        eraser = Eraser(self._writable(), self.contents)
        if dry_run:
            return eraser.foresee(query)
        done = eraser.erase(query, reason=reason, take_off=take_off, progress=progress)
        self._view.forget()
        return done

    @property
    def erased(self) -> int:
        """How many instances were part of this past File-set, see `at`, and erased since."""
        return self.state.erased

    def gc(self, *, dry_run: bool = True) -> Excess:
        """Return how much the vault holds that no event names; without `dry_run`, drop it."""
        from fileset.repository.garbage import collect

        return collect(self._writable(), dry_run=dry_run)

    # --- searching -------------------------------------------------------------------------------

    def find(self, load: bool = False, **kwargs: Any) -> list[FileInstance]:
        """Return the instances whose elements have the values given by keyword.

        With `load` the instances are read and all their elements searched, otherwise only those of
        their directory records.
        """
        from fileset.views.search import find
        from projections.state.search import candidates, one_by_one

        leaves = None if load else candidates(self.state, kwargs)
        if leaves is None:
            return find(self, kwargs, load=load)
        known = [self.instance(leaf.handle) for leaf in leaves]
        others = (self.instance(leaf.handle) for leaf in one_by_one(self.state))
        return find(others, kwargs, load=load, known=known)

    def search(
        self,
        query: Mapping[str, Any] = MappingProxyType({}),
        *,
        load: bool = False,
        **criteria: Any,
    ) -> list[FileInstance]:
        r"""Return the instances that match all criteria, by the rules of PS3.4 Section C.2.2.2.

        A criterion is the keyword or tag of an element, in `query` or as an argument, and what it
        is to be: `"Doe*"`, names in any case, `"2026-03"` or `"2026-03-01..2026-03-31"`, `"1..10"`
        or `">=5"`, a number, a `date`, or a list of which one will do. Nothing (`""` or `None`) is
        no value, `"*"` any. Of several values of an element one has to match, or all of them where
        there are backslashes between. A mapping asks for elements of a sequence's items, as does a
        keyword with dots. `find` takes values as they are.

        With `load` the instances are read and all their elements searched, otherwise only those of
        their directory records; a warning names each of which the file, or such an element of it,
        can't be read. Where nothing is found, a warning says what was not searched, or which value
        is near. Raises `NoSuchKeywordError`, and `MatchingError` for what can't be the
        value of such an element (both ValueError).
        """
        from fileset.criteria import Query
        from fileset.views.search import Search

        if not isinstance(query, Mapping):
            raise TypeError(
                "search() takes keywords or a mapping, as in search(PatientName='Doe*') or "
                f"search({{'PatientName': 'Doe*'}}), not {query!r}"
            )
        asked = Query.of({**query, **criteria})
        search = Search(load)
        found = search.find(self, asked)
        for uid, reason in search.unreadable:
            warnings.warn(f"{uid}: can't be read: {reason}", stacklevel=2)
        if not found:
            search.explain(self, asked)
        return found

    def find_values(
        self,
        elements: str | int | list[str | int],
        instances: list[FileInstance] | None = None,
        load: bool = False,
    ) -> list[Any] | dict[str | int, list[Any]]:
        """Return the distinct values of elements, given by keyword or tag.

        One element gives a list, a list of elements a dict of lists. `instances` limits the search;
        `load` is as for `find`.
        """
        from fileset.views.search import find_values

        return find_values(elements, instances or self._view.instances(), load=load)

    def to_dataframe(
        self, *keywords: str, library: Literal["pandas", "polars"] | None = None, load: bool = False
    ) -> Any:
        """Return the instances as a data frame, one row for each, in the order of the File-set.

        Parameters
        ----------
        keywords
            Further columns besides those of `fileset.views.columns.KEYWORDS`. The lowest directory
            record that has the element answers for it.
        library
            What makes the frame: by default pandas, or polars where only that is installed.
        load
            Read the instances for what no directory record of them has.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            Whole numbers, numbers and dates are such where the Standard has just one of them; all
            else is text, of several values with backslashes. A value that is not of its column's
            kind is missing, and a warning says how many are.

        Raises
        ------
        MissingExtraError
            If neither library is installed, or not the one that is named (ImportError).
        NoSuchKeywordError, ValueError
            If there is no such element, or it is a sequence or bytes.
        """
        from fileset.views.columns import columns
        from fileset.views.dataframe import data_frame, library_named

        view, chosen = self._view, library_named(library)
        return data_frame(columns(view, keywords, load=load), chosen)

    # --- loading and writing ---------------------------------------------------------------------

    def load(
        self, ds_or_path: DSPathType, include_orphans: bool = True, raise_orphans: bool = False
    ) -> None:
        """Load an existing File-set in place of this one, from its DICOMDIR.

        If its files lie elsewhere than the default layout has them, moving them is staged. If it
        can't be loaded, this File-set stays as it is.

        Parameters
        ----------
        ds_or_path : pydicom.dataset.Dataset, str or PathLike
            The DICOMDIR.
        include_orphans : bool, optional
            Whether instances whose records no other record leads to are staged to be added.
        raise_orphans : bool, optional
            Whether such records are an error (ValueError).
        """
        from fileset.adoption.load import load, read_existing
        from fileset.repository.repository import Repository

        if self._writable().is_kept:
            raise RefusedError(
                "A File-set kept in a repository can't be replaced by another: use "
                "FileSet(dicomdir, repository=...) with a new folder."
            )
        found = read_existing(ds_or_path)
        if raise_orphans and found.tree.orphans:
            raise ValueError("The DICOMDIR contains orphaned directory records")
        repository = Repository.ephemeral()
        load(repository, found, include_orphans=include_orphans)
        self._become(repository)

    def write(  # noqa: PLR0913 - all but the first three are named
        self,
        path: str | os.PathLike[str] | None = None,
        use_existing: bool = False,
        force_implicit: bool = False,
        *,
        layout: str | None = None,
        new_medium: bool = False,
        replace: bool = False,
        repair: bool = False,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the File-set, or what is staged, to its root folder.

        Parameters
        ----------
        path : str or PathLike, optional
            The root of a File-set that was never written; it must not hold another one. Or the one
            that an imported journal names: nothing there is touched until it is given here. Or
            where the medium is now, if no longer where it was last written: a warning says so.
        use_existing : bool, optional
            Keep all files where they are. ValueError if additions are staged.
        force_implicit : bool, optional
            Encode the DICOMDIR in Implicit VR Little Endian, which does not conform.
        layout : {"pydicom", "existing", "conformant"}, optional
            `"existing"` is like `use_existing`, but gives additions free File IDs; `"conformant"`
            also renames files whose names are not File IDs.
        new_medium : bool, optional
            Leave the medium at the root as it is, and write everything to `path`.
        replace : bool, optional
            If anything lies at a `path` that the File-set was never written to, such as another
            File-set, rename that folder to `path` with `.replaced-1` or another number behind it;
            a warning says so. Nothing in it is deleted, by `erase` neither, and such folders add
            up. The folder that the program works in, the home folder, and what has one of them or
            a repository in it are refused.
        repair : bool, optional
            First repair what was lost or damaged on the medium, and move nothing. A warning names
            each file whose bytes are lost; then nothing is written.
        reason, progress : optional
            A note for the journal; called with the files done and to do.
        """
        from pydicom.uid import ImplicitVRLittleEndian

        from fileset.adoption.existing import warn_of_syntax
        from fileset.medium.set_aside import set_aside
        from fileset.profiles.recording import prepare_icons
        from projections.medium.plan import check_layout

        repository = self._writable()
        if layout is not None:
            check_layout(layout)
        repository.refresh()
        if self.is_staged or new_medium or repair:
            prepare_icons(repository)
        with repository.exclusively():
            repository.refresh()
            self._check_write(path, use_existing=use_existing, new_medium=new_medium)
            self._writer.name(Path(path) if path else None)
            repository.roots.keep()
            is_moved = self._writer.is_moved(Path(path) if path else None)
            if not (self.is_staged or new_medium or repair or is_moved):
                return
            is_new = self.state.writing is None and (new_medium or self.path is None)
            aside = (
                set_aside(Path(path), repository) if path and replace and is_new else nullcontext()
            )
            with aside as moved:
                result = self._writer.write(
                    Path(path) if path else None,
                    layout or ("existing" if use_existing and not repair else None),
                    implicit_vr=force_implicit,
                    new_medium=new_medium,
                    repair=repair,
                    reason=reason,
                    progress=progress,
                )
        if moved is not None:
            warnings.warn(f"What was at {path} is at {moved} now.", stacklevel=2)
        left = result.damage.unrepairable if result.damage is not None else []
        for each in left:
            warnings.warn(f"{each.path} was not repaired: {each.why}", stacklevel=2)
        if left:
            return
        self._listed = None
        if force_implicit:
            warn_of_syntax(ImplicitVRLittleEndian)

    def _check_write(self, path: object, *, use_existing: bool, new_medium: bool) -> None:
        """Refuse what pydicom refuses; an interrupted write knows its root."""
        if not path and (new_medium or (self.path is None and self.state.writing is None)):
            raise ValueError("The path to the root directory is required for a new File-set")
        is_named = self.path is None or self._repository.roots.knows(self.path)
        is_changed = bool(path and self.path and is_named and not new_medium)
        if is_changed and not self._writer.is_moved(Path(cast("str", path))):
            raise ValueError(
                "The path for an existing File-set cannot be changed, use 'FileSet.copy()' to "
                "write the File-set to a new location"
            )
        if use_existing and len(self.state.additions) > len(self.state.corrections):
            raise ValueError(
                "'Fileset.write()' called with 'use_existing' but additions to the File-set's "
                "managed instances are staged"
            )

    def abandon(
        self, path: str | os.PathLike[str] | None = None, *, reason: str | None = None
    ) -> bool:
        """Give up a write that was interrupted, and take back what it made; `False` if none was.

        `path` has to be given if only an imported journal names the root; without it this is a
        `RefusedError`. Raises `MediumError` if the new DICOMDIR is in place already: then the next
        `write` completes the write.
        """
        self._writable()
        self._writer.name(None if path is None else Path(path))
        return self._writer.abandon(reason=reason)

    def copy(self, path: str | os.PathLike[str], force_implicit: bool = False) -> FileSet:
        """Write the File-set, with what is staged, to a new root folder and return that one.

        This one stays as it is. ValueError if `path` is its own root.
        """
        from fileset.medium.export import Exporter

        root = Path(path)
        if self.path and Path(self.path) == root:
            raise ValueError("Cannot copy the File-set as the 'path' is unchanged")
        Exporter(self._repository).export(root, self.state, implicit_vr=force_implicit)
        return FileSet(root / "DICOMDIR")

    def picture(
        self,
        out: str | os.PathLike[str],
        instances: Iterable[FileInstance] | None = None,
        *,
        replace: bool = False,
        **style: Any,
    ) -> Sheet:
        """Make a contact sheet of `instances`, of all by default, at `out`: .html or .png.

        It needs the extra `[pictures]`. `style` are the fields of
        `fileset.pictures.sheet.SheetStyle`, such as `each="instance"`; the report says which
        instances could not be shown, and why. Raises as `fileset.pictures.sheet.make_sheet`.
        """
        from fileset.pictures.sheet import SheetStyle, make_sheet

        return make_sheet(
            self.contents,
            self.state,
            Path(out).absolute(),
            None if instances is None else self._handles_of(instances),
            SheetStyle(**style),
            replace=replace,
        )

    @property
    def media(self) -> HandedOutMedia:
        """Media that are handed out: with the File-set as it is here, or a choice of instances.

        `make`, `list`, `verify` and `remake` are its methods.
        """
        from fileset.media.media import HandedOutMedia

        return HandedOutMedia(self._repository, self.state)

    # --- history ---------------------------------------------------------------------------------

    @contextmanager
    def change(self, *, reason: str | None = None, actor: str | None = None) -> Iterator[None]:
        """Make everything inside one change; an exception inside takes all of it back."""
        with self._writable().change(reason, actor):
            yield

    @overload
    def undo(self, *, reason: str | None = None) -> HistoryEntry: ...
    @overload
    def undo(self, n: int = 1, *, dry_run: Literal[True]) -> Preview: ...
    @overload
    def undo(
        self, n: int, *, reason: str | None = None, dry_run: Literal[False] = False
    ) -> HistoryEntry | list[HistoryEntry]: ...
    def undo(
        self, n: int = 1, *, reason: str | None = None, dry_run: bool = False
    ) -> HistoryEntry | list[HistoryEntry] | Preview:
        """Take back the newest change, or the newest `n`, and return it or them, newest first.

        With `dry_run`, nothing is done and a `Preview` returned.

        Raises `StaleError` if others have made newer changes since this object was last up to date:
        the object then shows them, and another undo takes them back.
        """
        from fileset.repository.undo import undoing

        repository = self._writable()
        if dry_run:
            return self._preview(undoing(n))
        return self._entries(repository.undo(n, reason=reason))

    @overload
    def redo(self, *, reason: str | None = None) -> HistoryEntry: ...
    @overload
    def redo(self, n: int = 1, *, dry_run: Literal[True]) -> Preview: ...
    @overload
    def redo(
        self, n: int, *, reason: str | None = None, dry_run: Literal[False] = False
    ) -> HistoryEntry | list[HistoryEntry]: ...
    def redo(
        self, n: int = 1, *, reason: str | None = None, dry_run: bool = False
    ) -> HistoryEntry | list[HistoryEntry] | Preview:
        """Do again the change undone last, or the last `n`, and return it or them.

        With `dry_run`, nothing is done and a `Preview` returned.

        Raises `StaleError` as `undo`.
        """
        from fileset.repository.undo import redoing

        repository = self._writable()
        if dry_run:
            return self._preview(redoing(n))
        return self._entries(repository.redo(n, reason=reason))

    @overload
    def revert(self, change: str | HistoryEntry, *, dry_run: Literal[True]) -> Preview: ...
    @overload
    def revert(
        self,
        change: str | HistoryEntry,
        *,
        reason: str | None = None,
        dry_run: Literal[False] = False,
    ) -> HistoryEntry: ...
    def revert(
        self, change: str | HistoryEntry, *, reason: str | None = None, dry_run: bool = False
    ) -> HistoryEntry | Preview:
        """Take back one change, not the others since, and return it.

        That is a change of its own, which can be undone and reverted. `change` is its id, the
        beginning of that, or an entry of `history`. With `dry_run`, nothing is done and a
        `Preview` returned.

        Raises `RevertRefusedError` if later changes stand in the way, which
        it names; `RefusedError` if there is nothing to take back.
        """
        from fileset.repository.find_change import change_of
        from fileset.repository.undo import reverting
        from fileset.views.history import HistoryEntry

        repository = self._writable()
        found = change_of(
            repository.journal, change.id if isinstance(change, HistoryEntry) else change
        )
        if dry_run:
            return self._preview(reverting(repository.journal, found))
        repository.revert(found.id, reason=reason)
        return HistoryEntry(repository, found)

    def _entries(self, ids: Iterable[str]) -> HistoryEntry | list[HistoryEntry]:
        from fileset.views.history import entries_of

        entries = entries_of(self._repository, ids)
        return entries[0] if len(entries) == 1 else entries

    def _preview(self, plan: UndoPlan) -> Preview:
        from fileset.views.preview import Preview

        step, state = self._repository.foresee(plan)
        after = self._as_of(state, is_foreseen=True)
        return Preview.of(step, self._view, after._view)  # noqa: SLF001 - of this class

    def tag(
        self,
        name: str,
        moment: Moment | HistoryEntry | None = None,
        *,
        move: bool = False,
        reason: str | None = None,
    ) -> int:
        """Give a position of the journal a name, and return the position.

        That is the present one, or any that `at` takes. A name that stands for another
        position is refused unless it is to `move`. Tags are no part of the File-set: undo leaves
        them alone.
        """
        from fileset.timeline.tags import set_tag, tag_name

        repository = self._writable()
        position = None if moment is None else self._position_of(moment)
        set_tag(repository, name, position, move=move, reason=reason)
        return repository.state.tags[tag_name(name)]

    def delete_tag(self, name: str, *, reason: str | None = None) -> None:
        """Delete a tag; ValueError if there is none."""
        from fileset.timeline.tags import delete_tag

        delete_tag(self._writable(), name, reason=reason)

    @property
    def tags(self) -> Mapping[str, int]:
        """The positions that have names, by name."""
        return MappingProxyType(dict(self.state.tags))

    @property
    def history(self) -> History:
        """The changes in the journal, newest last; of a past File-set those up to then."""
        from fileset.views.history import history_of

        self.refresh()  # so that the present state is the one that they led to
        changes = self._repository.changes()
        if self._view.fixed is not None:
            changes = [change for change in changes if change.first <= self._view.fixed.position]
        return history_of(self._repository, changes)

    @property
    def mends(self) -> list[RecordMended]:
        """What was repaired when the File-set was adopted with `repair`."""
        from fileset.adoption.mend import mends_of

        return list(mends_of(self._repository))

    @property
    def doubts(self) -> Mapping[Doubt, list[str]]:
        """The File IDs of files that are not what the DICOMDIR says, by what they are instead.

        Known where this object adopted the File-set, and read its files (`repository`).
        """
        self._shown.refuse_if_closed()
        return self._doubts

    def blame(self, **kwargs: Any) -> list[Touch]:
        """Return every event that touched the instances with the values given by keyword, in order.

        Those are found by their directory records, also when they are no part of the File-set any
        more, by the whole value, letters by case. What a write placed counts as touched, so that
        this tells the media, too. Raises `NoSuchKeywordError` (ValueError).
        """
        from fileset.criteria import Query
        from fileset.timeline.blame import blame, ever_known
        from fileset.values import text_of

        texts = {keyword: text_of(value) for keyword, value in kwargs.items()}
        asked = Query.of(texts, literal=True)
        handles = [leaf.handle for leaf in ever_known(self.state, asked)]
        return list(blame(self._repository, handles, self.state.position))

    @property
    def pending(self) -> PendingChanges:
        """What the next write would do."""
        from fileset.views.history import PendingChanges
        from projections.medium.pending import pending

        return PendingChanges.of(self._view, pending(self.state))

    @property
    def is_staged(self) -> bool:
        """Whether the File-set is new, has changes staged, or a write was interrupted."""
        from projections.medium.pending import staged

        return self.state.writing is not None or bool(staged(self.state))

    def at(self, moment: Moment | HistoryEntry) -> FileSet:
        """Return the File-set as it was, read-only.

        `moment` is a position of the journal, a tag, `"now"`, a change by its id or the beginning
        of it, a `date` or `datetime`, or one of these as text, or an entry of `history`.
        `fileset.timeline.moments` tells how text is taken. A date means the last change
        recorded by its end.

        Raises `NoSuchMomentError` (ValueError) if there is none such.
        """
        position = self._position_of(moment)
        self._repository.refresh()  # what others added is read by way of how it stands now
        return self._as_of(self._repository.at(position))

    def _position_of(self, moment: Moment | HistoryEntry) -> int:
        from fileset.timeline.moments import position_of
        from fileset.views.history import HistoryEntry

        if isinstance(moment, HistoryEntry):
            return moment.position
        return position_of(self._repository, moment)

    def _as_of(self, state: FileSetState, *, is_foreseen: bool = False) -> FileSet:
        fs = FileSet(repository=self._repository)
        fs._view.fixed, fs._view.is_foreseen = state, is_foreseen
        return fs

    def diff(
        self, before: Moment | HistoryEntry, after: Moment | HistoryEntry | None = None
    ) -> Difference:
        """Return what differs between two moments, or between `before` and this File-set.

        Moments are what `at` takes. Raises `NoSuchMomentError` (ValueError) if there is none such.
        """
        from fileset.timeline.compare import sides
        from fileset.views.difference import Difference

        first = self._position_of(before)
        last = self.state.position if after is None else self._position_of(after)
        there, here = sides(self._repository, first, last)
        now = self if self._view.fixed is None else FileSet(repository=self._repository)
        return Difference.between(there, here, now.instance)

    def verify(self) -> list[RepositoryFinding]:
        """Check journal, vault and medium against each other; return what is wrong."""
        from fileset.checking.repository import verify

        return list(verify(self._repository))

    def __str__(self) -> str:
        """Return the File-set as text: identity, what is staged, and the hierarchy."""
        from projections.kept.summarise import summarise

        return "\n".join(summarise(self.state, "pydicom").lines())


def _begin(new: Repository) -> None:
    """Record the beginning of a File-set that has nothing in it."""
    from pydicom.uid import generate_uid

    new.begin(generate_uid())
