"""Coercing instances when they arrive: what an `Adder` needs to do so by rules."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from fileset.adding.candidate import Candidate
from fileset.adding.coercing import Coerced, Coercer
from fileset.correcting.correction import (
    Account,
    Correction,
    Making,
    corrected_event,
    moment_of,
    notes_on,
    ranked,
    read_corrected,
    refuse_taken,
)
from fileset.correcting.rules import Rules, read_rules
from fileset.correcting.words import text_of_body
from fileset.repository.repository import Repository
from ledger.errors import CorrectionError, ElementsError
from ledger.events import Content, CorrectionReason, ElementCorrected, Handle, InstanceCorrected
from ledger.files import FileView
from ledger.instances.correcting.correct import Corrected
from ledger.instances.correcting.edits import OF_THE_STANDARD, ElementPath, UIDsReplaced
from ledger.instances.correcting.present import uids_in, values_of
from ledger.vault.protocol import Batch

_REPLACED: Final = frozenset(
    (
        0x00080018,  # SOP Instance UID
        0x00081155,  # Referenced SOP Instance UID
        0x0020000D,  # Study Instance UID
        0x0020000E,  # Series Instance UID
        0x00200052,  # Frame of Reference UID
        0x00200200,  # Synchronization Frame of Reference UID
        0x30060024,  # Referenced Frame of Reference UID
        0x300600C2,  # Related Frame of Reference UID
    )
)
"""Elements whose UIDs are replaced by new ones, wherever they occur in an instance."""


def new_uid(journal_id: str, uid: str) -> str:
    """Return the UID that a File-set has in place of `uid`: always the same one.

    It is made of a UUID of version 5 (RFC 9562, PS3.5 Section B.2), whose namespace is that of the
    journal.
    """
    namespace = uuid.uuid5(uuid.NAMESPACE_OID, journal_id)
    return f"2.25.{uuid.uuid5(namespace, uid).int}"


def coercer(path: Path) -> Coercer:
    """Return what coerces instances by the rules in the file at `path`; see `read_rules`."""
    return partial(Coercion, read_rules(path))


class Coercion:
    """Coerces the instances of one change of a repository by `rules`; see `Coercing`."""

    def __init__(self, rules: Rules, repository: Repository, batch: Batch) -> None:
        self._rules = rules
        self._repository = repository
        self._batch = batch
        self._making = Making(moment_of(repository))
        self._account = Account()

    @contextmanager
    def coerced(self, candidate: Candidate) -> Iterator[Coerced | None]:
        """Give `candidate` coerced, `None` if it stays as it is.

        CorrectionError if it can't be, or another InstanceError if it can't be read.
        """
        with ExitStack() as stack:
            found = self._made(candidate, stack)
            if found is None:
                yield None
                return
            made, new = found
            refuse_taken(self._repository.state, new, None)
            content = new.store(self._batch)
            correct = partial(self._correct, candidate, new, content, made)
            yield Coerced(new, correct, tuple(notes_on(made, self._making.when)))

    def _made(self, candidate: Candidate, stack: ExitStack) -> tuple[Corrected, Candidate] | None:
        try:
            with candidate.read() as source:
                correction = self._correction(source)
                if correction is None:
                    return None
                with self._making.made(correction, source) as made:
                    if not made.is_changed:
                        return None
                    name = candidate.name or candidate.instance.sop_instance_uid
                    complete = bool(candidate.invented)
                    return made, stack.enter_context(read_corrected(made, name, complete=complete))
        except (CorrectionError, ElementsError) as exc:
            reason = exc.reason if isinstance(exc, CorrectionError) else str(exc)
            raise CorrectionError(f"can't be coerced: {reason}") from exc

    def _correction(self, source: bytes | FileView) -> Correction | None:
        """Return what corrects an instance, `None` if nothing is asked of it."""
        bodies = values_of(source, self._rules.paths)
        values: Mapping[ElementPath, str] = {
            path: (text_of_body(body) or "").strip() for path, body in bodies.items()
        }
        edits, new_uids = self._rules.asked(values)
        replaced = self._new_uids(source) if new_uids else None
        if not (edits or replaced):
            return None
        return Correction(
            edits if replaced is None else (*edits, replaced),
            CorrectionReason.COERCE,
            # It is of the same person: its medium may tell how it arrived (PS3.3 C.12.1.1.9).
            original_attributes=True,
        )

    def _new_uids(self, source: bytes | FileView) -> UIDsReplaced:
        id_ = self._repository.journal.id
        found = uids_in(source, _REPLACED)
        return UIDsReplaced(
            {uid: new_uid(id_, uid) for uid in found if not uid.startswith(OF_THE_STANDARD)}
        )

    def _correct(
        self,
        candidate: Candidate,
        new: Candidate,
        content: Content,
        made: Corrected,
        handle: Handle,
    ) -> InstanceCorrected:
        self._account.add(handle, made, CorrectionReason.COERCE)
        state = self._repository.state
        return ranked(state, corrected_event(state, new, content, handle, candidate.source))

    def complete(self) -> tuple[tuple[ElementCorrected, int], ...]:
        """Record what was coerced alike in which instances; return what in how many."""
        for event in self._account.events():
            self._repository.emit(event)
        return self._account.elements()
