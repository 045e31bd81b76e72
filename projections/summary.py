"""What ``status`` tells of a File-set, as a value that can be kept: no state is needed to print it.

A summary is disposable as a snapshot is, and says in the same way what it was made from.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve, frozen

from projections.dicomdir import FileSetIdentity
from projections.late import Late, late
from projections.outline import outline
from projections.pending import Staged, pending
from projections.snapshot import fold_version, identity_of, plain, seal, unseal
from projections.state import FileSetState

VERSION: Final = 3
"""Raise it when the same state is told in another way: summaries of before are void."""

_NO_VALUE: Final = "(no value available)"
_NONE_LATE: Final = Late(0, 0)


@frozen
class Summary:
    """A File-set as of `position`: what it is called, what is staged, and its outline.

    `root` and `written` are where the medium is and what it says, ``None`` where there is none;
    `interrupted` is the root of a write of which no end is known; `undo` and `redo` are how many
    changes there are to undo and redo. `erased` instances were part of it by then and were erased
    since. `late` are the additions to studies that are on the medium already.
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
    late: Late = _NONE_LATE

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
        if staged := self.staged.summary():
            lines.append(f"  Changes staged for write(): {staged}")
        if self.outline:
            lines += ["", "  Managed instances:", *(f"    {line}" for line in self.outline)]
        if self.erased:
            lines += ["", f"  Erased since: {self.erased}"]
        return lines


def summarise(state: FileSetState) -> Summary:
    """Return the summary of `state`."""
    return Summary(
        position=state.position,
        root=state.written.root if state.written else None,
        identity=state.identity,
        written=state.written.identity if state.written else None,
        instances=len(state.live),
        staged=pending(state).counted(),
        undo=len(state.history.undo),
        redo=len(state.history.redo),
        interrupted=state.writing.event.root if state.writing else None,
        outline=tuple(outline(state.hierarchy.walk())),
        erased=state.erased,
        late=late(state),
    )


def dump(summary: Summary, chain_hash: str) -> bytes:
    """Return `summary` as bytes, with the chain hash (hexadecimal) at its position."""
    return seal({"key": _key(chain_hash), "summary": plain(summary)})


def load(data: bytes, chain_hash: str) -> Summary | None:
    """Return the summary in `data` if it was made at that chain hash and as it would be made here.

    ``None`` otherwise.
    """
    kept = unseal(data)
    try:
        if kept["key"] != _key(chain_hash):
            return None
        told = Summary(**kept["summary"])
        return evolve(
            told,
            identity=identity_of(kept["summary"]["identity"]),
            written=told.written and identity_of(kept["summary"]["written"]),
            staged=Staged(**kept["summary"]["staged"]),
            outline=tuple(told.outline),
            late=Late(*told.late),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def _key(chain_hash: str) -> list[Any]:
    return [VERSION, fold_version(), chain_hash]
