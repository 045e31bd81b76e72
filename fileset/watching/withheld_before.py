"""What was withheld before: if it was dropped from the quarantine, it is not withheld again."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

from fileset.repository.repository import Repository
from fileset.timeline.compare import effects_by_change
from ledger.digest import Digest
from ledger.events import (
    ArrivalWithheld,
    ChangeRedone,
    ChangeReverted,
    ChangeUndone,
    Handle,
    InstanceAdded,
    InstanceCorrected,
    InstanceRestored,
)
from ledger.journal.entries import Stored
from ledger.journal.protocol import decoded
from projections.past.effects import effects_of_event

_BRING_BACK: Final = frozenset(
    event.TYPE
    for event in (ChangeUndone, ChangeRedone, ChangeReverted, InstanceCorrected, InstanceRestored)
)


class WithheldBefore:
    """The contents that were withheld, by SOP Instance UID, as the journal tells.

    What was brought back since and withdrawn once more is another matter, and not among them. The
    journal is read once, and then what was appended.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._effects_of = effects_by_change(repository)
        self._upto = 0
        self._contents: dict[str, set[Digest]] = {}

    def contents(self, uid: str) -> Set[Digest]:
        """Return what arrived of an instance and was withheld since it was last withdrawn."""
        for stored in self._repository.journal.stored(after=self._upto):
            self._upto = stored.position
            if stored.type == ArrivalWithheld.TYPE:
                event = decoded(stored)
                if isinstance(event, ArrivalWithheld):
                    digests = self._contents.setdefault(event.sop_instance_uid, set())
                    digests.add(event.content.digest)
            elif self._contents:
                for handle in self._brought(stored):
                    leaf = self._repository.state.hierarchy.leaves.get(handle)
                    if leaf is not None:  # else it was erased
                        self._contents.pop(leaf.uid, None)
        return self._contents.get(uid, frozenset())

    def _brought(self, stored: Stored) -> Iterator[Handle]:
        """Yield the instances that an event made part of the File-set."""
        if stored.type == InstanceAdded.TYPE:
            yield stored.position
        elif stored.type in _BRING_BACK:
            effects = effects_of_event(stored.position, decoded(stored), self._effects_of)
            yield from (handle for handle, (_, is_part) in effects.members.items() if is_part)
