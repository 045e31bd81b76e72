"""The hierarchy as a tree that can be opened: what is below a record is looked at when it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from attrs import frozen
from rich.text import Text
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from fileset.cli.browser.lines import text_of
from fileset.cli.browser.telling import standings
from fileset.cli.screen.listing import STANDINGS
from fileset.cli.screen.output import Span
from ledger.elements import character_set, find
from ledger.events import Record, RecordRef
from ledger.tags import PATIENT_ID, PATIENT_NAME
from projections.dicomdir.text import readable
from projections.state.nodes import Branch, Leaf
from projections.state.outline import whose_instance
from projections.state.state import FileSetState

PAGE: Final = 500
"""What is shown of what is below a record until more is asked for."""

_KNOWN_BY: Final = {
    "PATIENT": (PATIENT_NAME, PATIENT_ID),
    "STUDY": (0x00080020, 0x00081030),  # Study Date and Description
    "SERIES": (0x00080060, 0x00200011, 0x0008103E),  # Modality, Series Number and Description
    "IMAGE": (0x00200013,),  # Instance Number
}


@frozen
class More:
    """What stands for what is not shown yet: those from `first` on."""

    first: int


Shown: TypeAlias = Branch | Leaf | More


class Hierarchy(Tree[Shown]):
    """Directory records and instances, or the instances that were found.

    What is opened by its keys is looked at by `look`, which may refuse to do what it is given.
    """

    def __init__(
        self, state: Callable[[], FileSetState], look: Callable[[Callable[[], None]], None]
    ) -> None:
        super().__init__("", id="hierarchy")
        self.show_root, self.guide_depth, self.auto_expand = False, 2, False
        self._state, self._look = state, look
        self._found: Sequence[Leaf] | None = None

    def show_all(self) -> None:
        """Show the hierarchy, as open as it was."""
        was_open = set(self._open_refs(self.root))
        was_at = self.cursor_line
        self._found = None
        self._begin()
        self._open(self.root, was_open)
        self.call_after_refresh(self._move_to, was_at)

    def show_found(self, leaves: Sequence[Leaf]) -> None:
        """Show these instances alone."""
        self._found = leaves
        self._begin()
        self.call_after_refresh(self._move_to, 0)

    def _begin(self) -> None:
        self.unselect()
        self.clear()
        self._fill(self.root, 0)
        if len(self.root.children) == 1:
            self._open_node(self.root.children[0])

    def _move_to(self, line: int) -> None:
        self.unselect()  # so that what is there now is told, on whatever line it is
        self.cursor_line = max(min(line, self.last_line), 0)

    # --- filling ---------------------------------------------------------------------------------

    def _fill(self, node: TreeNode[Shown], first: int) -> None:
        """Show a page of what is below a node."""
        branch = node.data
        if self._found is not None:
            below: Sequence[Branch | Leaf] = self._found[first : first + PAGE]
            number = len(self._found)
        else:
            above = branch if isinstance(branch, Branch) else self._state().hierarchy.root
            below, number = above.some(first, first + PAGE), len(above.children)
        told = standings(self._state())
        for child in below:
            if isinstance(child, Branch):
                node.add(_label_of(child.record, child.key), child)
            else:
                node.add_leaf(self._label(child, told(child)), child)
        if (left := number - first - len(below)) > 0:
            node.add_leaf(Text(f"... {left:,} more: Enter shows some", "dim"), More(first + PAGE))

    def _label(self, leaf: Leaf, staged: str | None) -> Text:
        text = _label_of(leaf.record, leaf.key)
        if staged is not None:
            text.append("  ").append(text_of((STANDINGS[staged],)))
        if self._found is not None:
            text.append("  ").append(text_of(whose_instance(leaf)))
        return text

    def _open_node(self, node: TreeNode[Shown]) -> None:
        """Open a record, and what is below it as long as that is one."""
        if not isinstance(node.data, Branch):
            return
        if not node.children:
            self._fill(node, 0)
        node.expand()
        if len(node.children) == 1:
            self._open_node(node.children[0])

    def _open_refs(self, node: TreeNode[Shown]) -> Iterable[RecordRef]:
        for child in node.children:
            if isinstance(child.data, Branch) and child.is_expanded:
                yield child.data.ref
                yield from self._open_refs(child)

    def _open(self, node: TreeNode[Shown], refs: set[RecordRef]) -> None:
        for child in node.children:
            if isinstance(child.data, Branch) and child.data.ref in refs:
                if not child.children:
                    self._fill(child, 0)
                child.expand()
                self._open(child, refs)

    # --- keys ------------------------------------------------------------------------------------

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        """Look at what is below a record when it is opened."""
        node = event.node
        if isinstance(node.data, Branch) and not node.children:
            self._look(partial(self._fill, node, 0))
            if not node.children:
                node.collapse()

    def on_tree_node_selected(self, event: Tree.NodeSelected[Any]) -> None:
        """Open or close a record; show more where that is asked for."""
        node = event.node
        if isinstance(node.data, More):
            self._look(partial(self._show_more, node, node.data.first))
        elif isinstance(node.data, Branch):
            if node.is_expanded:
                node.collapse()
            else:
                self._look(partial(self._open_node, node))

    def _show_more(self, node: TreeNode[Shown], first: int) -> None:
        above, line = node.parent or self.root, node.line
        node.remove()
        self._fill(above, first)
        self.call_after_refresh(self._move_to, line)


def _label_of(record: Record, key: str) -> Text:
    """Return what people know a record by, in few words: there is little room."""
    charset = character_set(record.elements)
    values = (
        readable(find(record.elements, tag), charset).strip()
        for tag in _KNOWN_BY.get(record.type, ())
    )
    return text_of((Span(record.type, "title"), f" {' '.join(filter(None, values)) or key}"))
