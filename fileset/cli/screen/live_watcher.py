"""A live view of a watcher on a terminal."""

from __future__ import annotations

import time
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fileset.cli.screen.text import instant

_INTERVAL: Final = 0.2  # seconds between two drawings


class LiveView:
    """Shows the status of a watcher on standard error; it leaves no trace."""

    def __init__(self) -> None:
        # No thread of its own: it is drawn by the thread that does the work.
        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
        self._at = 0.0

    def __enter__(self) -> LiveView:
        """Begin to show it."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it off the screen."""
        self._live.stop()

    def show(self, document: dict[str, Any]) -> None:
        """Show the status `document`."""
        now = time.monotonic()
        if now >= self._at + _INTERVAL:
            self._at = now
            self._live.update(view(document), refresh=True)


def view(document: dict[str, Any]) -> Table:
    """Return a status document as a table."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for folder in document["folders"]:
        style = "green" if folder["state"] != "away" else "red"
        line = Text.assemble((folder["state"], style), "  ", ascii(folder["path"])[1:-1])
        if folder["trouble"]:
            line.append(f"  {folder['trouble']}", style="red")
        table.add_row("folder", line)
    pending = ", ".join(
        f"{document[name]:,} {name}" for name in ("settling", "waiting", "retrying")
    )
    table.add_row("pending", f"{pending}; {document['studies_waiting']:,} studies")
    table.add_row(
        "taken",
        f"{document['ingested']:,} ingested, {document['duplicates']:,} duplicates, "
        f"{document['changes']:,} changes",
    )
    if document["quarantined"]:
        table.add_row("quarantine", Text(f"{document['quarantined']:,}", style="yellow"))
    table.add_row("lag", f"{document['lag']:.1f} s")
    if document["last_error"]:
        error = document["last_error"]
        table.add_row(
            "last error", Text(f"{instant(error['at'])}  {error['event']}: {error['reason']}")
        )
    return table
