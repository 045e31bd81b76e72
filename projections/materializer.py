"""Carrying out a plan on a medium, so that a kill at any instant does no harm.

The order of things is what makes it safe:

1. New files are made in a private folder and flushed to the disk.
2. Whole as they are, they get File IDs that the DICOMDIR in place does not use. A file whose File
   ID another instance still holds goes to a staging folder first.
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

What is made on the way, and goes before the end, has names that nobody else's files have: the
staging folder is one that wasn't there, and the private folder and a new DICOMDIR are named after
the digest of what that DICOMDIR holds. No file of the File-set is ever there in part, so whatever
lies at a File ID with other content is not from an interrupted write: it is refused, not replaced.

Paths are plain text here: of every file there are several, and pathlib takes longer over them than
the system over the files.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from os.path import basename, dirname, join, realpath, samefile
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Final

from ledger.digest import Digest, digest_of
from ledger.disk import fsync, fsync_all
from ledger.errors import ContentMissingError, LedgerError, VaultError
from ledger.events import Placement
from ledger.files import copy_file, file_content, naming, read_file
from ledger.packs import write_all
from ledger.vault import Vault
from projections.hierarchy import Leaf
from projections.plan import Plan

DICOMDIR: Final = "DICOMDIR"
"""The name of a File-set's index at its root (PS3.10 Section 8.6)."""

_NO_LINKS: Final = frozenset(
    (errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP)
)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_SHOWN: Final = 10  # instances that a message names

Progress = Callable[[int, int], None]
"""Called with the number of files done and to do."""


class MediumError(LedgerError):
    """The medium is not in a state to be written to."""


class WriteFailedError(LedgerError):
    """A write failed. If `rolled_back`, the medium is as before, else the write can be resumed."""

    def __init__(self, message: str, *, rolled_back: bool) -> None:
        super().__init__(message)
        self.rolled_back = rolled_back


def read_dicomdir(root: Path) -> bytes | None:
    """Return the DICOMDIR at `root`, ``None`` if there is none."""
    try:
        return read_file(root / DICOMDIR)
    except (FileNotFoundError, NotADirectoryError):
        return None


def collisions(plan: Plan) -> list[str]:
    """Return the paths, relative to the root, where `plan` would put a file and another lies.

    Where one does, its neighbours in the same folder are returned with it, for a layout that
    looks for free names. A file that is just the one to be put there is no obstacle.
    """
    root = plan.root
    goes = {path.upper() for path in plan.obsolete}
    blocked: set[str] = set()
    occupied: dict[str, frozenset[str]] = {}
    for leaf, path in plan.placed.items():
        folder, _, name = path.rpartition("/")
        if leaf in plan.contested or folder in blocked:
            continue
        if folder not in occupied:
            blocker = _file_above(root, folder)
            if blocker is not None:
                blocked.add(blocker.rpartition("/")[0])
            occupied[folder] = frozenset() if blocker is not None else _names(join(root, folder))
        if name.upper() not in occupied[folder]:
            continue
        # Names that differ only in case are one on many media: that file will be deleted.
        target = join(root, path)
        if lexists(target) and (path.upper() in goes or not _is_in_place(target, leaf)):
            blocked.add(folder)
    if plan.staging is not None and lexists(join(root, plan.staging)):
        blocked.add("")
    return sorted(
        f"{folder}/{name}" if folder else name
        for folder in blocked
        for name in os.listdir(join(root, folder))
    )


def is_carried_out(plan: Plan) -> bool:
    """Whether the medium has the DICOMDIR of `plan`, and whole all the files that it names."""
    return read_dicomdir(Path(plan.root)) == plan.dicomdir and all(
        _is_in_place(join(plan.root, path), leaf) for path, leaf in plan.files.items()
    )


def _file_above(root: str, folder: str) -> str | None:
    """Return what is no folder of the components of `folder`, ``None`` if nothing is."""
    while folder:
        path = join(root, folder)
        if lexists(path):
            return None if isdir(path) else folder
        folder = folder.rpartition("/")[0]
    return None


def _names(folder: str) -> frozenset[str]:
    """Return the names in a folder, in upper case; none where there is no such folder."""
    try:
        return frozenset(name.upper() for name in os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _holds(path: str, leaf: Leaf) -> bool:
    """Whether the file at `path` can be read and has the instance's content, which is known.

    OSError where the disk fails: what a file holds that can't be read for now is not known.
    """
    try:
        return leaf.content is not None and file_content(path) == leaf.content
    except OSError as exc:
        if exc.errno == errno.EIO:
            raise
        return False


def _mode(path: str, *, follow: bool = True) -> int:
    """Return the mode of what is at `path`, 0 if nothing is; OSError where the disk fails.

    For the functions of os.path, that the disk fails means that nothing is there.
    """
    try:
        return os.stat(path, follow_symlinks=follow).st_mode
    except OSError as exc:
        if exc.errno == errno.EIO:
            raise
        return 0


def lexists(path: str) -> bool:
    """Whether anything is at `path`, if only a link that leads nowhere."""
    return _mode(path, follow=False) != 0


def isdir(path: str) -> bool:
    """Whether a folder is at `path`."""
    return S_ISDIR(_mode(path))


def isfile(path: str) -> bool:
    """Whether a regular file is at `path`."""
    return S_ISREG(_mode(path))


def islink(path: str) -> bool:
    """Whether a symbolic link is at `path`."""
    return S_ISLNK(_mode(path, follow=False))


def _walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield what os.walk() does, nothing where there is no `folder`; OSError where that fails."""

    def failed(exc: OSError) -> None:
        if not isinstance(exc, FileNotFoundError | NotADirectoryError):
            raise exc

    return os.walk(folder, onerror=failed)


def _is_in_place(path: str, leaf: Leaf) -> bool:
    """Whether `path` is a file of its own with the instance's content."""
    return not islink(path) and isfile(path) and _holds(path, leaf)


def remove_leftovers(root: Path) -> None:
    """Delete what killed writes, of which no journal tells, have left of a new DICOMDIR at `root`.

    It is named after the digest of what it holds, unless the kill came before it held anything.
    """
    for path in root.glob(f".{DICOMDIR}-{'[0-9a-f]' * 16}"):
        mode = _mode(os.fspath(path), follow=False)
        if S_ISREG(mode) and (not (data := read_file(path)) or path.name == _new_name(data)):
            path.unlink()


def _new_name(dicomdir: bytes) -> str:
    return f".{DICOMDIR}-{digest_of(dicomdir).partition(':')[2][:16]}"


def _is_dicomdir(path: str, root: str) -> bool:
    """Whether `path` is the DICOMDIR of `root`, however media write its name."""
    if basename(path).upper() != DICOMDIR:
        return False
    try:
        return samefile(path, join(root, DICOMDIR))
    except OSError:
        return False


def _is_same_name(path: str, other: str) -> bool:
    """Whether both are one name of a file, and not just two names that it has."""
    return realpath(path) == realpath(other)


def _private_name(leaf: Leaf) -> str:
    return f"{leaf.handle:08}"


class Materializer:
    """Writes one plan. `vault` gives the bytes of what is in it.

    `rolled_back` tells, after a failure, whether the medium is as it was before.
    """

    def __init__(
        self,
        plan: Plan,
        vault: Vault,
        *,
        medium: Path | None = None,
        building: Path | None = None,
        durable: bool = True,
        resume: bool = False,
        progress: Progress | None = None,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare to carry out `plan`.

        `medium` is the root that the instances' present File IDs are relative to, where that is
        not the plan's own root: files are then copied and never linked or taken away. `building`
        is the folder to write to instead of the plan's root, whose place it will take. With
        `resume`, what an interrupted attempt has done is looked at, checked by its digest and kept.
        `check` is called right before the DICOMDIR in place is replaced, to raise if that is not
        the one it was.
        """
        self._plan = plan
        self._root = os.fspath(building or plan.root)
        self._medium = os.fspath(medium or plan.root)
        self._vault = vault
        self._durable = durable
        self._resume = resume
        self._progress = progress
        self._check = check
        self._links = True
        self._moves = self._medium == self._root
        self._private = self._beside(plan.dicomdir, ".files")
        self._tree = join(self._private, "folders")
        self._single = join(self._private, "files")
        self._made_files: list[str] = []
        self._made_folders: list[str] = []
        self._moved: set[str] = set()
        self._unflushed: list[str] = []
        self._folders: set[str] = set()
        self._committed = False
        self.rolled_back = False

    def run(self) -> Digest:
        """Carry the plan out and return the digest of the DICOMDIR that is now in place.

        Raises :class:`WriteFailedError`, chained from its cause.
        """
        plan = self._plan
        with self._failures():
            self._refuse_unread()
            self._folder(self._root)
            if not self._resume and lexists(self._private):  # of an export that was killed
                self._clear(self._in_private())
                self._prune(self._private_folders())
            if not self._is_done():
                self._put_new_files()
                if plan.interim is not None:
                    self._commit(plan.interim)
                    self._settle_contested()
                self._commit(plan.dicomdir)
            elif self._durable:
                fsync(self._root)  # who put it there may not have lived to do that
            self._clean_up()
        return digest_of(plan.dicomdir)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Roll back what can be, and say whether it was."""
        try:
            yield
        except BaseException as exc:
            if not self._committed and not self._resume:
                self.rolled_back = self._roll_back()
            if not isinstance(exc, (OSError, LedgerError)):
                raise
            if self.rolled_back:
                told = "Nothing was changed."
            elif self._committed:
                told = "Write again to complete it."
            else:
                told = "Write again to complete it, or give it up with `fileset write --abandon`."
            raise WriteFailedError(
                f"Writing to {self._plan.root} failed: {str(exc).rstrip('.')}. {told}"
                f"{self._advice(exc)}",
                rolled_back=self.rolled_back,
            ) from exc

    def _advice(self, exc: OSError | LedgerError) -> str:
        """Return what to do about an error, and whom else it would have met, as more sentences."""
        if isinstance(exc, OSError):
            full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
            return " Free some space there and write again." if full else ""
        if not isinstance(exc, VaultError) or self._committed:
            return ""
        lost = [leaf.uid for leaf in self._plan.placed if self._is_lost(leaf)]
        if not lost:
            return ""
        more = f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else ""
        return (
            f" The vault can't give the content of {len(lost):,} of {len(self._plan.placed):,} "
            f"instances to be written: {', '.join(lost[:_SHOWN])}{more}. Restore its packs from a "
            "backup, add their files again, or remove them."
        )

    def _is_lost(self, leaf: Leaf) -> bool:
        """Whether the instance's bytes have to come from the vault, and can't."""
        if leaf.content is None or leaf.placement is Placement.REFERENCE:
            return False
        return self._source(leaf) is None and not self._vault.is_sound(leaf.content.digest)

    def _roll_back(self) -> bool:
        """Delete what was made and return whether all of it is gone."""
        gone = True
        for path in reversed(self._made_files):
            try:
                os.unlink(self._now_at(path))
            except FileNotFoundError:
                pass
            except OSError:
                gone = False
        for folder in reversed(self._made_folders):
            with suppress(OSError):  # someone may have put something there since
                os.rmdir(self._now_at(folder))
        made = map(self._now_at, (*self._made_files, *self._made_folders))
        try:
            self._flush_folders(set(map(dirname, made)))
        except OSError:
            gone = False
        return gone

    def _flush_folders(self, folders: Iterable[str]) -> None:
        """Make durable which files those of `folders` have that are still there."""
        left = sorted(filter(isdir, folders))
        if self._durable and left:
            fsync_all((), left, left[0])

    def _now_at(self, path: str) -> str:
        """Return where what was made at `path` is, since its folder may have got its place."""
        if not path.startswith(f"{self._tree}/"):
            return path
        below = path[len(self._tree) + 1 :]
        return join(self._root, below) if below.partition("/")[0] in self._moved else path

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
            if _is_in_place(path, leaf) and not self._has_more(leaf, path):
                raise MediumError(
                    f"{path} is all that is left of the instance {leaf.uid}: write again to "
                    "complete the write, or put it elsewhere first."
                )
        made = [join(self._root, self._goal(leaf)) for leaf in plan.placed]
        for leaf, path in zip(plan.placed, made, strict=True):
            if _is_in_place(path, leaf) and self._is_within(path) and self._has_more(leaf, path):
                os.unlink(path)
        self._clear([self._beside(data) for data in (plan.interim, plan.dicomdir) if data])
        self._clear(self._in_private())
        changed = self._prune(set(map(dirname, made)) | self._private_folders())
        self._flush_folders(changed | {self._root})

    def _goal(self, leaf: Leaf) -> str:
        """Return where an instance has to be before the first DICOMDIR is replaced."""
        return self._plan.contested.get(leaf, self._plan.placed[leaf])

    def _has_more(self, leaf: Leaf, path: str) -> bool:
        """Whether the instance's bytes are, whole, anywhere else than at `path`."""
        if leaf.content is not None and self._vault.is_sound(leaf.content.digest):
            return True
        others = [join(self._medium, leaf.file_id)] if leaf.file_id is not None else []
        if leaf.source is not None:
            others.append(leaf.source)
        return any(_holds(other, leaf) and not _is_same_name(other, path) for other in others)

    def _refuse_unread(self) -> None:
        """Refuse to move what an interrupted write could not tell from anything else."""
        for leaf in self._plan.placed:
            if leaf.content is None and self._moves:
                raise ContentMissingError(
                    f"What the instance {leaf.uid} holds has to be recorded before it is moved"
                )

    def _is_done(self) -> bool:
        """Whether an interrupted attempt got as far as to its last DICOMDIR."""
        plan = self._plan
        if not self._resume:
            return False
        found = read_dicomdir(Path(self._root))
        # A DICOMDIR doesn't tell an instance from another one of the same UID and File ID, so the
        # last one may be byte for byte the one that was there before.
        done = found == plan.dicomdir and (
            not plan.contested
            or all(_is_in_place(join(self._root, path), leaf) for leaf, path in plan.placed.items())
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
                self._put(leaf, join(self._tree, goal))
            elif (private := self._put(leaf, join(self._root, goal), apart=True)) is not None:
                single[private] = join(self._root, goal)
            if self._progress:
                self._progress(done + 1, total)
        if self._durable:
            fsync_all(self._unflushed, (), self._root)
        self._unflushed = []
        for top, lacking in absent.items():
            if lacking:
                self._place_folder(top)
        for private, target in single.items():
            self._place(private, target)
        self._flush()

    def _settle_contested(self) -> None:
        """Put the files of the staging folder where they belong, over what lies there.

        The DICOMDIR in place names them in the staging folder, so they stay there as well.
        """
        plan = self._plan
        held = self._held()
        for leaf, path in plan.contested.items():
            staged, target = join(self._root, path), join(self._root, plan.placed[leaf])
            self._folder(dirname(target))
            temporary = f"{staged}.new"
            self._clear([temporary])
            if not (self._resume and _is_in_place(target, leaf)):
                self._refuse_foreign(target, held.get(plan.placed[leaf]))
                if not isfile(staged):
                    raise ContentMissingError(f"{staged} is gone")
                if not self._link(staged, temporary):
                    with self._created(temporary) as fd:
                        copy_file(staged, fd, expected=leaf.content)
                os.replace(temporary, target)
                self._clear([temporary])  # two links to one file are not replaced
            self._unflushed.append(target)
        self._flush()

    def _commit(self, dicomdir: bytes) -> None:
        """Put `dicomdir` in place, in one step."""
        temporary = self._beside(dicomdir)
        self._clear([temporary])
        with self._created(temporary) as fd:
            write_all(fd, dicomdir)
            if self._durable:
                os.fsync(fd)
        if not self._committed:
            self._check()
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
        return join(self._root, f"{_new_name(dicomdir)}{suffix}")

    def _clean_up(self) -> None:
        plan = self._plan
        held = self._held()
        gone = [join(self._root, path) for path in plan.obsolete if self._may_go(path, held)]
        # An interrupted attempt may have deleted the files of a folder, and not the folder.
        obsolete = [join(self._root, path) for path in plan.obsolete]
        emptied = {dirname(path) for path in obsolete if self._is_within(path)}
        gone += [join(self._root, path) for path in plan.contested.values()]
        gone += self._in_private()
        self._clear(gone)
        emptied |= {dirname(path) for path in gone}
        changed = self._prune(emptied | self._private_folders())
        if self._durable:
            fsync_all((), sorted(changed), self._root)

    def _held(self) -> dict[str, Leaf]:
        """Return which instance lay at which File ID before the write."""
        leaves = (*self._plan.files.values(), *self._plan.dropped)
        return {leaf.file_id: leaf for leaf in leaves if leaf.file_id is not None}

    def _may_go(self, file_id: str, held: Mapping[str, Leaf]) -> bool:
        """Whether what lies at the obsolete `file_id` is of the File-set and no longer needed."""
        path = join(self._root, file_id)
        if not self._is_within(path) or _is_dicomdir(path, self._root):
            return False
        if not self._resume or _holds(path, held[file_id]):
            return True
        try:  # it may have been someone else's all the time, and is kept then
            return self._vault.is_sound(file_content(path).digest)
        except OSError:
            return False

    def _in_private(self) -> list[str]:
        """Return the files in the private folder that are ours."""
        ours = {path for _, path in self._private_paths()}
        there = (join(path, name) for path, _, names in _walk(self._private) for name in names)
        return [path for path in there if path in ours]

    def _private_paths(self) -> Iterator[tuple[Leaf, str]]:
        """Yield where each instance would be in the private folder."""
        for leaf in self._plan.placed:
            yield leaf, join(self._tree, self._goal(leaf))
            yield leaf, join(self._single, _private_name(leaf))

    def _private_folders(self) -> set[str]:
        return {path for path, _, _ in _walk(self._private)} | {self._private}

    @staticmethod
    def _clear(paths: Iterable[str]) -> None:
        """Delete the files at `paths`; where a folder lies by now, there is no file of ours."""
        for path in paths:
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                os.unlink(path)

    def _prune(self, folders: Iterable[str]) -> set[str]:
        """Remove those of `folders` that are empty now, and the empty ones above them.

        Return those that are left, or that something was removed from.
        """
        left = set()
        for folder in folders:
            current = folder
            while current != self._root and current.startswith(join(self._root, "")):
                try:
                    os.rmdir(current)
                except (FileNotFoundError, NotADirectoryError):
                    pass  # a folder beside it took it along
                except OSError:
                    break
                current = dirname(current)
            left.add(current)
        return {folder for folder in left if lexists(folder)}  # one may have gone with another

    def _flush(self) -> None:
        """Flush the files that came since the last time, and the folders that name them."""
        if self._durable:
            folders = self._folders | {dirname(folder) for folder in self._made_folders}
            if self._resume:  # folders that are there need not last: a kill may have been fast
                folders |= {above for folder in folders for above in self._up_to_root(folder)}
                folders.add(dirname(self._root))
            fsync_all(self._unflushed, sorted(map(self._now_at, folders)), self._root)
        self._unflushed = []

    def _up_to_root(self, folder: str) -> Iterator[str]:
        """Yield the folders above `folder` that are on the medium."""
        while folder.startswith(join(self._root, "")):
            folder = dirname(folder)
            yield folder

    # --- files and folders -----------------------------------------------------------------------

    def _folder(self, folder: str) -> None:
        """Make `folder` and those above it; refuse one that leads out of the root."""
        if folder in self._folders:
            return
        missing = []
        current = folder
        while not lexists(current):
            missing.append(current)
            current = dirname(current)
        if (current + "/").startswith(join(self._root, "")) and not self._is_straight(current):
            raise MediumError(f"{current} is a link: files put there would lie elsewhere")
        for path in reversed(missing):
            os.mkdir(path)
            self._made_folders.append(path)
        self._folders.add(folder)

    def _is_straight(self, folder: str) -> bool:
        """Whether no link leads from the root to `folder`."""
        below = folder[len(self._root) :].strip("/")
        return realpath(folder) == join(realpath(self._root), below).rstrip("/")

    def _is_within(self, path: str) -> bool:
        """Whether `path` is where it says, so that deleting it deletes nothing else."""
        below = path[len(self._root) :]
        return ".." not in below.split("/") and self._is_straight(dirname(path))

    def _put(self, leaf: Leaf, target: str, *, apart: bool = False) -> str | None:
        """Make `target` hold the instance's bytes, from where they are.

        With `apart`, a new file is made in the private folder, and its path returned.
        """
        self._folder(dirname(target))
        if (apart or self._resume) and lexists(target):
            if _is_in_place(target, leaf):
                # From an interrupted attempt, or by chance. Not ours to roll back.
                self._unflushed.append(target)
                return None
            if apart:
                self._refuse_foreign(target, None)
        made = join(self._single, _private_name(leaf)) if apart else target
        if self._resume and lexists(made):
            if _is_in_place(made, leaf):
                self._unflushed.append(made)
                return made
            os.unlink(made)  # a part of it
        source = self._source(leaf)
        if self._moves and source is not None and self._link(source, target):
            self._unflushed.append(target)
            return None
        self._folder(dirname(made))
        with self._created(made) as fd:
            self._copy(leaf, source, fd)
        self._unflushed.append(made)
        return made if apart else None

    def _place_folder(self, top: str) -> None:
        """Have the folder `top`, made with all that belongs in it, be in its place."""
        made, target = join(self._tree, top), join(self._root, top)
        # Two names that differ in case only are one folder on many media.
        if lexists(made) or not lexists(target):
            os.rename(made, target)
        self._moved.add(top)

    def _place(self, private: str, target: str) -> None:
        """Have the whole file at `private` be at `target`, over nothing."""
        if self._link(private, target):
            return
        if lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.rename(private, target)
        self._made_files.append(target)

    def _refuse_foreign(self, path: str, expected: Leaf | None) -> None:
        """Refuse, on resuming, what is at `path` and not the `expected` instance's content."""
        if not self._resume or not lexists(path):
            return
        if expected is None or not _is_in_place(path, expected):
            raise MediumError(
                f"{path} is not part of the File-set, which needs the name: move it away"
            )

    def _source(self, leaf: Leaf) -> str | None:
        """Return the file on the medium that has the instance's bytes, if one does."""
        if leaf.file_id is None:
            return None
        if not self._moves and leaf.placement is Placement.VAULT and self._has(leaf):
            return None  # the vault's copy is nearer than another medium's
        path = join(self._medium, leaf.file_id)
        return path if isfile(path) and (not self._resume or _holds(path, leaf)) else None

    def _has(self, leaf: Leaf) -> bool:
        """Whether the vault has the instance's content."""
        return leaf.content is not None and leaf.content.digest in self._vault

    def _copy(self, leaf: Leaf, source: str | None, target: int) -> None:
        """Copy the instance's bytes from `source`, the vault or where they were left."""
        content = leaf.content
        if source is not None:
            copy_file(source, target, expected=content)
        elif content is None:
            raise ContentMissingError(
                f"The instance {leaf.uid} is not at its File ID {leaf.file_id} and was never read"
            )
        elif leaf.placement is Placement.REFERENCE and leaf.source is not None:
            copy_file(leaf.source, target, expected=content)
        elif leaf.file_id is not None and content.digest not in self._vault:
            raise ContentMissingError(
                f"{join(self._medium, leaf.file_id)} is missing or was changed, and the vault has "
                "no copy of it: put it back, or remove the instance"
            )
        else:
            self._vault.copy_to(content.digest, target)

    @contextmanager
    def _created(self, target: str) -> Iterator[int]:
        """Make the file `target`, which must not exist, and yield its descriptor."""
        fd = os.open(target, _CREATE, 0o666)
        self._made_files.append(target)
        with naming(target):
            try:
                yield fd
            finally:
                os.close(fd)

    def _link(self, source: str, target: str) -> bool:
        """Give the file `source` the name `target` as well; ``False`` where that can't be."""
        # A link to a symbolic link would lead elsewhere from another folder.
        if not self._links or islink(source):
            return False
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            self._links = False  # FAT, for one, has none
            return False
        self._made_files.append(target)
        return True
