"""The scripts of the viewer: pixels in Base64, and the list of what there is.

What the scripts with native pixels consist of never changes for a version of the format; see
`fileset.media.viewer.native`.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from attrs import frozen

from fileset.media.pdi.pages import date_text, name_text
from fileset.media.words import Words
from projections.state.contents import Contents
from projections.state.nodes import Leaf

FOLDER: Final = "VIEWER"
DATA: Final = f"{FOLDER}/DATA"
_MOST: Final = 8 << 20  # bytes of pixels in a script, unless a frame has more
_WHOLE: Final = 3 << 18  # bytes that are encoded at a time: a multiple of three


@frozen
class Shown:
    """An instance in the list: how many frames its scripts have, and how many each."""

    frames: int = 0
    together: int = 1
    scripts: tuple[str, ...] = ()


def frames_together(size: int) -> int:
    """Return how many frames of `size` bytes go into one script."""
    return max(1, _MOST // max(size, 1))


def script_name(number: int) -> str:
    """Return the name of the script of that number, from 1 on."""
    return f"D{number:07}.JS"


def data_script(name: str, told: Mapping[str, Any], chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the script `name` with the pixels `chunks`, which `told` describes."""
    yield f'viewer.take("{name}",{_json(told)},"'.encode("ascii")
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % 3
        for at in range(0, whole, _WHOLE):
            yield b2a_base64(data[at : min(at + _WHOLE, whole)], newline=False)
        rest = data[whole:]
    yield b2a_base64(rest, newline=False)
    yield b'");\n'


def data_script_size(name: str, told: Mapping[str, Any], pixels: int) -> int:
    """Return how many bytes `data_script` yields for so many bytes of pixels."""
    return sum(map(len, data_script(name, told, ()))) + -(-pixels // 3) * 4


def list_script(contents: Contents, shown: Mapping[Leaf, Shown], words: Words) -> bytes:
    """Return the script that tells the page what there is; `shown` has every instance in series."""
    told = {
        "words": {
            "language": words.language,
            "title": words.title,
            "notice": words.viewer_notice,
            "image": words.image,
            "play": words.play,
            "stop": words.stop,
            "reset": words.reset,
            "back": words.previous,
            "next": words.following,
            "nothing": words.nothing,
            "unread": words.unread,
        },
        "patients": [
            {
                "name": f"{name_text(patient.name, words)} ({patient.id})",
                "studies": [
                    {
                        "name": _joined(date_text(study.date, words), study.description),
                        "series": [
                            {
                                "name": _joined(series.modality, series.number, series.description),
                                "images": [_image(shown[leaf]) for leaf in series.leaves],
                            }
                            for series in study.series
                        ],
                    }
                    for study in patient.studies
                ],
            }
            for patient in contents.patients
        ],
    }
    return f"viewer.list({_json(told)});\n".encode("ascii")


def page_files() -> list[tuple[str, bytes]]:
    """Return the files of the page itself, each with its path on the medium."""
    folder = files("fileset.media.viewer") / "page"
    names: Sequence[str] = ("INDEX.HTM", "VIEWER.JS")
    return [(f"{FOLDER}/{name}", (folder / name).read_bytes()) for name in names]


def _image(shown: Shown) -> dict[str, Any]:
    return {"frames": shown.frames, "together": shown.together, "scripts": list(shown.scripts)}


def _joined(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _json(told: Mapping[str, Any]) -> str:
    """Return a value as a script has it: ASCII, and nothing that could end the script."""
    return json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
