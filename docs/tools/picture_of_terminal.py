"""The picture of a terminal in the README: what commands print, in their colours.

`python docs/tools/picture_of_terminal.py` runs them on a terminal, with a disc that ships with
pydicom, and draws `docs/images/terminal.svg` anew.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pydicom import examples
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "docs/images/terminal.svg"
COLUMNS = 130
COMMANDS = (
    "fileset init desk --from cd",
    "export FILESET_REPO=desk",
    "fileset remove Modality=CR --reason 'not asked for'",
    "fileset undo",
    "fileset correct PatientID=77654033 --to 'PatientName=Doe^Archie' --reason 'as on ID card'",
    "fileset media make doe.iso PatientID=77654033 --recipient 'Dr. Weiss'",
    "fileset media verify doe.iso",
    "fileset log --graph",
    "fileset blame PatientID=77654033",
)
PROGRESS = re.compile(r"[^\n]*\n\x1b\[\?25h\r\x1b\[1A\x1b\[2K")
"""A bar that was shown while something took its time, up to where it was wiped out."""

# As rich draws it, but with the reader's own fonts: nothing is fetched.
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: Arial, sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def on_a_terminal(script: str, folder: Path) -> str:
    """Return what a shell script prints on a terminal, with the codes of its colours."""
    ours, theirs = pty.openpty()
    settings = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.fspath(folder),
        "USER": "anna",
        "LOGNAME": "anna",
        "COLUMNS": str(COLUMNS),
        "TERM": "xterm-256color",
        "FILESET_PAGER": "cat",  # nobody is there to go on
        "LANG": "C.UTF-8",
    }
    with subprocess.Popen(  # noqa: S603 - the commands above
        ["bash", "-c", script],  # noqa: S607 - the one of the PATH
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=settings,
    ):
        os.close(theirs)
        output = b""
        try:
            while more := os.read(ours, 65536):
                output += more
        except OSError:  # Linux has EIO where the last one has closed the terminal
            pass
    os.close(ours)
    return PROGRESS.sub("", output.decode().replace("\r\n", "\n"))


def terminal() -> str:
    """Return the picture of the commands and of what they print here and now, as SVG."""
    prompted = "\n".join(
        f"printf '\\033[1;32m$\\033[0m \\033[1m%s\\033[0m\\n' {shlex.quote(each)}\n{each}"
        for each in COMMANDS
    )
    with tempfile.TemporaryDirectory() as folder:
        disc = Path(examples.get_path("dicomdir")).parent
        shutil.copytree(disc, Path(folder, "cd"), ignore=shutil.ignore_patterns("DICOMDIR-*"))
        output = on_a_terminal(prompted, Path(folder)).replace(f"{folder}/", "~/")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(output))
        return console.export_svg(title="fileset", code_format=FORMAT, unique_id="fileset")


if __name__ == "__main__":
    IMAGE.write_text(terminal(), "utf-8")
