"""Erasing a person's data everywhere in a repository, and leaving all else as before.

What an erasure does, in this order:

1. Nothing of the data may be part of the File-set or on its medium. With `take_off` it is removed
   and the medium written first, as changes of their own; instances that were moved to
   another patient and still name the person are corrected.
2. Every disk must have room for what follows. Tags that name the person are deleted, and so are
   snapshots and the like, which can be rebuilt, and the person's files in the quarantine.
3. One change, in one transaction, states what is erased (`PayloadErased`) and
   takes these payloads away. From here on nothing reads them.
4. The journal's file is rebuilt without its free space; the vault drops what no event names any
   more; caches are deleted once more.
5. `ErasureCompleted` says that this is done.

If it stops after the third step, it is known to be incomplete, and the next erasure completes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from fileset.erasure.corrected import Telling, correct_telling, matching_with_former
from fileset.erasure.mentions import Mentions
from fileset.erasure.plan import Erasure, is_present, plan_erasure
from fileset.erasure.room import refuse_without, room_to_complete
from fileset.errors import RefusedError, StillThereError
from fileset.medium.write import Writer
from fileset.progress import Progress
from fileset.quarantine.quarantine import Quarantine, Quarantined
from fileset.repository.contents import Contents
from fileset.repository.folder import KEPT_DAMAGED, PASSING, RECOVERING
from fileset.repository.garbage import needed
from fileset.repository.repository import Repository
from ledger.errors import LedgerError
from ledger.events import ErasureCompleted, Handle, PayloadErased, TagDeleted
from ledger.journal.erasures import runs_of
from ledger.phrases import count
from ledger.vault.protocol import Excess
from projections.medium.layouts import usual_layout
from projections.medium.pending import pending
from projections.state.erasing import KEYWORDS, identifiers
from projections.state.state import FileSetState


class Eraser:
    """Erases from a repository."""

    def __init__(self, repository: Repository, contents: Contents) -> None:
        self._repository = repository
        self._contents = contents
        self._writer = Writer(repository)

    def foresee(self, query: Mapping[str, str]) -> Erasure:
        """Return what `erase` would erase; nothing is changed.

        ValueError if `query` is empty or has other keywords than
        `KEYWORDS`.
        """
        _check(query)
        state = self._repository.refresh()
        return plan_erasure(self._repository, state, self._matching(state, query), query).erasure

    def erase(
        self,
        query: Mapping[str, str],
        *,
        reason: str,
        take_off: bool = False,
        progress: Progress | None = None,
    ) -> Erasure:
        """Erase all data of the instances that have all the values of `query`.

        An erasure that was interrupted is completed first. With `take_off`, instances that are part
        of the File-set are removed from it, those of others that tell of the person are corrected,
        and its medium is written if it has any of them.

        Raises
        ------
        StillThereError
            Without `take_off`, if any is part of the File-set or on its medium, or one of others
            tells of the person.
        RefusedError
            If a write was interrupted, other changes would be written with `take_off`, or the
            reason, which stays for ever, holds what is to be erased. If an instance of others that
            tells of the person can't be corrected. If a damaged journal was kept in the repository.
            If a disk has too little room for all of it.
        VaultError
            If what the vault has can't be read: nobody can say whether it tells of the person.
        MediumError
            If the medium can't be written. The instances are removed from the File-set by then.
        """
        _check(query)
        repository = self._repository
        repository.outside_changes("An erasure")
        with repository.exclusively():
            completed = self.complete()
            state = repository.refresh()
            gone = self._matching(state, query)
            plan = plan_erasure(repository, state, gone, query)
            if not plan.is_needed:
                return Erasure(completed=completed, mentions=plan.erasure.mentions)
            _refuse_if_kept(repository.path)
            _refuse_telling(Mentions(identifiers(state, gone, query)), reason)
            telling = plan.erasure.telling
            if take_off or not (plan.erasure.present or telling):
                refuse_without(plan.erasure.room, "Nothing was erased")
            present = self._take_off(state, gone, telling, reason, progress, allowed=take_off)
            self._writer.clear_leftovers()
            state = repository.refresh()
            gone = self._matching(state, query)  # and what was corrected
            plan = plan_erasure(repository, state, gone, query)
            tags = plan.erasure.tags
            if tags:
                self._delete_tags(tags, reason)
                plan = plan_erasure(repository, repository.state, gone, query)
            _drop_quarantined(repository.path, plan.quarantined)
            repository.forget_caches()
            with repository.change(reason) as change:
                for kept in plan.left.kept:
                    repository.emit(kept)
                repository.emit(
                    PayloadErased(
                        runs_of(plan.positions),
                        runs_of(plan.adopted),
                        tuple(plan.left.staying.items()),
                        plan.corrected,
                    )
                )
            excess = self._purge()
        return evolve(
            plan.erasure,
            present=present,
            telling=telling,
            tags=tags,
            excess=excess,
            change=change,
            completed=completed,
        )

    def _matching(self, state: FileSetState, query: Mapping[str, str]) -> set[Handle]:
        return matching_with_former(self._repository.vault, state, query)

    def complete(self) -> bool:
        """Complete an erasure that was interrupted; `False` if there is none."""
        repository = self._repository
        repository.outside_changes("An erasure")
        with repository.exclusively():
            if repository.refresh().erasing is None:
                return False
            excess = repository.vault.excess(needed(repository.journal), scraps=True)
            refuse_without(room_to_complete(repository, excess), "The erasure is not complete yet")
            self._purge()
        return True

    def _purge(self) -> Excess:
        """Take what was erased from everywhere, and record that this is done."""
        repository = self._repository
        started = repository.state.erasing
        assert started is not None  # noqa: S101 - callers look
        try:
            repository.journal.scrub()
            self._contents.forget()
            repository.forget_caches()
            excess = repository.vault.drop_excess(needed(repository.journal), scraps=True)
        except LedgerError as exc:
            raise RefusedError(
                f"The data is erased from the journal, but not yet from everywhere: {exc} "
                "`fileset erase --complete` completes it."
            ) from exc
        with repository.change():
            repository.emit(ErasureCompleted(started))
        return excess

    def _delete_tags(self, names: tuple[str, ...], reason: str) -> None:
        """Delete tags, so that no state has them whose events are erased."""
        repository = self._repository
        with repository.change(reason):
            for name in names:
                repository.emit(TagDeleted(name, repository.state.tags[name]))

    # --- what is in the way ----------------------------------------------------------------------

    def _take_off(
        self,
        state: FileSetState,
        gone: set[Handle],
        telling: tuple[Telling, ...],
        reason: str,
        progress: Progress | None,
        *,
        allowed: bool,
    ) -> int:
        """Have none of `gone` in the File-set nor on its medium; return how many were.

        What is `telling` of the person there is corrected.
        """
        if state.writing is not None:
            self._repository.roots.refuse_unnamed(state.writing.event.root)
            raise RefusedError(
                f"A write to {state.writing.event.root} was interrupted: complete it with "
                "`fileset write`, or give it up with `fileset write --abandon`, before data is "
                "erased."
            )
        present = [leaf for leaf in map(state.leaf, sorted(gone)) if is_present(leaf)]
        others = [state.leaf(each.handle) for each in telling]
        on_medium = [leaf for leaf in (*present, *others) if leaf.file_id is not None]
        live = [leaf.handle for leaf in present if leaf.is_live]
        if not present and not others:
            return 0
        if state.written is not None and on_medium:
            self._repository.roots.refuse_unnamed(state.written.root)
        if not allowed:
            there = sum(leaf.file_id is not None for leaf in present)
            raise StillThereError(_still_there(state, len(live), there, len(others)))
        if on_medium:
            _refuse_others_staged(state, {*gone, *(leaf.handle for leaf in others)})
        with self._repository.change(reason):
            correct_telling(self._repository, telling)
            self._repository.remove(live)
        if on_medium and state.written is not None:
            self._writer.write(None, state.written.layout, reason=reason, progress=progress)
        return len({state.hierarchy.first_version(leaf.handle) for leaf in present})


def _check(query: Mapping[str, str]) -> None:
    if not query or any(not value.strip() for value in query.values()):
        raise ValueError("Name whose data is to be erased, by values that are not empty")
    for keyword in query.keys() - KEYWORDS.keys():
        raise ValueError(
            f"Data is erased by {', '.join(KEYWORDS)}, and not by {keyword}: only these say whose "
            f"it is"
        )


def _refuse_if_kept(path: Path | None) -> None:
    """Refuse as long as what a recovery kept, or one that was killed has left, is there."""
    if path is None:
        return
    if left := sorted([*path.glob(RECOVERING), *path.glob(f"{PASSING}*")]):
        raise RefusedError(
            f"Nothing was erased: {left[0]} was left by an interrupted recovery, and may hold "
            f"what is to be erased. `fileset recover` completes it."
        )
    if kept := sorted(path.glob(f"{KEPT_DAMAGED}*")):
        raise RefusedError(
            f"Nothing was erased: {kept[0]} holds a damaged journal, kept when it was recovered, "
            f"and may hold what is to be erased. Move such folders away, or delete them."
        )


def _refuse_telling(mentions: Mentions, reason: str) -> None:
    if not reason.strip():
        raise ValueError("An erasure needs a reason: nothing else will say why it was done")
    if mentions.of_any(reason):
        raise RefusedError(
            "The reason contains the ID or the name of the person, and stays in the journal for "
            "ever: give one without them, such as the number of the request."
        )


def _drop_quarantined(path: Path | None, entries: list[Quarantined]) -> None:
    for entry in entries:
        Quarantine(path or Path()).drop(entry)


def _still_there(state: FileSetState, live: int, on_medium: int, others: int) -> str:
    parts = [f"part of the File-set ({live:,})"] if live else []
    if on_medium and state.written is not None:
        parts.append(f"on the medium at {state.written.root} ({on_medium:,})")
    found = []
    if parts:
        found.append(
            f"instances are still {' and '.join(parts)}. With --take-off (take_off=True) they are "
            "removed and the medium is written first; or use `fileset remove` and `fileset write`."
        )
    if others:
        found.append(
            f"{count(others, 'instance')} moved to another patient still "
            f"{'names' if others == 1 else 'name'} the person: --dry-run says where. With "
            "--take-off (take_off=True) that is corrected, and the medium is written first."
        )
    return f"Nothing was erased: {' '.join(found)}"


def _refuse_others_staged(state: FileSetState, gone: set[Handle]) -> None:
    """Refuse to write more than what takes off `gone`: that includes what replaces it."""
    staged = pending(state, usual_layout(state))
    replaced = (old for old, _ in staged.corrections)
    others = [
        leaf for leaf in (*staged.additions, *staged.removals, *replaced) if leaf.handle not in gone
    ]
    if others or staged.metadata:
        raise RefusedError(
            f"Nothing was erased: other changes are staged ({staged.summary()}), and taking the "
            "instances off the medium would write them. Write or undo them first."
        )
