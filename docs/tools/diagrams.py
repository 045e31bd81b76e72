"""The diagrams in `docs/images/`, as SVG that a code host and the site show alike.

`python docs/tools/diagrams.py` draws them anew.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from xml.sax.saxutils import escape

IMAGES = Path(__file__).parents[1] / "images"
INK, MUTED, LINE, PAPER = "#1d2b2a", "#5a6b69", "#8aa19d", "#ffffff"
TEAL, SAND, SKY, ROSE, GREY = "#d5efe9", "#f7ecd0", "#dbe9f8", "#f6dfe0", "#eef1f0"

HEAD = """\
<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' role='img'
 font-family='Helvetica, Arial, sans-serif'>
<title>{title}</title>
<marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>
<path d='M0 0 8 4 0 8z' fill='{ink}'/></marker>
<rect width='{width}' height='{height}' rx='10' fill='{paper}'/>"""

ENTRANCES = [
    ("cli", "the command"),
    ("FileSet, views", "what programs hold"),
    ("watching", "folders that are watched"),
    ("conformance", "check any File-set"),
]
ROOMS = [
    ("adding", "files and folders"),
    ("adoption", "File-sets by others"),
    ("medium", "write, check, repair"),
    ("timeline", "log, tags, blame"),
    ("checking", "journal, vault, medium"),
    ("recovery", "from a damaged journal"),
    ("erasure", "a person, everywhere"),
    ("quarantine", "what can't be added"),
]
PROJECTIONS = [
    ("state", "fold, undo, revert"),
    ("medium", "layouts, pending, plan"),
    ("dicomdir", "encode, decode, check"),
    ("past", "effects, differences"),
    ("kept", "snapshot, summary"),
]
LEDGER = [
    ("events", "facts, as frozen values"),
    ("journal", "order and hash chain"),
    ("vault", "bytes by SHA-256"),
    ("instances", "file to elements"),
    ("salvage", "raw damaged bytes"),
]
STEPS = [
    ("1 Find", "the files in the folders that were named", "fileset/adding", SAND),
    ("2 Read", "scan the header; follow every length to the end", "ledger/instances", ROSE),
    ("3 Decide", "added, already there, conflicting or rejected", "fileset/adding", SAND),
    ("4 Keep the bytes", "hashed, and appended to a pack", "ledger/vault", ROSE),
    ("5 Fold the event", "instance-added, applied to the state", "projections/state", SKY),
    ("6 Commit", "the pack is flushed, then the event is committed", "ledger/journal", ROSE),
    ("7 Plan", "its File ID, and the bytes of the new DICOMDIR", "projections/medium", SKY),
    ("8 Place", "flushed in a private folder, renamed to its File ID", "fileset/medium", SAND),
    ("9 Switch", "rename the new DICOMDIR over the old one", "fileset/medium", SAND),
]


class Drawing:
    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [HEAD.format(width=width, height=height, title=title, ink=MUTED, paper=PAPER)]

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        self._parts.append(f"<text x='{x:g}' y='{y:g}' {style}>{escape(words)}</text>")

    def note(self, x: float, y: float, words: str, anchor: str = "start") -> None:
        self.text(x, y, words, f"font-size='12' fill='{MUTED}' text-anchor='{anchor}'")

    def rectangle(self, x: int, y: int, width: int, height: int, fill: str, line: str) -> None:
        self._parts.append(
            f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='5' fill='{fill}' "
            f"stroke='{line}'/>"
        )

    def area(self, y: int, height: int, name: str, about: str) -> None:
        """Draw the frame that a package's boxes are in."""
        self.rectangle(20, y, 730, height, GREY, GREY)
        self.text(32, y + 21, name, f"font-size='14' font-weight='bold' fill='{INK}'")
        self.note(42 + 9 * len(name), y + 21, about)

    def box(self, x: int, y: int, size: tuple[int, int], words: tuple[str, str], fill: str) -> None:
        """Draw a box with its name, and what it is about in as many lines as that takes."""
        (width, height), (name, about) = size, words
        self.rectangle(x, y, width, height, fill, LINE)
        lines = textwrap.wrap(about, int(width / 6.1))
        top = y + height / 2 - 8 * len(lines) + 5
        bold = f"font-size='13' font-weight='bold' fill='{INK}' text-anchor='middle'"
        self.text(x + width / 2, top, name, bold)
        for number, line in enumerate(lines, 1):
            self.note(x + width / 2, top + 16 * number, line, "middle")

    def arrow(self, *points: tuple[int, int]) -> None:
        path = " ".join(f"{x} {y}" for x, y in points)
        self._parts.append(
            f"<path d='M{path}' fill='none' stroke='{MUTED}' stroke-width='1.5' "
            "marker-end='url(#tip)'/>"
        )

    def __str__(self) -> str:
        return "\n".join([*self._parts, "</svg>", ""])


def components() -> Drawing:
    d = Drawing(1000, 625, "The packages, and what they read and write on disks")
    d.area(20, 284, "fileset", "what people import and type")
    for number, words in enumerate(ENTRANCES):
        d.box(36 + 176 * number, 54, (166, 50), words, TEAL)
    for number, words in enumerate(ROOMS):
        d.box(36 + 176 * (number % 4), 122 + 58 * (number // 4), (166, 50), words, SAND)
    every = ("repository", "journal, vault, state and lock: every change goes through it")
    d.box(36, 242, (694, 48), every, TEAL)
    d.area(322, 110, "projections", "what the events amount to: pure functions")
    for number, words in enumerate(PROJECTIONS):
        d.box(36 + 141 * number, 358, (133, 60), words, SKY)
    d.area(450, 110, "ledger", "what happened")
    for number, words in enumerate(LEDGER):
        d.box(36 + 141 * number, 486, (133, 60), words, ROSE)
    d.box(810, 40, (170, 64), ("source files", "read where they are"), PAPER)
    d.box(810, 150, (170, 80), ("a medium", "files and DICOMDIR"), PAPER)
    d.box(810, 450, (170, 110), ("a repository", "journal.sqlite, vault/, cache/, lock"), PAPER)
    for arrow in (
        [(385, 304), (385, 322)],
        [(385, 432), (385, 450)],
        [(810, 72), (750, 72)],
        [(750, 190), (810, 190)],
        [(750, 505), (810, 505)],
    ):
        d.arrow(*arrow)
    d.note(20, 588, "Imports go down only. Projections touch no disk.")
    d.note(
        20,
        606,
        "Only fileset/medium writes to a medium; only the ledger touches journal and vault.",
    )
    return d


def path_of_a_file() -> Drawing:
    d = Drawing(1000, 420, "The path of a file from a folder to a medium")
    for number, (name, about, where, fill) in enumerate(STEPS):
        x, y = 20 + 330 * (number % 3), 20 + 120 * (number // 3)
        d.box(x, y, (290, 74), (name, about), fill)
        d.note(x + 145, y + 90, where, "middle")
        if number % 3 < 2:
            d.arrow((x + 290, y + 37), (x + 330, y + 37))
        elif number < len(STEPS) - 1:
            right, middle, down = x + 308, y + 96, y + 157
            d.arrow(
                (x + 290, y + 37),
                (right, y + 37),
                (right, middle),
                (8, middle),
                (8, down),
                (20, down),
            )
    d.note(20, 386, "After step 6 the change is acknowledged and survives a crash.")
    d.note(
        20,
        404,
        "Steps 7 to 9 are “fileset write”. Until step 9 the old DICOMDIR is in place, and right.",
    )
    return d


DIAGRAMS = {"components.svg": components, "path-of-a-file.svg": path_of_a_file}

if __name__ == "__main__":
    for file, draw in DIAGRAMS.items():
        (IMAGES / file).write_text(str(draw()), "utf-8")
