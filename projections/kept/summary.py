"""What `status` shows of a File-set, as a value that can be kept and printed without a state.

Like a snapshot it can be deleted at any time, and names the position and chain hash it is of.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve, frozen

from projections.dicomdir.definitions import FileSetIdentity
from projections.kept.columns import seal, unseal
from projections.kept.plain import identity_of, plain
from projections.medium.staged import LateAdditions, Staged
from projections.state.version import fold_version

VERSION: Final = 7
"""Raise it when the same state gives another summary: older ones are then void."""

_NO_VALUE: Final = "(no value available)"
_NONE_LATE: Final = LateAdditions(0, 0)


@frozen
class MismatchSummary:
    """The values of several persons with one Patient ID, by the keywords that differ."""

    patient_id: str
    values: dict[str, list[str]]


@frozen
class Summary:
    """A File-set as of `position`: what it is called, what is staged, and its outline.

    `root` and `written` are where the medium is and what it says, `None` where there is none;
    `interrupted` is the root of a write that has not ended; `undo` and `redo` are how many
    changes there are to undo and redo. `erased` instances were part of it by then and were erased
    since. `late` are the additions to studies that are on the medium already. `mismatches` are the
    Patient IDs of several persons that nobody has settled; `errors` tell of patients, studies and
    series that have several records. `misfits` give what does not fit the application profile, in
    words, and of how many instances.
    """

    position: int
    root: str | None
    identity: FileSetIdentity
    written: FileSetIdentity | None
    instances: int
    staged: Staged
    undo: int
    redo: int
    interrupted: str | None
    outline: tuple[str, ...]
    erased: int = 0
    late: LateAdditions = _NONE_LATE
    mismatches: tuple[MismatchSummary, ...] = ()
    errors: tuple[str, ...] = ()
    misfits: tuple[tuple[str, int], ...] = ()

    def lines(self) -> list[str]:
        """Return the text that pydicom prints of a File-set, line by line."""
        now = self.identity
        parts = now.descriptor_file_id
        descriptor = parts[0] if parts and len(parts) == 1 else parts and list(parts)
        lines = [
            "DICOM File-set",
            f"  Root directory: {self.root or _NO_VALUE}",
            f"  File-set ID: {now.id or _NO_VALUE}",
            f"  File-set UID: {now.uid}",
            f"  Descriptor file ID: {descriptor or _NO_VALUE}",
            f"  Descriptor file character set: {now.descriptor_character_set or _NO_VALUE}",
        ]
        if now.profile is not None:  # which pydicom does not know
            lines.append(f"  Application profile: {now.profile}")
        if staged := self.staged.summary():
            lines.append(f"  Changes staged for write(): {staged}")
        if self.outline:
            lines += ["", "  Managed instances:", *(f"    {line}" for line in self.outline)]
        if self.erased:
            lines += ["", f"  Erased since: {self.erased}"]
        return lines


def dump(summary: Summary, chain_hash: str) -> bytes:
    """Return `summary` as bytes, with the chain hash (hexadecimal) at its position."""
    return b"".join(seal({"key": _key(chain_hash), "summary": plain(summary)}))


def load(data: bytes, chain_hash: str) -> Summary | None:
    """Return the summary in `data` if it was made at that chain hash and as it would be made here.

    `None` otherwise.
    """
    try:
        kept, _ = unseal(data)
        if kept["key"] != _key(chain_hash):
            return None
        summary = Summary(**kept["summary"])
        return evolve(
            summary,
            identity=identity_of(kept["summary"]["identity"]),
            written=summary.written and identity_of(kept["summary"]["written"]),
            staged=Staged(**kept["summary"]["staged"]),
            outline=tuple(summary.outline),
            late=LateAdditions(*summary.late),
            mismatches=tuple(MismatchSummary(**row) for row in kept["summary"]["mismatches"]),
            errors=tuple(summary.errors),
            misfits=tuple((words, number) for words, number in summary.misfits),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def _key(chain_hash: str) -> list[Any]:
    return [VERSION, fold_version(), chain_hash]
