"""Making a medium again from the journal: the same bytes, or the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

from fileset.errors import RefusedError
from fileset.media.choice import medium_kind
from fileset.media.list import is_listed, medium
from fileset.media.make import Maker, writing
from fileset.media.prepare import prepare_again
from fileset.media.securing import secure
from fileset.output import clear_leftovers, refuse_without_room
from fileset.progress import Progress
from fileset.repository.repository import Repository
from projections.past.media import Medium

_LACKING: Final = (
    "Medium {} can't be made again: files that were on it besides the instances were erased since."
)


def remake(
    repository: Repository,
    number: int,
    out: Path | BinaryIO,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> Medium:
    """Make the medium of that number again at `out`, byte for byte; return what it is.

    `out` and errors are as in `Maker.make`, except that nothing is recorded, and `EndingError` if
    its ending stands for another kind of medium. `RefusedError`, and
    nothing at `out`, if it can't be the same: it was not finished, or data on it was erased since.
    """
    repository.outside_changes("Making a medium again")
    found = medium(repository, number)
    if found.produced is None:
        raise RefusedError(
            f"Medium {number} was not finished, so nobody knows what it would have been: make a "
            "new one with `fileset media make`."
        )
    medium_kind(out, found.started.kind)
    prepared = prepare_again(repository, found)
    is_whole = is_listed(repository, found)
    if not is_whole and prepared.size != found.produced.image.size:
        raise RefusedError(_LACKING.format(number))
    secure(repository, found.started.handles())
    clear_leftovers(out)
    Maker(repository).refuse_place(out, prepared, replace=replace)
    if isinstance(out, Path):
        refuse_without_room(out, prepared.size)
    with writing(out, prepared, repository, replace=replace, progress=progress) as (image, keep):
        if image != found.produced.image:
            if not is_whole:
                raise RefusedError(_LACKING.format(number))
            raise RefusedError(
                f"Medium {number} can't be made again, though nothing of it was erased: please "
                f"report this. What was made has the digest {image.digest}, and the medium had "
                f"{found.produced.image.digest}."
            )
        keep()
    return found
