"""Finding instances by `KEYWORD=VALUE`, the values as people type them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import click
from attrs import define, field
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue

from fileset.cli.screen.output import Line, Shape, Span
from fileset.errors import NoSuchKeywordError
from fileset.fileset import FileSet
from fileset.values import NUMBERS, has_value, known_tag, value_text
from fileset.views.instance import LARGE_VALUE, FileInstance
from ledger.errors import LedgerError
from projections.state.search import candidates, one_by_one

Elements: TypeAlias = Dataset | FileInstance

LOAD: Final = click.option(
    "--load", is_flag=True, help="Search all elements of the instances, not only their records."
)
UNREADABLE: Final[Shape] = {
    "unreadable": "[{sop_instance_uid, reason}] of files that --load could not read"
}


@define
class Search:
    """The instances that were looked at, and those that could not be.

    Attributes
    ----------
    met : set of str
        The keywords that any instance had.
    unreadable : list of tuple of str
        SOP Instance UID and reason of those whose file could not be read.
    """

    load: bool
    met: set[str] = field(factory=set)
    unreadable: list[tuple[str, str]] = field(factory=list)

    def find(self, fs: FileSet, query: dict[str, str]) -> list[FileInstance]:
        """Return the instances whose elements have all the values of `query`."""

        def matches(elements: Elements) -> bool:
            # All of them, so that every keyword is known to have been met or not.
            hits = [self._has(elements, key, text) for key, text in query.items()]
            return all(hits)

        leaves = None if self.load else candidates(fs.state, query)
        may_match = fs if leaves is None else [fs.instance(leaf.handle) for leaf in leaves]
        found = [instance for instance in may_match if self._look(instance, matches)]
        if leaves is not None:  # others may have what none of these has; mostly the first one tells
            for keyword in query.keys() - self.met:
                others = (fs.instance(leaf.handle) for leaf in one_by_one(fs.state))
                if any(keyword in each for each in others):
                    self.met.add(keyword)
        return found

    def values(self, fs: FileSet, keywords: Iterable[str]) -> dict[str, list[DataElement]]:
        """Return elements with the distinct values of `keywords`, in the order of the instances."""
        found: dict[str, dict[str, DataElement]] = {keyword: {} for keyword in keywords}

        def collect(elements: Elements) -> bool:
            for keyword, values in found.items():
                if keyword in elements:
                    self.met.add(keyword)
                    element = elements[keyword]
                    values.setdefault(value_text(element), element)
            return True

        for instance in fs:
            self._look(instance, collect)
        return {keyword: list(values.values()) for keyword, values in found.items()}

    def advice(self, keywords: Iterable[str], option: str = "--load") -> list[str]:
        """Return what to tell about keywords that no directory record had.

        `option` is what searches the instances themselves.
        """
        unmet = [keyword for keyword in keywords if keyword not in self.met]
        if self.load or not unmet:
            return []
        what = f"no directory record has {', '.join(unmet)}"
        return [f"{what}: {option} searches the instances themselves"]

    def nothing(self, keywords: Iterable[str]) -> str:
        """Return that no instance matches, and what lists the values of `keywords` there are."""
        met = [keyword for keyword in dict.fromkeys(keywords) if keyword in self.met]
        command = " ".join(["fileset values", *met, *(["--load"] if self.load else [])])
        listing = f": `{command}` lists the values that there are"
        return f"No instance matches{listing if met else ''}."

    def unreadable_document(self) -> list[dict[str, str]]:
        """Return the instances that could not be read, as `UNREADABLE` says."""
        return [{"sop_instance_uid": uid, "reason": reason} for uid, reason in self.unreadable]

    def notes(self) -> list[Line]:
        """Return a line for each instance that could not be read."""
        return [(Span(uid, "bad"), f": can't be read: {reason}") for uid, reason in self.unreadable]

    def _has(self, elements: Elements, keyword: str, text: str) -> bool:
        if keyword not in elements:
            return False
        self.met.add(keyword)
        return has_value(elements[keyword], text)

    def _look(self, instance: FileInstance, judge: Callable[[Elements], bool]) -> bool:
        """Return what `judge` says of the instance, or of all that is in its file."""
        if not self.load:
            return judge(instance)
        try:
            return judge(instance.load(defer_size=LARGE_VALUE))
        except OSError as exc:
            self.unreadable.append((instance.SOPInstanceUID, exc.strerror or str(exc)))
        except (LedgerError, InvalidDicomError) as exc:
            self.unreadable.append((instance.SOPInstanceUID, str(exc)))
        return False


def parse_query(arguments: Iterable[str]) -> dict[str, str]:
    """Return `KEYWORD=VALUE` arguments as a dict; a usage error if one is none."""
    query: dict[str, str] = {}
    for keyword, value in parse_criteria(arguments):
        if query.setdefault(keyword, value) != value:
            raise click.UsageError(f"{keyword} is given twice: no instance has both values.")
    return query


def parse_criteria(arguments: Iterable[str]) -> list[tuple[str, str]]:
    """Return `KEYWORD=VALUE` arguments as pairs; a usage error if one is none."""
    criteria = []
    for argument in arguments:
        keyword, equals, value = argument.partition("=")
        if not equals:
            raise click.UsageError(f"'{argument}' is not KEYWORD=VALUE, as in PatientID=1CT1.")
        criteria.append((check_keyword(keyword), value))
    return criteria


def check_keyword(keyword: str) -> str:
    """Return `keyword` if it is that of a data element; a usage error naming near ones if not."""
    try:
        known_tag(keyword)
    except NoSuchKeywordError as exc:
        raise click.UsageError(str(exc)) from exc
    return keyword


def value_json(element: DataElement) -> Any:
    """Return an element's value as JSON: numbers, texts, lists of them, items of sequences."""
    value = element.value
    if element.VR == "SQ":
        return [item.to_json_dict() for item in value]
    if isinstance(value, MultiValue | list):
        return [_plain(element.VR, single) for single in value]
    return _plain(element.VR, value)


def _plain(vr: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    if vr in NUMBERS and math.isfinite(value):
        return int(value) if int(value) == value else float(value)
    return str(value)
