"""Records with the same key in several places: a study under two patients, a series in two studies.

The Standard has one record for each patient, study and series (PS3.3 Section F.5.1). Instances can
say otherwise: then there are several, and the check of what was written calls them wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from ledger import elements
from ledger.instances.record_keys import UPPER_TYPES
from ledger.tags import PATIENT_NAME
from projections.dicomdir.findings import FindingKind, is_error
from projections.dicomdir.record_checks import BLANKS, fault_of_namesake
from projections.state.nodes import Branch, Leaf
from projections.state.outline import whose
from projections.state.state import FileSetState


@frozen
class Namesake:
    """The record of a `branch` that has the name of an earlier one, the `first`."""

    branch: Branch
    first: Branch

    @property
    def kind(self) -> FindingKind:
        """The kind of finding that the check makes of it."""
        return self._fault[0]

    @property
    def text(self) -> str:
        """What is wrong, to be read after "The record ..."."""
        return self._fault[1]

    @property
    def sentence(self) -> str:
        """What is wrong, in a sentence."""
        return f"The {self.branch.own.type} record of {_place(self.branch)} {self.text}."

    @property
    def is_error(self) -> bool:
        """Whether it is wrong: patients of other names may be two persons."""
        return is_error(self.kind) and not self._is_other

    @property
    def _fault(self) -> tuple[FindingKind, str]:
        which = f"the one of {_place(self.first)}"
        return fault_of_namesake(self.branch.own.type, which, is_other=self._is_other)

    @property
    def _is_other(self) -> bool:
        is_patient = self.branch.own.type == "PATIENT"
        return is_patient and _name(self.branch) != _name(self.first)


def namesakes(state: FileSetState) -> Iterator[Namesake]:
    """Yield the records of live instances that have the name of an earlier one."""
    several = (named for named in state.hierarchy.named.values() if len(named) > 1)
    found = (namesake for named in several for namesake in _among(named))
    yield from sorted(found, key=lambda namesake: namesake.branch.place)


def namesakes_above(state: FileSetState, leaf: Leaf) -> Iterator[Namesake]:
    """Yield the records above `leaf` that have a namesake, where it is the only live one below."""
    branch: Branch | None = leaf.home
    new: list[Branch] = []
    while branch is not None and branch.home is not None and branch.live == 1:
        new.insert(0, branch)
        branch = branch.home
    for each in new:
        named = state.hierarchy.named.get((each.own.type, each.key.strip()), ())
        if len(named) > 1:
            others = (branch for branch in _live(named, each.key) if branch is not each)
            first = min(others, key=lambda branch: branch.place, default=None)
            if first is not None:
                yield Namesake(each, first)


def _among(named: Iterable[Branch]) -> Iterator[Namesake]:
    first: dict[str, Branch] = {}
    for branch in sorted(_live(named), key=lambda branch: branch.order):
        standing = first.setdefault(branch.key.strip(BLANKS), branch)
        if standing is not branch:
            yield Namesake(branch, standing)


def _live(named: Iterable[Branch], key: str = "") -> Iterator[Branch]:
    """Yield the records with live instances of which there should be one, of `key` or any."""
    wanted = key.strip(BLANKS)
    for branch in named:
        own = branch.key.strip(BLANKS) if branch.own.type in UPPER_TYPES else ""
        if branch.live and own and own == (wanted or own):
            yield branch


def _name(branch: Branch) -> bytes:
    element = elements.find(branch.record.elements, PATIENT_NAME)
    return element.value.strip(b" ") if element else b""


def _place(branch: Branch) -> str:
    """Return what people know the place of a PATIENT, STUDY or SERIES record by."""
    above = [branch.record]
    home = branch.home
    while home is not None and home.home is not None:
        above.insert(0, home.record)
        home = home.home
    if branch.own.type == "SERIES" and branch.home is not None and branch.home.own.type == "STUDY":
        return f"{whose(above[:-1])} in the study {branch.home.key}"
    return whose(above)
