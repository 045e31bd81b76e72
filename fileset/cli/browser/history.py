"""The changes of a File-set as a table, the newest first; older ones are read when seen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from rich.text import Text
from textual.widgets import DataTable

from fileset.cli.browser.lines import text_of
from fileset.cli.screen.output import Span
from fileset.cli.screen.wording import Wording, time_of
from fileset.repository.repository import Repository
from fileset.timeline.changelog import ChangeEntry, newest_first
from projections.past.standing import Standing

_PAGE: Final = 100
_AHEAD: Final = 20  # rows below the cursor that are read before they are seen

_STANDS: Final = {
    Standing.UNDONE: "undone",
    Standing.DISCARDED: "undone for good",
    Standing.REVERTED: "reverted",
    Standing.ERASED: "erased",
}


class History(DataTable[Text]):
    """Changes, a row each."""

    def __init__(self) -> None:
        super().__init__(id="changes", cursor_type="row", zebra_stripes=True)
        self._entries: Iterator[ChangeEntry] = iter(())
        self._wording: Wording | None = None
        self.shown: list[ChangeEntry] = []

    def on_mount(self) -> None:
        """Make the columns."""
        self.add_columns(*map(Text, ("Change", "Position", "Recorded at", "Actor", "What")))

    def show(self, repository: Repository, upto: int) -> None:
        """Show the changes up to a position."""
        self._wording = Wording(repository)
        self._entries = (e for e in newest_first(repository) if e.change.last <= upto)
        self.shown.clear()
        self.clear()
        self._more()

    @property
    def selected(self) -> ChangeEntry | None:
        """The change at the cursor."""
        return self.shown[self.cursor_row] if 0 <= self.cursor_row < len(self.shown) else None

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Read on before the end is seen."""
        if event.cursor_row + _AHEAD >= len(self.shown):
            self._more()

    def _more(self) -> None:
        assert self._wording is not None  # noqa: S101 - there are no rows without
        for entry in islice(self._entries, _PAGE):
            self.shown.append(entry)
            change = entry.change
            what: list[str | Span] = [self._wording.tell(change, entry.events)]
            if change.reason:
                what.append(Span(f"  ({change.reason})", "faint"))
            if stands := _STANDS.get(entry.stand.standing) if entry.stand.standing else None:
                what.append(Span(f"  <- {stands}", "careful"))
            self.add_row(
                text_of((Span(change.id, "command"),)),
                Text(f"{change.last:,}"),
                text_of(time_of(change)),
                text_of(change.actor),
                text_of(tuple(what)),
            )
