"""The tiles of a contact sheet: which instances are shown, and what is said of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from ledger.elements import find
from ledger.phrases import count
from projections.state.contents import Contents, Patient, Series, Study, person_name
from projections.state.nodes import Leaf

EACH: Final = ("series", "instance")
_INSTANCE_NUMBER: Final = 0x00200013
_JOINERS: Final = "\u200c\u200d"  # that Persian and Indic names are spelt with


@frozen
class Tile:
    """An instance that is shown, and what is said of it in a line each.

    Attributes
    ----------
    leaf : Leaf
        The instance.
    patient, study, series : str
        What people know these by; empty for what it is not below.
    what : str
        What it stands for, or which one it is.
    """

    leaf: Leaf
    patient: str
    study: str
    series: str
    what: str


def tiles(contents: Contents, each: str) -> Iterator[Tile]:
    """Yield the tiles for all of `contents`, one for `each` of `EACH`.

    A series is shown by its middle image, in the order of Instance Number. What is below no series
    has a tile of its own.
    """
    for patient in contents.patients:
        for study in patient.studies:
            for series in study.series:
                numbered = sorted(series.leaves, key=_number)
                images = [leaf for leaf in numbered if leaf.record_type == "IMAGE"] or numbered
                of_all = _tile(images[len(images) // 2], patient, study, series)
                if each == EACH[0]:
                    yield evolve(of_all, what=count(len(numbered), "instance"))
                else:
                    for leaf in numbered:
                        yield evolve(of_all, leaf=leaf, what=_which(leaf))
    for leaf in contents.others:
        yield Tile(leaf, "", "", "", _which(leaf))


def _tile(leaf: Leaf, patient: Patient, study: Study, series: Series) -> Tile:
    date = study.date
    if len(date) == 8 and date.isdecimal():
        date = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    name = person_name(patient.name)
    return Tile(
        leaf,
        _line(f"{name} ({patient.id})" if name else patient.id),
        _line(date, study.description),
        _line(series.modality, series.number, series.description),
        "",
    )


def _which(leaf: Leaf) -> str:
    return _line(leaf.record_type, _instance_number(leaf))


def _line(*texts: str) -> str:
    """Return texts as one line, without what can't be seen: some of that reorders what follows."""
    kept = "".join(
        each if each.isprintable() or each in _JOINERS else " " for each in " ".join(texts)
    )
    return " ".join(kept.split())


def _number(leaf: Leaf) -> int:
    try:
        return int(_instance_number(leaf))
    except ValueError:
        return 0


def _instance_number(leaf: Leaf) -> str:
    found = find(leaf.record.elements, _INSTANCE_NUMBER)
    return "" if found is None else found.value.decode("ascii", "replace").strip("\0 ")
