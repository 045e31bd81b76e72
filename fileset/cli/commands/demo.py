"""`demo`: all of it on real instances, with the commands as one would type them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from fileset.cli.command import PathType, command, pass_session
from fileset.cli.independent_checks import Check, independent_checks, same_files, untouched
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span, print_lines
from fileset.cli.session import ENVIRONMENT_VARIABLE, Session, absolute
from fileset.errors import RefusedError
from fileset.output import in_words

_WIDTH: Final = 78
_INCOMING: Final = ("ct", "mr", "overlay", "rt_dose", "rt_ss")
"""Names in `pydicom.examples`."""

_TAKEN: Final = ("CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm")
"""The files among them that can be in a File-set."""


class Stage:
    """Runs commands before the eyes of a reader, and keeps an account of them."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.steps: list[dict[str, Any]] = []
        self.failed = False

    def heading(self, text: str) -> None:
        """Begin a new part."""
        rule = "\u2500" * max(4, _WIDTH - len(text) - 4)
        self._print("", (Span(f"\u2500\u2500 {text} {rule}", "title"),))

    def tell(self, text: str) -> None:
        """Explain what follows or what was seen."""
        self._print("", *((Span(line, "faint"),) for line in textwrap.wrap(text, _WIDTH)))

    def shell(self, text: str) -> None:
        """Show a command of the shell whose effect the demo brings about by itself."""
        self._print("", ("$ ", Span(text, "command")))

    def run(self, *arguments: str, expected: int = OK) -> None:
        """Show a command, and run it."""
        self.shell(shlex.join(["fileset", *arguments]))
        if self._quiet:
            code, document = _run_for_json(arguments)
        else:
            document = None
            with contextlib.redirect_stderr(sys.stdout):
                code = _run(arguments)
            if code != OK:
                self._print((Span(f"(exit code {code})", "faint"),))
        self.failed |= code != expected
        self.steps.append(
            {"command": ["fileset", *arguments], "exit_code": code, "document": document}
        )

    def check(self, check: Check) -> None:
        """Tell what a check found."""
        mark = Span("\u2714 ", "good") if check.passed else Span("\u2718 ", "bad")
        self._print((mark, check.text))
        self.failed |= not check.passed
        self.steps.append({"check": check.text, "passed": check.passed})

    def _print(self, *lines: Line) -> None:
        if not self._quiet:
            print_lines(lines)


def _run(arguments: tuple[str, ...]) -> int:
    from fileset.cli import main  # noqa: PLC0415 - it knows this module

    return int(main.main(list(arguments), standalone_mode=False))


def _run_for_json(arguments: tuple[str, ...]) -> tuple[int, Any]:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = _run((*arguments, "--json"))
    return code, json.loads(output.getvalue())


@command(
    "demo",
    {
        "folder": "where everything was left",
        "steps": "[{command, exit_code, document} or {check, passed}], in order",
    },
    repository=False,
)
@click.argument("out", required=False, default=Path("fileset-demo"), type=PathType())
@pass_session
def demo(session: Session, out: Path) -> Answer:
    """Run through everything on real instances that ship with pydicom.

    Every command is shown as you would type it, with what it really prints. The resulting
    repositories and File-sets are left in the new folder OUT.
    """
    folder = absolute(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RefusedError(f"{folder} exists and is not empty: name a new folder for the demo.")
    stage = Stage(quiet=session.as_json)
    incoming, adopted = folder / "incoming", folder / "cd"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, about what its own examples hold
        try:
            _copy_instances(incoming)
            _copy_file_set(adopted)
        except OSError as exc:
            raise RefusedError(in_words(exc, str(folder))) from exc
        with _working_in(folder):
            stage.tell(
                f"Everything here is done for real, and stays in {folder}: real instances, that "
                "ship with pydicom, on their way to a File-set and its DICOMDIR (DICOM PS3.10)."
            )
            stage.shell(f"cd {shlex.quote(os.fspath(out))}")
            _stage_and_write(stage, folder)
            _edit_existing(stage, folder)
    return Answer(
        {"folder": str(folder), "steps": stage.steps},
        _farewell(folder, failed=stage.failed),
        status=INCOMPLETE if stage.failed else OK,
    )


def _stage_and_write(stage: Stage, folder: Path) -> None:
    incoming, medium = folder / "incoming", folder / "medium"
    stage.heading("1  A repository, and instances staged in it")
    stage.run("init", "archive", "--id", "DEMO")
    stage.shell(f"export {ENVIRONMENT_VARIABLE}=$PWD/archive")
    os.environ[ENVIRONMENT_VARIABLE] = "archive"
    stage.run("add", "incoming", expected=INCOMPLETE)
    stage.tell(
        "Every file is accounted for. The RT Dose has an empty Instance Number, which its "
        "directory record can't do without (PS3.3 F.5); the RT Structure Set is a bare data set "
        "without the header of a DICOM file. Both were left out, with the reason kept in the "
        "journal; the others were added."
    )
    stage.run("status")

    stage.heading("2  Changing one's mind")
    stage.run("remove", "PatientID=4MR1", "--reason", "wrong disc")
    stage.run("undo")
    stage.run("redo")
    stage.run("undo")
    stage.run("set", "id=DEMO_DISC_1")
    stage.tell(
        "Each of these is an event in the journal, undo included; only `fileset erase` takes "
        "anything out of it."
    )

    stage.heading("3  Writing, and what others think of it")
    stage.run("write", "medium")
    stage.run("tree")
    stage.tell("An independent reader, and the files compared with where they came from:")
    sources = [incoming / name for name in _TAKEN]
    stage.check(same_files(medium, sources))
    for check in independent_checks(medium):
        stage.check(check)

    stage.heading("4  Back and forth beyond a write")
    stage.run("remove", "Modality=CT")
    stage.run("write")
    stage.run("undo")
    stage.run("write")
    stage.tell("Taken off the medium, undone, and back: the repository keeps every byte.")
    stage.check(same_files(medium, sources))
    stage.tell(
        "And any position of the journal can be written out, as it was then: here the one before "
        "the ID was set."
    )
    stage.run("write", "earlier", "--at", "10")
    stage.check(same_files(folder / "earlier", sources))
    stage.run("log")


def _edit_existing(stage: Stage, folder: Path) -> None:
    disc = folder / "cd"
    stage.heading("5  A File-set that exists already, edited in place")
    stage.tell(
        "pydicom's example of 31 instances, with file names of its own, is adopted where it lies. "
        "By default a write would give its files the usual names; here 7 instances go, one comes, "
        "and nothing else is touched."
    )
    stage.run("init", "archive-cd", "--from", "cd/DICOMDIR")
    stage.shell(f"export {ENVIRONMENT_VARIABLE}=$PWD/archive-cd")
    os.environ[ENVIRONMENT_VARIABLE] = "archive-cd"
    before = {path: path.stat() for path in disc.rglob("*") if path.is_file()}
    stage.run("remove", "PatientID=77654033", "--reason", "wrong disc")
    stage.run("add", "incoming/MR_small.dcm")
    stage.run("write", "--layout", "existing", "--dry-run")
    stage.run("write", "--layout", "existing")
    stage.check(untouched(disc, before))
    kept = [path for path in _originals() if "77654033" not in path.parts]
    stage.check(same_files(disc, [*kept, folder / "incoming" / "MR_small.dcm"]))
    for check in independent_checks(disc):
        stage.check(check)

    stage.heading("6  Is all of it as recorded?")
    stage.run("log")
    stage.run("verify")
    stage.run("--repo", "archive", "verify")


def _farewell(folder: Path, *, failed: bool) -> list[Line]:
    if failed:
        return ["", (Span("Something above is not as it should be.", "bad"),)]
    shown = shlex.quote(os.fspath(folder))
    return [
        "",
        (Span(f"All of it is in {folder}:", "good"),),
        *(
            f"  {name:<12}{what}"
            for name, what in (
                ("incoming/", "the instances as they came"),
                ("archive/", "the first repository: journal and vault"),
                ("medium/", "the File-set written from it"),
                ("earlier/", "the same as it was once"),
                ("archive-cd/", "the second repository"),
                ("cd/", "the File-set that it adopted and edited"),
            )
        ),
        ("Go on with ", Span(f"fileset --repo {shown}/archive tree", "command")),
    ]


# --- the material --------------------------------------------------------------------------------


def _copy_instances(folder: Path) -> None:
    from pydicom import examples  # noqa: PLC0415 - as the demo alone needs them

    folder.mkdir(parents=True)
    for name in _INCOMING:
        source = examples.get_path(name)
        shutil.copy(source, folder / source.name)
    shutil.copy(examples.get_path("ct"), folder / "copy_of_CT_small.dcm")


def _copy_file_set(folder: Path) -> None:
    """Copy pydicom's example File-set: the DICOMDIR and the files that it lists."""
    from pydicom import examples  # noqa: PLC0415 - as above

    dicomdir = examples.get_path("dicomdir")
    for source in (dicomdir, *_originals()):
        target = folder / source.relative_to(dicomdir.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _originals() -> list[Path]:
    """Return the files of pydicom's example File-set."""
    from pydicom import dcmread, examples  # noqa: PLC0415 - as above

    dicomdir = examples.get_path("dicomdir")
    return [
        dicomdir.parent.joinpath(*record.ReferencedFileID)
        for record in dcmread(dicomdir).DirectoryRecordSequence
        if "ReferencedFileID" in record
    ]


@contextlib.contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """Work in `folder`; the environment is as it was afterwards."""
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        if before is None:
            os.environ.pop(ENVIRONMENT_VARIABLE, None)
        else:
            os.environ[ENVIRONMENT_VARIABLE] = before
