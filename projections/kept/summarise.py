"""The summary of a state, for those who have one: mostly the one that is kept will do."""

from __future__ import annotations

from projections.kept.summary import MismatchSummary, Summary
from projections.medium.late import late
from projections.medium.layouts import usual_layout
from projections.medium.pending import staged
from projections.state.differences import keyword_of
from projections.state.namesakes import namesakes
from projections.state.outline import outline
from projections.state.persons import Mismatch, mismatches
from projections.state.state import FileSetState


def summarise(state: FileSetState, layout: str | None = None) -> Summary:
    """Return the summary of `state`, staged for a write in `layout` or else the usual one."""
    return Summary(
        position=state.position,
        root=state.written.root if state.written else None,
        identity=state.identity,
        written=state.written.identity if state.written else None,
        instances=len(state.live),
        staged=staged(state, layout or usual_layout(state)),
        undo=len(state.history.undo),
        redo=len(state.history.redo),
        interrupted=state.writing.event.root if state.writing else None,
        outline=tuple(outline(state.hierarchy.walk_records(), state.corrections)),
        erased=state.erased,
        late=late(state),
        mismatches=tuple(map(mismatch_summary, mismatches(state))),
        errors=tuple(each.sentence for each in namesakes(state) if each.is_error),
        misfits=state.misfits(),
    )


def mismatch_summary(found: Mismatch) -> MismatchSummary:
    """Return what there is to tell of `found`."""
    values = {keyword_of(tag): texts for tag, texts in found.values().items()}
    return MismatchSummary(found.patient_id, values)
