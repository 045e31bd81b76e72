"""Old payloads read as new ones: pure functions from one version of an event type to the next.

When an event class changes its fields, raise its `VERSION` and register here how a payload of
the version before becomes one of the new version. Journals are never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _as_it_was(body: dict[str, Any]) -> dict[str, Any]:
    """Return a payload whose next version has fields more, with defaults that mean the same."""
    return body


UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("instance-added", 1): _as_it_was,  # it lacks what differs above it, and what is not written
    ("write-started", 1): _as_it_was,  # what was left, an event has told before
    ("records-kept", 1): _as_it_was,  # it lacks what is not written
    ("payload-erased", 1): _as_it_was,  # nothing was corrected yet
    ("medium-addressed", 1): _as_it_was,  # it has files, which later ones leave to another event
}
"""`(type name, version) -> function giving the payload of version + 1`."""


def upcast(type_name: str, version: int, target: int, body: dict[str, Any]) -> dict[str, Any]:
    """Return `body`, written as `version`, as a payload of version `target`."""
    for step in range(version, target):
        body = UPCASTERS[type_name, step](body)
    return body
