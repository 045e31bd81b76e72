"""How much of what its witnesses hold is proven to be a damaged journal's.

The hash chain decides: an event is proven if its hash follows from the journal's id and all the
events before it, wherever each of these was found, in the database or in an exported journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from ledger.errors import LedgerError
from ledger.events import PayloadErased
from ledger.journal import codec
from ledger.journal.chain import genesis
from ledger.journal.entries import Change, Stored
from ledger.salvage.histories import best_history, changes_from, digest_of, events_at, follows
from ledger.salvage.witnesses import ExportedJournal, SalvagedEvent, Witness


def prove(journal_id: str, witnesses: Sequence[Witness]) -> Proof:
    """Return the beginning of the journal `journal_id` that `witnesses` prove together.

    It is the history that the database's own events are on, of these the one with most of them;
    what others hold only fills its gaps and extends it. Without a database it is the longest.

    What was erased stays erased: if one witness shows that a payload was erased, it is taken from
    none. Where the event that erased it is lost, the proof ends before the erased event.
    """
    return Proof(journal_id, witnesses)


class Proof:
    """The beginning of a journal that its witnesses prove: whole changes, from position 1.

    Attributes
    ----------
    journal_id : str
        The journal's id.
    last : int
        The last position that is proven, 0 if nothing is.
    sources : dict of str to int
        How many events come from each witness, the first one that has them.
    forks : dict of str to int
        The exported journals that have another history, and from which position on.
    erasures_lost : bool
        Whether the proof ends before an erased event because the event that erased it is lost.
    """

    def __init__(self, journal_id: str, witnesses: Sequence[Witness]) -> None:
        """Find what `witnesses` prove of the journal `journal_id`."""
        self.journal_id = journal_id
        self._witnesses = witnesses
        self._history, self._strays = best_history(journal_id, witnesses)
        self.last = self._history.whole
        self.forks = self._find_forks()
        self.erasures_lost = False
        self._erased: set[int] = set()
        self._ends = [0]
        self._end_before_lost_erasures()
        self.sources = self._count()

    def events(self) -> Iterator[Stored]:
        """Yield the proven events; the payload of one that was erased is empty."""
        for position, change, found in self._walk():
            best = next((each for each in found if each.payload), found[0])
            payload = b"" if position in self._erased else best.payload
            yield Stored(position, change, best.type, best.version, payload, best.digest, best.hash)

    def end_before(self, position: int) -> None:
        """Prove only the whole changes before `position`."""
        self.last = max(end for end in self._ends if end < position)
        self.sources = self._count()

    def _end_before_lost_erasures(self) -> None:
        """End before the first erased payload that no proven event erases.

        Any sign that a payload was erased is enough, proven or not: an empty payload under any
        hash, what the database keeps of an erased one, an event that names its position.
        """
        gone: set[int] = set()
        named: dict[int, set[int]] = {}
        for position, change, found in self._walk():
            if position == change.last:
                self._ends.append(position)
            if any(each.is_erased(position) for each in self._on_it(position)):
                gone.add(position)
            if found[0].type == PayloadErased.TYPE:
                named[position] = set().union(*(_named_by(each, self.last) for each in found))
        for witness in self._witnesses:
            for position, tombstone in witness.tombstones():
                if position < self.forks.get(witness.name, position + 1):
                    gone |= _named_by(tombstone, self.last)
        while True:
            self._erased = set().union(*(named[at] for at in named if at <= self.last))
            unknown = min((at for at in gone - self._erased if at <= self.last), default=None)
            if unknown is None:
                return
            self.erasures_lost = True
            self.last = max(end for end in self._ends if end < unknown)

    def _on_it(self, position: int) -> Iterator[Witness]:
        """Yield the witnesses that have not left this history before `position`.

        The hash at `position` itself may be damaged.
        """
        for witness in self._witnesses:
            if position <= self.forks.get(witness.name, position):
                yield witness

    def _find_forks(self) -> dict[str, int]:
        """Return the exported journals that have another history, and from where on."""
        forks: dict[str, int] = {}
        exports = [each for each in self._witnesses if isinstance(each, ExportedJournal)]
        end = self._history.position
        beyond = sorted(position for position in self._strays if position > end)
        for position in chain(range(1, end + 1), beyond) if exports else ():
            right = self._history.hash_at(position)
            wrong = self._strays.get(position, ())
            for export in exports:
                for found in export.events(position):
                    if found.hash in wrong or (right and found.hash != right):
                        forks.setdefault(export.name, position)
        return forks

    def _count(self) -> dict[str, int]:
        """Return how many events are taken from each witness."""
        sources = {witness.name: 0 for witness in self._witnesses}
        for position, _, proven in self._walk():
            for witness in self._witnesses:
                if any(each in proven for each in witness.events(position)):
                    sources[witness.name] += 1
                    break
        return sources

    def _walk(self) -> Iterator[tuple[int, Change, list[SalvagedEvent]]]:
        """Yield each proven position, its change, and what proves it."""
        change: Change | None = None
        previous = genesis(self.journal_id)
        for position in range(1, self.last + 1):
            link = self._history.hash_at(position)
            events = [each for each in events_at(position, self._witnesses) if each.hash == link]
            changes = [change] if change and position <= change.last else None
            for change in changes or changes_from(position, self._witnesses):
                of_change = digest_of(change)
                found = [each for each in events if follows(previous, of_change, position, each)]
                if found:
                    yield position, change, found
                    break
            else:
                raise AssertionError(position)  # it was proven
            previous = link


def _named_by(found: SalvagedEvent, upto: int) -> set[int]:
    """Return the positions, up to one, whose payload an event says is erased."""
    try:
        event = codec.decode(found.type, found.version, found.payload)
    except LedgerError:  # perhaps of a newer version: what it names is unknown
        return set()
    if not isinstance(event, PayloadErased):
        return set()
    return {
        position for first, last in event.positions
        for position in range(max(first, 1), min(last, upto) + 1)
    }  # fmt: skip
