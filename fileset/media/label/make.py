"""Making the label of a medium: from the journal's state, and from nothing else but its fonts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from attrs import frozen

from fileset.errors import EndingError, RefusedError
from fileset.media.label.arrange import HOLES, arrange
from fileset.media.label.drawing import Pen, refuse_lacking
from fileset.media.label.jobs import ENDING, Job, epson_job
from fileset.media.label.text import Label, label_of
from fileset.media.list import is_described, medium
from fileset.media.pdi.pages import INDEX
from fileset.media.prepare import prepare_again
from fileset.output import is_direct, refuse_taken, write_together
from fileset.repository.folder import whose_folder
from fileset.repository.repository import Repository
from ledger.errors import ContentMissingError, InstanceError, VaultError
from ledger.events import Content
from ledger.instances.scanner import Wanted, scan_file
from ledger.tags import PATIENT_BIRTH_DATE, SPECIFIC_CHARACTER_SET
from projections.dicomdir.text import readable
from projections.past.media import Medium
from projections.state.contents import Contents, contents_of
from projections.state.nodes import Leaf

_ENDINGS: Final = (".pdf", ".png")
FORMS: Final = ("disc", "card", "sheet")
_LANGUAGE: Final = "en"
_INSTITUTION_NAME: Final = 0x00080080
_WANTED: Final = Wanted({
    SPECIFIC_CHARACTER_SET: "CS", _INSTITUTION_NAME: "LO", PATIENT_BIRTH_DATE: "DA",
})  # fmt: skip


@frozen
class Style:
    """How a label is to look.

    Attributes
    ----------
    form : str
        One of `FORMS`.
    hole : int
        The diameter (mm) within which a disc is not printed, one of `HOLES`.
    language : str or None
        One of `fileset.media.words.LANGUAGES`; by default that of the medium, or English.
    institution : str or None
        Who hands it out; by default what was said when the medium was made, or the instances say.
    fonts : sequence of Path
        Fonts to use, the first one for all that it has; by default one of the system's.
    """

    form: str = FORMS[0]
    hole: int = HOLES[0]
    language: str | None = None
    institution: str | None = None
    fonts: Sequence[Path] = ()


@frozen
class Labelled:
    """A label that was made: of which medium, its lines as printed, the fonts, and the files."""

    medium: Medium
    label: Label
    texts: tuple[str, ...]
    fonts: tuple[str, ...]
    files: tuple[Path, ...]


def make_label(
    repository: Repository,
    number: int,
    out: Path,
    style: Style,
    *,
    job: Job | None = None,
    replace: bool = False,
) -> Labelled:
    """Write the label of the medium of that number to `out`: a PDF or a PNG, as it ends.

    A `job` for a robot goes beside it, with the ending `ENDING`. Nothing is recorded. The same
    medium and fonts give the same bytes.

    Raises `EndingError` if `out` ends otherwise. `RefusedError` if the medium was not finished, or
    data on it was erased since; if the fonts lack a character, or the extra is missing; if `out` is
    taken or can't be written; and as `epson_job`.
    """
    if out.suffix.lower() not in _ENDINGS and not is_direct(out):
        raise EndingError(f"{out} is no name of a label: end it in {' or '.join(_ENDINGS)}.")
    found = medium(repository, number)
    if found.produced is None or found.produced_by is None:
        raise RefusedError(
            f"Medium {number} was not finished, so it gets no label: make a new one with "
            "`fileset media make`."
        )
    if not is_described(repository, found):
        raise RefusedError(
            f"What was said of medium {number} was erased since, so it gets no label any more."
        )
    prepared = prepare_again(repository, found, sizes=lambda _: 0)
    of_leaves = {part.leaf: part.content for part in prepared.parts if part.leaf is not None}
    contents = contents_of(of_leaves)
    institution = _told_by_instances(repository, contents, of_leaves)
    if found.addressed is not None and found.addressed.institution is not None:
        institution = found.addressed.institution
    if style.institution is not None:
        institution = style.institution
    language = style.language or found.started.options.get("language", _LANGUAGE)
    with Pen(style.fonts) as pen:
        label = label_of(
            found,
            contents,
            institution,
            language,
            has_pages=any(file.path == INDEX for file in prepared.files),
            shows=lambda text: not pen.lacks([text]),
        )
        page = arrange(label, style.form, pen.width, style.hole)
        texts = tuple(line.text for line in page.lines)
        refuse_lacking(pen, texts)
        if out.suffix.lower() == ".png":
            data = pen.picture(page, label.code)
        else:
            data = pen.pdf(
                page,
                label.code,
                title=f"{found.started.id or ''} {found.started.uid}".strip(),
                created=datetime.fromisoformat(found.produced_by.recorded_at),
                language=language,
            )
    made = {out: data}
    if job is not None:
        made[out.with_suffix(ENDING)] = epson_job(job, found, out)
    for path in made:
        if (whose := whose_folder(path)) is not None:
            raise RefusedError(f"{path} is in {whose}: name a file elsewhere.")
        refuse_taken(path, replace=replace)
    write_together(((path, [data]) for path, data in made.items()), "label", replace=replace)
    return Labelled(found, label, texts, pen.fonts, tuple(made))


def _told_by_instances(
    repository: Repository, contents: Contents, of_leaves: Mapping[Leaf, Content]
) -> str:
    """Take from instances what records of the first patient need not have; return institutions."""
    patient = contents.patients[0] if contents.patients else None
    names: dict[str, None] = {}
    for study in patient.studies if patient else ():
        birth_date, institution = _values(repository, of_leaves[study.series[0].leaves[0]])
        assert patient is not None  # noqa: S101 - it has studies
        patient.birth_date = patient.birth_date or birth_date
        names.setdefault(institution)
    return ", ".join(filter(None, names))


def _values(repository: Repository, content: Content) -> tuple[str, str]:
    """Return the birth date and the institution of an instance, empty where they aren't known."""
    try:
        with repository.vault.view(content.digest) as view:
            found = scan_file(view, _WANTED).elements
    except (ContentMissingError, InstanceError, VaultError, OSError):
        return "", ""  # it is told elsewhere that the content is damaged
    charset = readable(found.get(SPECIFIC_CHARACTER_SET), "")
    birth_date, institution = (
        readable(found.get(tag), charset).strip() for tag in (PATIENT_BIRTH_DATE, _INSTITUTION_NAME)
    )
    return birth_date, institution
