"""File IDs: those that pydicom would give, and those that move nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from models import Author, Command, Spec, added, patient, private, programs, spec
from pydicom import examples
from pydicom.fileset import FileSet as PydicomFileSet
from pydicom.fileset import RecordNode, generate_filename

from fileset import FileSet
from ledger.digest import digest_of
from ledger.events import FileSetImported, Placement
from ledger.names import is_conformant
from projections.medium import layouts
from projections.medium.layouts import (
    LAYOUTS,
    component,
    existing_layout,
    file_id,
    pydicom_layout,
    suffix,
)
from projections.medium.plan import plan_write
from projections.state.state import FileSetState

EXAMPLE = Path(examples.get_path("dicomdir"))


# --- as pydicom ----------------------------------------------------------------------------------


class _Node(RecordNode):
    """One of pydicom's nodes, less the dataset: its place among its siblings is all it knows."""

    def __init__(self, record_type: str, where: tuple[int, ...], parent: RecordNode) -> None:
        super().__init__()
        self._type, self.where, self._parent = record_type, where, parent
        parent.children.append(self)

    record_type = property(lambda self: self._type)
    key = property(lambda self: str(self.where))


def pydicoms_file_ids(author: Author) -> dict[str, str]:
    """Return the File IDs that pydicom's own numbering gives the live instances."""
    theirs = PydicomFileSet()
    nodes: dict[tuple[int, ...], RecordNode] = {(): theirs._tree}
    ids = {}
    for entry in author.model.in_tree_order():
        for depth, record in enumerate(author.model.records_of(entry)):
            above, where = entry.where[:depth], entry.where[: depth + 1]
            if where not in nodes:
                nodes[where] = _Node(record.type, where, nodes[above])
    for entry in author.model.in_tree_order():
        components = [node.component for node in nodes[entry.where].reverse()]
        ids[entry.spec.uid] = "/".join(reversed(components))
    theirs._stage["t"].cleanup()
    return ids


@given(programs(25))
def test_the_default_layout_numbers_records_as_pydicom_does(program: list[Command]) -> None:
    author = Author().run(program)

    ours = {leaf.uid: path for leaf, path in pydicom_layout(author.state, ()).items()}

    assert ours == pydicoms_file_ids(author)


def test_file_ids_are_pydicoms_after_a_write_with_removals(tmp_path: Path) -> None:
    for name in ("77654033", "98892001", "98892003"):
        shutil.copytree(EXAMPLE.parent / name, tmp_path / "media" / name)
    shutil.copyfile(EXAMPLE, tmp_path / "media" / "DICOMDIR")
    shutil.copytree(tmp_path / "media", tmp_path / "theirs")
    theirs, ours = (
        PydicomFileSet(tmp_path / "theirs/DICOMDIR"),
        FileSet(tmp_path / "media/DICOMDIR"),
    )
    both: list[Any] = [theirs, ours]
    for files in both:
        files.add(examples.get_path("ct"))
        files.add(examples.get_path("mr"))
        for number, instance in enumerate(list(files)):
            if number % 3 == 0:
                files.remove(instance)
        files.write()

    assert [i.FileID for i in ours] == [i.FileID for i in theirs]
    assert [i.SOPInstanceUID for i in ours] == [i.SOPInstanceUID for i in theirs]
    theirs._stage["t"].cleanup()


def test_single_level_and_private_records_have_the_components_that_pydicom_gives() -> None:
    author = Author().run([("add", 0, 4, 0), ("add", 1, 5, 0), ("add", 2, 6, 0), ("add", 3, 7, 0)])

    assert sorted(pydicom_layout(author.state, ()).values()) == [
        "HG000000",
        "P0000001",
        "PT000002/P1000000/P2000000",
        "PT000003/IM000000",
    ]


@pytest.mark.parametrize("start", [0, 9, 34, 35, 10**5, 35**3 + 7, 10**6 - 1])
@pytest.mark.parametrize("alphanumeric", [False, True])
def test_numbers_are_written_in_pydicoms_digits(start: int, alphanumeric: bool) -> None:
    theirs = generate_filename(prefix="IM", start=start, alphanumeric=alphanumeric)

    assert "IM" + suffix(start, 6, alphanumeric=alphanumeric) == next(theirs)


def test_more_instances_than_decimal_digits_number_make_the_layout_alphanumeric(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    author = Author().run([("add", number, 0, 0) for number in range(12)])
    assert "PT000000/ST000000/SE000000/IM000011" in pydicom_layout(author.state, ()).values()

    monkeypatch.setattr(layouts, "NUMERIC_LIMIT", 11)

    found = pydicom_layout(author.state, ())
    assert [path[-2:] for path in found.values()][-2:] == ["0A", "0B"]
    assert all(file_id(leaf, author.state) == path for leaf, path in found.items())
    assert [path[-2:] for path in existing_layout(author.state, ()).values()][-1] == "0B"


def test_a_retired_record_type_has_a_prefix_as_well() -> None:
    assert component("TOPIC", 1, 3, alphanumeric=False) == "XX000003"


@given(programs(25))
def test_one_file_id_at_a_time_is_as_all_together_where_nothing_is_removed(
    program: list[Command],
) -> None:
    author = Author().run([*program, ("write", "existing")])

    for leaf, path in pydicom_layout(author.state, ()).items():
        assert file_id(leaf, author.state) == path


# --- the existing layout -------------------------------------------------------------------------

foreign = st.lists(
    st.sampled_from(
        [
            "PT000000", "pt000000", "PT000000/ST000000/SE000000/IM000000", "HG000000", "hg000001",
            "PT000000/ST000000/SE000000/im000001", "P0000000", "README", "PT000001/ST000000",
        ]
    )
)  # fmt: skip


@given(programs(25), foreign)
def test_the_existing_layout_moves_nothing_and_gives_free_names(
    program: list[Command], occupied: list[str]
) -> None:
    author = Author().run([*program, ("complete",)])
    state = author.state

    found = existing_layout(state, occupied)

    assert found.keys() == set(state.live.values())
    held = {leaf.file_id.upper() for leaf in state.hierarchy.leaves.values() if leaf.file_id}
    for leaf, path in found.items():
        if leaf.file_id is not None:
            assert path == leaf.file_id
        elif leaf in state.corrections:
            assert path == state.corrections[leaf].file_id
        else:
            assert path.upper() not in held
            assert path.upper() not in {name.upper() for name in occupied}
    assert len({path.upper() for path in found.values()}) == len(found)


def test_what_comes_back_to_an_adopted_medium_gets_its_former_name_if_it_is_free() -> None:
    author = adopted({"A/im1.dcm": spec(0), "A/IM2": spec(1), "B": spec(2)})
    for uid in ("1.9.0", "1.9.1", "1.9.2"):
        author.state.live[uid].file_id = None

    def names(layout: str, *occupied: str) -> list[str]:
        found = LAYOUTS[layout](author.state, occupied)
        return [found[author.state.live[uid]] for uid in ("1.9.0", "1.9.1", "1.9.2")]

    assert names("existing") == ["A/im1.dcm", "A/IM2", "B"]
    conformant = names("conformant")
    assert conformant[1:] == ["A/IM2", "B"]
    assert is_conformant(conformant[0])
    assert "A/IM2" not in names("existing", "a/im2")
    assert names("existing", "A")[2] == "B"
    assert not {"A/im1.dcm", "A/IM2"} & set(names("existing", "A"))
    assert "B" not in names("existing", "B")
    assert set(plan_write(author.state, "/medium", "existing").files) == {"A/im1.dcm", "A/IM2", "B"}


@given(programs(25), st.sampled_from(sorted(LAYOUTS)))
def test_every_layout_gives_each_instance_a_conformant_file_id_of_its_own(
    program: list[Command], layout: str
) -> None:
    author = Author().run(program)

    found = LAYOUTS[layout](author.state, ())

    assert found.keys() == set(author.state.live.values())
    assert len(set(found.values())) == len(found)
    for path in found.values():
        assert is_conformant(path)
        assert re.fullmatch(r"[A-Z0-9_]{1,8}(/[A-Z0-9_]{1,8}){0,7}", path)
    # No File ID is the folder of another one.
    folders = {"/".join(p.split("/")[:n]) for p in found.values() for n in range(1, p.count("/"))}
    assert not folders & set(found.values())


def adopted(paths: dict[str, Spec]) -> Author:
    """Return an author whose File-set was found on a medium."""
    author = Author()
    author.events.clear()
    author.state = FileSetState()
    author.commit([FileSetImported(root="/medium", uid="1.2.3", dicomdir=digest_of(b""), id="SET")])
    for path, one in paths.items():
        event = added(author.state, one)
        author.commit([evolve(event, placement=Placement.ROOT, file_id=path, source=None)])
    return author


def drawn(wanted: Spec) -> tuple[int, int]:
    """Return the number and the home that an instance of the pool has."""
    number = int(wanted.uid.removeprefix("1.9."))
    homes = (home for home in range(20) for variant in range(4))
    variants = (variant for home in range(20) for variant in range(4))
    return next(
        (number, home)
        for home, variant in zip(homes, variants, strict=True)
        if spec(number, home, variant) == wanted
    )


def planned(author: Author, layout: str) -> dict[str, bytes]:
    """Return the files that a write would leave on the medium, by their File IDs."""
    files = plan_write(author.state, "/medium", layout).files
    return {path: author.model.entries[leaf.handle].spec.data for path, leaf in files.items()}


def file_ids(author: Author, layout: str) -> dict[str, str]:
    files = plan_write(author.state, "/medium", layout).files
    return {leaf.uid: path for path, leaf in files.items()}


written = st.tuples(programs(15), st.sampled_from(sorted(LAYOUTS))).map(
    lambda drawn: [*drawn[0], ("write", drawn[1])]
)


@given(written, st.integers(0, 4), st.integers(0, 7), st.integers(0, 3), st.booleans())
def test_a_corrected_instance_has_its_file_id_and_no_other_one_moves(
    program: list[Command], number: int, home: int, variant: int, is_renamed: bool
) -> None:
    author = Author().run(program)
    layout = program[-1][1]
    leaf = author.state.live.get(f"1.9.{number}")
    if leaf is None:
        return
    if layout == "pydicom":  # whose File IDs say of which patient, study and series it is
        _, home = drawn(author.model.entries[leaf.handle].spec)
    before, was = planned(author, layout), file_ids(author, layout)
    to = 9 if is_renamed else number

    if not author.do(("correct", number, to, home, variant)):
        return
    is_ = file_ids(author, layout)
    assert {**is_, f"1.9.{number}": is_[f"1.9.{to}"]} == {**was, f"1.9.{to}": was[leaf.uid]}
    author.do(("write", layout))
    author.do(("undo", 1))
    assert planned(author, layout) == before


@given(written, st.integers(0, 1), st.booleans())
def test_a_patient_who_gets_another_id_moves_no_file(
    program: list[Command], who: int, is_at_once: bool
) -> None:
    author = Author().run(program)
    layout = program[-1][1]
    all_ = [drawn(entry.spec) for entry in author.model.in_tree_order()]
    theirs = [(number, home) for number, home in all_ if home in (2 * who, 2 * who + 1)]
    if any(home in (6, 7) and who == home % 2 for _, home in all_) or not theirs:
        return  # what is below the patient alone stays
    was = file_ids(author, layout)

    there = [("correct", number, number, home + 8, 0) for number, home in theirs]
    back = [("correct", number, number, home, 1) for number, home in theirs]
    for commands in (there, back, there):
        author.run([("many", commands)] if is_at_once else commands)
        assert file_ids(author, layout) == was
        author.do(("write", layout))
    assert file_ids(author, layout) == was


def test_an_instance_that_is_corrected_there_and_back_has_its_place_again() -> None:
    author = Author().run([*(("add", number, 0, 0) for number in range(3)), ("write", "pydicom")])
    was = file_ids(author, "pydicom")
    author.run([("correct", 0, 0, 2, 0), ("correct", 0, 0, 0, 1)])
    assert file_ids(author, "pydicom") == was


def test_additions_go_beside_their_siblings() -> None:
    author = adopted(
        {"DATA/IMAGES/IM000000": spec(0), "DATA/IMAGES/OLD": spec(1), "HP": spec(2, 4)}
    )
    author.run([("add", 3, 0, 0), ("add", 4, 0, 0), ("add", 5, 4, 0), ("add", 6, 1, 0)])

    found = {leaf.uid: path for leaf, path in existing_layout(author.state, ()).items()}

    assert found == {
        "1.9.0": "DATA/IMAGES/IM000000",
        "1.9.1": "DATA/IMAGES/OLD",
        "1.9.2": "HP",
        "1.9.3": "DATA/IMAGES/IM000001",
        "1.9.4": "DATA/IMAGES/IM000002",
        "1.9.5": "HG000000",
        "1.9.6": "PT000000/ST000000/SE000000/IM000000",
    }


def test_a_folder_that_no_conformant_name_fits_into_gets_no_additions() -> None:
    deep = "/".join("ABCDEFGH")
    author = adopted({deep: spec(0), "lower/im1": spec(1, 2)})
    author.run([("add", 2, 0, 0), ("add", 3, 2, 0)])

    found = {leaf.uid: path for leaf, path in existing_layout(author.state, ()).items()}

    assert found["1.9.2"] == "A/B/C/D/E/F/G/IM000000"
    assert found["1.9.3"] == "PT000000/ST000000/SE000000/IM000000"


def test_a_name_that_a_removal_still_holds_is_not_given_away() -> None:
    author = Author().run([("add", 0, 0, 0), ("write",), ("remove", 0), ("add", 0, 0, 1)])

    assert list(existing_layout(author.state, ()).values()) == [
        "PT000000/ST000000/SE000000/IM000001"
    ]


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_records_nested_deeper_than_pythons_stack_are_laid_out(layout: str) -> None:
    author = Author()
    chain = [patient(0), *(private(f"1.7.{level}") for level in range(3000))]
    author.do(("add_spec", spec(0)._replace(records=tuple(chain))))

    (path,) = LAYOUTS[layout](author.state, ()).values()

    assert path.count("/") == 3000
    assert not is_conformant(path)


def test_what_conformant_means() -> None:
    assert is_conformant("A/B/C/D/E/F/G/HHHHHHHH")
    for path in ("", "a", "A/", "/A", "A//B", "A.DCM", "ABCDEFGHI", "A/B/C/D/E/F/G/H/I", "A\n"):
        assert not is_conformant(path)
