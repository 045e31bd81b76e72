"""`diff`: what differs between two states, or between a state and a medium."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from fileset.cli.command import command, pass_session
from fileset.cli.moments import usage_of_moments
from fileset.cli.roots import RootType
from fileset.cli.screen.differences import (
    CORRECTED,
    correction_lines,
    corrections_document,
    counted,
    nodes,
)
from fileset.cli.screen.documents import (
    identity_difference,
    identity_lines,
    instance_document,
    record_difference,
)
from fileset.cli.screen.output import Answer, Node
from fileset.cli.session import Session, absolute
from fileset.errors import NoSuchMomentError
from fileset.repository.repository import Repository
from fileset.timeline.compare import medium, sides
from fileset.timeline.corrections import corrected_between
from fileset.timeline.moments import position_of
from ledger.phrases import count
from projections.past.diff import Diff, Side, compare
from projections.past.diff_tree import DiffNode, tree
from projections.state.state import FileSetState


@command(
    "diff",
    {
        "from": "a position",
        "to": "a position, or null for a medium",
        "root": "the medium that is compared, or null",
        "identity": "the fields that differ: {name: {from, to}}",
        "counts": "by level (patients, studies, series, other_records, instances): "
        "{added, removed, changed}",
        "records": "nested: {record_type, key, change, elements, records}; change is "
        '"added", "removed", "changed" or null, elements are those that differ by tag: '
        "{keyword, from, to}, in the DICOM JSON model",
        "corrections": CORRECTED,
        "erased": "{from, to}: how many more instances each had whose data was erased since",
        "added": "the instances that only the later state has, see below; where they are and what "
        "is staged for them is as of now",
        "removed": "the instances that only the earlier state has, likewise",
        "changed": "the instances that both have in different forms: [{from, to}], likewise",
    },
    pages=True,
)
@click.argument("earlier", metavar="[A]", required=False)
@click.argument("later", metavar="[B]", required=False)
@click.option(
    "--root",
    type=RootType(),
    metavar="FOLDER",
    help="Compare with what the DICOMDIR of a medium lists, instead of B.",
)
@click.option("--all", "full", is_flag=True, help="List every record and instance.")
@pass_session
def diff(
    session: Session, earlier: str | None, later: str | None, root: Path | None, full: bool
) -> Answer:
    """Compare the File-set at A and B, or A and now; or with a medium.

    The folder of a medium or its DICOMDIR, instead of B or alone, has the same effect as --root,
    unless a moment has that name.

    A and B are positions, tags, changes or dates, as `fileset tree --at` takes them. What was added
    is marked with +, what was removed with -, and with ~ what has different content or different
    elements in its record. A record that is entirely new is one line. What was corrected in between
    is listed with its values.

    With --root the medium is compared with the File-set at A, or now: + is what the medium's
    DICOMDIR lists and the File-set doesn't have. Whether its files are what they should be is
    checked by `fileset verify`.
    """
    if earlier is None and root is None:
        raise click.UsageError("Name what to compare: a position A, or a medium with --root.")
    if later is not None and root is not None:
        raise click.UsageError("--root is compared with A: give no B.")
    repository = session.repository()
    if root is None and (path := _root_named(repository, later or earlier or "")) is not None:
        earlier, later, root = earlier if later else None, None, path
    before, after = _sides(repository, earlier, later, root)
    found = compare(before, after)
    differences = tree(found)
    identity = identity_difference(before.identity, after.identity, only=found.identity)
    state = repository.state
    counts = differences.counted()
    corrected = corrected_between(repository, before, after)
    return Answer(
        {
            "from": before.position,
            "to": after.position,
            "root": None if root is None else os.fspath(absolute(root)),
            "identity": identity,
            "counts": counts,
            "records": _records_document(differences),
            "corrections": corrections_document(corrected),
            "erased": {"from": before.erased, "to": after.erased},
            **_instances_document(found, state),
        },
        [
            *identity_lines(identity),
            Node(
                (_title(before, after, root), *counted(counts, bool(identity))),
                nodes(differences, state, full=full),
            ),
            *correction_lines(corrected),
        ],
        [
            f"Position {side.position}: not compared: {count(side.erased, 'instance')} whose data "
            f"was erased since"
            for side in (before, after)
            if side.erased
        ],
    )


def _root_named(repository: Repository, text: str) -> Path | None:
    """Return the folder of the medium that `text` names, `None` if it names a moment or nothing."""
    try:
        position_of(repository, text)
    except NoSuchMomentError:
        return RootType().convert(text, None, None) if text and Path(text).exists() else None
    return None


def _sides(
    repository: Repository, earlier: str | None, later: str | None, root: Path | None
) -> tuple[Side, Side]:
    with usage_of_moments():
        positions = [
            None if named is None else position_of(repository, named) for named in (earlier, later)
        ]
    if root is not None:
        (before,) = sides(repository, positions[0], with_medium=True)
        return before, medium(absolute(root))
    before, after = sides(repository, *positions)
    return before, after


# --- for people ----------------------------------------------------------------------------------


def _title(before: Side, after: Side, root: Path | None) -> str:
    if root is not None:
        return f"Position {before.position} to the medium at {absolute(root)}: "
    return f"Position {before.position} to {after.position}: "


# --- for machines --------------------------------------------------------------------------------


def _records_document(node: DiffNode) -> list[dict[str, Any]]:
    found = []
    for below in node.below.values():
        assert below.branch is not None  # noqa: S101 - all but the root have one
        difference = below.difference
        changed = difference is not None and difference.kind == "changed"
        found.append(
            {
                "record_type": below.branch.record.type,
                "key": below.branch.key,
                "change": below.kind,
                "elements": record_difference(
                    difference.before.record,  # type: ignore[union-attr]  # both are there
                    difference.after.record,  # type: ignore[union-attr]
                )
                if changed
                else {},
                "records": _records_document(below),
            }
        )
    return found


def _instances_document(found: Diff, state: FileSetState) -> dict[str, Any]:
    return {
        "added": [instance_document(leaf, state) for leaf in found.added],
        "removed": [instance_document(leaf, state) for leaf in found.removed],
        "changed": [
            {"from": instance_document(before, state), "to": instance_document(after, state)}
            for before, after in found.changed
        ],
    }
