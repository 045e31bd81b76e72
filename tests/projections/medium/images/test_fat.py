"""Sticks as PS3.12 Annex R has them: their partition, names, times and free space."""

from __future__ import annotations

from pathlib import Path
from struct import unpack_from

import pytest
from image_readers import PARTITION, fsck, run
from media_trees import SIZES, TIME, VOLUME, Tree, content, image, written

from projections.medium.images.fat import plan_usb
from projections.medium.images.tree import ImageFile, Volume

TREE: Tree = {"DICOMDIR": content(3000, 1), "README.TXT": b"see DICOMDIR", "A/B": content(9, 2)}


@pytest.fixture(params=[4, 40], ids=["FAT16", "FAT32"])
def stick(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "stick.usb"
    files = [ImageFile(name, len(data), TIME) for name, data in TREE.items()]
    path.write_bytes(written(plan_usb(files, VOLUME, request.param << 20), TREE))
    return path


def test_the_first_partition_is_the_volume_and_ends_with_the_stick(stick: Path) -> None:
    data = stick.read_bytes()
    active, kind, start, size = unpack_from("<B3xB3xII", data, 446)
    assert (active, start * 512) == (0, PARTITION)
    assert kind in {0x0C, 0x0E}
    assert data[510:512] == b"\x55\xaa"
    assert not any(data[462:510]), "there is no other partition"
    assert len(data) - PARTITION - size * 512 < 4096
    assert unpack_from("<I", data, 440) == (VOLUME.serial,)
    assert unpack_from("<I", data, PARTITION + 28) == (start,), "the hidden sectors"


def test_others_see_its_name_serial_number_and_times(stick: Path) -> None:
    listed = run("mdir", "-i", f"{stick}@@{PARTITION}", "::")
    assert f"Volume in drive : is {VOLUME.file_set_id}" in listed
    assert "Volume Serial Number is 1234-ABCD" in listed
    assert "DICOMDIR          3000 2026-02-28  23:59" in listed
    assert "README   TXT        12 2026-02-28  23:59" in listed
    assert "A            <DIR>     2025-12-31  12:30" in listed


def test_a_stick_is_sound_and_knows_its_free_space(stick: Path) -> None:
    assert "7 files" not in fsck(stick)
    if stick.stat().st_size > 33 << 20:
        assert "Checking free cluster summary." in fsck(stick)


def test_the_boot_sector_of_fat32_is_there_twice(stick: Path) -> None:
    data = stick.read_bytes()[PARTITION:]
    if data[82:90] == b"FAT32   ":
        assert data[: 3 * 512] == data[6 * 512 : 9 * 512]
        assert unpack_from("<HH", data, 48) == (1, 6)


def test_a_file_set_without_an_id_has_no_label(tmp_path: Path) -> None:
    path = tmp_path / "stick.usb"
    layout = plan_usb([ImageFile("DICOMDIR", 1, TIME)], Volume("", TIME))
    path.write_bytes(written(layout, {"DICOMDIR": b"1"}))
    assert "has no label" in run("mdir", "-i", f"{path}@@{PARTITION}", "::")
    fsck(path)


def test_a_long_file_set_id_is_shortened_in_the_label(tmp_path: Path) -> None:
    path = tmp_path / "stick.usb"
    layout = plan_usb([ImageFile("DICOMDIR", 1, TIME)], Volume("ABCDEFGHIJKLMNOP", TIME))
    path.write_bytes(written(layout, {"DICOMDIR": b"1"}))
    assert "is ABCDEFGHIJK\n" in run("mdir", "-i", f"{path}@@{PARTITION}", "::")
    fsck(path)


@pytest.mark.parametrize("files", [510, 511, 512, 2000])
def test_a_root_of_many_files_is_sound(files: int, tmp_path: Path) -> None:
    tree = {"DICOMDIR": b"1"} | {f"F{number}": b"2" for number in range(files)}
    path = tmp_path / "stick.usb"
    path.write_bytes(image("usb", tree))
    fsck(path)


@pytest.mark.parametrize("clusters", [65_440, 65_490, 65_508, 65_520, 65_524, 65_530, 65_560])
def test_around_the_limit_of_fat16_every_stick_is_sound(clusters: int, tmp_path: Path) -> None:
    """No count of clusters is one that some system takes for the other kind."""
    files = [ImageFile("DICOMDIR", clusters * 512, TIME)]
    tree = {"DICOMDIR": content(clusters * 512, 1)}
    path = tmp_path / "stick.usb"
    for size in (None, (35 << 20) + 512 * (clusters % 100)):
        path.write_bytes(written(plan_usb(files, VOLUME, size), tree))
        fsck(path)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_is_sound(size: int, tmp_path: Path) -> None:
    path = tmp_path / "stick.usb"
    path.write_bytes(image("usb", {"DICOMDIR": b"1", "A": content(size, 1), "B": b""}))
    fsck(path)
