"""What a vault holds that is not needed, and rewriting the packs without it.

Packs never change; to drop an entry, what else its pack holds is copied to another pack, which is
durable before the old one goes: one pack after the other, so that no more room is taken than for
what stays of one. Killed in between, the vault has some content twice, which is in excess itself
the next time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence

from attrs import define, evolve, field

from ledger.digest import Digest, from_raw
from ledger.vault.appender import Appender
from ledger.vault.packs import Pack, PackEntry, entry_pieces, is_sound, scan
from ledger.vault.protocol import Excess


@define
class Survey:
    """What is in excess: the packs that have some, each with the entries that stay."""

    excess: Excess = field(factory=Excess)
    packs: list[tuple[Pack, list[PackEntry]]] = field(factory=list)

    def goes(self, pack: Pack) -> bool:
        """Whether `pack` is one of them."""
        return any(pack.number == each.number for each, _ in self.packs)


def survey(packs: Sequence[Pack], needed: Container[Digest], *, scraps: bool) -> Survey:
    """Return what of `packs` is in excess: what is not `needed`, and what is there again, sound.

    A pack with bytes that are not a whole entry is left as it is, as evidence; with `scraps` these
    bytes are in excess, too.
    """
    found = {pack: list(scan(pack, trusted=pack.sealed)) for pack in packs}
    copies: dict[bytes, list[PackEntry]] = defaultdict(list)
    for entries in found.values():
        for entry in entries:
            copies[entry.raw].append(entry)
    paths = {pack.number: pack for pack in packs}
    spare = {entry for each in copies.values() for entry in _spare(each, paths)}
    result = Survey()
    for pack, entries in found.items():
        loose = pack.size - sum(entry.end - entry.offset for entry in entries)
        kept = [e for e in entries if e not in spare and from_raw(e.raw) in needed]
        if (loose and not scraps) or (not loose and len(kept) == len(entries)):
            continue
        before, copied = result.excess, sum(e.end - e.offset for e in kept)
        gone = sum(e.end - e.offset for e in entries) - copied
        result.excess = Excess(
            before.entries + len(entries) - len(kept),
            before.bytes + gone,
            before.scraps + loose,
            max(before.room, copied),
        )
        result.packs.append((pack, kept))
    return result


def _spare(copies: list[PackEntry], packs: dict[int, Pack]) -> Iterator[PackEntry]:
    """Yield all of the copies of one content but the last sound one; none where none is sound."""
    if len(copies) < 2:
        return
    sound = next((e for e in reversed(copies) if is_sound(packs[e.pack], e)), None)
    if sound is not None:
        yield from (entry for entry in copies if entry is not sound)


def packs_to_append_to(packs: Sequence[Pack], found: Survey) -> list[Pack]:
    """Return `packs` such that nothing is appended to one that goes.

    The numbers of those are not given again: who still reads one by its number would get others'
    bytes.
    """
    if packs and found.goes(packs[-1]):
        return [*packs[:-1], evolve(packs[-1], sealed=True)]
    return list(packs)


def copy_kept(pack: Pack, kept: Sequence[PackEntry], appender: Appender) -> list[PackEntry]:
    """Append what stays of a pack as it is, damaged entries as well; return where it is."""
    return [appender.append_copy(entry, entry_pieces(pack, entry)) for entry in kept]
