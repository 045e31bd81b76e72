"""README.TXT, INDEX.HTM and the pages in IHE_PDI, from templates that an institution can replace.

A template is one of `string.Template`: `$title` and the like are replaced. What they hold is text
for README.TXT, and XHTML with everything in it escaped for the pages.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from itertools import count
from pathlib import Path
from string import Template
from typing import Final

from attrs import frozen

from fileset.errors import RefusedError
from fileset.media.words import Words
from projections.medium.images.tree import CivilTime
from projections.state.contents import Contents, Patient, Series, Study, person_name
from projections.state.nodes import Leaf

README: Final = "README.TXT"
INDEX: Final = "INDEX.HTM"
_STUDY: Final = "STUDY.HTM"
_HEAD: Final = "HEAD.HTM"
_STYLE: Final = "STYLE.CSS"
FOLDER: Final = "IHE_PDI"

_NOT_IN_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})

Preview = Callable[[Leaf], "bytes | None"]
"""Returns a JPEG of an instance, `None` where there is none."""


@frozen
class About:
    """What the pages say of the medium itself.

    `institution` and `contact` are whom to ask; `writer` is the program that made it. `id` is the
    File-set ID. `templates` is a folder whose templates replace our own, as many as it has.
    `viewer` is whether the medium has one.
    """

    created: CivilTime
    writer: str
    id: str = ""
    volume: int = 1
    volumes: int = 1
    institution: str = ""
    contact: str = ""
    templates: Path | None = None
    viewer: bool = False


def pages(
    contents: Contents, about: About, words: Words, preview: Preview
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a medium with `contents`, each with its path from the root.

    `preview` gives the picture of an instance. Raises RefusedError for a template that can't be
    used; the message names it.
    """
    make = _Maker(about, words)
    yield README, make.readme(contents)
    studies = [(patient, study) for patient in contents.patients for study in patient.studies]
    paths = {id(study): f"ST{number:06}.HTM" for number, (_, study) in enumerate(studies, 1)}
    yield INDEX, make.index(contents, lambda study: f"{FOLDER}/{paths[id(study)]}")
    numbers = count(1)
    for patient, study in studies:
        shown: dict[int, str] = {}
        for series in study.series:
            found = preview(series.middle)
            if found is not None:
                name = f"IM{next(numbers):06}.JPG"
                yield f"{FOLDER}/{name}", found
                shown[id(series)] = f'<img src="{name}" alt="" />'
            else:
                shown[id(series)] = escape(words.no_preview)
        yield f"{FOLDER}/{paths[id(study)]}", make.study(patient, study, shown)


class _Maker:
    def __init__(self, about: About, words: Words) -> None:
        self._about = about
        self._words = words
        self._style = self._template(_STYLE)

    def readme(self, contents: Contents) -> bytes:
        """Return README.TXT: ASCII, in lines that end as every system expects it."""
        words = self._words
        summary = [
            *(
                _in_line(
                    f"{words.patient}: {name_text(_plain_name(patient.name), words)} ({patient.id})"
                )
                for patient in contents.patients
            ),
            f"{words.studies}: {sum(len(patient.studies) for patient in contents.patients)}",
            f"{words.instances}: {_instances(contents)}",
        ]
        text = self._filled(
            README,
            title=words.title,
            underline="=" * len(words.title),
            summary="\n".join(summary),
            purpose=words.purpose,
            about="\n".join(self._told()),
        )
        return _ascii(text).replace("\n", "\r\n").encode("ascii")

    def index(self, contents: Contents, place: Callable[[Study], str]) -> bytes:
        return self._page(
            INDEX,
            self._words.title,
            "\n".join([
                *self._viewer(),
                *(self._patient(patient, place) for patient in contents.patients),
                *self._others(contents.others),
            ]),
            about="<br />\n".join(map(escape, self._told())),
        )  # fmt: skip

    def study(self, patient: Patient, study: Study, shown: Mapping[int, str]) -> bytes:
        words = self._words
        rows = [
            (
                escape(series.modality),
                escape(series.number),
                escape(series.description),
                str(len(series.leaves)),
                shown[id(series)],
            )
            for series in study.series
        ]
        heads = (words.modality, words.number, words.description, words.instances, "")
        title = " ".join(
            filter(None, (date_text(study.date, words), study.description or words.study))
        )
        return self._page(
            _STUDY, title, f"<p>{self._who(patient)}</p>\n{_table(heads, rows)}", about=""
        )

    # --- parts

    def _told(self) -> list[str]:
        about, words = self._about, self._words
        told = [
            (words.institution, about.institution),
            (words.contact, about.contact),
            ("File-set", about.id),
            (words.made, _civil(about.created, words)),
            (words.made_with, about.writer),
        ]
        lines = [_in_line(f"{name}: {text}") for name, text in told if text]
        if about.volumes > 1:
            lines.insert(0, words.volume.format(volume=about.volume, volumes=about.volumes))
        return lines

    def _who(self, patient: Patient) -> str:
        words = self._words
        told = [
            (words.patient_id, patient.id),
            (words.birth_date, date_text(patient.birth_date, words)),
            (words.sex, words.sexes.get(patient.sex, patient.sex)),
        ]
        rest = ", ".join(f"{name}: {text}" for name, text in told if text)
        return f"<strong>{escape(name_text(patient.name, words))}</strong> {escape(rest)}"

    def _patient(self, patient: Patient, place: Callable[[Study], str]) -> str:
        words = self._words
        rows = []
        for study in patient.studies:
            date = date_text(study.date, words) or words.study
            rows.append(
                (
                    f'<a href="{place(study)}">{escape(date)}</a>',
                    escape(study.description),
                    escape(study.accession),
                    escape(", ".join(dict.fromkeys(s.modality for s in study.series))),
                    str(sum(len(series.leaves) for series in study.series)),
                )
            )
        heads = (
            words.study, words.description, words.accession, words.modality, words.instances
        )  # fmt: skip
        return f"<h2>{words.patient}</h2>\n<p>{self._who(patient)}</p>\n{_table(heads, rows)}"

    def _viewer(self) -> Iterator[str]:
        if self._about.viewer:
            yield f'<p><a href="VIEWER/INDEX.HTM">{escape(self._words.viewer)}</a></p>'

    def _others(self, leaves: Iterable[Leaf]) -> Iterator[str]:
        kinds: dict[str, int] = {}
        for leaf in leaves:
            kinds[leaf.record_type] = kinds.get(leaf.record_type, 0) + 1
        if kinds:
            told = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
            words = self._words
            yield f"<h2>{words.others}</h2>\n<p>{words.others_told} {escape(told)}</p>"

    # --- templates

    def _page(self, template: str, title: str, contents: str, *, about: str) -> bytes:
        values = {
            "language": self._words.language,
            "title": escape(title),
            "style": f"\n{self._style}",
        }
        return self._filled(
            template,
            **values,
            head=self._filled(_HEAD, **values),
            contents=contents,
            purpose=escape(self._words.purpose),
            about=about,
            back=escape(self._words.back),
        ).encode("utf-8", "replace")

    def _filled(self, name: str, **values: str) -> str:
        template = self._template(name)
        try:
            return Template(template).substitute(values)
        except (KeyError, ValueError) as exc:
            what = f"it has no value for ${exc.args[0]}" if isinstance(exc, KeyError) else str(exc)
            known = ", ".join(f"${each}" for each in sorted(values))
            raise RefusedError(
                f"{self._place(name)} can't be used as a template: {what}. It can have {known}; a "
                "dollar sign is written as $$."
            ) from exc

    def _place(self, name: str) -> Path | str:
        return name if self._about.templates is None else self._about.templates / name

    def _template(self, name: str) -> str:
        own = None if self._about.templates is None else self._about.templates / name
        if own is None or not own.exists():
            return (files("fileset.media.pdi") / "templates" / name).read_text("utf-8")
        try:
            return own.read_text("utf-8-sig")
        except UnicodeDecodeError as exc:
            raise RefusedError(f"{own} can't be used as a template: it is not UTF-8.") from exc


def _instances(contents: Contents) -> int:
    all_series: Iterable[Series] = (
        series
        for patient in contents.patients
        for study in patient.studies
        for series in study.series
    )
    return sum(len(series.leaves) for series in all_series) + len(contents.others)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def row(cells: Iterable[str], kind: str) -> str:
        return f"<tr>{''.join(f'<{kind}>{cell}</{kind}>' for cell in cells)}</tr>"

    lines = [row(map(escape, heads), "th"), *(row(cells, "td") for cells in rows)]
    return "\n".join(["<table>", *lines, "</table>"])


# --- values as people read them ------------------------------------------------------------------


def name_text(value: str, words: Words) -> str:
    """Return a person's name: family name first, other representations in brackets."""
    return person_name(value) or words.unnamed


def date_text(value: str, words: Words) -> str:
    """Return a date, of ACR-NEMA too (PS3.5 Section 6.2); what is none as it stands."""
    value = re.sub(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})", r"\1\2\3", value)
    if len(value) != 8 or not value.isdigit():
        return value
    return words.date.format(year=value[:4], month=value[4:6], day=value[6:])


def _civil(time: CivilTime, words: Words) -> str:
    return date_text(f"{time.year:04}{time.month:02}{time.day:02}", words)


def _plain_name(value: str) -> str:
    """Return a person's name without the representations that ASCII has no letters for."""
    groups = value.split("=")
    return next((group for group in groups if group and "?" not in _ascii(group)), value)


def _ascii(text: str) -> str:
    """Return text for systems that know ASCII only."""
    plain = unicodedata.normalize("NFKD", text.translate(_GERMAN).replace("ß", "ss"))
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return "".join(
        each if each == "\n" or (each.isascii() and each.isprintable()) else "?" for each in kept
    )


def _in_line(text: str) -> str:
    """Return a value without what would end the line that it is in."""
    return "".join(each if each.isprintable() else "?" for each in text)


def escape(text: str) -> str:
    """Return text as a page has it: what XML has no characters for is replaced."""
    return html.escape(_NOT_IN_XML.sub("\ufffd", text))
