"""What may go into an image, whatever its format: names, levels, the DICOMDIR and the name."""

from __future__ import annotations

import pytest
from media_trees import PLANS, TIME

from projections.medium.images.iso9660 import plan_iso
from projections.medium.images.tree import CivilTime, ImageError, ImageFile, Volume, dos_time


def _files(*paths: str) -> list[ImageFile]:
    return [ImageFile(path, 1, TIME) for path in ("DICOMDIR", *paths)]


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(
    "path",
    [
        "lower", "NINECHARS", "A B", "A-B", "Ä", "", "A/", "/A", "A//B", ".", "..", "../A",
        "A/../B",
        "NAME.LONG", "NAME.", ".EXT", "A.B.C", "DIR.EXT/A", "A;1", "A\n", "A/B\n", "A\0",
    ],
)  # fmt: skip
def test_a_name_that_not_every_medium_can_have_is_refused(kind: str, path: str) -> None:
    with pytest.raises(ImageError, match="is not a name that every medium can have"):
        PLANS[kind](_files(path))


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("paths", [("A", "A"), ("A", "A/B"), ("A/B", "A"), ("DICOMDIR",)])
def test_two_of_one_name_are_refused(kind: str, paths: tuple[str, ...]) -> None:
    with pytest.raises(ImageError, match="have this name"):
        PLANS[kind](_files(*paths))


@pytest.mark.parametrize("kind", PLANS)
def test_there_are_eight_levels_and_no_more(kind: str) -> None:
    PLANS[kind](_files("A/B/C/D/E/F/G/H"))
    with pytest.raises(ImageError, match="go down to level 9"):
        PLANS[kind](_files("A/B/C/D/E/F/G/H/I"))


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("files", [[], [ImageFile("A", 1, TIME), ImageFile("DICOMDIR", 1, TIME)]])
def test_an_image_begins_with_a_dicomdir(kind: str, files: list[ImageFile]) -> None:
    with pytest.raises(ImageError, match="the first file of an image has to be the DICOMDIR"):
        PLANS[kind](files)


@pytest.mark.parametrize("file_set_id", ["lower", "WITH SPACE", "SEVENTEEN_LETTERS", "Ä"])
def test_a_file_set_id_that_names_no_volume_is_refused(file_set_id: str) -> None:
    with pytest.raises(ImageError, match="can't be the name of a volume"):
        plan_iso(_files(), Volume(file_set_id, TIME))


def test_times_are_taken_from_journals() -> None:
    assert CivilTime.of("2026-02-28T23:59:58.999999Z") == (2026, 2, 28, 23, 59, 58)
    assert CivilTime.of("2026-02-28T23:59:58Z") == (2026, 2, 28, 23, 59, 58)
    with pytest.raises(ValueError, match="not a time of a journal"):
        CivilTime.of("2026-02-28T23:59:58+01:00")


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ((1970, 1, 1), (1980, 1, 1, 0, 0, 0)),
        ((1980, 1, 1), (1980, 1, 1, 0, 0, 0)),
        ((2026, 12, 31, 23, 59, 59), (2026, 12, 31, 23, 59, 58)),
        ((2107, 12, 31, 23, 59, 58), (2107, 12, 31, 23, 59, 58)),
        ((2200, 6, 1), (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_times_before_and_after_those_of_ms_dos_are_the_nearest_ones(
    time: tuple[int, ...], shown: tuple[int, ...]
) -> None:
    clock, date = dos_time(CivilTime(*time))
    assert shown == (
        1980 + (date >> 9), date >> 5 & 15, date & 31,
        clock >> 11, clock >> 5 & 63, 2 * (clock & 31),
    )  # fmt: skip
