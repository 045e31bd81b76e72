"""A simulated disk, which loses what was not made durable when its power fails.

`Disk` takes the calls that `tests.faults.replay` recorded, one after the other, and
knows at each point what a real disk may hold if the power fails there. What it guarantees is no
more than POSIX and Linux's manual pages say:

- The data, size and mode of a file are durable after fsync or fdatasync of that file, or syncfs.
- A name is durable after fsync or fdatasync of the folder that it is in, or syncfs. So a file that
  was synced can be lost with its name; and fsync of a folder says nothing of the folder above it.
- Changes of names that were not synced are kept in any subset, whatever their order (`names`
  below: each one for itself, even the two halves of a rename from one folder to another), or, as a
  file system with a journal does it, up to a point in their order (`ordered`).
- A name can be durable and the data of its file not: a new file is then empty, or as long as it
  should be and all zeros.
- Data that was not synced is kept or lost by sectors of 512 bytes: torn writes, new before old,
  zeros where a file grew. So is each change of a file's size, for itself.

One rename within one folder is one step: everything here, as elsewhere, relies on it.

What is beyond this model, and not shown here: a disk that says that it has flushed and has not;
sectors that are damaged beside those that were written (SQLite calls the contrary
`POWERSAFE_OVERWRITE` and relies on it, too); a sector that is torn in itself; a file system that
forgets what it had long synced; names that a repair puts into `lost+found`. What SQLite does is
in the trace as it did it: its journal is torn, lost and kept as every other file.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from attrs import Factory, define, frozen

from .replay import Call, ReplayError

SECTOR: Final = 512
"""Bytes that a disk writes as one."""

_UMASK: Final = 0o077  # what others may do is of no interest here
_TOP: Final = 0  # the number of the root


@define
class _File:
    """A file: what is durable of it, what programs see, and how the one became the other."""

    kept: bytes
    now: bytearray
    kept_mode: int
    mode: int
    pending: list[tuple[int, bytes | None]] = Factory(list)  # offset and data; size and None
    _seen: bytes | None = None

    def write(self, offset: int, data: bytes) -> None:
        if offset > len(self.now):
            self.now.extend(bytes(offset - len(self.now)))
        self.now[offset : offset + len(data)] = data
        self.pending.append((offset, data))
        self._seen = None

    def truncate(self, size: int) -> bool:
        if size == len(self.now):
            return False
        _resize(self.now, size)
        self.pending.append((size, None))
        self._seen = None
        return True

    def sync(self) -> None:
        self.kept, self.kept_mode = self.seen(), self.mode
        self.pending.clear()

    def seen(self) -> bytes:
        if self._seen is None:
            self._seen = bytes(self.now)
        return self._seen

    def torn(self, keeps: Callable[[], bool]) -> bytes:
        """Return its data with some sectors as written and some not, as `keeps` says of each."""
        data = bytearray(self.kept)
        for offset, written in self.pending:
            if written is None:
                if keeps():
                    _resize(data, offset)
                continue
            start = offset
            while start < offset + len(written):
                stop = min((start // SECTOR + 1) * SECTOR, offset + len(written))
                if keeps():
                    _resize(data, max(len(data), stop))
                    data[start:stop] = written[start - offset : stop - offset]
                start = stop
        return bytes(data)


def _resize(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


@frozen
class _Naming:
    """A change of names in one folder; `number` is that of the call, which may have made two."""

    number: int
    names: tuple[tuple[str, int | None], ...]  # each with the file it names now, or none

    def apply(self, entries: dict[str, int]) -> None:
        for name, number in self.names:
            if number is None:
                entries.pop(name, None)
            else:
                entries[name] = number


@define
class _Folder:
    kept: dict[str, int]
    now: dict[str, int]
    kept_mode: int
    mode: int
    pending: list[_Naming] = Factory(list)

    def change(self, naming: _Naming) -> None:
        naming.apply(self.now)
        self.pending.append(naming)

    def sync(self) -> None:
        self.kept, self.kept_mode = dict(self.now), self.mode
        self.pending.clear()


@define
class _Open:
    """An open file or folder and where it is read or written next."""

    number: int
    offset: int = 0
    appends: bool = False


class Loss(Protocol):
    """What a failure of the power leaves of that which was not durable."""

    def keeps_name(self, naming: _Naming) -> bool:
        """Whether a change of names is there."""

    def data(self, file: _File) -> bytes:
        """Return what is in a file."""


@frozen
class Simple:
    """Changes of names: `all`, `none`, or `gone`, those by which one went.

    And data: `all`, `none`, or `zeros` where files grew.
    """

    names: str
    content: str

    def keeps_name(self, naming: _Naming) -> bool:
        if self.names == "gone":
            return all(number is None for _, number in naming.names)
        return self.names == "all"

    def data(self, file: _File) -> bytes:
        if self.content == "all":
            return file.seen()
        if self.content == "zeros":
            return file.kept + bytes(max(len(file.now) - len(file.kept), 0))
        return file.kept


@define
class Chance:
    """Any names and sectors, at random; `ordered` keeps names up to a call of this number."""

    random: random.Random
    ordered: int | None = None
    share: float = 0.5

    def keeps_name(self, naming: _Naming) -> bool:
        if self.ordered is not None:
            return naming.number <= self.ordered
        return self.random.random() < self.share

    def data(self, file: _File) -> bytes:
        if not file.pending:
            return file.kept
        choice = self.random.randrange(4)
        if choice == 0:
            return file.kept
        if choice == 1:
            return file.seen()
        share = self.random.choice((0.1, 0.5, 0.9))
        return file.torn(lambda: self.random.random() < share)


SIMPLE: Final = {
    "all lost": Simple(names="none", content="none"),
    "all kept": Simple(names="all", content="all"),
    "names only": Simple(names="all", content="none"),
    "names and sizes": Simple(names="all", content="zeros"),
    "data only": Simple(names="none", content="all"),
    "gone only": Simple(names="gone", content="none"),
}


@frozen
class Item:
    """What is at a path: a folder where `data` is none. Links have the same `number`."""

    number: int
    data: bytes | None
    mode: int


Tree = dict[str, Item]
"""Paths, relative to the root, of what there is; a folder before what is in it."""


def tree_of(root: Path) -> Tree:
    """Return what is in the folder `root`."""
    tree: Tree = {}
    for folder, folders, files in os.walk(root):
        for name in sorted(folders + files):
            path = Path(folder, name)
            if path.is_symlink():
                raise ReplayError(f"{path}: links are not simulated")
            found = path.stat()
            data = None if path.is_dir() else path.read_bytes()
            tree[str(path.relative_to(root))] = Item(found.st_ino, data, found.st_mode & 0o7777)
    return tree


class Disk:
    """A disk with `tree` on it, all durable and seen at `root`, to which calls are applied.

    The file `tells` at the root stands for what the user sees: it is no file, and never lost.
    """

    def __init__(self, root: Path, tree: Tree, *, tells: str) -> None:
        self._root = os.fspath(root)
        self._tells = tells
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._nodes: dict[int, _File | _Folder] = {_TOP: _Folder({}, {}, 0o700, 0o700)}
        for path, item in tree.items():
            if item.number not in self._nodes:
                self._nodes[item.number] = (
                    _Folder({}, {}, item.mode, item.mode)
                    if item.data is None
                    else _File(item.data, bytearray(item.data), item.mode, item.mode)
                )
            above, _, name = path.rpartition("/")
            folder = self._nodes[tree[above].number if above else _TOP]
            assert isinstance(folder, _Folder)
            folder.now[name] = folder.kept[name] = item.number

    @property
    def told(self) -> list[str]:
        """The ids of the changes that were acknowledged so far."""
        top = self._folder(_TOP)
        if self._tells not in top.now:
            return []
        return self._file(top.now[self._tells]).seen().decode("ascii").split()

    def process_ended(self) -> None:
        """Close all files; what was not durable still isn't."""
        self._open.clear()

    # --- what is there ---

    @property
    def is_settled(self) -> bool:
        """Whether all that is there is durable."""
        return not any(node.pending or node.mode != node.kept_mode for node in self._nodes.values())

    def seen(self) -> Tree:
        """Return what programs see."""
        return self.after(SIMPLE["all kept"])

    def after(self, loss: Loss) -> Tree:
        """Return what is there when the power comes back."""
        tree: Tree = {}
        data: dict[int, Item] = {}
        self._collect(_TOP, "", loss, tree, data)
        return tree

    def _collect(
        self, number: int, path: str, loss: Loss, tree: Tree, files: dict[int, Item]
    ) -> None:
        node = self._nodes[number]
        if isinstance(node, _File):
            if number not in files:
                whole = loss.data(node)
                mode = node.mode if len(whole) == len(node.now) else node.kept_mode
                files[number] = Item(number, whole, mode)
            tree[path] = files[number]
            return
        if path:
            tree[path] = Item(number, None, node.mode)
        entries = dict(node.kept)
        for naming in node.pending:
            if loss.keeps_name(naming):
                naming.apply(entries)
        for name in sorted(entries):
            below = f"{path}/{name}" if path else name
            if path.count("/") > 100:
                raise ReplayError(f"{path} is in itself")
            self._collect(entries[name], below, loss, tree, files)
        if not path and self._tells in node.now:
            told = self._file(node.now[self._tells])
            tree[self._tells] = Item(node.now[self._tells], told.seen(), told.mode)

    # --- what happens to it ---

    def apply(self, call: Call) -> bool:
        """Do what `call` did, and return whether a failure would leave another thing now."""
        self._calls += 1
        handler = getattr(self, f"_do_{call.name}", None)
        if handler is None:
            # A thread is of the same process: its calls are recorded like all others.
            is_thread = any("CLONE_THREAD" in str(each) for each in call.arguments)
            if call.name in _HARMLESS or is_thread:
                return False
            raise ReplayError(f"The call {call.name} is not simulated")
        return bool(handler(call))

    def _at(self, call: Call, index: int, folder: int | None = None) -> tuple[_Folder, str] | None:
        """Return the folder and the name that a path argument means; none outside of the root."""
        path = call.path(index)
        if folder is not None and not path.startswith("/"):
            given = str(call.arguments[folder])
            if given == "AT_FDCWD":
                return None
            opened = self._open.get(int(given))
            if opened is None:
                return None
            node = self._folder(opened.number)
            parts = path.split("/")
        else:
            path = os.path.normpath(path)
            if not path.startswith(f"{self._root}/"):
                return None
            node = self._folder(_TOP)
            parts = path[len(self._root) + 1 :].split("/")
        for part in parts[:-1]:
            node = self._folder(node.now[part])
        return node, parts[-1]

    def _new(self, node: _File | _Folder) -> int:
        number = -self._calls  # which no file has that was there
        self._nodes[number] = node
        return number

    def _do_openat(self, call: Call) -> bool:
        return self._opened(call, self._at(call, 1, 0), 2)

    def _do_open(self, call: Call) -> bool:
        return self._opened(call, self._at(call, 0), 1)

    def _opened(self, call: Call, place: tuple[_Folder, str] | None, index: int) -> bool:
        self._open.pop(call.result, None)
        flags = call.flags(index)
        if place is None:
            path = call.path(index - 1)
            if os.path.normpath(path) == self._root:
                self._open[call.result] = _Open(_TOP)
            return False
        folder, name = place
        changed = False
        if flags & {"O_TMPFILE", "O_DIRECT"}:
            raise ReplayError(f"Opening with {flags} is not simulated")
        if name not in folder.now:
            mode = call.number(index + 1) & ~_UMASK
            made = self._new(_File(b"", bytearray(), mode, mode))
            folder.change(_Naming(self._calls, ((name, made),)))
            changed = True
        number = folder.now[name]
        if "O_TRUNC" in flags:
            changed |= self._file(number).truncate(0)
        self._open[call.result] = _Open(number, 0, "O_APPEND" in flags)
        return changed

    def _do_close(self, call: Call) -> bool:
        self._open.pop(call.number(0), None)
        return False

    def _do_fcntl(self, call: Call) -> bool:
        if call.number(1) in _DUPLICATING:
            self._duplicate(call)
        return False

    def _do_dup(self, call: Call) -> bool:
        self._duplicate(call)
        return False

    _do_dup2 = _do_dup3 = _do_dup

    def _duplicate(self, call: Call) -> None:
        self._open.pop(call.result, None)
        if (opened := self._open.get(call.number(0))) is not None:
            self._open[call.result] = opened

    def _do_lseek(self, call: Call) -> bool:
        if (opened := self._open.get(call.number(0))) is not None:
            opened.offset = call.result
        return False

    def _do_read(self, call: Call) -> bool:
        if (opened := self._open.get(call.number(0))) is not None:
            opened.offset += call.result
        return False

    def _do_write(self, call: Call) -> bool:
        opened = self._open.get(call.number(0))
        if opened is None:
            return False
        node = self._file(opened.number)
        data = call.data[: call.result]
        if opened.appends:
            opened.offset = len(node.now)
        node.write(opened.offset, data)
        opened.offset += len(data)
        return True

    _do_writev = _do_write

    def _do_pwrite64(self, call: Call) -> bool:
        opened = self._open.get(call.number(0))
        if opened is None:
            return False
        self._file(opened.number).write(call.number(3), call.data[: call.result])
        return True

    def _do_ftruncate(self, call: Call) -> bool:
        opened = self._open.get(call.number(0))
        return opened is not None and self._file(opened.number).truncate(call.number(1))

    def _do_truncate(self, call: Call) -> bool:
        place = self._at(call, 0)
        if place is None:
            return False
        return self._file(place[0].now[place[1]]).truncate(call.number(1))

    def _file(self, number: int) -> _File:
        node = self._nodes[number]
        assert isinstance(node, _File)
        return node

    def _folder(self, number: int) -> _Folder:
        node = self._nodes[number]
        assert isinstance(node, _Folder)
        return node

    def _do_fsync(self, call: Call) -> bool:
        opened = self._open.get(call.number(0))
        if opened is not None:
            self._nodes[opened.number].sync()
        return opened is not None

    _do_fdatasync = _do_fsync

    def _do_syncfs(self, call: Call) -> bool:
        if self._open.get(call.number(0)) is None:
            return False
        for node in self._nodes.values():
            node.sync()
        return True

    def _do_mkdir(self, call: Call) -> bool:
        return self._made(self._at(call, 0), call.number(1))

    def _do_mkdirat(self, call: Call) -> bool:
        return self._made(self._at(call, 1, 0), call.number(2))

    def _made(self, place: tuple[_Folder, str] | None, mode: int) -> bool:
        if place is None:
            return False
        mode &= ~_UMASK
        made = self._new(_Folder({}, {}, mode, mode))
        place[0].change(_Naming(self._calls, ((place[1], made),)))
        return True

    def _do_unlink(self, call: Call) -> bool:
        return self._gone(self._at(call, 0))

    _do_rmdir = _do_unlink

    def _do_unlinkat(self, call: Call) -> bool:
        return self._gone(self._at(call, 1, 0))

    def _gone(self, place: tuple[_Folder, str] | None) -> bool:
        if place is not None:
            place[0].change(_Naming(self._calls, ((place[1], None),)))
        return place is not None

    def _do_rename(self, call: Call) -> bool:
        return self._renamed(self._at(call, 0), self._at(call, 1))

    def _do_renameat(self, call: Call) -> bool:
        return self._renamed(self._at(call, 1, 0), self._at(call, 3, 2))

    _do_renameat2 = _do_renameat

    def _renamed(
        self, source: tuple[_Folder, str] | None, target: tuple[_Folder, str] | None
    ) -> bool:
        if source is None and target is None:
            return False
        if source is None or target is None:
            raise ReplayError("A rename from or to another place is not simulated")
        number = source[0].now[source[1]]
        if target[0].now.get(target[1]) == number:
            return False  # two links to one file
        gone, named = (source[1], None), (target[1], number)
        if source[0] is target[0]:
            source[0].change(_Naming(self._calls, (gone, named)))
        else:
            target[0].change(_Naming(self._calls, (named,)))
            source[0].change(_Naming(self._calls, (gone,)))
        return True

    def _do_link(self, call: Call) -> bool:
        return self._linked(self._at(call, 0), self._at(call, 1))

    def _do_linkat(self, call: Call) -> bool:
        return self._linked(self._at(call, 1, 0), self._at(call, 3, 2))

    def _linked(
        self, source: tuple[_Folder, str] | None, target: tuple[_Folder, str] | None
    ) -> bool:
        if target is None:
            return False
        assert source is not None
        number = source[0].now[source[1]]
        target[0].change(_Naming(self._calls, ((target[1], number),)))
        return True

    def _do_chmod(self, call: Call) -> bool:
        return self._moded(self._at(call, 0), call.number(1))

    def _do_fchmodat(self, call: Call) -> bool:
        return self._moded(self._at(call, 1, 0), call.number(2))

    def _moded(self, place: tuple[_Folder, str] | None, mode: int) -> bool:
        if place is not None:
            self._nodes[place[0].now[place[1]]].mode = mode
        return place is not None

    def _do_fchmod(self, call: Call) -> bool:
        opened = self._open.get(call.number(0))
        if opened is not None:
            self._nodes[opened.number].mode = call.number(1)
        return opened is not None

    def _do_mmap(self, call: Call) -> bool:
        shared = "MAP_SHARED" in call.flags(3) and "PROT_WRITE" in call.flags(2)
        if shared and call.number(4) in self._open:
            raise ReplayError("Writing by mmap is not simulated")
        return False


# What changes nothing, or not within the folder; whatever is not here and has no method is refused.
_HARMLESS: Final = frozenset({"chdir"})
_DUPLICATING: Final = frozenset({0, 1030})  # F_DUPFD, F_DUPFD_CLOEXEC


class Plate:
    """Puts trees into the folder `root`, writing only what is not there from the last time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._marks: dict[str, tuple[bytes, int, int]] = {}
        self._mark = 10**18  # times of modification that nobody else gives

    def put(self, tree: Tree) -> None:
        """Have the folder hold `tree` and nothing else."""
        several = Counter(item.number for item in tree.values() if item.data is not None)
        self._clear(tree, several)
        first: dict[int, Path] = {}
        for path, item in tree.items():
            target = self._root / path
            if item.data is None:
                target.mkdir(exist_ok=True)
                target.chmod(item.mode | 0o700)
            elif item.number in first:
                target.hardlink_to(first[item.number])
            elif path not in self._marks:
                self._write(path, item, item.data)
                if several[item.number] > 1:
                    first[item.number] = target

    def _clear(self, tree: Tree, several: Mapping[int, int]) -> None:
        there = set()
        for folder, names, files in os.walk(self._root, topdown=False):
            for name in files:
                file = Path(folder, name)
                path = file.relative_to(self._root).as_posix()
                if self._is(path, tree.get(path), several):
                    there.add(path)
                else:
                    file.unlink()
            for name in names:
                path = Path(folder, name).relative_to(self._root).as_posix()
                if path not in tree or tree[path].data is not None:
                    Path(folder, name).rmdir()
        self._marks = {path: mark for path, mark in self._marks.items() if path in there}

    def _is(self, path: str, item: Item | None, several: Mapping[int, int]) -> bool:
        mark = self._marks.get(path)
        if item is None or mark is None or several[item.number] > 1 or mark[0] is not item.data:
            return False
        found = (self._root / path).stat()
        return (found.st_mtime_ns, found.st_nlink) == (mark[1], 1) and mark[2] == item.mode

    def _write(self, path: str, item: Item, data: bytes) -> None:
        target = self._root / path
        with target.open("xb") as file:
            file.write(data)
        target.chmod(item.mode)
        self._mark += 1
        os.utime(target, ns=(self._mark, self._mark))
        self._marks[path] = (data, self._mark, item.mode)
