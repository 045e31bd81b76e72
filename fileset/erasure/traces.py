"""What in a journal concerns the instances that are to be erased."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

from attrs import define, field

from fileset.erasure.content import is_persons, tells
from fileset.erasure.mentions import Mentions
from fileset.repository.repository import Repository
from ledger.digest import Digest
from ledger.errors import ContentDamagedError, ContentMissingError
from ledger.events import (
    AboutMedium,
    ArrivalWithheld,
    ConflictNoted,
    Content,
    DamageNoted,
    Event,
    FileSetImported,
    Handle,
    InstanceAdded,
    InstanceCorrected,
    InstanceRejected,
    InstancesCorrected,
    MediumAddressed,
    MediumFilled,
    MediumStarted,
    RecordElementsRecorded,
    RecordsKept,
    StrangerKept,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.journal.entries import Recorded
from ledger.sources import folder_of
from ledger.vault.protocol import Vault
from projections.past.media import Media, Medium
from projections.state.erasing import RecordsLeft
from projections.state.state import FileSetState

_OFFERED: Final = (ConflictNoted, ArrivalWithheld)


@define
class Traces:
    """What in the journal concerns the instances `gone`, and the records that `left` tells of.

    `known` are all instances that there are, with these.
    """

    gone: set[Handle]
    left: RecordsLeft
    known: Container[Handle]
    positions: set[int] = field(factory=set)
    adopted: set[Handle] = field(factory=set)
    sources: set[str] = field(factory=set)
    telling: list[tuple[int, Event]] = field(factory=list)
    rejected: list[str] = field(factory=list)
    strangers: list[tuple[int, Digest]] = field(factory=list)
    corrected: list[tuple[Handle, Handle, int]] = field(factory=list)
    media: dict[str, None] = field(factory=dict)
    exports: list[WriteExported] = field(factory=list)
    handed_out: Media = field(factory=Media)
    addressed: list[tuple[int, Medium]] = field(factory=list)
    filled: list[tuple[int, Medium, tuple[Content, ...]]] = field(factory=list)
    _root: str = ""
    _writing: WriteStarted | None = None

    def take(self, recorded: Recorded) -> None:
        """Take down what an event has to do with the instances."""
        position, event = recorded.position, recorded.event
        if event.told():
            self.telling.append((position, event))
        match event:
            case InstanceAdded() if position in self.gone:
                self._take_added(position, event)
            case DamageNoted() if event.dicomdir is not None:
                self.strangers.append((position, event.dicomdir))
            case RecordsKept() if event.of in self.left.staying:
                self.positions.add(position)
            case InstancesCorrected() if not self.gone.issuperset(event.instances):
                pass  # it tells of others, too: it goes only if it identifies the person
            case _ if event.ERASED_WITH_INSTANCE:
                if isinstance(event, StrangerKept):
                    self.strangers.append((position, event.content.digest))
                if self.gone.intersection(event.handles()):
                    self.positions.add(position)
                    if isinstance(event, _OFFERED) and event.source is not None:
                        self.sources.add(event.source)
            case _:
                self._take_other(recorded)

    def _tells_of_others(self, event: RecordElementsRecorded) -> bool:
        """Whether what was recorded is also that of an instance which stays."""
        return any(each in self.known and each not in self.gone for each in event.handles())

    def _take_added(self, position: int, event: InstanceAdded) -> None:
        self.positions.add(position)
        if isinstance(event, InstanceCorrected):
            self.corrected.append((position, event.replaces, event.stead))
        if event.source is not None:
            self.sources.add(event.source)
        if event.file_id is not None:
            self.adopted.add(position)
            self.media[self._root] = None

    def _take_other(self, recorded: Recorded) -> None:
        match event := recorded.event:
            case RecordElementsRecorded() if not self._tells_of_others(event):
                self.positions.add(recorded.position)
            case FileSetImported(root=root):
                self._root = root
            case WriteStarted():
                self._writing = event
            case WriteCompleted() if self._writing is not None:
                placed = self._writing.placed.values()
                if any(handle in self.gone for names in placed for handle in names.values()):
                    self.media[self._writing.root] = None
            case WriteExported():
                self.exports.append(event)
            case MediumStarted() | AboutMedium():
                self._take_medium(recorded, event)

    def _take_medium(self, recorded: Recorded, event: MediumStarted | AboutMedium) -> None:
        medium = self.handed_out.take(recorded)
        if medium is None:
            return
        if isinstance(event, MediumAddressed):
            self.addressed.append((recorded.position, medium))
        if isinstance(event, MediumAddressed | MediumFilled) and event.files:
            self.filled.append((recorded.position, medium, event.in_vault()))


def find_traces(
    repository: Repository,
    state: FileSetState,
    gone: set[Handle],
    left: RecordsLeft,
    mentions: Mentions,
) -> Traces:
    """Return what concerns the instances `gone`, or tells of the person in `mentions`."""
    found = Traces(gone, left, state.hierarchy.leaves)
    for recorded in repository.journal.read():
        found.take(recorded)
    for export in found.exports:
        if _has_any(repository.at(export.base), gone):
            found.media[export.root] = None
    if state.written is not None:
        found.media.pop(state.written.root, None)
    _take_media(state, found)
    for position, event in _telling(state, found, mentions):
        found.positions.add(position)
        if isinstance(event, InstanceRejected):
            found.rejected.append(event.source)
    found.positions.update(_kept_from_media(repository.vault, found, mentions))
    return found


def _take_media(state: FileSetState, found: Traces) -> None:
    """Take down what was said of media that were handed out with the instances.

    Whose medium it was is the data of those on it: it goes with the last of them. Other files on it
    may show any of them.
    """
    staying = state.hierarchy.leaves.keys() - found.gone
    concerned: set[int] = set()
    for medium in found.handed_out.all():
        if not found.gone.isdisjoint(medium.started.handles()):
            concerned.add(medium.number)
    for position, medium in found.addressed:
        if medium.number in concerned and staying.isdisjoint(medium.started.handles()):
            found.positions.add(position)
    found.positions.update(at for at, medium, _ in found.filled if medium.number in concerned)


def _kept_from_media(vault: Vault, found: Traces, mentions: Mentions) -> Iterator[int]:
    """Yield the events that tell of other files kept from a medium, if these are the person's.

    A file that was in the wrong place says itself whose it is; a DICOMDIR lists many. Raises
    `VaultError` if one can't be read now.
    """
    for position, digest in found.strangers:
        try:
            with vault.view(digest) as view:
                owned = is_persons(view, mentions)
                if owned is None:
                    owned = tells(view.pieces(), mentions)
        except (ContentMissingError, ContentDamagedError):  # nobody can read it
            continue
        if owned:
            yield position


def _has_any(state: FileSetState, handles: set[Handle]) -> bool:
    leaves = state.hierarchy.leaves
    return any(handle in leaves and leaves[handle].is_live for handle in handles)


def _telling(state: FileSetState, found: Traces, mentions: Mentions) -> Iterator[tuple[int, Event]]:
    """Yield the events that tell who the person is, and the rejected files that were the person's.

    Those are files that lay where only the person's instances came from, or whose path or reason
    says whose they were.
    """
    others = {
        folder_of(leaf.source)
        for leaf in state.hierarchy.leaves.values()
        if leaf.source is not None and leaf.handle not in found.gone
    }
    own = {folder_of(source) for source in found.sources} - others
    for position, event in found.telling:
        beside = isinstance(event, InstanceRejected) and (
            event.source in found.sources or folder_of(event.source) in own
        )
        asked = event.asked if isinstance(event, MediumAddressed) else ()
        told = any(mentions.of_any(text) for text in event.told() if text)
        if beside or told or mentions.asked_for(asked):
            yield position, event
