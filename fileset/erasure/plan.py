"""What an erasure erases, as reported before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from fileset.erasure.content import is_persons
from fileset.erasure.corrected import Telling, present_that_tell
from fileset.erasure.handed_out import HandedOut, OtherFiles, handed_out, other_files
from fileset.erasure.mentions import Mention, Mentions
from fileset.erasure.room import Room, room_for
from fileset.erasure.staying import files_that_stay, mentions_that_stay
from fileset.erasure.traces import find_traces
from fileset.quarantine.quarantine import Quarantine, Quarantined
from fileset.repository.garbage import needed
from fileset.repository.repository import Repository
from ledger.events import Handle
from ledger.files import viewed
from ledger.vault.protocol import Excess
from projections.state.erasing import RecordsLeft, identifiers, records_left
from projections.state.nodes import Leaf
from projections.state.state import FileSetState


@frozen
class Erasure:
    """What an erasure erased, or would erase.

    Attributes
    ----------
    instances : int
        How many, of all that there ever were; one that was corrected counts once.
    present : int
        Of those, how many are part of the File-set, or on its medium.
    telling : tuple of Telling
        Instances that were moved to another patient and still name the person: they are corrected.
    events : int
        How many events lose their payload.
    records : int
        How many records above the instances are carried on, since others stand under them.
    rejected : tuple of str
        The paths of files that were offered and not taken, whose events are among them.
    tags : tuple of str
        The tags whose names tell who the person is: they are deleted, and their events erased.
    excess : Excess
        What goes from the vault, with all else there that no event names.
    quarantined : tuple of str
        Where the files in the quarantine came from that go with it.
    unclear : int
        How many others in the quarantine nobody can tell whose they are: they stay.
    other_files : OtherFiles
        What of `excess` was on media besides instances, such as pages and a viewer.
    media : tuple of str
        Where the instances were written to, apart from the File-set's own medium: those who have
        what was written there have the data.
    handed_out : tuple of HandedOut
        The media that were handed out with the instances, and for whom.
    mentions : tuple of Mention
        What stays and still tells who the person is, or may tell it.
    too_short : tuple of str
        Patient IDs that are too short to be looked for in texts.
    room : tuple of Room
        How much has to be free on which disk.
    change : str or None
        The id of the change that states it; `None` where nothing was erased.
    completed : bool
        Whether an earlier erasure, which was interrupted, was completed.
    """

    instances: int = 0
    present: int = 0
    telling: tuple[Telling, ...] = ()
    events: int = 0
    records: int = 0
    rejected: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    excess: Excess = field(factory=Excess)
    quarantined: tuple[str, ...] = ()
    unclear: int = 0
    other_files: OtherFiles = field(factory=OtherFiles)
    media: tuple[str, ...] = ()
    handed_out: tuple[HandedOut, ...] = ()
    mentions: tuple[Mention, ...] = ()
    too_short: tuple[str, ...] = ()
    room: tuple[Room, ...] = ()
    change: str | None = None
    completed: bool = False


@frozen
class ErasurePlan:
    """What is to be erased: the `erasure` that is reported, and what carrying it out takes.

    Attributes
    ----------
    positions : frozenset of int
        The events that lose their payload.
    adopted : frozenset of int
        The instances among them that were on a medium when it was adopted.
    corrected : tuple of tuple of int
        Those among them that correct others, with what each replaces and whose stead it takes.
    left : RecordsLeft
        The records that others stand under.
    quarantined : list of Quarantined
        The person's files in the quarantine.
    """

    erasure: Erasure
    positions: frozenset[int]
    adopted: frozenset[Handle]
    corrected: tuple[tuple[Handle, Handle, int], ...]
    left: RecordsLeft
    quarantined: list[Quarantined]

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to be erased."""
        return bool(self.positions or self.quarantined or self.erasure.tags or self.erasure.telling)


def plan_erasure(
    repository: Repository, state: FileSetState, gone: set[Handle], query: Mapping[str, str]
) -> ErasurePlan:
    """Return how to erase the instances `gone`, which are all that `query` finds in `state`."""
    left = records_left(state, gone)
    mentions = Mentions(identifiers(state, gone, query))
    found = find_traces(repository, state, gone, left, mentions)
    positions = frozenset(found.positions)
    excess, others = Excess(), OtherFiles()
    if positions:
        staying_content = needed(repository.journal, positions)
        excess = repository.vault.excess(staying_content, scraps=True)
        others = other_files(found, staying_content)
    quarantined, unclear, staying = _quarantined(repository.path, mentions)
    tags = tuple(name for name in state.tags if mentions.of_any(name))
    erasure = Erasure(
        instances=len({state.hierarchy.first_version(handle) for handle in gone}),
        present=len(
            {
                state.hierarchy.first_version(handle)
                for handle in gone
                if is_present(state.leaf(handle))
            }
        ),
        telling=tuple(present_that_tell(repository.vault, state, gone, mentions)),
        events=len(positions) + len(tags),
        records=sum(len(kept.parents) for kept in left.kept),
        rejected=tuple(found.rejected),
        tags=tags,
        excess=excess,
        quarantined=tuple(entry.source for entry in quarantined),
        unclear=unclear,
        other_files=others,
        media=tuple(found.media),
        handed_out=tuple(handed_out(found)),
        mentions=(
            *mentions_that_stay(repository.journal, mentions, positions),
            *staying,
            *files_that_stay(repository.path, mentions),
        ),
        too_short=tuple(mentions.too_short()),
        room=tuple(room_for(repository, state, gone, excess)),
    )
    return ErasurePlan(
        erasure, positions, frozenset(found.adopted), tuple(found.corrected), left, quarantined
    )


def is_present(leaf: Leaf) -> bool:
    """Whether an instance is part of the File-set, or on its medium."""
    return leaf.is_live or leaf.file_id is not None


def _quarantined(
    path: Path | None, mentions: Mentions
) -> tuple[list[Quarantined], int, list[Mention]]:
    """Return what in the quarantine is the person's, of how many nobody can tell, and what tells.

    That is by the IDs in the file; the path and the reason count where it has none. Those of
    others whose path or reason tells of the person stay.
    """
    found: list[Quarantined] = []
    staying: list[Mention] = []
    unclear = 0
    if path is None:
        return found, unclear, staying
    quarantine = Quarantine(path)
    for entry in quarantine:
        told = any(map(mentions.of_any, (entry.source, entry.reason)))
        owned = _is_persons(quarantine.bytes_of(entry), mentions) if entry.digest else None
        if entry.is_withheld and entry.sop_instance_uid in mentions.identifiers.uids:
            owned = True
        if owned or (owned is None and told):
            found.append(entry)
        elif told or any(map(mentions.hint, (entry.source, entry.reason))):
            staying.append(Mention(None, f"quarantined file {entry.id}", entry.source, told))
        else:
            unclear += owned is None and entry.digest is not None
    return found, unclear, staying


def _is_persons(path: Path, mentions: Mentions) -> bool | None:
    try:
        with viewed(path) as view:
            return is_persons(view, mentions)
    except OSError:
        return None
