"""``FileSet``: a DICOM File-set as pydicom's class of that name presents it, over a journal."""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self, TypeAlias, overload

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid

from fileset.adding import Adder, Offers, offer
from fileset.adoption import Adoption, Doubt, Found, read_file_set, warn_of_syntax
from fileset.blaming import blame, ever_known, query_text
from fileset.collecting import no_collecting
from fileset.contents import Contents
from fileset.erasure import Eraser, Erasure
from fileset.errors import InvalidUIDError, NoSuchInstanceError, RefusedError
from fileset.finding import find_files
from fileset.garbage import collect
from fileset.history import HistoryEntry, PendingChanges
from fileset.ingest import (
    Candidate,
    Outcome,
    Report,
    Result,
    read_dataset,
    read_path,
)
from fileset.instance import FileInstance
from fileset.mending import Mending, mends_of
from fileset.moments import Moment, change_of, position_of
from fileset.preview import Preview
from fileset.records import RecordNode, complete_leaf, dataset_of, to_record, tree_node
from fileset.repository import Repository
from fileset.search import find, find_values
from fileset.stepping import Plan, redoing, reverting, undoing
from fileset.tags import delete_tag, set_tag, tag_name
from fileset.verification import Finding, verify
from fileset.writing import Writer
from ledger.errors import NotDicomError
from ledger.events import Handle, Placement, RecordMended
from ledger.repacking import Excess
from projections.hierarchy import Branch, Leaf
from projections.materializer import Progress
from projections.pending import pending
from projections.provenance import Touch
from projections.search import candidates
from projections.state import FileSetState
from projections.summary import summarise

DSPathType: TypeAlias = Dataset | str | os.PathLike[str]
_DATASETS_KEPT = 4096  # directory records decoded for attribute access


class InvalidFileError(NotDicomError, InvalidDicomError):
    """A file that was given is no DICOM file; pydicom's class says so as well."""


class FileSet:
    """A DICOM File-set: a flat collection of its SOP Instances, whose changes are staged.

    Nothing on the medium changes until :meth:`write`. Every change is an event in a journal, so
    all of them can be undone and redone. A ``FileSet()`` or ``FileSet(dicomdir)`` lasts as long as
    the object; with `repository`, and by :meth:`open`, it is kept in a folder.
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
            Put right what is wrong with the DICOMDIR of an existing File-set by what its files
            say; :attr:`mends` tells what that was. The DICOMDIR is written anew by the next write.
        """
        self._doubts: Mapping[Doubt, list[str]] = {}
        if isinstance(repository, Repository):
            self._use(repository)
            return
        found = _read_file_set(ds, repair=repair) if ds else None

        def begin(new: Repository) -> None:
            if found is None:
                new.begin(generate_uid())
            elif repair:
                Mending(new, found, digest=new.durable).run(progress)
            else:
                adoption = Adoption(new, found, digest=new.durable)
                adoption.run(progress)
                self._doubts = adoption.doubts
                FileSet(repository=new)._add_orphans(found, include=True)  # noqa: SLF001 - our own

        if repository is None:
            kept = Repository.ephemeral()
            with no_collecting():
                begin(kept)
        else:
            kept = Repository.create(Path(repository), begin)
        self._use(kept)

    @classmethod
    def open(cls, repository: str | os.PathLike[str]) -> FileSet:
        """Return the File-set that is kept in the folder `repository`."""
        return cls(repository=Repository.open(Path(repository)))

    def _use(self, repository: Repository) -> None:
        self._repository = repository
        self._fixed: FileSetState | None = None  # a past state, which makes this read-only
        self.contents = Contents(repository)
        self._adder = Adder(repository, self.contents)
        self._writer = Writer(repository, self.contents)
        self._listed: tuple[str, ...] | None = None  # a descriptor file ID that was set as a list
        self._drop_views()

    def close(self) -> None:
        """Let go of the repository's files; the File-set can't be used any more."""
        self._repository.close()

    def __enter__(self) -> Self:
        """Return the File-set itself, to be closed at the end of a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the File-set."""
        self.close()

    def __repr__(self) -> str:
        """Return what the File-set is, in a line."""
        where = self.path or "not written yet"
        return f"<FileSet {self.ID or 'without ID'}, {len(self)} instances, {where}>"

    # --- the state and views of it ---------------------------------------------------------------

    @property
    def repository(self) -> Repository:
        """The journal, vault and state behind the File-set."""
        return self._repository

    @property
    def state(self) -> FileSetState:
        """The state that is presented: the present one, or that of :meth:`at`."""
        return self._fixed or self._repository.state

    def refresh(self) -> None:
        """Take in what others, with another object, have recorded since; every change does so."""
        if self._fixed is None:
            self._repository.refresh()

    def _drop_views(self) -> None:
        self._viewed: FileSetState | None = None
        self._views: dict[Branch | Leaf, RecordNode] = {}
        self._instances_by_handle: dict[Handle, FileInstance] = {}
        self._ordered: tuple[object, list[FileInstance]] | None = None
        self._datasets = lru_cache(_DATASETS_KEPT)(lambda node, _file_id: dataset_of(node))

    def view(self, node: Branch | Leaf) -> RecordNode:
        """Return the one :class:`RecordNode` that stands for `node` of the hierarchy."""
        if self._viewed is not self.state:  # folded anew: all its nodes are other objects
            self._viewed, self._views = self.state, {}
        view = self._views.get(node)
        if view is None:
            view = self._views[node] = tree_node(self, node)
        return view

    def instance(self, handle: Handle) -> FileInstance:
        """Return the one :class:`FileInstance` that stands for the instance `handle`."""
        found = self._instances_by_handle.get(handle)
        if found is None or not found.is_current:
            found = self._instances_by_handle[handle] = FileInstance(self, handle)
        return found

    def record_dataset(self, node: Branch | Leaf) -> Dataset:
        """Return the directory record of `node` as a dataset."""
        return self._datasets(node, node.file_id if isinstance(node, Leaf) else None)

    def _in_order(self) -> list[FileInstance]:
        """Return the instances: those settled by the last write in the tree's order, then others.

        What came since the last write is in the order in which it came.
        """
        state = self.state
        mark = (state, state.revision, state.position, len(self._repository.rollbacks))
        if self._ordered is None or self._ordered[0] != mark:
            settled = state.written.position if state.written else 0
            leaves = [leaf for leaf in state.hierarchy.walk_leaves() if leaf.is_live]
            leaves.sort(key=lambda leaf: leaf.rank if leaf.rank > settled else 0)
            self._ordered = (mark, [self.instance(leaf.handle) for leaf in leaves])
        return self._ordered[1]

    # Programs reach for these of pydicom's FileSet although they are not public.

    @property
    def _instances(self) -> list[FileInstance]:
        return self._in_order()[:]

    @property
    def _tree(self) -> RecordNode:
        return self.view(self.state.hierarchy.root)

    @property
    def _stage(self) -> Mapping[str, Any]:
        staged = self.pending
        return MappingProxyType(
            {
                "+": {str(instance.SOPInstanceUID): instance for instance in staged.additions},
                "-": {str(instance.SOPInstanceUID): instance for instance in staged.removals},
                "~": bool(staged.moves),
                "^": staged.creation or bool(staged.metadata) or staged.mends,
            }
        )

    def __iter__(self) -> Iterator[FileInstance]:
        """Yield the instances of the File-set as it is when the iteration begins."""
        yield from self._in_order()[:]

    def __len__(self) -> int:
        """Return the number of instances."""
        return len(self.state.live)

    # --- identity --------------------------------------------------------------------------------

    @property
    def ID(self) -> str | None:  # noqa: N802 - pydicom's name
        """The *File-set ID*, at most 16 characters, or ``None``."""
        return self.state.identity.id

    @ID.setter
    def ID(self, val: str | None) -> None:  # noqa: N802 - pydicom's name
        _refuse_other_than_text("File-set ID", val)
        if val is not None and len(val) > 16:
            raise ValueError("The maximum length of the 'File-set ID' is 16 characters")
        self._set("id", val)

    @property
    def UID(self) -> UID:  # noqa: N802 - pydicom's name
        """The File-set UID."""
        return UID(self.state.identity.uid)

    @UID.setter
    def UID(self, uid: str) -> None:  # noqa: N802 - pydicom's name
        if uid != self.state.identity.uid and not UID(uid, config.IGNORE).is_valid:
            raise InvalidUIDError(f"'{uid}' is not a valid UID (PS3.5 Section 9)")
        self._set("uid", str(uid))

    @property
    def descriptor_file_id(self) -> str | list[str] | None:
        """The *File-set Descriptor File ID*: a name, the components of a path, or ``None``."""
        value = self.state.identity.descriptor_file_id
        if value is None:
            return None
        return value[0] if len(value) == 1 and value != self._listed else list(value)

    @descriptor_file_id.setter
    def descriptor_file_id(self, val: str | list[str] | None) -> None:
        value = _descriptor(val)
        self._set("descriptor_file_id", value)
        self._listed = value if isinstance(val, list) else None

    @property
    def descriptor_character_set(self) -> str | None:
        """The *Specific Character Set of File-set Descriptor File*, or ``None``."""
        return self.state.identity.descriptor_character_set

    @descriptor_character_set.setter
    def descriptor_character_set(self, val: str | None) -> None:
        _refuse_other_than_text("descriptor character set", val)
        self._set("descriptor_character_set", val)

    def _set(self, name: str, value: Any) -> None:
        self._writable().set_identity(name, value)

    def _writable(self) -> Repository:
        if self._fixed is not None:
            raise RefusedError(
                f"This is the File-set as of position {self._fixed.position}; it can't be changed."
            )
        return self._repository

    @property
    def path(self) -> str | None:
        """The absolute path of the File-set's root folder, ``None`` before the first write."""
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

        One that is part of the File-set already is returned as it is, with a warning if its
        content is another. Adding what is staged for removal takes the removal back.

        Raises ValueError (:class:`~ledger.errors.InstanceError`) if it can't be in a File-set.
        """
        return self._add(_read(ds_or_path))

    def add_custom(self, ds_or_path: DSPathType, leaf: RecordNode) -> FileInstance:
        """Stage an instance to be added with directory records of your own, and return it.

        `leaf` is the node of the record that references it, below the nodes of the records above
        it, at most 7. The elements that link and reference are filled in.
        """
        if leaf.depth > 7:
            raise ValueError(
                "The 'leaf' node must not have more than 7 ancestors as 'FileSet' supports a "
                "maximum directory structure depth of 8"
            )
        instance = self._add(_read(ds_or_path, custom=leaf))
        complete_leaf(leaf, instance)
        return instance

    def _add(self, candidate: Candidate) -> FileInstance:
        self._writable()
        (result,) = self._adder.add([candidate])
        assert result.handle is not None  # noqa: S101 - a candidate has passed every check
        if result.outcome is Outcome.CONFLICTING:
            warnings.warn(f"{result.source} was not added: {result.reason}", stacklevel=3)
        return self.instance(result.handle)

    def add_many(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        recursive: bool = True,
        reference: bool = False,
        complete: bool = False,
        reason: str | None = None,
        progress: Callable[[Result], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Report:
        """Add files, and what is in folders, as one change; return the account of each.

        `paths` is one path or several.

        A bad file is reported and the others are added. With `reference` the files are left where
        they are, and checked against their digest when they are written. With `complete` values
        that directory records must have and an instance lacks are invented, in the DICOMDIR only;
        the account tells which. `progress` is called with the account of each file. `stop` is asked
        before each whether to leave it, and the rest: what was added by then is kept.
        """
        self._writable()
        given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        offered = Offers(lambda: offer(find_files(given, recursive=recursive), complete=complete))
        placement = Placement.REFERENCE if reference else Placement.VAULT
        return self._adder.add(
            offered, placement=placement, reason=reason, progress=progress, stop=stop
        )

    # --- removing --------------------------------------------------------------------------------

    def remove(self, instance: FileInstance | list[FileInstance]) -> None:
        """Stage an instance, or each of a list, to be removed: all or none.

        ValueError if one is not part of the File-set.
        """
        repository = self._writable()
        repository.refresh()
        instances = instance if isinstance(instance, list) else [instance]
        for item in instances:
            known = isinstance(item, FileInstance) and item.file_set is self and item.is_current
            if not known:
                raise NoSuchInstanceError("No such instance in the File-set")
        repository.remove(dict.fromkeys(item.handle for item in instances))

    def clear(self) -> None:
        """Empty the File-set.

        Without a repository of its own it becomes a new one, that has no root. With one, this is a
        change like any other: all instances are staged for removal and the identity is reset.
        """
        if self._writable().path is None:
            self._use(Repository.ephemeral())
            self._repository.begin(generate_uid())
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

        `query` gives one or more of ``PatientID``, ``StudyInstanceUID``, ``SeriesInstanceUID`` and
        ``SOPInstanceUID``; all instances that ever were part of the File-set are searched. With
        `take_off`, those that are part of it now are removed, and its medium is written without
        them. With `dry_run`, nothing is done but tell what would be.

        Raises :class:`~fileset.errors.StillThereError` without `take_off` if any is part of the
        File-set or on its medium, and RefusedError if the `reason` tells who the person is.
        """
        eraser = Eraser(self._writable(), self.contents)
        if dry_run:
            return eraser.foresee(query)
        done = eraser.erase(query, reason=reason, take_off=take_off, progress=progress)
        self._drop_views()
        return done

    @property
    def erased(self) -> int:
        """How many instances were part of this past File-set, see :meth:`at`, and erased since."""
        return self.state.erased

    def gc(self, *, dry_run: bool = True) -> Excess:
        """Return how much the vault holds that no event names; without `dry_run`, drop it."""
        return collect(self._writable(), dry_run=dry_run)

    # --- searching -------------------------------------------------------------------------------

    def find(self, load: bool = False, **kwargs: Any) -> list[FileInstance]:
        """Return the instances whose elements have the values given by keyword.

        With `load` the instances are read and all their elements searched, otherwise only those of
        their directory records.
        """
        leaves = None if load else candidates(self.state, kwargs)
        known = None if leaves is None else [self.instance(leaf.handle) for leaf in leaves]
        return find(self, kwargs, load=load, known=known)

    def find_values(
        self,
        elements: str | int | list[str | int],
        instances: list[FileInstance] | None = None,
        load: bool = False,
    ) -> list[Any] | dict[str | int, list[Any]]:
        """Return the distinct values of elements, given by keyword or tag.

        One element gives a list, a list of elements a dict of lists. `instances` limits the search;
        `load` is as for :meth:`find`.
        """
        return find_values(elements, instances or self._in_order(), load=load)

    # --- loading and writing ---------------------------------------------------------------------

    def load(
        self,
        ds_or_path: DSPathType,
        include_orphans: bool = True,
        raise_orphans: bool = False,
    ) -> None:
        """Load an existing File-set in the place of this one, from its DICOMDIR.

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
        if self._writable().path is not None:
            raise RefusedError(
                "A File-set kept in a repository can't be replaced by another: use "
                "FileSet(dicomdir, repository=...) with a new folder."
            )
        found = _read_file_set(ds_or_path)
        if raise_orphans and found.tree.orphans:
            raise ValueError("The DICOMDIR contains orphaned directory records")
        repository = Repository.ephemeral()
        Adoption(repository, found, digest=False).run()
        FileSet(repository=repository)._add_orphans(found, include=include_orphans)  # noqa: SLF001 - our own
        self._use(repository)

    def _add_orphans(self, found: Found, *, include: bool) -> None:
        orphans = found.orphans()
        if orphans and not include:
            warnings.warn(
                f"The DICOMDIR has {len(orphans)} orphaned directory records that reference an "
                "instance that will not be included in the File-set",
                stacklevel=3,
            )
            return
        for record in orphans:
            path = found.path_of(record)
            if not path.exists():
                warnings.warn(
                    "The referenced SOP Instance for the directory record at offset "
                    f"{record.offset} does not exist: {path}",
                    stacklevel=3,
                )
            elif record.type == "PRIVATE":
                self.add_custom(path, RecordNode(found.dataset(record)))
            else:
                self.add(path)

    def write(
        self,
        path: str | os.PathLike[str] | None = None,
        use_existing: bool = False,
        force_implicit: bool = False,
        *,
        layout: str | None = None,
        new_medium: bool = False,
        repair: bool = False,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the File-set, or what is staged, to its root folder.

        Parameters
        ----------
        path : str or PathLike, optional
            The root of a File-set that was never written; it must not hold another one.
        use_existing : bool, optional
            Keep all files where they are. ValueError if additions are staged.
        force_implicit : bool, optional
            Encode the DICOMDIR in Implicit VR Little Endian, which does not conform.
        layout : {"pydicom", "existing", "conformant"}, optional
            ``"existing"`` is `use_existing` that takes additions, giving them free File IDs;
            ``"conformant"`` gives such also to files whose names are no File IDs.
        new_medium : bool, optional
            The medium at the root is lost: give it up, and write everything to `path`.
        repair : bool, optional
            Put right first what was lost or damaged on the medium, and move nothing. A warning
            names each file whose bytes are lost; then nothing is written.
        reason, progress : optional
            A note for the journal; called with the files done and to do.
        """
        repository = self._writable()
        with repository.exclusively():
            repository.refresh()
            self._check_write(path, use_existing=use_existing, new_medium=new_medium)
            if not (self.is_staged or new_medium or repair):
                return
            damage = None
            if repair:
                damage = self._writer.repair(reason=reason, progress=progress)
                for each in damage.left:
                    warnings.warn(f"{each.path} was not put right: {each.why}", stacklevel=2)
                if damage.left:  # the DICOMDIR would name them
                    return
            self._writer.write(
                Path(path) if path else None,
                layout or self._layout(use_existing=use_existing, repair=repair),
                implicit_vr=force_implicit,
                new_medium=new_medium,
                repaired=damage,
                reason=reason,
                progress=progress,
            )
        self._listed = None
        if force_implicit:
            warn_of_syntax(ImplicitVRLittleEndian)

    def _layout(self, *, use_existing: bool, repair: bool) -> str:
        """Return the layout of a write that names none: a repair moves nothing."""
        written = self.state.written
        if repair and written is not None:
            return written.layout
        return "existing" if use_existing else "pydicom"

    def _check_write(self, path: object, *, use_existing: bool, new_medium: bool) -> None:
        """Refuse what pydicom refuses; an interrupted write knows its root."""
        if not path and (new_medium or (self.path is None and self.state.writing is None)):
            raise ValueError("The path to the root directory is required for a new File-set")
        if path and self.path and not new_medium:
            raise ValueError(
                "The path for an existing File-set cannot be changed, use 'FileSet.copy()' to "
                "write the File-set to a new location"
            )
        if use_existing and self.state.additions:
            raise ValueError(
                "'Fileset.write()' called with 'use_existing' but additions to the File-set's "
                "managed instances are staged"
            )

    def abandon(self, *, reason: str | None = None) -> bool:
        """Give up a write that was interrupted, and take back what it made; ``False`` if none was.

        Raises :class:`~projections.materializer.MediumError` if its DICOMDIR is in place already:
        then the next :meth:`write` completes it.
        """
        self._writable()
        return self._writer.abandon(reason=reason)

    def copy(self, path: str | os.PathLike[str], force_implicit: bool = False) -> FileSet:
        """Write the File-set, with what is staged, to a new root folder and return that one.

        This one stays as it is. ValueError if `path` is its own root.
        """
        root = Path(path)
        if self.path and Path(self.path) == root:
            raise ValueError("Cannot copy the File-set as the 'path' is unchanged")
        self._writer.export(root, self.state, implicit_vr=force_implicit)
        return FileSet(root / "DICOMDIR")

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

        With `dry_run`, nothing is done and a :class:`~fileset.preview.Preview` returned.

        Raises :class:`~fileset.errors.StaleError` if others have put newer changes on top since
        this object was last up to date: they are taken in, for another undo to take back.
        """
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

        With `dry_run`, nothing is done and a :class:`~fileset.preview.Preview` returned.

        Raises :class:`~fileset.errors.StaleError` as :meth:`undo`.
        """
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
        beginning of that, or an entry of :attr:`history`. With `dry_run`, nothing is done and a
        :class:`~fileset.preview.Preview` returned.

        Raises :class:`~fileset.errors.RevertRefusedError` if later changes stand in the way, which
        it names; :class:`~fileset.errors.RefusedError` if there is nothing to take back.
        """
        repository = self._writable()
        found = change_of(repository, change.id if isinstance(change, HistoryEntry) else change)
        if dry_run:
            return self._preview(reverting(repository, found))
        repository.revert(found.id, reason=reason)
        return HistoryEntry(repository, found)

    def _entries(self, ids: Iterable[str]) -> HistoryEntry | list[HistoryEntry]:
        entries = [HistoryEntry(self._repository, self._repository.find_change(i)) for i in ids]
        return entries[0] if len(entries) == 1 else entries

    def _preview(self, plan: Plan) -> Preview:
        self._repository.refresh()  # so that what is foreseen and what is shown are of one moment
        step, state = self._repository.foresee(plan)
        after = self._as_of(state)
        found = self._entries(step.changes)
        return Preview(
            changes=found if isinstance(found, list) else [found],
            added=[after.instance(handle) for handle in step.added],
            removed=[self.instance(handle) for handle in step.removed],
            identity=MappingProxyType(step.identity),
            after=after,
        )

    def tag(
        self,
        name: str,
        moment: Moment | HistoryEntry | None = None,
        *,
        move: bool = False,
        reason: str | None = None,
    ) -> int:
        """Give a position of the journal a name, and return the position.

        That is the present one, or any that :meth:`at` takes. A name that stands for another
        position is refused unless it is to `move`. Tags are no part of the File-set: undo leaves
        them alone.
        """
        repository = self._writable()
        position = None if moment is None else self._position_of(moment)
        set_tag(repository, name, position, move=move, reason=reason)
        return repository.state.tags[tag_name(name)]

    def delete_tag(self, name: str, *, reason: str | None = None) -> None:
        """Delete a tag; ValueError if there is none."""
        delete_tag(self._writable(), name, reason=reason)

    @property
    def tags(self) -> Mapping[str, int]:
        """The positions that have names, by name."""
        return MappingProxyType(dict(self.state.tags))

    @property
    def history(self) -> list[HistoryEntry]:
        """The changes in the journal, newest last; of a past File-set those up to then."""
        self.refresh()  # so that the present state is the one that they led to
        changes = self._repository.changes()
        if self._fixed is not None:
            changes = [change for change in changes if change.first <= self._fixed.position]
        return [HistoryEntry(self._repository, change) for change in changes]

    @property
    def mends(self) -> list[RecordMended]:
        """What was put right when the File-set was adopted with ``repair``."""
        return list(mends_of(self._repository))

    @property
    def doubts(self) -> Mapping[Doubt, list[str]]:
        """The File IDs of files that are not what the DICOMDIR says, by what they are instead.

        Known where this object adopted the File-set, and read its files (`repository`).
        """
        return self._doubts

    def blame(self, **kwargs: Any) -> list[Touch]:
        """Return every event that touched the instances with the values given by keyword, in order.

        Those are found by their directory records, also when they are no part of the File-set any
        more. What a write placed counts as touched, so that this tells the media, too.
        """
        texts = {keyword: query_text(value) for keyword, value in kwargs.items()}
        handles = [leaf.handle for leaf in ever_known(self.state, texts)]
        return list(blame(self._repository, handles, self.state.position))

    @property
    def pending(self) -> PendingChanges:
        """What the next write would do."""
        return PendingChanges.of(self, pending(self.state))

    @property
    def is_staged(self) -> bool:
        """Whether the File-set is new, has changes staged, or a write was interrupted."""
        return self.state.writing is not None or bool(pending(self.state))

    def at(self, moment: Moment | HistoryEntry) -> FileSet:
        """Return the File-set as it was, read-only.

        `moment` is a position of the journal, a tag, a change by its id or the beginning of it, a
        ``date`` or ``datetime``, or one of these as text, or an entry of :attr:`history`.
        :mod:`fileset.moments` tells how text is taken. A date means the last change recorded by its
        end.

        Raises :class:`~fileset.errors.NoSuchMomentError` (ValueError) if there is none such.
        """
        position = self._position_of(moment)
        self._repository.refresh()  # what others added is read by way of how it stands now
        return self._as_of(self._repository.at(position))

    def _position_of(self, moment: Moment | HistoryEntry) -> int:
        if isinstance(moment, HistoryEntry):
            return moment.position
        return position_of(self._repository, moment)

    def _as_of(self, state: FileSetState) -> FileSet:
        fs = FileSet(repository=self._repository)
        fs._fixed = state
        return fs

    def verify(self) -> list[Finding]:
        """Check journal, vault and medium against each other; return what is wrong."""
        return list(verify(self._repository))

    def __str__(self) -> str:
        """Return the File-set as text: identity, what is staged, and the hierarchy."""
        return "\n".join(summarise(self.state).lines())


def _read(ds_or_path: DSPathType, custom: RecordNode | None = None) -> Candidate:
    records = None
    if custom is not None:
        records = tuple(to_record(node._record) for node in (custom, *custom.ancestors))[::-1]  # noqa: SLF001 - ours
    if isinstance(ds_or_path, str | os.PathLike):
        with _errors_of_reading(ds_or_path):
            return read_path(Path(ds_or_path), records)
    if not isinstance(ds_or_path, Dataset):
        raise TypeError(f"An instance is a Dataset or a path, not {type(ds_or_path).__name__}")
    return read_dataset(ds_or_path, records)


def _read_file_set(ds_or_path: DSPathType, *, repair: bool = False) -> Found:
    if isinstance(ds_or_path, Dataset):
        return read_file_set(ds_or_path, repair=repair)
    with _errors_of_reading(ds_or_path):
        return read_file_set(ds_or_path, repair=repair)


@contextmanager
def _errors_of_reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Have what can't be read as a file, or is no DICOM file, raise what pydicom raises."""
    if stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 - its error names the path as it was given
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    try:
        yield
    except NotDicomError as exc:
        raise InvalidFileError(exc.reason, name=exc.name) from exc


def _refuse_other_than_text(what: str, val: object) -> None:
    if val is not None and not isinstance(val, str):
        raise TypeError(f"The {what} must be a str or None, not {type(val).__name__}")


def _descriptor(val: object) -> tuple[str, ...] | None:
    """Return a File-set Descriptor File ID as its components; refuse what pydicom refuses."""
    if val is None:
        return None
    if isinstance(val, list):
        if len(val) > 8 or not all(isinstance(c, str) and len(c) <= 16 for c in val):
            raise ValueError(
                "The 'File-set Descriptor File ID' has a maximum of 8 components, each between "
                "0 and 16 characters long"
            )
        return Path(*val).parts
    if not isinstance(val, str):
        raise TypeError("The 'DescriptorFileID' must be a str, list of str, or None")
    if len(val) > 16:
        raise ValueError(
            "Each 'File-set Descriptor File ID' component has a maximum length of 16 characters"
        )
    return (val,)
