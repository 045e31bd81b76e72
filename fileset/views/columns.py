"""The instances of a File-set as columns of values: one value for each instance, one type for each.

What type a column has follows from its keyword alone, whatever the values are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final, Literal, TypeAlias

from attrs import define, field
from pydicom.datadict import dictionary_VM, dictionary_VR

from fileset.values import known_tag, readable_element, value_text
from fileset.views.search import loaded
from fileset.views.view import View
from ledger.elements import character_set, find, tag_bytes
from ledger.phrases import count
from projections.dicomdir.text import readable
from projections.matching.keys import NUMBERS, is_plain
from projections.state.nodes import Branch, Leaf
from projections.state.search import all_in_order

KEYWORDS: Final = (
    "PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription",
    "AccessionNumber", "SeriesInstanceUID", "SeriesNumber", "Modality", "InstanceNumber",
    "SOPClassUID", "SOPInstanceUID", "TransferSyntaxUID",
)  # fmt: skip
"""The columns that there are in any case, in their order."""

Kind: TypeAlias = Literal["text", "integer", "number", "date"]

# PS3.5 Section 6.2: a DA as it is, and as ACR-NEMA had it; ranges and times are no dates.
_DAY: Final = re.compile(
    r"(?P<year>\d{4})(?P<dot>\.?)(?P<month>\d\d)(?P=dot)(?P<day>\d\d)", re.ASCII
)
_BYTES: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN"))
_OF_LEAF: Final[dict[str, Callable[[Leaf], str]]] = {
    "SOPClassUID": lambda leaf: leaf.sop_class_uid,
    "SOPInstanceUID": lambda leaf: leaf.uid,
    "TransferSyntaxUID": lambda leaf: leaf.transfer_syntax_uid,
}


@define
class Column:
    """The values of one element, in the order of the instances; `None` where one has none.

    `misfits` counts the values that are not of the column's kind, and `None` there.
    """

    keyword: str
    tag: int
    kind: Kind
    values: list[Any] = field(factory=list)
    misfits: int = 0

    @classmethod
    def of(cls, keyword: str) -> Column:
        """Return the column of `keyword`, without values.

        Raises `NoSuchKeywordError`, and ValueError if what it stands for fits into no column.
        """
        tag = known_tag(keyword)
        vr = dictionary_VR(tag)
        if not _BYTES.isdisjoint(vr.split(" or ")):
            raise ValueError(f"{keyword} is a sequence or bytes ({vr}): it can't be a column")
        kind: Kind = "text"
        if dictionary_VM(tag) == "1":
            if vr == "DA":
                kind = "date"
            elif vr in NUMBERS:
                kind = "number" if vr in {"DS", "FD", "FL"} else "integer"
        return cls(keyword, tag, kind)

    def converted(self, text: str) -> Any:
        """Return what stands in the column for the value `text`."""
        if not text:
            return None
        try:
            match self.kind:
                case "text":
                    return text
                case "integer" if is_plain(text):
                    return int(text)
                case "number" if is_plain(text):
                    return float(text)
                case "date" if (found := _DAY.fullmatch(text.strip(" \0"))) is not None:
                    return date(*map(int, found.group("year", "month", "day")))
        except ValueError:  # such as 1.5 in a column of integers, or a 30th of February
            pass
        self.misfits += 1
        return None


def columns(view: View, keywords: Iterable[str], *, load: bool = False) -> list[Column]:
    """Return a column for each of `KEYWORDS` and of `keywords`, with the values of all instances.

    The lowest directory record that has an element answers for it. With `load`, what no record of
    an instance has is looked up in its file. Warns of values that are not of their column's kind,
    and of elements that no instance has.
    """
    made = [Column.of(keyword) for keyword in dict.fromkeys((*KEYWORDS, *keywords))]
    above: dict[Branch, list[Any]] = {}
    for leaf in all_in_order(view.state):
        home = leaf.parent or leaf.home
        if home not in above:
            above[home] = [_above(home, column) for column in made]
        lacking = []
        for column, inherited in zip(made, above[home], strict=True):
            of_leaf = _OF_LEAF.get(column.keyword)
            if of_leaf is not None:
                column.values.append(of_leaf(leaf))
            elif tag_bytes(column.tag) in leaf.packed and (
                find(held := leaf.record.elements, column.tag) is not None
            ):
                column.values.append(column.converted(_text(held, column.tag)))
            else:
                column.values.append(inherited)
                lacking += [column] if inherited is None else []
        if load and lacking:
            _load(view, leaf, lacking)
    _warn(made, load=load)
    return made


def _above(home: Branch, column: Column) -> Any:
    for branch in home.upwards():
        held = branch.record.elements
        if find(held, column.tag) is not None:
            return column.converted(_text(held, column.tag))
    return None


def _text(held: bytes, tag: int) -> str:
    """Return the value of an element that the encoded record `held` has, as people type it."""
    element = find(held, tag)
    if element is not None and element.vr in NUMBERS - {"DS", "IS"}:
        shown = readable_element(held, tag)
        return "" if shown is None else value_text(shown)
    text = readable(element, character_set(held))
    return text.rstrip("=") if element is not None and element.vr == "PN" else text


def _load(view: View, leaf: Leaf, lacking: Iterable[Column]) -> None:
    """Fill in what no directory record has, from the instance's file."""
    ds = loaded(view.instance(leaf.handle))
    for column in lacking:
        if column.tag in ds:
            column.values[-1] = column.converted(value_text(ds[column.tag]))


def _warn(made: Iterable[Column], *, load: bool) -> None:
    for column in made:
        if column.misfits:
            kind = f"of the kind {column.kind}"
            warnings.warn(
                f"{count(column.misfits, 'value')} of {column.keyword} not {kind}: missing here",
                stacklevel=4,
            )
        elif column.keyword not in KEYWORDS and not any(v is not None for v in column.values):
            advice = "" if load else "; with `load=True` the instances are read for it"
            warnings.warn(f"No directory record has {column.keyword}{advice}", stacklevel=4)
