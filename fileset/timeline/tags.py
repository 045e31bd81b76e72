"""Tags: names for positions of the journal.

A tag is set, moved and deleted by events, as everything. It is no part of the File-set: undo does
not step over it, and it can't be reverted. The journal tells what it ever stood for.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from fileset.errors import InvalidTagError, NoSuchMomentError, RefusedError
from fileset.repository.repository import Repository
from fileset.timeline.moments import NOW
from ledger.events import PositionTagged, TagDeleted

_LONGEST: Final = 64
_NAME: Final = re.compile(r"[^\W\d_][\w.-]*")
_CHANGE_ID: Final = re.compile(r"[0-9a-f]{12}")


def tag_name(name: str) -> str:
    """Return `name` as the journal keeps it: in Unicode's composed form.

    It begins with a letter, and has letters, digits, dots, hyphens and underscores, at most 64. So
    it is never a position or a date, and it must not be `now` or a change's id. Raises
    `InvalidTagError` otherwise.
    """
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise InvalidTagError(
            f"'{name}' can't be the name of a tag: a name begins with a letter, and has letters, "
            f"digits, "
            f"dots, hyphens and underscores, at most {_LONGEST}."
        )
    if name == NOW:
        raise InvalidTagError(
            f"'{name}' can't be the name of a tag: it means the current position."
        )
    if _CHANGE_ID.fullmatch(name):
        raise InvalidTagError(f"'{name}' can't be the name of a tag: it could be a change's id.")
    return name


def set_tag(
    repository: Repository,
    name: str,
    position: int | None = None,
    *,
    move: bool = False,
    reason: str | None = None,
) -> PositionTagged | None:
    """Have `name` stand for `position`, the present one by default; `None` if it does already.

    Raises `RefusedError` if it stands for another one, unless to `move` it.
    """
    name = tag_name(name)
    with repository.change(reason):
        state = repository.state
        position = state.position if position is None else position
        previous = state.tags.get(name)
        if previous == position:
            return None
        if previous is not None and not move:
            raise RefusedError(
                f"There is a tag '{name}' already, at position {previous}: move it with --move "
                "(move=True)."
            )
        event = PositionTagged(name, position, previous)
        repository.emit(event)
        return event


def delete_tag(repository: Repository, name: str, *, reason: str | None = None) -> TagDeleted:
    """Delete the tag `name`; `NoSuchMomentError` if there is none."""
    name = unicodedata.normalize("NFC", name)
    with repository.change(reason):
        tags = repository.state.tags
        if name not in tags:
            there = f"the tags are {', '.join(tags)}" if tags else "there are none"
            raise NoSuchMomentError(f"There is no tag '{name}': {there}.")
        event = TagDeleted(name, tags[name])
        repository.emit(event)
        return event
