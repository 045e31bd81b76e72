"""Finding instances by `KEYWORD=VALUE`, the values as people type them."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import click
from attrs import evolve
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue

from fileset.cli.screen.output import Line, Shape, Span
from fileset.cli.session import Session
from fileset.criteria import Criterion, Query, element_of, path_named
from fileset.errors import NoSuchKeywordError, RefusedError
from fileset.fileset import FileSet
from fileset.values import value_text
from fileset.views.instance import FileInstance
from fileset.views.search import Search
from ledger.phrases import count, some
from projections.matching.keys import MOMENTS, NUMBERS

LOAD: Final = click.option(
    "--load", is_flag=True, help="Search all elements of the instances, not only their records."
)
LITERAL: Final = click.option(
    "--literal", is_flag=True,
    help="Take each value as it is: no character stands for others. For scripts.",
)  # fmt: skip
UNREADABLE: Final[Shape] = {
    "unreadable": "[{sop_instance_uid, reason}] of files that --load could not read"
}
MATCHED: Final[Shape] = {
    "matched": "for what stands for more than one value, what it found: [{asked, values}]"
}

_ARGUMENT: Final = re.compile(r"(?P<name>[^=<>]+)(?P<sign>=|[<>]=?)(?P<value>.*)", re.DOTALL)
_SHOWN: Final = 10
"""How many of the values that something stands for are told."""


def parse_query(arguments: Iterable[str], *, literal: bool = False) -> Query:
    """Return what `KEYWORD=VALUE` arguments ask for; a usage error if one is none.

    With `literal`, nothing in a value stands for anything else.
    """
    criteria: list[Criterion] = []
    for argument in arguments:
        name, sign, text = _parts(argument)
        criterion = Criterion(name, path_typed(name), (f"{sign}{text}",), literal)
        if sign and criterion.vr not in MOMENTS | NUMBERS:
            raise click.UsageError(f"{name} is no date, time or number: nothing is {sign} it.")
        if sign and literal:
            raise click.UsageError(f"With --literal, nothing is {sign} a value: give {name}=VALUE.")
        _check_repeated(criterion, criteria)
        criteria.append(criterion)
    return Query(tuple(criteria))


def _check_repeated(criterion: Criterion, others: Iterable[Criterion]) -> None:
    """Raise a usage error for a second value of an element that has but one."""
    if criterion.may_have_several or not criterion.is_single:
        return
    for other in others:
        is_other = other.path == criterion.path and other.text != criterion.text
        if is_other and other.is_single:
            raise click.UsageError(
                f"{criterion.name} is given twice: no instance has both values. With a backslash "
                "between them, instances with one of them are found."
            )


def _parts(argument: str) -> tuple[str, str, str]:
    """Return the name, the comparison and the value of an argument, no comparison for `=`."""
    found = _ARGUMENT.fullmatch(argument)
    if found is None:
        raise _no_criterion(argument)
    sign = found["sign"]
    return found["name"].strip(), "" if sign == "=" else sign, found["value"]


def parse_exactly(arguments: Iterable[str]) -> dict[str, str]:
    """Return `KEYWORD=VALUE` arguments as a dict, whose values are meant as they are."""
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
            raise _no_criterion(argument)
        criteria.append((check_keyword(keyword), value))
    return criteria


def _no_criterion(argument: str) -> click.UsageError:
    return click.UsageError(f"'{argument}' is not KEYWORD=VALUE, as in PatientID=1CT1.")


def check_keyword(keyword: str) -> str:
    """Return the name of a data element if it is one; a usage error naming near ones if not."""
    path_typed(keyword)
    return keyword


def path_typed(name: str) -> tuple[int, ...]:
    """Return what `path_named` does; a usage error where there is no such element."""
    try:
        return path_named(name)
    except NoSuchKeywordError as exc:
        raise click.UsageError(str(exc)) from exc


# --- what is told --------------------------------------------------------------------------------


def advice(search: Search, query: Query, option: str = "--load") -> list[str]:
    """Return what to tell about elements that no directory record had, or that there is none.

    `option` is what searches the instances themselves.
    """
    if search.is_empty and query:
        return ["the File-set is empty"]
    unmet = search.unmet(query)
    if not unmet:
        return []
    what = f"no directory record has {', '.join(unmet)}"
    return [f"{what}: {option} searches the instances themselves"]


def nothing(search: Search, fs: FileSet, query: Query) -> str:
    """Return that no instance matches, and a value that is near or what lists those there are.

    A usage error if what was asked for can't be the value of such an element.
    """
    return _near(search, fs, query) or _none(search, query)


def tell_nothing(session: Session, search: Search, fs: FileSet, query: Query) -> str:
    """Return the same; a value that is near is a warning in a document, which has no other key."""
    near = _near(search, fs, query)
    session.warnings += [near] if near is not None and session.as_json else []
    return near or _none(search, query)


def _near(search: Search, fs: FileSet, query: Query) -> str | None:
    if (doubt := query.doubt()) is not None:
        raise click.UsageError(doubt)
    if (near := search.near(fs, query)) is None:
        return None
    criterion, value, number = near
    there = shlex.quote(f"{criterion.name}={value}")
    return f"No instance matches. Did you mean {there}: {count(number, 'instance')}?"


def _none(search: Search, query: Query) -> str:
    met = (name for tag, name in query.tags.items() if tag in search.met)
    return none_matches(met, load=search.load)


def none_matches(keywords: Iterable[str], *, load: bool = False) -> str:
    """Return that no instance matches, and what lists the values of `keywords` there are."""
    met = list(dict.fromkeys(keywords))
    command = " ".join(["fileset values", *met, *(["--load"] if load else [])])
    listing = f": `{command}` lists the values that there are"
    return f"No instance matches{listing if met else ''}."


def refuse_ambiguous(fs: FileSet, query: Query, found: Iterable[FileInstance]) -> None:
    """Refuse to change what a pattern `found` if it is a value of the File-set itself.

    Whoever has a patient called `A*`, and a script that names it, means no other. Only the
    directory records are looked at.
    """
    instances = list(found)
    for criterion in query.criteria:
        if criterion.is_single:
            continue
        exactly = Query((evolve(criterion, is_literal=True),))
        others = sum(not exactly.matches(partial(element_of, each)) for each in instances)
        if others and next(Search().matching(fs, exactly), None) is not None:
            typed = shlex.quote(f"{criterion.name}={criterion.text}")
            raise RefusedError(
                f"{typed} is a value that is there, and as a pattern it finds "
                f"{count(others, 'instance')} with others. With --literal it is that value alone; "
                "for the others, use a pattern that is no value."
            )


def unreadable_document(search: Search) -> list[dict[str, str]]:
    """Return the instances that could not be read, as `UNREADABLE` says."""
    return [{"sop_instance_uid": uid, "reason": reason} for uid, reason in search.unreadable]


def unreadable_notes(search: Search) -> list[Line]:
    """Return a line for each instance that could not be read."""
    return [(Span(uid, "bad"), f": can't be read: {reason}") for uid, reason in search.unreadable]


def matched(query: Query, found: Iterable[FileInstance]) -> list[dict[str, Any]]:
    """Return what patterns, ranges and lists stood for in what was `found`, as `MATCHED` says."""
    wide = [each for each in query.criteria if not each.is_single and len(each.path) == 1]
    values: list[dict[str, None]] = [{} for _ in wide]
    for instance in found if wide else ():
        for criterion, texts in zip(wide, values, strict=True):
            if (element := element_of(instance, criterion.path[0])) is not None:
                texts[value_text(element)] = None
    return [
        {"asked": f"{criterion.name}={criterion.text}", "values": list(texts)}
        for criterion, texts in zip(wide, values, strict=True)
    ]


def matched_lines(told: Iterable[dict[str, Any]]) -> list[Line]:
    """Return the same in words."""
    return [
        (Span(each["asked"], "careful"), f" is {some(list(map(repr, each['values'])), _SHOWN)}.")
        for each in told
        if each["values"]
    ]


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
    if vr in NUMBERS and not isinstance(value, str) and math.isfinite(value):
        return int(value) if int(value) == value else float(value)
    return str(value)
