"""`media label`: the label of a medium, and a job file for a robot."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from fileset.cli.command import PathType, WholeNumber, command, pass_session
from fileset.cli.screen.media import medium_document
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.session import Session, absolute
from fileset.media.label.arrange import HOLES
from fileset.media.label.jobs import MOST_COPIES, Job
from fileset.media.label.make import FORMS, Style, make_label
from fileset.media.words import LANGUAGES

_FILE: Final = PathType(exists=True, dir_okay=False)


@command(
    "label",
    {
        "medium": "the medium, see below",
        "files": "the files that were made: the label, and the job file",
        "text": "the lines of the label, as they are printed",
        "kind": '"DICOM ONLY" or "DICOM PLUS WEB"',
        "code": "what the QR code says: the File-set UID and the digest of the image, a line each",
        "left_out": "representations of names that the fonts can't show",
        "fonts": "the names of the fonts' files that were used, a list",
    },
)
@click.argument("number", metavar="MEDIUM", type=WholeNumber(min=1))
@click.argument("out", type=PathType(dir_okay=False))
@click.option(
    "--form", type=click.Choice(FORMS), default=FORMS[0], show_default=True,
    help="What it is for: a disc, a card of 85 x 54 mm for a stick, or a sheet of A4 paper.",
)  # fmt: skip
@click.option(
    "--hole", type=click.Choice([str(each) for each in HOLES]), default=str(HOLES[0]),
    show_default=True, help="Millimetres in the middle of a disc that can't be printed.",
)  # fmt: skip
@click.option(
    "--language", type=click.Choice(list(LANGUAGES)),
    help="The language of the label.  [default: that of the medium, or en]",
)  # fmt: skip
@click.option(
    "--institution",
    metavar="TEXT",
    help="Who hands it out.  [default: as the medium was made, or what the instances say]",
)
@click.option(
    "--font", "fonts", type=_FILE, metavar="FILE", multiple=True,
    help="A TrueType or OpenType font; more of them for what the first one lacks.  [default: "
    "DejaVu Sans, if it is installed]",
)  # fmt: skip
@click.option(
    "--job", type=click.Choice(["epson"]),
    help="Make a job file beside it: epson is for the TD Bridge of Discproducer robots.",
)  # fmt: skip
@click.option("--image", type=_FILE, metavar="FILE", help="The image that the job is to burn.")
@click.option(
    "--copies", type=WholeNumber(1, MOST_COPIES), default=1, show_default=True,
    help="How many discs the job is to make.",
)  # fmt: skip
@click.option(
    "--job-folder", metavar="DIR",
    help="Where the robot's computer finds the image and the label.  [default: where they are]",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace files that are there.")
@pass_session
def media_label(
    session: Session,
    number: int,
    out: Path,
    form: str,
    hole: str,
    language: str | None,
    institution: str | None,
    fonts: tuple[Path, ...],
    job: str | None,
    image: Path | None,
    copies: int,
    job_folder: str | None,
    replace: bool,
) -> Answer:
    """Make the label of a medium, as a PDF file or a picture: OUT ends in .pdf or .png.

    MEDIUM is a number that `fileset media list` gives. The label names the patient and says how
    many others there are. It has the studies, the institution, what is on the medium by IHE PDI
    (DICOM ONLY or DICOM PLUS WEB), and a QR code with the File-set UID and the digest. All of it is
    as the journal had it when the medium was made; nothing is recorded. It needs the extra [media].
    """
    if (job is None) != (image is None):
        raise click.UsageError("--job and --image go together.")
    made = make_label(
        session.repository(),
        number,
        absolute(out),
        Style(form, int(hole), language, institution, [absolute(font) for font in fonts]),
        job=Job(absolute(image), copies, job_folder) if image else None,
        replace=replace,
    )
    label = made.label
    fonts_used = ", ".join(made.fonts)
    session.warnings += [
        f"{fonts_used} can't show {text}, which is left out of the name: give --font FILE."
        for text in label.left_out
    ]
    lines: list[Line] = [(f"Medium {number}: ", Span(str(path), "command")) for path in made.files]
    return Answer(
        {
            "medium": medium_document(made.medium),
            "files": [str(path) for path in made.files],
            "text": list(made.texts),
            "kind": label.kind,
            "code": label.code,
            "left_out": list(label.left_out),
            "fonts": list(made.fonts),
        },
        lines,
    )
