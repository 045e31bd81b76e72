"""Carrying out a plan on a medium, so that a kill at any instant does no harm.

The order of things is what makes it safe:

1. New files are made in a private folder and flushed to the disk.
2. Once complete, they get File IDs that the DICOMDIR in place does not use. A file whose File ID
   another instance still holds goes to a staging folder first.
3. Once that is flushed, and if any went to the staging folder, a DICOMDIR that names them there
   takes the old one's place, and the files are then put where they belong.
4. The final DICOMDIR takes its place, by rename.
5. Only now are files that it does not name deleted.

So the DICOMDIR on the medium names the right content at every instant, on any file system with an
atomic rename. Until the first DICOMDIR is replaced a failure is rolled back, and what a kill left
can be taken back; after that the write has to be resumed, which repeats the same steps and finds
some of them done.

A folder at the top that the medium does not have yet is filled in the private folder and gets its
place, with all that is in it, by one rename; where the medium has it, each file gets its own.

Temporary files have names that nobody else's files have: the staging folder is one that did not
exist, and the names of the private folder and of a new DICOMDIR contain the digest of that DICOMDIR
and an id of the write that makes it. The write holds a lock on the folder while it runs. No file of
the File-set is ever incomplete at its File ID, so any other content there is not from an
interrupted write: it is refused, not replaced.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from os.path import dirname, join
from pathlib import Path
from typing import Final

from fileset.medium.dicomdir import PRIVATE, new_name, read_dicomdir
from fileset.medium.errors import DicomdirReplacedError, MediumError, WriteFailedError
from fileset.medium.freeing import FreedFiles
from fileset.medium.guards import refuse_replaced
from fileset.medium.made_files import MadeFiles, clear
from fileset.medium.paths import (
    are_one,
    is_in,
    is_in_place,
    is_within,
    isfile,
    lexists,
    tells_apart,
    walk,
)
from fileset.medium.sources import Sources
from fileset.progress import Progress
from ledger.digest import Digest, digest_of
from ledger.disk import begin_to_flush, fsync, fsync_all
from ledger.errors import ContentMissingError, LedgerError, VaultError
from ledger.events import Placement
from ledger.files import copy_file, write_all
from ledger.names import one_name, twins
from ledger.phrases import some
from ledger.vault.protocol import Vault
from projections.dicomdir.definitions import DICOMDIR
from projections.dicomdir.mending import decode_damaged
from projections.medium.plan import Plan
from projections.state.nodes import Leaf

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_LARGE: Final = 1 << 18  # bytes of a file which the disk begins with when it is complete
_FOREIGN: Final = "{} is not part of the File-set, which needs the name: move it away"


def _cause(exc: OSError | LedgerError) -> str:
    """Return why a write failed, without the full stop; of a full disk, no path inside of it."""
    if not isinstance(exc, OSError) or exc.strerror is None:
        return str(exc).rstrip(".")
    if exc.errno in _FULL:
        return "its disk is full"
    return exc.strerror if exc.filename is None else f"{exc.filename}: {exc.strerror}"


def _private_name(leaf: Leaf) -> str:
    return f"{leaf.handle:08}"


class Materializer:
    """Writes one plan. `vault` gives the bytes of what is in it.

    After a failure, `rolled_back` says whether the medium is as it was before.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are named
        self,
        plan: Plan,
        vault: Vault,
        *,
        medium: Path | None = None,
        building: Path | None = None,
        durable: bool = True,
        resume: bool = False,
        owner: str = "",
        progress: Progress | None = None,
        check: Callable[[bytes], object] = lambda _: None,
    ) -> None:
        """Prepare to carry out `plan`.

        `medium` is the root that the instances' current File IDs are relative to, if that is not
        the plan's root: files are then copied and never linked or moved. `building` is the folder
        to write to instead of the plan's root, whose place it will take. With `resume`, what an
        interrupted attempt has done is checked by its digest and kept. `owner` distinguishes this
        write from any other of the same File-set to the same root, and is the same when it is
        resumed. `check` is called with the new DICOMDIR right before it replaces the one in place,
        and raises if that has changed.
        """
        self._plan = plan
        self._root = os.fspath(building or plan.root)
        self._medium = os.fspath(medium or plan.root)
        self._vault = vault
        self._durable = durable
        self._resume = resume
        self._progress = progress
        self._check = check
        self._moves = self._medium == self._root
        self._owner = owner
        self._private = self._beside(plan.dicomdir, PRIVATE)
        self._tree = join(self._private, "folders")
        self._single = join(self._private, "files")
        self._made = MadeFiles(self._root, self._tree, durable=durable, resume=resume)
        self._freed = FreedFiles(self._root, join(self._private, "freed"), vault)
        self._sources = Sources(vault, self._medium, self._moves, resume, twins(self._held()))
        self._committed = False
        self._at_work = ExitStack()
        self._holds_private = False
        self.rolled_back = False

    @cached_property
    def _named(self) -> dict[str, str]:
        """What belongs on the medium, by the one name of all that some system takes for it."""
        return {one_name(path): path for path in self._plan.files}

    def run(self) -> Digest:
        """Carry the plan out and return the digest of the DICOMDIR that is now in place.

        Raises `WriteFailedError`, chained from its cause.
        """
        plan = self._plan
        with self._failures(), self._at_work:
            self._refuse_unread()
            self._made.folder(self._root)
            self._refuse_twins()
            if self._resume and lexists(self._private):
                self._hold_private()
                self._freed.put_all_back()
            if not self._is_done():
                self._put_new_files()
                if plan.interim is not None:
                    self._commit(plan.interim)
                    self._place_contested()
                self._commit(plan.dicomdir)
            elif self._durable:
                fsync(self._root)  # who put it there may not have lived to do that
            self._clean_up()
        return digest_of(plan.dicomdir)

    def _hold_private(self) -> None:
        """Hold the private folder, so that nobody takes it for that of a killed process."""
        if not self._holds_private:
            self._holds_private = True
            self._at_work.enter_context(self._made.held(self._private))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Roll back what can be, and say whether it was."""
        try:
            yield
        except BaseException as exc:
            if not self._committed and not self._resume:
                self.rolled_back = self._made.roll_back(self._named_in_place())
            if not isinstance(exc, (OSError, LedgerError)):
                raise
            if self.rolled_back:
                advice = "Nothing was changed."
            elif isinstance(exc, DicomdirReplacedError):
                advice = "Move that one away, and complete the write with `fileset write --repair`."
            elif self._committed:
                advice = "Write again to complete it."
            else:
                advice = "Write again to complete it, or give it up with `fileset write --abandon`."
            raise WriteFailedError(
                f"Writing to {self._plan.root} failed: {_cause(exc)}. {advice}{self._advice(exc)}",
                rolled_back=self.rolled_back,
            ) from exc

    def _named_in_place(self) -> set[str]:
        """Return the paths that the DICOMDIR in place names, whoever has put it there."""
        root = Path(self._root)
        with suppress(OSError, LedgerError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            records = decode_damaged(read_dicomdir(root) or b"", name=DICOMDIR)[0].records
            return {join(self._root, *record.file_id) for record in records if record.file_id}
        return set()

    def _advice_on_closed(self, exc: OSError) -> str:
        """Return what to do about a root that can't be written to."""
        if self._moves and any(leaf.file_id is not None for leaf in self._plan.files.values()):
            return (
                " If the medium can't be written to, `fileset write ROOT --new-medium` gives "
                "the File-set a new home."
            )
        where = exc.filename if isinstance(exc.filename, str) else self._root
        if is_in(Path(where), self._root) or is_in(Path(self._root), where):
            return " Make that folder writable, or write to another one."
        return ""

    def _advice(self, exc: OSError | LedgerError) -> str:
        """Return, as more sentences, what to do about an error and what else it would affect."""
        if isinstance(exc, OSError):
            if exc.errno in _FULL:
                return " Free some space there and write again."
            if exc.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                return self._advice_on_closed(exc)
            return ""
        if not isinstance(exc, VaultError) or self._committed:
            return ""
        lost = [
            f"{leaf.uid} ({leaf.source})" if leaf.placement is Placement.REFERENCE else leaf.uid
            for leaf in self._plan.placed
            if self._sources.is_lost(leaf)
        ]
        if not lost:
            return ""
        return (
            f" The content of {len(lost):,} of {len(self._plan.placed):,} instances to be written "
            f"is neither in the vault nor where it was left: {some(lost, 10)}. Restore them or "
            "the vault's packs from a backup, add their files again, or remove these instances."
        )

    def take_back(self) -> None:
        """Delete what an interrupted attempt has made, for the medium to be as it was before it.

        A file whose bytes are nowhere else is left where it is. MediumError if a DICOMDIR of the
        attempt is in place already.
        """
        plan = self._plan
        if self._is_done() or self._committed:
            raise MediumError(
                f"The write to {plan.root} has got too far to be given up: write again to "
                "complete it."
            )
        for leaf, path in self._private_paths():
            if is_in_place(path, leaf) and not self._sources.has_another(leaf, path):
                raise MediumError(
                    f"{path} is all that is left of the instance {leaf.uid}: write again to "
                    f"complete the write, or move that file elsewhere first."
                )
        made = [join(self._root, self._goal(leaf)) for leaf in plan.placed]
        for leaf, path in zip(plan.placed, made, strict=True):
            if (
                is_in_place(path, leaf)
                and is_within(path, self._root)
                and self._sources.has_another(leaf, path)
            ):
                os.unlink(path)
        self.clear_up()
        changed = self._made.prune(set(map(dirname, made)))
        self._made.flush_folders(changed | {self._root})

    def clear_up(self) -> None:
        """Delete the temporary files that a killed attempt has left."""
        clear([self._beside(data) for data in (self._plan.interim, self._plan.dicomdir) if data])
        clear(self._in_private())
        self._made.prune(self._private_folders())

    def _goal(self, leaf: Leaf) -> str:
        """Return where an instance has to be before the first DICOMDIR is replaced."""
        return self._plan.contested.get(leaf, self._plan.placed[leaf])

    def _refuse_unread(self) -> None:
        """Refuse to move instances whose content an interrupted write could not recognise."""
        for leaf in self._plan.placed:
            if leaf.content is None and self._moves:
                raise ContentMissingError(
                    f"The content of the instance {leaf.uid} has to be recorded before it moves"
                )

    def _refuse_twins(self) -> None:
        """Refuse two File IDs that are one name here: the file of one would be the other's."""
        pairs = twins(self._plan.files)
        if not pairs or tells_apart(self._root):
            return
        path, other = min(pairs.items())
        raise MediumError(
            f"the instances at {path} and {other} would be one file there, because such names are "
            f"the same there: `--layout conformant` or `pydicom` gives them different names and "
            f"keeps both"
        )

    def _is_done(self) -> bool:
        """Whether an interrupted attempt got as far as its final DICOMDIR."""
        plan = self._plan
        if not self._resume:
            return False
        found = read_dicomdir(Path(self._root))
        # A DICOMDIR doesn't tell an instance from another one of the same UID and File ID, so the
        # last one may be byte for byte the one that was there before.
        done = found == plan.dicomdir and (
            not plan.contested
            or all(is_in_place(join(self._root, path), leaf) for leaf, path in plan.placed.items())
        )
        self._committed = done or (found is not None and found == plan.interim)
        return done

    # --- the steps -------------------------------------------------------------------------------

    def _put_new_files(self) -> None:
        total = len(self._plan.placed)
        single: dict[str, str] = {}
        absent: dict[str, bool] = {}  # the top folders: whether the medium lacks them
        for done, leaf in enumerate(self._plan.placed):
            goal = self._goal(leaf)
            top, below, _ = goal.partition("/")
            if below and top not in absent:
                absent[top] = not lexists(join(self._root, top))
            if below and absent[top]:
                self._hold_private()
                self._put(leaf, join(self._tree, goal))
            elif (private := self._put(leaf, join(self._root, goal), apart=True)) is not None:
                single[private] = join(self._root, goal)
            if self._progress:
                self._progress(done + 1, total)
        self._made.flush_files()
        for top, lacking in absent.items():
            if lacking:
                self._made.place_folder(top)
        for private, target in single.items():
            self._made.place(private, target)
        self._made.flush()

    def _place_contested(self) -> None:
        """Put the files of the staging folder where they belong, over what lies there.

        The DICOMDIR in place names them in the staging folder, so they stay there as well.
        """
        plan = self._plan
        held = self._held()
        for leaf, path in plan.contested.items():
            staged, target = join(self._root, path), join(self._root, plan.placed[leaf])
            self._made.folder(dirname(target))
            if not (self._resume and is_in_place(target, leaf)):
                self._refuse_foreign(target, held.get(plan.placed[leaf]))
                if not isfile(staged):
                    raise ContentMissingError(f"{staged} is gone")
                if not self._free(plan.placed[leaf], held):
                    raise MediumError(_FOREIGN.format(target))
                if not self._made.link(staged, target):
                    whole = f"{staged}.new"
                    clear([whole])
                    with self._made.created(whole) as fd:
                        copy_file(staged, fd, expected=leaf.content)
                    self._made.place(whole, target)
            self._made.flush_later(target)
        self._made.flush()

    def _commit(self, dicomdir: bytes) -> None:
        """Put `dicomdir` in place, in one step."""
        self._hold_private()
        temporary = self._beside(dicomdir)
        clear([temporary])
        with self._made.created(temporary) as fd:
            write_all(fd, dicomdir)
            if self._durable:
                os.fsync(fd)
        if not self._committed:
            self._check(dicomdir)
        elif self._plan.interim is not None:
            refuse_replaced(Path(self._root), digest_of(self._plan.interim), dicomdir)
        before, self._committed = self._committed, True
        try:
            os.replace(temporary, join(self._root, DICOMDIR))
        except OSError:
            self._committed = before or not lexists(temporary)
            raise
        if self._durable:
            fsync(self._root)

    def _beside(self, dicomdir: bytes, suffix: str = "") -> str:
        """Return where `dicomdir` is written first: a file there is a part of the same bytes."""
        return join(self._root, f"{new_name(dicomdir, self._owner)}{suffix}")

    def _clean_up(self) -> None:
        plan = self._plan
        held = self._held()
        for path in plan.obsolete:
            self._free(path, held)
        # An interrupted attempt may have deleted the files of a folder, and not the folder.
        obsolete = [join(self._root, path) for path in plan.obsolete]
        emptied = {dirname(path) for path in obsolete if is_within(path, self._root)}
        gone = [join(self._root, path) for path in plan.contested.values()]
        gone += self._in_private()
        clear(gone)
        emptied |= {dirname(path) for path in gone}
        changed = self._made.prune(emptied | self._private_folders())
        if self._durable:
            fsync_all((), sorted(changed), self._root)

    def _held(self) -> dict[str, Leaf]:
        """Return which instance was at which File ID before the write."""
        leaves = (*self._plan.files.values(), *self._plan.dropped)
        return {leaf.file_id: leaf for leaf in leaves if leaf.file_id is not None}

    def _free(self, file_id: str, held: Mapping[str, Leaf]) -> bool:
        """Delete what lies at `file_id` if it is of the File-set and no longer needed there."""
        twin, root = self._named.get(one_name(file_id), file_id), self._root
        if twin != file_id and are_one(join(root, file_id), join(root, twin), root):
            return False  # the file of another instance answers to that name
        leaf, plan = held[file_id], self._plan
        places = (plan.contested.get(leaf), plan.placed.get(leaf))
        elsewhere = [join(self._root, place) for place in places if place is not None]
        return self._freed.free(file_id, leaf, elsewhere)

    def _in_private(self) -> list[str]:
        """Return the files in the private folder that are ours."""
        there = [join(path, name) for path, _, names in walk(self._private) for name in names]
        ours = {path for _, path in self._private_paths()} if there else set()
        return [path for path in there if path in ours]

    def _private_paths(self) -> Iterator[tuple[Leaf, str]]:
        """Yield where each instance would be in the private folder."""
        for leaf in self._plan.placed:
            yield leaf, join(self._tree, self._goal(leaf))
            yield leaf, join(self._single, _private_name(leaf))

    def _private_folders(self) -> set[str]:
        return {path for path, _, _ in walk(self._private)} | {self._private}

    # --- files and folders -----------------------------------------------------------------------

    def _put(self, leaf: Leaf, target: str, *, apart: bool = False) -> str | None:
        """Make `target` hold the instance's bytes, from where they are.

        With `apart`, a new file is made in the private folder, and its path returned.
        """
        self._made.folder(dirname(target))
        if (apart or self._resume) and lexists(target):
            if is_in_place(target, leaf):
                # From an interrupted attempt, or by chance. Not ours to roll back.
                self._made.flush_later(target)
                return None
            if apart:
                self._refuse_foreign(target, None)
        made = join(self._single, _private_name(leaf)) if apart else target
        if self._resume and lexists(made):
            if is_in_place(made, leaf):
                self._made.flush_later(made)
                return made
            os.unlink(made)  # a part of it
        source = self._sources.on_medium(leaf)
        if self._moves and source is not None and self._made.link(source, target):
            self._made.flush_later(target)
            return None
        self._hold_private()
        self._made.folder(dirname(made))
        with self._made.created(made) as fd:
            self._sources.copy(leaf, source, fd)
            if self._durable and leaf.content is not None and leaf.content.size >= _LARGE:
                begin_to_flush(fd, 0, leaf.content.size)
        self._made.flush_later(made)
        return made if apart else None

    def _refuse_foreign(self, path: str, expected: Leaf | None) -> None:
        """Refuse, on resuming, what is at `path` and not the `expected` instance's content."""
        if not self._resume or not lexists(path):
            return
        if expected is None or not is_in_place(path, expected):
            raise MediumError(_FOREIGN.format(path))
