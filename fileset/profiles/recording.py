"""Recording what the File-set's application profile asks of its instances.

    with repository.change():
        recorder = ProfileRecorder(repository)
        recorder.take(handle, facts)  # of instances whose bytes are at hand
        unread = recorder.complete(handles)  # reads the others, and records all

What was recorded stays recorded, whatever becomes of the profile. To read instances and to make
icons takes long: `prepare` does so before the change, while others can make theirs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from attrs import frozen

from fileset.pictures.picture import NotInstalledError, PictureError, needed
from fileset.profiles.facts import FactsReader, facts_of
from fileset.profiles.icons import make_icons
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.elements import EMPTY, Elements
from ledger.errors import InstanceError, LedgerError
from ledger.events import Handle, IconRecorded, Record, RecordElementsRecorded
from ledger.files import FileView
from ledger.journal.erasures import runs_of
from ledger.phrases import count, some
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.fitting import InstanceFacts, fits, without_icon
from projections.dicomdir.profiles.icons import icon_size
from projections.dicomdir.profiles.profile import Profile
from projections.dicomdir.profiles.record_keys import extra_elements
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

Opened: TypeAlias = AbstractContextManager[bytes | FileView]
"""Gives an instance's file."""


@frozen
class Unread:
    """An instance whose bytes can't be read, and why."""

    leaf: Leaf
    reason: str


@frozen
class ProfileSet:
    """The account of setting a profile: whether it is another one now, and what was recorded.

    `recorded` counts the instances that were read; those of `unread` couldn't be. `misfits` gives
    what does not fit the profile, in words, and of how many instances.
    """

    is_changed: bool
    recorded: int = 0
    unread: tuple[Unread, ...] = ()
    misfits: tuple[tuple[str, int], ...] = ()


def set_profile(
    repository: Repository,
    identifier: str | None,
    *,
    reason: str | None = None,
    progress: Progress | None = None,
) -> ProfileSet:
    """Set the File-set's application profile, or take it away with `None`, as one change.

    What the profile asks of the instances is read from their bytes and recorded, unless it was
    before; those that can't be read are told of, and read when the File-set is written. Icons are
    made before that change, and stay if it is interrupted.
    KeyError if there is no such profile: `fileset.profiles.names` checks what people type.
    `NotInstalledError` if it asks for icons, and the extra `[pictures]` is missing.
    """
    if identifier is None:
        with repository.change(reason):
            return ProfileSet(repository.set_identity("profile", None))
    repository.refresh()
    recorder = ProfileRecorder(repository, PROFILES[identifier])
    recorder.refuse_lacking_extra()
    recorder.prepare(progress=progress)
    with repository.change(reason):
        is_changed = repository.set_identity("profile", identifier)
        unread = recorder.complete(progress=progress)
        misfits = repository.state.misfits()
    return ProfileSet(is_changed, recorder.taken, unread, misfits)


class ProfileRecorder:
    """Records for the instances of one change what a profile asks for, by default the File-set's.

    Without a profile it does nothing. `taken` tells of how many instances something was recorded,
    and `unfit` which turned out not to fit because no icon can be made of them.
    """

    def __init__(self, repository: Repository, profile: Profile | None = None) -> None:
        self._repository = repository
        self._given = profile
        self._begin(self._wanted_profile())

    def _wanted_profile(self) -> Profile | None:
        name = self._repository.state.identity.profile
        return self._given or PROFILES.get(name or "")

    def _begin(self, profile: Profile | None) -> None:
        self._profile = profile
        self._groups: dict[tuple[str, Elements, tuple[str, ...]], list[Handle]] = {}
        self._taken: set[Handle] = set()
        # What was taken of instances that need an icon: the elements by record type.
        self._without_icon: dict[Handle, list[tuple[str, Elements]]] = {}
        self._unread: dict[Handle, Unread] = {}
        self._is_prepared = False
        self.unfit: list[Unread] = []

    @property
    def is_needed(self) -> bool:
        """Whether there is a profile."""
        return self._profile is not None

    @property
    def taken(self) -> int:
        """Of how many instances something is recorded."""
        return len(self._taken)

    def facts(
        self,
        read: Callable[[], AbstractContextManager[bytes | FileView]],
        records: Iterable[Record],
    ) -> InstanceFacts | None:
        """Return what is to be taken of an instance that is at hand, with these records.

        `None` if there is no profile, or it can't be read: then it is left to `complete`.
        """
        if self._profile is None:
            return None
        try:
            with read() as data:
                return facts_of(data, tuple(record.type for record in records))
        except (OSError, InstanceError):
            return None

    def told(self, handle: Handle, facts: InstanceFacts | None) -> str | None:
        """Take an instance unless it was before; return in words if it doesn't fit, and why."""
        if self._profile is None or facts is None or not self.lacks(handle):
            return None
        words = self.take(handle, facts)
        return (
            f"it does not fit {self._profile.identifier}: {', and '.join(words)}" if words else None
        )

    def take(self, handle: Handle, facts: InstanceFacts) -> tuple[str, ...]:
        """Take an instance into what is recorded; return what of it does not fit, in words."""
        profile = self._profile
        if profile is None:
            return ()
        words = tuple(misfit.in_words() for misfit in fits(facts, profile))
        *above, own = facts.record_types
        wanted = [each for each in above if profile.keys.of(each)]
        elements = [(each, self._elements(facts, each)) for each in (*wanted, own)]
        self._taken.add(handle)
        if not words and icon_size(profile, own, facts.sop_class_uid, asked=False) is not None:
            self._without_icon[handle] = elements
        else:
            self._keep(handle, elements, words)
        return words

    def _keep(
        self, handle: Handle, elements: list[tuple[str, Elements]], words: tuple[str, ...]
    ) -> None:
        """Have what was taken of an instance be recorded, `words` with its own record."""
        *above, (own, of_own) = elements
        for record_type, of_type in above:
            self._group(handle, record_type, of_type, ())
        self._group(handle, own, of_own, words)

    def _elements(self, facts: InstanceFacts, record_type: str) -> Elements:
        if self._profile is None:
            return EMPTY
        keys = self._profile.keys
        return extra_elements(keys, record_type, facts.sop_class_uid, facts.elements)

    def _group(
        self, handle: Handle, record_type: str, elements: Elements, words: tuple[str, ...]
    ) -> None:
        self._groups.setdefault((record_type, elements, words), []).append(handle)

    def lacks(self, handle: Handle) -> bool:
        """Whether what an instance has is neither recorded nor taken, though there is a profile."""
        if self._profile is None or handle in self._taken:
            return False
        state, name = self._repository.state, self._profile.identifier
        return state.recorded.elements(name, state.leaf(handle).record_type, handle) is None

    def prepare(
        self, handles: Iterable[Handle] | None = None, *, progress: Progress | None = None
    ) -> None:
        """Read instances and make icons for `complete`, as far as others needn't wait for that.

        Icons are recorded at once. Within a change it does nothing: then others wait anyway.
        """
        if self._profile is None or self._repository.is_changing:
            return
        self._read(handles, progress)
        self._is_prepared = True

    def complete(
        self, handles: Iterable[Handle] | None = None, *, progress: Progress | None = None
    ) -> tuple[Unread, ...]:
        """Record what was taken, and what the instances `handles` have, by default all there are.

        Returns those that can't be read.
        """
        if (profile := self._wanted_profile()) is not self._profile:
            self._begin(profile)  # others set it since it was prepared
        if self._profile is None:
            return ()
        self._read(handles, progress)
        for (record_type, elements, words), group in self._groups.items():
            if lacking := self._still_lacking(record_type, group):
                self._repository.emit(
                    RecordElementsRecorded(
                        self._profile.identifier, record_type, runs_of(lacking), elements, words
                    )
                )
        self._groups.clear()
        known = self._repository.state.hierarchy.leaves
        unread = tuple(each for handle, each in self._unread.items() if handle in known)
        self._unread.clear()
        return unread

    def _read(self, handles: Iterable[Handle] | None, progress: Progress | None) -> None:
        """Take the instances `handles`, and make their icons; each is tried once."""
        state = self._repository.state
        if handles is None:
            handles = [leaf.handle for leaf in state.hierarchy.walk_leaves() if leaf.is_live]
        known = state.hierarchy.leaves  # others may have erased some since the handles were found
        lacking = [
            known[handle]
            for handle in handles
            if handle in known and handle not in self._unread and self.lacks(handle)
        ]
        reader = FactsReader(self._repository)
        for done, leaf in enumerate(lacking, 1):
            try:
                self.take(leaf.handle, reader.read(leaf))
            except (OSError, LedgerError) as exc:
                self._unread[leaf.handle] = Unread(leaf, _why(exc))
            if progress:
                progress(done, len(lacking))
        self._unread.update((each.leaf.handle, each) for each in self._make_icons(progress))

    def _still_lacking(self, record_type: str, group: list[Handle]) -> list[Handle]:
        """Return those of which others recorded nothing since it was prepared, nor erased them."""
        if self._profile is None or not self._is_prepared:
            return group
        known, name = self._repository.state.hierarchy.leaves, self._profile.identifier
        recorded = self._repository.state.recorded
        return [
            handle
            for handle in group
            if handle in known and recorded.elements(name, record_type, handle) is None
        ]

    def _make_icons(self, progress: Progress | None) -> Iterator[Unread]:
        """Make the icons that what was taken needs; yield those that can be made later at best."""
        profile, state = self._profile, self._repository.state
        if profile is None or not self._without_icon:
            return
        leaves = list(map(state.leaf, self._without_icon))
        wanted = list(self._wanting(leaves))
        failed = make_icons(self._repository, wanted, progress=progress)
        for leaf in leaves:
            elements, why = self._without_icon.pop(leaf.handle), failed.get(leaf)
            if why is None:
                self._keep(leaf.handle, elements, ())
            elif isinstance(why, PictureError) and not isinstance(why, NotInstalledError):
                words = without_icon(profile, str(why)).in_words()
                self._keep(leaf.handle, elements, (words,))
                self.unfit.append(Unread(leaf, words))
            else:
                self._taken.discard(leaf.handle)
                yield Unread(leaf, f"no icon can be made of it: {_why(why)}")

    def _wanting(self, leaves: Iterable[Leaf]) -> Iterator[tuple[Leaf, int]]:
        """Yield the instances whose records need icons, each with the rows of its icon."""
        for leaf in leaves:
            size = icon_size(self._profile, leaf.record_type, leaf.sop_class_uid, asked=False)
            if size is not None:
                yield leaf, size

    def refuse_lacking_extra(self) -> None:
        """Raise `NotInstalledError` if icons have to be made, and the extra for them is missing."""
        state = self._repository.state
        for leaf, size in self._wanting(state.live.values()):
            if self.lacks(leaf.handle) and state.recorded.icon(size, leaf.handle) is None:
                needed()
                return


def prepare_icons(repository: Repository) -> None:
    """Make the icons that a write needs, while others can change the repository.

    What can't be read yet is tried again by the write, which may complete an interrupted one or
    repair the medium before.
    """
    repository.refresh()
    ProfileRecorder(repository).prepare()


def record_lacking(repository: Repository, state: FileSetState) -> FileSetState:
    """Record what the profile asks of instances of `state` that nothing was recorded of, if now.

    So it is with instances that an undo, a redo or a revert brought back. Returns the state that
    has it: `state` itself if that is a past one, whose records stay as they were. A warning names
    the instances that can't be read.
    """
    if state.identity.profile is None or state.position != repository.refresh().position:
        return state
    position, recorder = state.position, ProfileRecorder(repository)
    recorder.prepare()
    with repository.change():
        since = repository.journal.read(after=position)
        if any(not isinstance(each.event, IconRecorded) for each in since):
            return repository.at(position)  # it was changed by others
        warn_unread(recorder.complete())
    return repository.state


def warn_unread(
    unread: Sequence[Unread], unfit: Sequence[Unread] = (), stacklevel: int = 3
) -> None:
    """Warn of instances that can't be read, and whose records lack what the profile asks for.

    And of those `unfit` for the profile, as far as nobody was told.
    """
    lacking = (
        "can't be read, so their records lack what the File-set's application profile asks for"
    )
    misfit = f"{'does' if len(unfit) == 1 else 'do'} not fit the application profile"
    for told, what in ((unread, lacking), (unfit, misfit)):
        if told:
            named = some([f"{each.leaf.uid} ({each.reason})" for each in told], 3)
            warnings.warn(f"{count(len(told), 'instance')} {what}: {named}", stacklevel=stacklevel)


def _why(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return f"{exc.filename}: {exc.strerror}" if exc.filename else exc.strerror
    return str(exc)
