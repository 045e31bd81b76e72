"""What a File-set is and what is staged: a line for people, and what a notebook shows."""

from __future__ import annotations

from fileset.errors import ClosedError
from fileset.views import notebook
from fileset.views.view import View
from ledger.phrases import count
from projections.medium.pending import staged
from projections.state.outline import outline
from projections.state.state import FileSetState


def file_set_line(view: View) -> str:
    """Return what the File-set of `view` is, between angle brackets."""
    state = _state_of(view)
    if state is None:
        folder = view.repository.path
        return f"<FileSet{'' if folder is None else f' in {folder}'} that was closed>"
    parts = [state.identity.id or "without ID", *_amount(state)]
    parts.append(state.written.root if state.written else "not written yet")
    if view.fixed is not None:
        parts.append(f"as of position {state.position}")
    if summary := staged(state).summary():
        parts.append(f"staged: {summary}")
    return f"<FileSet {', '.join(parts)}>"


def _state_of(view: View) -> FileSetState | None:
    """Return what is presented; `None` after it was closed."""
    try:
        return view.state
    except ClosedError:
        return None


def _amount(state: FileSetState) -> list[str]:
    patients = sum(branch.is_live for branch in state.hierarchy.root.branches())
    parts = [count(patients, "patient")] if patients else []
    return [*parts, count(len(state.live), "instance")]


def file_set_html(view: View) -> str:
    """Return what the File-set of `view` is, with the beginning of its hierarchy, as HTML."""
    title, state = file_set_line(view)[1:-1], _state_of(view)
    if state is None:
        return notebook.outline(title, (), iter(()))
    now = state.identity
    facts = {
        "Root directory": state.written.root if state.written else None,
        "File-set ID": now.id,
        "File-set UID": now.uid,
        "Descriptor file ID": "/".join(now.descriptor_file_id or ()) or None,
        "Descriptor file character set": now.descriptor_character_set,
        "Application profile": now.profile,
        "Staged": staged(state).summary() or None,
    }
    known = [(name, value) for name, value in facts.items() if value is not None]
    lines = outline(state.hierarchy.walk_records(), state.corrections)
    return notebook.outline(title, known, lines)
