"""Searching instances by the elements of their directory records, or by all they have."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from pydicom.dataset import Dataset

from fileset.views.instance import LARGE_VALUE, FileInstance

_ADVICE = (
    "consider using the 'load' parameter to expand the search to the corresponding SOP instances"
)


def find(
    instances: Iterable[FileInstance],
    query: Mapping[str, Any],
    *,
    load: bool,
    known: list[FileInstance] | None = None,
) -> list[FileInstance]:
    """Return those of `instances` that have every value of `query`, by keyword.

    Those are among the `known` ones, where an index tells. Warns if none of all has all the
    elements, and so none could have matched.
    """
    if not query:
        return list(instances)
    matches = []
    any_has_all = False
    for instance in instances if known is None else known:
        elements = instance.load(defer_size=LARGE_VALUE) if load else instance
        if all(keyword in elements for keyword in query):
            any_has_all = True
            if all(elements[keyword].value == value for keyword, value in query.items()):
                matches.append(instance)
    if known is not None and not any_has_all:
        any_has_all = any(all(keyword in instance for keyword in query) for instance in instances)
    if not load and not any_has_all:
        warnings.warn(
            "None of the records in the DICOMDIR dataset contain all the query elements, "
            f"{_ADVICE}",
            stacklevel=3,
        )
    return matches


def find_values(
    elements: str | int | list[str | int], instances: Iterable[FileInstance], *, load: bool
) -> list[Any] | dict[str | int, list[Any]]:
    """Return the distinct values of `elements` in the order in which they are met.

    Warns of elements that none of the instances has.
    """
    wanted = elements if isinstance(elements, list) else [elements]
    found: dict[str | int, list[Any]] = {element: [] for element in wanted}
    met = set()
    for instance in instances:
        source: Dataset | FileInstance = instance.load(defer_size=LARGE_VALUE) if load else instance
        for element in wanted:
            if element not in source:
                continue
            met.add(element)
            value = source[element].value
            if value not in found[element]:
                found[element].append(value)
    missing = [element for element in found if element not in met]
    if missing and not load:
        warnings.warn(
            f"None of the records in the DICOMDIR dataset contain {missing}, {_ADVICE}",
            stacklevel=3,
        )
    return found if isinstance(elements, list) else found[wanted[0]]
