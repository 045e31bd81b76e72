"""Following instances through a journal: it agrees with the fold, whatever happened."""

from __future__ import annotations

from hypothesis import given
from models import Author, programs

from projections.past.provenance import Provenance, Touch, TouchKind


def follow(author: Author, handles: set[int]) -> tuple[Provenance, list[Touch]]:
    provenance = Provenance(frozenset(handles), lambda _: {})
    return provenance, [touch for event in author.events for touch in provenance.touches(event)]


@given(programs())
def test_who_came_and_did_not_go_is_part_of_the_file_set(program: list[tuple[object, ...]]) -> None:
    author = Author().run(program)
    there: set[int] = set()
    for touch in follow(author, set(author.state.hierarchy.leaves))[1]:
        assert not there & set(touch.came)
        assert there >= set(touch.went)
        there = (there | set(touch.came)) - set(touch.went)
    assert there == {leaf.handle for leaf in author.state.live.values()}


@given(programs())
def test_what_was_written_lies_where_the_fold_has_it(program: list[tuple[object, ...]]) -> None:
    author = Author().run(program)
    leaves = author.state.hierarchy.leaves
    provenance, _ = follow(author, set(leaves))
    assert provenance.there == {h: leaf.file_id for h, leaf in leaves.items() if leaf.file_id}


@given(programs())
def test_one_instance_is_told_of_as_it_is_among_all(program: list[tuple[object, ...]]) -> None:
    author = Author().run(program)
    leaves = set(author.state.hierarchy.leaves)
    together = follow(author, leaves)[1]
    for handle in leaves:
        alone = follow(author, {handle})[1]
        assert [(t.position, t.kind) for t in alone] == [
            (t.position, t.kind) for t in together if handle in t.instances
        ]
        assert alone[0].kind in (TouchKind.ADDED, TouchKind.CORRECTED)
