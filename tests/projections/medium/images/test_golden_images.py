"""Images of released versions: the same bytes for ever, so that a medium can be made again.

A new version of a format gets an image of its own beside the former ones, which stay. They are kept
with LZMA, as most of them is zeros.
"""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest
from media_trees import PLANS, Tree, content, image, plan

GOLDEN = Path(__file__).parents[3] / "golden" / "media"
TREE: Tree = {
    "DICOMDIR": content(3000, 1),
    "PT000000/ST000000/SE000000/IM000000": content(5000, 2),
    "PT000000/ST000000/SE000000/IM000001": b"",
    "PT000000/ST000000/SE000001/IM000000": content(600, 3),
    "README.TXT": b"see DICOMDIR",
    "A/B/C/D/E/F/G/H": content(513, 4),
    **{f"MANY/M{number:03}": content(number, number) for number in range(70)},
}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.xz")), ids=lambda path: path.stem)
def test_an_image_of_a_released_version_is_made_again_byte_for_byte(path: Path) -> None:
    kind, _, version = path.stem.partition("-")
    layout = plan(kind, TREE)
    assert layout.version == int(version)
    assert image(kind, TREE) == lzma.decompress(path.read_bytes())


def test_every_format_has_a_golden_image_of_its_version() -> None:
    for kind in PLANS:
        assert (GOLDEN / f"{kind}-{plan(kind, TREE).version}.xz").exists()


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(("zone", "seed"), [("Asia/Tokyo", "1"), ("America/New_York", "2")])
def test_an_image_is_the_same_in_another_time_zone_and_process(
    kind: str, zone: str, seed: str
) -> None:
    program = (
        "import hashlib, test_golden_images as golden;"
        f"print(hashlib.sha256(golden.image({kind!r}, golden.TREE)).hexdigest())"
    )
    paths = [*sys.path, str(Path(__file__).parent)]
    environment = os.environ | {
        "TZ": zone, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(paths),
    }  # fmt: skip
    there = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    here = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"TZ": "UTC", "PYTHONHASHSEED": "0"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert there.stdout == here.stdout != ""
