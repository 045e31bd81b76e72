"""`media burn`: a disc, burnt and read back."""

from __future__ import annotations

from pathlib import Path

import click

from fileset.cli.command import DRY_RUN, PathType, WholeNumber, command, pass_session
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.media import medium_document
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.progress import bar, phases
from fileset.cli.session import Session, absolute
from fileset.media.burn import Burner, Burnt, Difference, refuse_device
from fileset.media.xorriso import STDIO, Settings, program
from ledger.digest import short
from projections.past.media import Medium


@command(
    "burn",
    {
        "medium": "the medium, see below; null with --anyway",
        "device": "where it was burnt",
        "size": "bytes of the image",
        "digest": "sha256:... of the image",
        "difference": "{at, path, ends} where the disc differs first: the byte, the file on the "
        "medium or null, whether the disc ends there; or null",
        "recorded": "whether the journal tells of it now",
        "dry_run": "whether nothing was done",
    },
    changes=True,
)
@click.argument("image", type=PathType(exists=True, dir_okay=False))
@click.option(
    "--device", metavar="DEVICE", required=True,
    help=f"The drive, such as /dev/sr0; {STDIO}PATH for a file.",
)  # fmt: skip
@click.option(
    "--speed", type=WholeNumber(min=1), metavar="N", help="How fast.  [default: what the drive can]"
)
@click.option("--blank", is_flag=True, help="Blank a rewritable disc that is not empty.")
@click.option(
    "--medium", "number", type=WholeNumber(min=1), metavar="N",
    help="Which medium it is, of several with the same bytes.  [default: the newest]",
)  # fmt: skip
@click.option("--eject", "put_out", is_flag=True, help="Put out the disc in the end.")
@click.option(
    "--anyway", is_flag=True, help="Burn a file that is none of our media; nothing is recorded."
)
@DRY_RUN
@pass_session
def media_burn(
    session: Session,
    image: Path,
    device: str,
    speed: int | None,
    blank: bool,
    number: int | None,
    put_out: bool,
    anyway: bool,
    dry_run: bool,
    reason: str | None,
) -> Answer:
    """Burn the image of a medium on a disc, read it back, and record that both are equal.

    IMAGE is a file that `fileset media make` or `remake` made. It is burnt by the program xorriso.
    Then as many bytes as the image has are read from the disc and compared. If one differs, the
    exit code is 1 and nothing is recorded: what the journal calls burnt was read back.
    """
    burner = Burner(session.repository())
    path = absolute(image)
    if device.startswith(STDIO):
        device = f"{STDIO}{absolute(Path(device.removeprefix(STDIO)))}"
    if dry_run:
        program()
        refuse_device(device, path, blank=blank)
        with bar("Reading the image") as advance:
            medium, content = burner.find(path, number=number, anyway=anyway, progress=advance)
        line = (f"{_what(medium)} would be burnt on ", Span(device, "command"), ".")
        return _answer(Burnt(medium, device, content), [line], dry_run=True)
    with phases() as show:
        burnt = burner.burn(
            path,
            device,
            Settings(speed, blank),
            number=number,
            anyway=anyway,
            put_out=put_out,
            reason=reason,
            progress=show,
        )
    return _answer(burnt, [_told(burnt)], dry_run=False)


def _answer(burnt: Burnt, lines: list[Line], *, dry_run: bool) -> Answer:
    difference = burnt.difference
    document = {
        "medium": medium_document(burnt.medium) if burnt.medium else None,
        "device": burnt.device,
        "size": burnt.image.size,
        "digest": burnt.image.digest,
        "difference": {"at": difference.at, "path": difference.path, "ends": difference.ends}
        if difference
        else None,
        "recorded": not dry_run and difference is None and burnt.medium is not None,
        "dry_run": dry_run,
    }
    return Answer(document, lines, status=INCOMPLETE if difference else OK)


def _told(burnt: Burnt) -> Line:
    what = f"{_what(burnt.medium)} burnt on "
    device = Span(burnt.device, "command")
    if burnt.difference is not None:
        return (what, device, ": ", Span(_differs(burnt.difference), "bad"))
    image = burnt.image
    told = f": {image.size:,} bytes read back, {short(image.digest)}, as in the image."
    return (what, device, told if burnt.medium else f"{told} Nothing was recorded.")


def _differs(difference: Difference) -> str:
    where = f", in {difference.path}" if difference.path else ""
    at = f"byte {difference.at:,}{where}"
    how = f"the disc ends at {at}" if difference.ends else f"the disc differs from {at} on"
    return f"{how}. Nothing was recorded: destroy the disc, and burn another one."


def _what(medium: Medium | None) -> str:
    return f"Medium {medium.number}" if medium else "The file"
