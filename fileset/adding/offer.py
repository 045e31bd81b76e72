"""Offering files to be added: what reading each of them gives, whatever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from fileset.adding.candidate import Candidate, read_path
from fileset.adding.find import FoundFile
from fileset.adding.ignoring import Ignored
from fileset.adding.members import Offered, offer_members
from fileset.adding.outcome import Outcome, Result
from fileset.adding.read_ahead import read_ahead
from fileset.adding.recorders import overridden_recorders
from ledger.errors import InstanceError

__all__ = ["Offered", "Offers", "offer"]


def offer(
    files: Iterable[FoundFile],
    *,
    complete: bool = False,
    contents: bool = True,
    headers: bool = False,
    room: int | None = None,
    ignored: Ignored | None = None,
) -> Iterator[Offered]:
    """Yield what reading each of `files` gives; a bad file is an account, not an exception.

    With `complete`, what the directory records must have and an instance lacks is invented.
    Without `contents` or `headers` the candidates may lack them: that makes it faster. Archives
    that unpack to more than `room` bytes are not looked into; what is `ignored` is in none.
    """
    recorders = overridden_recorders()
    if recorders or headers:
        ahead: Iterable[tuple[FoundFile, Candidate | None]] = ((file, None) for file in files)
    else:
        ahead = read_ahead(files, complete=complete, contents=contents)
    for (path, skipped, is_archive), candidate in ahead:
        if candidate is not None:
            yield candidate
            continue
        if skipped is not None:
            yield Result(path, Outcome.SKIPPED, reason=skipped)
            continue
        if is_archive:
            yield from offer_members(
                path, room=room, complete=complete, recorders=recorders, ignored=ignored
            )
            continue
        try:
            # Values of elements that records don't hold may be asked for.
            yield read_path(
                path, complete=complete, contents=contents or headers, recorders=recorders
            )
        except InstanceError as exc:
            yield Result.of_unread(path, exc, complete=complete)


@frozen
class Offers:
    """What is offered, made anew each time that it is gone over."""

    make: Callable[[], Iterable[Offered]]

    def __iter__(self) -> Iterator[Offered]:
        """Yield what is offered now."""
        return iter(self.make())
