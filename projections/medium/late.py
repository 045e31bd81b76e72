"""Late arrivals: what was added to a study that is on the medium already."""

from __future__ import annotations

from projections.medium.staged import LateAdditions
from projections.state.nodes import Branch
from projections.state.state import FileSetState


def is_written(state: FileSetState, study_uid: str) -> bool:
    """Whether any instance of the study is on the medium as of the last completed write."""
    studies = state.hierarchy.named.get(("STUDY", study_uid.strip()), ())
    return any(study.is_on_medium for study in studies)


def late(state: FileSetState) -> LateAdditions:
    """Return how many additions there are to studies that are on the medium."""
    additions: dict[Branch, int] = {}
    stack: list[tuple[Branch, Branch | None]] = [(state.hierarchy.root, None)]
    while stack:
        branch, study = stack.pop()
        study = branch if branch.record.type == "STUDY" else study
        if study is not None and (count := branch.tally.additions):
            additions[study] = additions.get(study, 0) + count
        stack += ((child, study) for child in branch.branches())
    for leaf in state.corrections:
        if (study := _study_above(leaf.home)) in additions:
            additions[study] -= 1
    found = [count for study, count in additions.items() if study.is_on_medium]
    return LateAdditions(sum(found), sum(map(bool, found)))


def _study_above(branch: Branch) -> Branch | None:
    node: Branch | None = branch
    while node is not None and node.record.type != "STUDY":
        node = node.home
    return node
