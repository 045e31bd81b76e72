"""What must be true of a root before anything is written there, and the errors if it isn't."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os.path import join
from pathlib import Path

from fileset.errors import RefusedError
from fileset.medium.check import (
    Names,
    how_altered,
    is_as_written,
    leaves_on,
    loaded_from,
    not_loaded,
    owner_of,
)
from fileset.medium.dicomdir import dicomdir_digest, leads_out, read_dicomdir
from fileset.medium.errors import DicomdirReplacedError, MediumError
from fileset.medium.paths import is_in, is_in_place, isdir, lexists, link_above
from fileset.repository.folder import find_repository
from ledger.digest import Digest, digest_of
from ledger.errors import LedgerError
from ledger.names import one_name
from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import DICOMDIR
from projections.medium.plan import Plan
from projections.state.nodes import Leaf
from projections.state.state import FileSetState, Written


def is_present(written: Written) -> bool:
    """Whether the medium is there, as the last write left it."""
    root = Path(written.root)
    return root.is_dir() and is_as_written(read_dicomdir(root), written)


def is_moved(root: Path, state: FileSetState, *, is_known: bool) -> bool:
    """Whether the medium of `state` is at `root` now, as one that is mounted elsewhere today.

    A copy that was handed out has the same DICOMDIR: as long as the medium is where it was last
    written, nothing else is taken for it. Where that is isn't looked at unless it `is_known`.
    """
    written = state.written
    if written is None or written.dicomdir is None or is_same_place(root, written.root):
        return False
    if not is_as_written(read_dicomdir(root), written):
        return False
    return not (is_known and is_still_there(Path(written.root), state))


def is_same_place(root: Path, other: str) -> bool:
    """Whether two paths lead to the same folder, which need not be there."""
    return os.path.realpath(root) == os.path.realpath(other)


def is_still_there(root: Path, state: FileSetState) -> bool:
    """Whether a DICOMDIR of this File-set is at `root`, or one that can't be told from it.

    Where there is none, what lies there under the name of a file of this File-set tells.
    """
    try:
        dicomdir = read_dicomdir(root)
        if dicomdir is None:
            return root.is_dir() and _has_any(root, leaves_on(state))
    except PermissionError:
        return os.path.lexists(root / DICOMDIR)
    except OSError:  # what was mounted there has gone
        return False
    uid, is_ours = owner_of(dicomdir, state)
    return is_ours or not uid


def _has_any(root: Path, leaves: Iterable[Leaf]) -> bool:
    """Whether anything lies at `root` under the name of the file of one of `leaves`."""
    return any(lexists(join(root, leaf.file_id or "")) for leaf in leaves)


def why_left(written: Written, *, is_known: bool) -> str:
    """Return what has become of a medium that the File-set leaves."""
    if not is_known:
        return "not named here"
    if not is_present(written):
        return "lost"
    return "handed out" if os.access(written.root, os.W_OK) else "read-only"


def refuse_medium_left(root: Path, state: FileSetState, *, is_known: bool) -> None:
    """Refuse a new home at `root` that is on the medium which is left, or a copy of it."""
    written = state.written
    if written is None:
        return
    is_on_it = root != Path(written.root) and is_in(root, written.root)
    if is_known and is_on_it and is_present(written):
        raise RefusedError(
            f"{root} is on the medium at {written.root}, which stays as it is: write to another "
            "folder."
        )
    if root == Path(written.root) or not is_as_written(read_dicomdir(root) or b"", written):
        return
    if is_known and is_still_there(Path(written.root), state):
        raise RefusedError(
            f"{root} is a copy of the medium at {written.root}: write to another folder."
        )
    raise RefusedError(
        f"{root} is the medium that was written last, or a copy of it: leave `--new-medium` "
        "(new_medium=True) out to write there, or write to another folder."
    )


def refuse_changed(plan: Plan, base: FileSetState, repository: Path | None) -> None:
    """Refuse to complete `plan` where neither it nor the write before it left the DICOMDIR.

    `base` is the state that it began with.
    """
    written = base.written
    root = Path(plan.root)
    refuse_linked_dicomdir(root, is_ours=written is not None)
    dicomdir = read_dicomdir(root)
    if dicomdir is not None and dicomdir in (plan.interim, plan.dicomdir):
        return
    if written is None:
        refuse_place(root, repository)
        refuse_another(root, base)
    elif not is_as_written(dicomdir, written):
        found = "there is no DICOMDIR" if dicomdir is None else "the DICOMDIR is another one"
        raise MediumError(
            f"A write to {root} was interrupted, and {found} now: put the medium back to complete "
            "the write, use `fileset write --repair` if this is the medium, or give the medium up "
            "with `fileset write ROOT --new-medium`."
        )


def changed_since(root: Path, dicomdir: bytes | None, state: FileSetState) -> MediumError:
    """Return the error of a medium that is not as the last write left it, with what to do."""
    then = (
        ", so other files may have changed, too. `fileset verify` shows what differs; `fileset "
        "write --repair` repairs that"
    )
    if dicomdir is not None and (loaded := loaded_from(root, state)) is not None:
        return MediumError(not_loaded(loaded))
    if dicomdir is not None:
        how = "is not the one that was loaded or written last"
        uid, is_ours = owner_of(dicomdir, state)
        if uid and not is_ours:
            then = f" but that of another File-set, {uid}. Insert the right medium"
    else:
        how = "is gone (is the medium there?)"
        leaves = leaves_on(state)
        if leaves and not _has_any(root, leaves):
            then = ", and so is all of the File-set. Bring the medium back"
    return MediumError(
        f"The DICOMDIR at {root} {how}{then}; `fileset write ROOT --new-medium` gives that medium "
        "up and writes everything to another one."
    )


def refuse_linked_dicomdir(root: Path, *, is_ours: bool) -> None:
    """Refuse a DICOMDIR that is a link out of `root`; a medium that `is_ours` can be repaired."""
    if leads_out(root):
        then = "as `fileset write --repair` does" if is_ours else "or write to another folder"
        raise MediumError(
            f"The DICOMDIR at {root} is a link that leads out of the medium, and is not followed: "
            f"put the file itself there, {then}."
        )


def refuse_altered(plan: Plan) -> None:
    """Refuse to write an index of files that are gone, or have another size than they had.

    The files are not read: only `fileset verify` finds different content of the same size.
    """
    within = os.path.join(plan.root, "")
    names = Names(Path(plan.root), (leaf.file_id or "" for leaf in plan.files.values()))
    for leaf in plan.files.values():
        if leaf.file_id is None or (leaf in plan.placed and names.is_others(leaf.file_id)):
            continue
        path = within + leaf.file_id
        if names.leads_out(leaf.file_id):
            raise MediumError(_led_out(path, plan.root))
        if (how := how_altered(path, leaf)) is None:
            continue
        raise MediumError(
            f"{path} {how}: put it back as it was, as `fileset write --repair` does where it has "
            f"the bytes, or remove the instance {leaf.uid} from the File-set."
        )


def _led_out(path: str, root: str) -> str:
    """Return that a link leads from `path` out of the medium, with what a repair needs."""
    if (link := link_above(path, root)) is not None:
        return (
            f"{path} is below the link {link} and leads out of the medium: remove that link, then "
            "`fileset write --repair` puts back the files below it where it has the bytes."
        )
    return (
        f"{path} is a link that leads out of the medium: put the file itself there, as `fileset "
        "write --repair` does where it has the bytes."
    )


def refuse_replaced(root: Path, expected: Digest | None, new: bytes) -> None:
    """Refuse the `new` DICOMDIR unless that of `expected` is in place; `None` stands for none.

    One that is equal to `new`, from another writer, is accepted.
    """
    there = dicomdir_digest(root)
    if there != expected and there != digest_of(new):
        raise DicomdirReplacedError(
            f"someone else has put another DICOMDIR at {root}, or taken it away, since the write "
            "began"
        )


def is_explicit(root: Path) -> bool:
    """Whether the DICOMDIR at `root` has the encoding that PS3.10 Section 8.6 asks for."""
    found = decode_dicomdir(read_dicomdir(root) or b"", name=str(root))
    return found.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN


def one_of(clashes: set[str], plan: Plan) -> str:
    """Return one of the paths that are in the way, rather than a neighbour of theirs."""
    placed = set(plan.placed.values())
    above = {path[:end] for path in placed for end in range(len(path)) if path[end] == "/"}
    return min(clashes & placed, default=min(clashes & above, default=min(clashes)))


def whole(root: Path) -> Path:
    """Return `root` from the root of the file system, as it was given but without `..`."""
    root = root.absolute()
    return Path(os.path.realpath(root)) if ".." in root.parts else root


def refuse_place(root: Path, repository: Path | None) -> None:
    """Refuse a root that is no place for a File-set: whoever writes one asks this first.

    That is the top of the file system, on whose folders all programs depend, a folder in any
    repository, and one around the `repository` itself, which would be handed out with the medium.
    """
    if len(Path(os.path.realpath(root)).parts) == 1:
        raise MediumError(
            f"{root} is the top of the file system: write to a folder of the File-set's own."
        )
    for above in (root, *root.parents):
        if lexists(os.fspath(above)):
            if not isdir(os.fspath(above)):
                raise MediumError(f"{above} is not a folder: write to another one.")
            break
    if (around := find_repository(root)) is not None:
        raise MediumError(f"{root} is in the repository {around}: write to another folder.")
    if repository is not None and is_in(repository, root):
        raise MediumError(
            f"The repository {repository} is in {root}, and would be handed out with what is "
            "written there: write to another folder."
        )


def refuse_own_media(root: Path, media: Iterable[str]) -> None:
    """Refuse a root for a copy that overlaps one of the `media` of the File-set."""
    for medium in media:
        if is_in(root, medium) or is_in(medium, root):
            raise MediumError(
                f"{root} and the medium of this File-set, {medium}, overlap: write the copy to "
                "another folder."
            )


def refuse_another(root: Path, state: FileSetState) -> None:
    """Refuse a root that holds a File-set already, unless that one has no instances.

    One with the File-set UID of `state` is a copy of that.
    """
    refuse_linked_dicomdir(root, is_ours=False)
    dicomdir = read_dicomdir(root)
    if dicomdir is None:
        return
    try:
        is_empty = not decode_dicomdir(dicomdir, name=os.fspath(root)).records
    except LedgerError:
        is_empty = False
    if is_empty:
        return
    _, is_ours = owner_of(dicomdir, state)
    if is_ours:
        raise MediumError(
            f"{root} holds a copy of this File-set that is not the same, such as an earlier one: "
            "write to another folder, or rename or delete that copy first."
        )
    raise MediumError(
        f"{root} holds another File-set: write to another folder, or adopt that one with "
        f"`fileset init REPO --from {root / 'DICOMDIR'}`."
    )


# --- what lies there against a plan ---------------------------------------------------------------


def collisions(plan: Plan) -> list[str]:
    """Return the paths, relative to the root, where `plan` would put a file and another lies.

    Where one does, its neighbours in the same folder are returned with it, for a layout that
    looks for free names. A file that is just the one to be put there is no obstacle.
    """
    root = plan.root
    goes = set(map(one_name, plan.obsolete))
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
        if one_name(name) not in occupied[folder]:
            continue
        # Names that differ only in case are one on many media: that file will be deleted.
        target = join(root, path)
        if lexists(target) and (one_name(path) in goes or not is_in_place(target, leaf)):
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
        is_in_place(join(plan.root, path), leaf) for path, leaf in plan.files.items()
    )


def _file_above(root: str, folder: str) -> str | None:
    """Return what is no folder of the components of `folder`, `None` if nothing is."""
    while folder:
        path = join(root, folder)
        if lexists(path):
            return None if isdir(path) else folder
        folder = folder.rpartition("/")[0]
    return None


def _names(folder: str) -> frozenset[str]:
    """Return the names in a folder, as `one_name` has them; none where there is no such folder."""
    try:
        return frozenset(map(one_name, os.listdir(folder)))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
