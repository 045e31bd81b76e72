"""Where the files of a File-set go: File IDs for its instances (PS3.10 Sections 8.2 and 8.5).

`pydicom`
    `PT000000/ST000000/SE000000/IM000000`, numbered from the records' places in the hierarchy.
`existing`
    Nothing that is on the medium moves; additions get free File IDs beside their siblings. What
    lay on an adopted medium comes back to where it was, if nothing lies there.
`conformant`
    As `existing`, except that files whose names are not valid File IDs get free ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from ledger.names import is_conformant, one_name, with_folders
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

PREFIXES: Final = {
    "PATIENT": "PT",
    "STUDY": "ST",
    "SERIES": "SE",
    "IMAGE": "IM",
    "RT DOSE": "RD",
    "RT STRUCTURE SET": "RS",
    "RT PLAN": "RP",
    "RT TREAT RECORD": "RX",
    "PRESENTATION": "PR",
    "WAVEFORM": "WV",
    "SR DOCUMENT": "SR",
    "KEY OBJECT DOC": "KY",
    "SPECTROSCOPY": "SP",
    "RAW DATA": "RW",
    "REGISTRATION": "RG",
    "FIDUCIAL": "FD",
    "HANGING PROTOCOL": "HG",
    "ENCAP DOC": "ED",
    "VALUE MAP": "VM",
    "STEREOMETRIC": "SX",
    "PALETTE": "PA",
    "IMPLANT": "IP",
    "IMPLANT ASSY": "IA",
    "IMPLANT GROUP": "IG",
    "PLAN": "PL",
    "MEASUREMENT": "MX",
    "SURFACE": "SF",
    "SURFACE SCAN": "SS",
    "TRACT": "TR",
    "ASSESSMENT": "AS",
    "RADIOTHERAPY": "RT",
    "PRIVATE": "P",
}
"""What a File ID component begins with, by Directory Record Type."""

_OTHER_PREFIX: Final = "XX"  # retired record types, which only an adopted DICOMDIR can hold
ALPHABET: Final = "0123456789ABCDEFGHIKLMNOPQRSTUVWXYZ"
"""The digits of alphanumeric File IDs: J is left out, as by pydicom."""

NUMERIC_LIMIT: Final = 10**6
"""Instances up to which six decimal digits number any folder."""
ALPHANUMERIC_LIMIT: Final = 35**6


def suffix(number: int, length: int, *, alphanumeric: bool) -> str:
    """Return `number` in `length` digits, decimal or of `ALPHABET`."""
    if not alphanumeric:
        return f"{number:0{length}}"
    digits = ""
    while number:
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return f"{digits:0>{length}}"


def prefix(record_type: str, depth: int) -> str:
    """Return what the component of a record at `depth` begins with."""
    if record_type == "PRIVATE":
        return f"P{depth}"
    return PREFIXES.get(record_type, _OTHER_PREFIX)


def component(record_type: str, depth: int, index: int, *, alphanumeric: bool) -> str:
    """Return the File ID component of a record that is number `index` among its siblings."""
    start = prefix(record_type, depth)
    return start + suffix(index, 8 - len(start), alphanumeric=alphanumeric)


def is_alphanumeric(state: FileSetState) -> bool:
    """Whether the File-set has too many instances for decimal File IDs."""
    return len(state.live) > NUMERIC_LIMIT


def file_id(node: Branch | Leaf, state: FileSetState) -> str:
    """Return the File ID that the default layout gives `node` as the tree stands now."""
    chain = []
    while node.parent is not None:
        node.parent.renumber()
        chain.append(node)
        node = node.parent
    alphanumeric = is_alphanumeric(state)
    return "/".join(
        component(n.record.type, depth, n.index, alphanumeric=alphanumeric)
        for depth, n in enumerate(reversed(chain))
    )


def pydicom_layout(state: FileSetState, occupied: Collection[str]) -> dict[Leaf, str]:
    """Return pydicom's File IDs for the live instances, removals no longer counted."""
    del occupied  # names that others hold are the plan's concern: this layout has no choice
    alphanumeric = is_alphanumeric(state)
    placed: dict[Leaf, str] = {}
    # The records on the way, the folders of those that a live instance was met below, and for each
    # level how many names were given.
    above: list[Branch] = []
    folders = [""]
    counts = [0]

    def next_name(record_type: str) -> str:
        level = len(folders) - 1
        name = component(record_type, level, counts[level], alphanumeric=alphanumeric)
        counts[level] += 1
        return folders[level] + name

    for depth, node in state.hierarchy.walk():
        del above[depth:], folders[depth + 1 :], counts[depth + 1 :]
        if isinstance(node, Branch):
            above.append(node)
        elif node.is_live:
            for branch in above[len(folders) - 1 :]:
                folders.append(f"{next_name(branch.record.type)}/")
                counts.append(0)
            name = next_name(node.record_type)
            placed[node] = node.file_id if name == node.file_id else name  # which is held anyway
    return placed


def existing_layout(state: FileSetState, occupied: Collection[str]) -> dict[Leaf, str]:
    """Return File IDs that move nothing on the medium.

    `occupied` holds every path in the root that a new File ID must not take, files and folders,
    relative to the root, whoever they belong to.
    """
    return _keeping(state, occupied, lambda _: True)


def conformant_layout(state: FileSetState, occupied: Collection[str]) -> dict[Leaf, str]:
    """Return File IDs that move only files whose names are not valid File IDs."""
    return _keeping(state, occupied, is_conformant)


def _keeping(
    state: FileSetState, occupied: Collection[str], may_stay: Callable[[str], bool]
) -> dict[Leaf, str]:
    """Return the File IDs on the medium that `may_stay`, and free ones for all other instances."""
    held = set(map(one_name, occupied))
    taken = held.copy()
    placed: dict[Leaf, str] = {}
    # What is to be removed holds its name until then.
    for leaf in (*state.live.values(), *state.removals.values()):
        if leaf.file_id is not None:
            held.add(one_name(leaf.file_id))
            taken.update(with_folders(leaf.file_id))
            if leaf.is_live and may_stay(leaf.file_id):
                placed[leaf] = leaf.file_id
    for leaf, replaced in state.corrections.items():
        if replaced.file_id is not None and may_stay(replaced.file_id):
            placed[leaf] = replaced.file_id
    _place_as_adopted(state, placed, taken, held, may_stay)
    names = _FreeNames(taken, alphanumeric=is_alphanumeric(state))
    folders: dict[Branch, str] = {state.hierarchy.root: ""}
    for depth, node in state.hierarchy.walk():
        if isinstance(node, Leaf) and node.is_live and node.parent and node not in placed:
            folder = _folder(node.parent, depth - 1, folders, names)
            placed[node] = names.take(folder, prefix(node.record.type, depth))
    return placed


def _place_as_adopted(
    state: FileSetState,
    placed: dict[Leaf, str],
    taken: set[str],
    held: set[str],
    may_stay: Callable[[str], bool],
) -> None:
    """Place what comes back to the medium where it lay when that was adopted, if that is free."""
    for leaf in state.live.values():
        former = leaf.adopted_as
        if leaf in placed or former is None or not may_stay(former):
            continue
        if _is_free(former, taken, held):
            placed[leaf] = former
            held.add(one_name(former))
            taken.update(with_folders(former))


def _is_free(path: str, taken: set[str], held: set[str]) -> bool:
    """Whether nothing is at `path`, nor a file where one of its folders has to be."""
    return one_name(path) not in taken and held.isdisjoint(with_folders(path))


class _FreeNames:
    """Hands out names that are not taken, in order, without looking at any twice."""

    def __init__(self, taken: set[str], *, alphanumeric: bool) -> None:
        self._taken = taken
        self._next: dict[tuple[str, str], int] = {}
        self._alphanumeric = alphanumeric

    def take(self, folder: str, start: str) -> str:
        number = self._next.get((folder, start), 0)
        while True:
            name = folder + start + suffix(number, 8 - len(start), alphanumeric=self._alphanumeric)
            number += 1
            if name not in self._taken:
                break
        self._next[folder, start] = number
        self._taken.add(name)
        return name


def _folder(branch: Branch, depth: int, folders: dict[Branch, str], names: _FreeNames) -> str:
    """Return the folder, with its final slash, for new instances below `branch` at `depth`.

    It is the folder where the branch's instances lie already, if a name fits into it, else a new
    one in that of the branch above.
    """
    missing: list[Branch] = []
    node: Branch | None = branch
    while node is not None and node not in folders:
        present = _present(node)
        if present is None:
            missing.append(node)
            node = node.parent
        else:
            folders[node] = present
    folder = folders[node] if node is not None else ""
    for level, new in enumerate(reversed(missing), depth - len(missing) + 1):
        folder = folders[new] = names.take(folder, prefix(new.record.type, level)) + "/"
    return folder


def _present(branch: Branch) -> str | None:
    """Return where the last of the branch's instances lies, `None` if no name fits in there."""
    for child in reversed(branch.ordered()):
        if isinstance(child, Leaf) and child.file_id is not None:
            folder = child.file_id[: child.file_id.rfind("/") + 1]
            return folder if is_conformant(f"{folder}NEW") else None
    return None


LAYOUTS: Final[dict[str, Callable[[FileSetState, Collection[str]], dict[Leaf, str]]]] = {
    "pydicom": pydicom_layout,
    "existing": existing_layout,
    "conformant": conformant_layout,
}
"""The layouts by name."""


def usual_layout(state: FileSetState) -> str:
    """Return the layout of the last write, for an adopted File-set before that `conformant`."""
    written = state.written
    if written is not None and not written.is_adopted:
        return written.layout
    if written is not None or any(tally.adopted for tally in state.hierarchy.root.tallies()):
        return "conformant"
    return "pydicom"
