"""Late arrivals: what was added to a study that is on the medium already."""

from __future__ import annotations

from typing import NamedTuple

from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState


class LateAdditions(NamedTuple):
    """How many instances that are to be added came late, and to how many studies."""

    instances: int
    studies: int


def is_written(state: FileSetState, study_uid: str) -> bool:
    """Whether any instance of the study is on the medium as of the last completed write."""
    studies = state.hierarchy.named.get(("STUDY", study_uid.strip()), ())
    return any(_on_medium(study) for study in studies)


def late(state: FileSetState) -> LateAdditions:
    """Return how many additions there are to studies that are on the medium."""
    additions: dict[Branch, int] = {}
    for leaf in state.additions.values():
        study = _study(leaf)
        if study is not None:
            additions[study] = additions.get(study, 0) + 1
    found = [count for study, count in additions.items() if _on_medium(study)]
    return LateAdditions(sum(found), len(found))


def _study(leaf: Leaf) -> Branch | None:
    branch: Branch | None = leaf.home
    while branch is not None and branch.record.type != "STUDY":
        branch = branch.home
    return branch


def _on_medium(study: Branch) -> bool:
    return any(leaf.file_id is not None for leaf in study.leaves())
