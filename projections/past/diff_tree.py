"""A difference as a tree: what differs, below the records that it is in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define, field

from projections.past.diff import Diff, Path, RecordDifference, above, kind_of, path_of, place_of
from projections.state.nodes import Branch, Leaf


@define
class InstanceDifference:
    """An instance that one side lacks, or that both have in different forms."""

    before: Leaf | None
    after: Leaf | None

    @property
    def kind(self) -> str:
        """`"added"`, `"removed"` or `"changed"`."""
        return kind_of(self.before, self.after)

    @property
    def leaf(self) -> Leaf:
        """The instance as it is, or was."""
        leaf = self.after or self.before
        assert leaf is not None  # noqa: S101 - one side has it
        return leaf


@define
class DiffNode:
    """A record in or below which something differs, or the File-set itself: then without `branch`.

    `difference` is `None` for a record that only leads to what differs.
    """

    branch: Branch | None = None
    difference: RecordDifference | None = None
    below: dict[tuple[str, str], DiffNode] = field(factory=dict)
    instances: list[InstanceDifference] = field(factory=list)

    @property
    def kind(self) -> str | None:
        """`"added"`, `"removed"`, `"changed"` or `None`."""
        return self.difference.kind if self.difference else None

    def walk(self) -> Iterator[DiffNode]:
        """Yield the node itself and all below it."""
        yield self
        for node in self.below.values():
            yield from node.walk()

    def counted(self) -> dict[str, dict[str, int]]:
        """Return how many there are below it: by level or `"instances"`, then by kind."""
        found: dict[str, dict[str, int]] = {}

        def take(level: str, kind: str) -> None:
            kinds = found.setdefault(level, dict.fromkeys(KINDS, 0))
            kinds[kind] += 1

        for level in (*LEVELS.values(), INSTANCES):
            found[level] = dict.fromkeys(KINDS, 0)
        for node in self.walk():
            if node is not self and node.branch is not None and node.kind is not None:
                take(LEVELS.get(node.branch.record.type, OTHER), node.kind)
            for instance in node.instances:
                take(INSTANCES, instance.kind)
        return found


KINDS: Final = ("added", "removed", "changed")
LEVELS: Final = {"PATIENT": "patients", "STUDY": "studies", "SERIES": "series"}
OTHER: Final = "other_records"
INSTANCES: Final = "instances"


def tree(diff: Diff) -> DiffNode:
    """Return `diff` as a tree, in the order of the File-set's; the root is the File-set."""
    root = DiffNode()
    nodes: dict[Path, DiffNode] = {(): root}
    differences = {difference.path: difference for difference in diff.records}

    def node_of(branch: Branch) -> DiffNode:
        node = root
        for step in above(branch):
            path = path_of(step)
            if path not in nodes:
                nodes[path] = node.below[path[-1]] = DiffNode(step, differences.get(path))
            node = nodes[path]
        return node

    pairs: list[tuple[Leaf | None, Leaf | None]] = [
        *((None, leaf) for leaf in diff.added),
        *((leaf, None) for leaf in diff.removed),
        *diff.changed,
    ]
    found: list[RecordDifference | InstanceDifference] = [
        *diff.records,
        *(InstanceDifference(before, after) for before, after in pairs),
    ]
    for item in sorted(found, key=_place):
        if isinstance(item, InstanceDifference):
            node_of(item.leaf.home).instances.append(item)
        else:
            node_of(_there(item))
    return root


def _place(item: RecordDifference | InstanceDifference) -> tuple[int, ...]:
    return place_of(item.leaf if isinstance(item, InstanceDifference) else _there(item))


def _there(difference: RecordDifference) -> Branch:
    branch = difference.after or difference.before
    assert branch is not None  # noqa: S101 - one side has it
    return branch
