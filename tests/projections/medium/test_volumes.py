"""Which studies go on which disc: each on the first that has room, in the order of the DICOMDIR."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import Author, spec

from ledger.events import Handle
from projections.medium.handout import hand_out
from projections.medium.images.iso9660 import plan_iso
from projections.medium.images.tree import CivilTime, ImageFile, Volume
from projections.medium.volumes import CAPACITIES, SPLITS, VolumesError, capacity_of, split
from projections.state.fold import fold
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

WHEN = CivilTime(2026, 1, 2)


def leaves(state: FileSetState) -> list[Leaf]:
    return [leaf for leaf in state.hierarchy.walk_leaves() if leaf.is_live]


def together(leaf: Leaf, depth: int) -> object:
    """Return the record at a depth above an instance, or the lowest one above that."""
    above = []
    node = leaf.parent
    while node is not None and node.parent is not None:
        above.append(node)
        node = node.parent
    return above[::-1][:depth][-1] if above else leaf


def author_of(homes: list[int]) -> Author:
    return Author().run([("add", number, home) for number, home in enumerate(homes)])


@given(st.lists(st.integers(0, 7), min_size=1, max_size=40), st.sampled_from(SPLITS), st.data())
def test_every_instance_is_on_one_volume_with_what_belongs_to_it_and_each_image_fits(
    homes: list[int], by: str, data: st.DataObject
) -> None:
    author = author_of(homes)
    sizes = {handle: data.draw(st.integers(0, 300_000)) for handle in sorted(author.model.live())}
    capacity = data.draw(st.integers(600_000, 3_000_000))
    wanted = leaves(author.state)
    try:
        volumes = split(wanted, lambda leaf: sizes[leaf.handle], capacity, by=by)
    except VolumesError:
        depth = {"patient": 1, "study": 2, "series": 3}[by]
        groups = groupby(wanted, lambda leaf: together(leaf, depth))
        largest = max(sum(sizes[leaf.handle] for leaf in group) for _, group in groups)
        assert largest > capacity - 600_000
        return
    assert sorted(handle for each in volumes for handle in each) == sorted(sizes)
    order = [leaf.handle for leaf in wanted]
    for each in volumes:
        assert each == sorted(each, key=order.index)
        assert image_size(author, each, sizes) <= capacity
    if by != "series":
        of = {handle: number for number, each in enumerate(volumes) for handle in each}
        for _, group in groupby(wanted, lambda leaf: together(leaf, 1 if by == "patient" else 2)):
            assert len({of[leaf.handle] for leaf in group}) == 1


def image_size(author: Author, handles: list[Handle], sizes: dict[Handle, int]) -> int:
    made = hand_out(fold(author.events), set(handles), uid="1.2.3", id="X")
    files = [ImageFile("DICOMDIR", len(made.dicomdir()), WHEN)]
    files += [ImageFile(path, sizes[leaf.handle], WHEN) for leaf, path in made.file_ids.items()]
    files.append(ImageFile("SHA256.TXT", 102 * len(files), WHEN))
    return plan_iso(files, Volume("X", WHEN)).size


def test_a_study_goes_on_the_first_volume_that_has_room() -> None:
    author = author_of([0, 1, 2, 3])  # two studies of each of two patients
    size = dict(zip(sorted(author.model.live()), (600_000, 300_000, 600_000, 300_000), strict=True))
    volumes = split(leaves(author.state), lambda leaf: size[leaf.handle], 1_500_000)
    first, second, third, fourth = sorted(size)
    assert volumes == [[first, second], [third, fourth]]


def test_series_are_put_on_several_volumes_only_of_a_study_that_fits_on_none() -> None:
    author = Author()
    for number in range(4):
        author.do(("add_spec", spec(number, number // 2)))
    state = author.state
    sizes = {leaf.handle: 400_000 for leaf in leaves(state)}
    with pytest.raises(VolumesError, match="has no room for STUDY"):
        split(leaves(state), lambda leaf: sizes[leaf.handle], 1_200_000)
    whole = split(leaves(state), lambda leaf: sizes[leaf.handle], 1_500_000, by="series")
    assert [len(each) for each in whole] == [2, 2]


def test_discs_have_what_the_standard_says_at_least() -> None:
    assert CAPACITIES["cd74"] < CAPACITIES["cd80"] < CAPACITIES["dvd"] < CAPACITIES["dvd-dl"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("CD80", 700_000_000),
        ("4700372992", 4_700_372_992),
        ("4.7GB", 4_700_000_000),
        ("650 mb", 650_000_000),
        ("700MiB", 700 << 20),
        ("0.5kib", 512),
    ],
)
def test_a_capacity_is_a_disc_or_a_number_with_a_unit(text: str, size: int) -> None:
    assert capacity_of(text) == size


@pytest.mark.parametrize(
    "text", ["", "0", "0.0001KB", "-1", "4.7", "4,7GB", "dvd9", "1e9", "\u0661MB"]
)
def test_what_is_no_capacity_is_refused_with_examples(text: str) -> None:
    with pytest.raises(VolumesError, match=r"such as 4\.7GB"):
        capacity_of(text)
