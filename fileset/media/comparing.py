"""Comparing the files of a medium that was read back with those that it has to have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from attrs import define, field, frozen

from fileset.media.errors import UnreadableMediumError
from fileset.media.prepare import Prepared
from fileset.media.reading.medium import MediumFile
from fileset.progress import Progress
from ledger.digest import Digest, from_raw
from ledger.events import Content, MediumProduced, OtherFile
from ledger.files import content_of
from ledger.names import one_name
from projections.dicomdir.definitions import DICOMDIR
from projections.medium.handout import CHECKSUMS
from projections.state.nodes import Leaf

_VERSION: Final = re.compile(r"\.?;\d+$")
_LISTED: Final = re.compile(rb"^([0-9a-f]{64})  (.+?)\r?$", re.MULTILINE)


@frozen
class Problem:
    """A file that is not as it should be: "missing", "different", "unreadable" or "extra"."""

    path: str
    what: str


@define
class Digests:
    """The digests of the files of a medium: each file is read once, and only if it is asked for."""

    _known: dict[str, Digest | None] = field(factory=dict)

    def know(self, file: MediumFile, digest: Digest) -> None:
        """Take the digest of a file that was read already."""
        self._known[file.path] = digest

    def of(self, file: MediumFile) -> Digest | None:
        """Return the digest of a file, `None` if it can't be read."""
        if file.path not in self._known:
            self._known[file.path] = _read(file)
        return self._known[file.path]


def _read(file: MediumFile) -> Digest | None:
    try:
        return content_of(file.chunks()).digest
    except UnreadableMediumError:
        return None


def differences(
    prepared: Prepared,
    files: Iterable[MediumFile],
    progress: Progress | None = None,
    digests: Digests | None = None,
) -> list[Problem]:
    """Compare files one by one with those that a medium has to have; return what differs."""
    digests = digests or Digests()
    wanted = {part.path: part.content for part in prepared.parts}
    missing = {one_name(path): path for path in wanted}
    differing: dict[str, str] = {}
    extra: list[str] = []
    done, total = 0, sum(content.size for content in wanted.values())
    for file in files:
        path = missing.pop(shown(file.path), None)
        if path is None:
            extra.append(file.path)
            continue
        if (what := _difference(file, wanted[path], digests)) is not None:
            differing[path] = what
        done += wanted[path].size
        if progress is not None:
            progress(done, total)
    differing.update(dict.fromkeys(missing.values(), "missing"))
    problems = [Problem(path, differing[path]) for path in wanted if path in differing]
    return [*problems, *(Problem(path, "extra") for path in extra)]


def shown(path: str) -> str:
    """Return a path as the journal has it, which systems show in lower case or with a version."""
    return one_name(_VERSION.sub("", path))


def listed(checksums: bytes) -> Iterator[tuple[str, Digest]]:
    """Yield what a `SHA256.TXT` lists: paths and digests; lines that are damaged are left out."""
    for digest, path in _LISTED.findall(checksums):
        yield path.decode("latin-1"), from_raw(bytes.fromhex(digest.decode("ascii")))


def _difference(file: MediumFile, content: Content, digests: Digests) -> str | None:
    """Return how a file differs from what it should be, `None` if it doesn't."""
    if file.size != content.size:
        return "different"
    digest = digests.of(file)
    if digest is None:
        return "unreadable"
    return None if digest == content.digest else "different"


@frozen
class Left:
    """What the journal still knows of the files of a medium after data on it was erased.

    The File IDs of the instances are not known any more: they depend on those that were erased.
    """

    instances: Collection[Leaf]
    others: Collection[OtherFile]
    produced: MediumProduced | None
    is_folder: bool


def differences_of_left(
    left: Left,
    files: Iterable[MediumFile],
    names: Callable[[], Mapping[Digest, str]],
    digests: Digests,
    progress: Progress | None = None,
) -> tuple[list[Problem], int]:
    """Compare what can be, by the digests; return what differs, and how many files were compared.

    `names` returns the File IDs by digest, as the `SHA256.TXT` on the medium has them: an instance
    that is not there is called by that, or by its SOP Instance UID.
    """
    files = list(files)
    done, total = 0, sum(file.size for file in files)
    found: Counter[Digest | None] = Counter()
    for file in files:
        found[digests.of(file)] += 1
        done += file.size
        if progress is not None:
            progress(done, total)
    places = {shown(file.path): file for file in files}
    problems: list[Problem] = []
    wanted = list(_wanted(left, names()))
    missing = 0
    for path, digest in wanted:
        if found[digest]:
            found[digest] -= 1
            continue
        there = places.get(one_name(path))
        if there is None:
            missing += 1
            problems.append(Problem(path, "missing"))
        else:
            what = "different" if digests.of(there) is not None else "unreadable"
            problems.append(Problem(path, what))
    return problems, len(wanted) - missing


def _wanted(left: Left, names: Mapping[Digest, str]) -> Iterator[tuple[str, Digest]]:
    """Yield what has to be there, in the order of the medium as far as that is known."""
    if left.produced is not None:
        yield DICOMDIR, left.produced.dicomdir
    for leaf in left.instances:
        if (content := leaf.content) is not None:
            yield names.get(content.digest, leaf.uid), content.digest
    for other in left.others:
        yield other.path, other.content.digest
    if left.produced is not None and left.is_folder:
        yield CHECKSUMS, left.produced.image.digest
