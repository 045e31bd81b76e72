"""The plan of a write: what has to happen on the medium for it to become the state.

A plan is a pure function of the state (which knows both what is wanted and what the last write
left) and a layout. Carrying it out is `fileset.medium.materializer`'s work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from attrs import frozen

from ledger.errors import LedgerError
from ledger.events import Handle, WriteStarted
from ledger.names import is_conformant, one_name
from projections.medium.directory import Icons, encode_directory, no_icons
from projections.medium.layouts import ALPHANUMERIC_LIMIT, LAYOUTS
from projections.medium.pending import in_order
from projections.state.nodes import Leaf
from projections.state.state import FileSetState


class PlanError(LedgerError, ValueError):
    """The state can't be laid out as asked."""


@frozen
class Plan:
    """What a write does, in File IDs relative to `root`.

    Attributes
    ----------
    files : mapping of str to Leaf
        Everything that the File-set consists of afterwards.
    placed : mapping of Leaf to str
        The instances that are not at their File ID yet.
    contested : mapping of Leaf to str
        Of those, the ones whose File ID another instance holds until now, with where they lie
        meanwhile, below the folder `staging`.
    dropped : tuple of Leaf
        The instances that leave the medium.
    obsolete : tuple of str
        The File IDs that name nothing afterwards.
    interim, dicomdir : bytes
        The DICOMDIR while contested ones lie there, and the final one.
    """

    root: str
    layout: str
    base: int
    files: Mapping[str, Leaf]
    placed: Mapping[Leaf, str]
    contested: Mapping[Leaf, str]
    dropped: tuple[Leaf, ...]
    obsolete: tuple[str, ...]
    staging: str | None
    interim: bytes | None
    dicomdir: bytes
    implicit_vr: bool

    def started(self, leaving: str | None = None) -> WriteStarted:
        """Return the event that announces this plan; `leaving` tells why a medium is left."""
        placed: dict[str, dict[str, Handle]] = {}
        for leaf, file_id in self.placed.items():
            folder, _, name = file_id.rpartition("/")
            placed.setdefault(folder, {})[name] = leaf.handle
        return WriteStarted(
            root=self.root,
            layout=self.layout,
            base=self.base,
            placed=placed,
            dropped=tuple(leaf.handle for leaf in self.dropped),
            staging=self.staging,
            implicit_vr=self.implicit_vr,
            leaving=leaving,
        )


def plan_write(
    state: FileSetState,
    root: str,
    layout: str,
    *,
    occupied: Collection[str] = (),
    implicit_vr: bool = False,
    icons: Icons = no_icons,
) -> Plan:
    """Return the plan that brings the medium at `root` from the last write's state to `state`.

    `occupied` names paths below the root that belong to others; additions and the staging folder
    keep clear of them where the layout leaves a choice. `icons` are those of the records, as in
    `encode_directory`; so it is with all plans.
    """
    check_layout(layout)
    if len(state.live) > ALPHANUMERIC_LIMIT:
        raise NotImplementedError(
            "pydicom doesn't support writing File-sets with more than "
            f"{ALPHANUMERIC_LIMIT} managed instances"
        )
    file_ids = LAYOUTS[layout](state, occupied)
    _check(file_ids, layout)
    placed = {leaf: path for leaf, path in file_ids.items() if leaf.file_id != path}
    return _plan(
        state,
        root=root,
        layout=layout,
        file_ids=file_ids,
        placed=placed,
        staging=_free_staging({*occupied, *file_ids.values(), *_held(state)}),
        implicit_vr=implicit_vr,
        icons=icons,
    )


def check_layout(layout: str) -> None:
    """Raise `PlanError` (ValueError) if there is no such layout."""
    if layout not in LAYOUTS:
        raise PlanError(f"There is no layout '{layout}': choose from {', '.join(LAYOUTS)}.")


def plan_export(
    state: FileSetState,
    root: str,
    layout: str = "pydicom",
    *,
    now: FileSetState,
    implicit_vr: bool = False,
    icons: Icons = no_icons,
) -> Plan:
    """Return the plan that writes all of `state` to a new `root`.

    `now` is the present state, which knows where the instances' bytes are by now.
    """
    check_layout(layout)
    file_ids = LAYOUTS[layout](state, ())
    _check(file_ids, layout)
    return Plan(
        root=root,
        layout=layout,
        base=state.position,
        files={path: leaf for leaf, path in file_ids.items()},
        placed={now.leaf(leaf.handle): path for leaf, path in file_ids.items()},
        contested={},
        dropped=(),
        obsolete=(),
        staging=None,
        interim=None,
        dicomdir=encode_directory(state, file_ids, implicit_vr=implicit_vr, icons=icons),
        implicit_vr=implicit_vr,
    )


def plan_resumed(state: FileSetState, event: WriteStarted, *, icons: Icons = no_icons) -> Plan:
    """Return the plan that `event` announced, `state` being that of its `base`."""
    placed = {state.leaf(handle): path for handle, path in event.file_ids().items()}
    file_ids = {
        leaf: placed.get(leaf) or leaf.file_id or ""
        for leaf in state.hierarchy.walk_leaves()
        if leaf.is_live
    }
    return _plan(
        state,
        root=event.root,
        layout=event.layout,
        file_ids=file_ids,
        placed=placed,
        staging=event.staging,
        implicit_vr=event.implicit_vr,
        icons=icons,
    )


def _plan(
    state: FileSetState,
    *,
    root: str,
    layout: str,
    file_ids: Mapping[Leaf, str],
    placed: Mapping[Leaf, str],
    staging: str | None,
    implicit_vr: bool,
    icons: Icons,
) -> Plan:
    encode = partial(encode_directory, state, implicit_vr=implicit_vr, icons=icons)
    held = _held(state)
    clashing = [leaf for leaf, path in placed.items() if held.get(path, leaf) is not leaf]
    # By handle, so that the same ones lie at the same place when the write is resumed.
    clashing.sort(key=lambda leaf: leaf.handle)
    contested = {leaf: f"{staging}/{number:08}" for number, leaf in enumerate(clashing)}
    files = {path: leaf for leaf, path in file_ids.items()}
    dropped = in_order(state.removals.values())
    moved_away = (leaf.file_id for leaf in (*dropped, *placed) if leaf.file_id is not None)
    interim = None
    if contested:
        interim = encode({**file_ids, **contested})
    return Plan(
        root=root,
        layout=layout,
        base=state.position,
        files=files,
        placed=placed,
        contested=contested,
        dropped=dropped,
        obsolete=tuple(path for path in moved_away if path not in files),
        staging=staging if contested else None,
        interim=interim,
        dicomdir=encode(file_ids),
        implicit_vr=implicit_vr,
    )


def _held(state: FileSetState) -> dict[str, Leaf]:
    """Return which instance lies at which File ID on the medium."""
    return {
        leaf.file_id: leaf
        for leaf in (*state.live.values(), *state.removals.values())
        if leaf.file_id is not None
    }


def _check(file_ids: Mapping[Leaf, str], layout: str) -> None:
    """Refuse File IDs that PS3.10 Section 8.2 doesn't allow, except where a medium has them."""
    for leaf, path in file_ids.items():
        if path not in (leaf.file_id, leaf.adopted_as) and not is_conformant(path):
            raise PlanError(
                f"The layout '{layout}' would give the instance {leaf.uid} the File ID '{path}', "
                "which does not conform to PS3.10 Section 8.2."
            )


def _free_staging(taken: set[str]) -> str:
    """Return a folder name at the root that nothing in `taken` begins with."""
    tops = {one_name(path).partition("/")[0] for path in taken}
    return next(name for n in range(10**5) if (name := f"STG{n:05}") not in tops)
