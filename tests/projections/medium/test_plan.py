"""Plans: carried out step by step on a model of a medium, and found again from their event."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from models import Author, Command, layouts, named_by, private, programs, spec

from ledger.events import WriteStarted
from ledger.journal.codec import decode, encode
from ledger.names import is_conformant
from projections.medium import plan as plans
from projections.medium.plan import Plan, PlanError, plan_export, plan_resumed, plan_write
from projections.state.fold import fold
from projections.state.state import FileSetState


class ModelMedium:
    """A medium as a dict from path to content; every DICOMDIR on it is checked as it goes."""

    def __init__(self) -> None:
        self.files: dict[str, Any] = {}
        self.dicomdir: bytes | None = None
        self.meant: dict[str, Any] = {}
        """The content that the DICOMDIR in place means, by SOP Instance UID."""

    def check(self) -> None:
        if self.dicomdir is not None:
            for path, uid in named_by(self.dicomdir).items():
                assert self.files[path] == self.meant[uid], path

    def carry_out(self, plan: Plan, _: FileSetState | None = None) -> None:
        """Do what the materializer does, in its order."""
        live = {leaf.uid: leaf.content for leaf in plan.files.values()}
        for leaf, path in plan.placed.items():
            target = plan.contested.get(leaf, path)
            assert target not in self.files
            self.files[target] = leaf.content
            self.check()
        if plan.interim is not None:
            self.dicomdir, self.meant = plan.interim, live
            self.check()
            for leaf in plan.contested:
                self.files[plan.placed[leaf]] = leaf.content
                self.check()
        self.dicomdir, self.meant = plan.dicomdir, live
        self.check()
        for path in (*plan.obsolete, *plan.contested.values()):
            del self.files[path]
            self.check()
        assert self.files == {path: leaf.content for path, leaf in plan.files.items()}
        assert named_by(self.dicomdir) == {path: leaf.uid for path, leaf in plan.files.items()}


@given(programs(30))
@example(
    [
        ("add", 0, 0, 0),
        ("add", 1, 0, 0),
        ("write", "pydicom"),
        ("remove", 0),
        ("add", 0, 0, 1),
        ("write", "pydicom"),
    ]
)
def test_at_every_step_the_dicomdir_in_place_names_files_with_the_right_content(
    program: list[Command],
) -> None:
    medium = ModelMedium()

    def on_write(plan: Plan, state: FileSetState) -> None:
        held = [leaf for leaf in state.hierarchy.leaves.values() if leaf.file_id is not None]
        assert {leaf.file_id for leaf in held} == medium.files.keys()
        medium.carry_out(plan)

    # Writes are carried out on the model as they start, so none is given up.
    Author(on_write=on_write).run(c for c in program if c != ("abandon",))


def by_handle(plan: Plan) -> dict[str, Any]:
    return {
        "files": {path: leaf.handle for path, leaf in plan.files.items()},
        "placed": {leaf.handle: path for leaf, path in plan.placed.items()},
        "contested": {leaf.handle: path for leaf, path in plan.contested.items()},
        "dropped": [leaf.handle for leaf in plan.dropped],
        "obsolete": set(plan.obsolete),
        "rest": (
            plan.root, plan.layout, plan.base, plan.staging, plan.interim, plan.dicomdir,
            plan.implicit_vr,
        ),
    }  # fmt: skip


@given(programs(30), layouts, st.booleans())
def test_the_event_that_announces_a_plan_leads_to_the_same_plan_again(
    program: list[Command], layout: str, implicit_vr: bool
) -> None:
    author = Author().run([*program, ("complete",)])
    plan = plan_write(author.state, "/medium", layout, implicit_vr=implicit_vr)
    event = plan.started()

    recorded = decode(WriteStarted.TYPE, WriteStarted.VERSION, encode(event, "00"))
    assert recorded == event
    assert isinstance(recorded, WriteStarted)
    again = plan_resumed(fold(author.events), recorded)

    assert by_handle(again) == by_handle(plan)


def test_staged_files_lie_at_the_same_place_when_the_write_is_resumed() -> None:
    # The instances of one folder come apart in the tree's order, and together in the event.
    author = Author().run(
        [
            *[("add", number, home, 0) for number, home in enumerate((7, 7, 2, 3, 7, 7))],
            ("write", "pydicom"),
            ("remove", 0),
        ]
    )
    plan = plan_write(author.state, "/medium", "pydicom")
    assert [leaf.uid for leaf in plan.contested] == ["1.9.1", "1.9.3", "1.9.5"]
    assert [leaf.handle for leaf in plan.placed] != [
        handle for names in plan.started().placed.values() for handle in names.values()
    ]

    again = plan_resumed(author.state, plan.started())

    assert by_handle(again) == by_handle(plan)


@given(programs(20), layouts)
def test_a_plan_right_after_a_write_has_nothing_to_do(program: list[Command], layout: str) -> None:
    author = Author().run([*program, ("write", layout)])

    plan = plan_write(author.state, "/medium", layout)

    assert not plan.placed
    assert not plan.dropped
    assert not plan.obsolete
    assert plan.staging is None
    assert author.plan_done is not None
    assert plan.dicomdir == author.plan_done.dicomdir


@given(programs(20))
def test_an_export_is_what_a_write_to_a_new_root_would_be(program: list[Command]) -> None:
    author = Author().run(program)
    for cut in range(1, len(author.events) + 1, 3):
        state = fold(author.events[:cut])
        export = plan_export(state, "/out", now=author.state)
        medium = ModelMedium()
        medium.carry_out(export)
        written = {path: leaf.uid for path, leaf in export.files.items()}
        assert written == {
            path: leaf.uid for path, leaf in plan_write(state, "/", "pydicom").files.items()
        }
        assert export.base == cut
        assert all(author.state.leaf(leaf.handle) is leaf for leaf in export.placed)


def test_a_staging_folder_is_not_one_that_anything_lies_in() -> None:
    author = Author().run([("add", 0, 4, 0), ("add", 1, 4, 0), ("write",), ("remove", 0)])
    leaf = author.state.live["1.9.1"]
    for folder in ("stg00000", "STG00000"):
        leaf.file_id = f"{folder}/IM1"
        author.state.removals["1.9.0"].file_id = "HG000000"

        plan = plan_write(author.state, "/medium", "pydicom", occupied=["STG00001/X", "stg00002"])

        assert plan.staging == "STG00003"
        assert all(is_conformant(path) for path in plan.contested.values())


def test_an_unknown_layout_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        PlanError, match=r"no layout 'flat': choose from pydicom, existing, conformant\.$"
    ):
        plan_write(Author().state, "/medium", "flat")


def test_more_instances_than_file_ids_can_number_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plans, "ALPHANUMERIC_LIMIT", 1)
    author = Author().run([("add", 0, 0, 0), ("add", 1, 0, 0)])

    with pytest.raises(NotImplementedError, match="more than 1 managed instances"):
        plan_write(author.state, "/medium", "pydicom")


def test_a_file_id_that_the_standard_does_not_allow_is_refused_unless_it_stands_there() -> None:
    author = Author().run([("add", 0, 4, 0), ("write",)])
    author.state.live["1.9.0"].file_id = "lower/case.dcm"
    assert list(plan_write(author.state, "/", "existing").files) == ["lower/case.dcm"]

    deep = Author()
    chain = tuple(private(f"1.7.{level}") for level in range(9))
    deep.do(("add_spec", spec(0)._replace(records=chain)))
    with pytest.raises(PlanError, match=r"does not conform to PS3\.10 Section 8\.2"):
        plan_write(deep.state, "/", "pydicom")
