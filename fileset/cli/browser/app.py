"""The browser: panes for the hierarchy, what is staged and what happened, and the keys."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any, ClassVar, Final

import click
from attrs import evolve, frozen
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Footer, Input, Static, TabbedContent, TabPane, Tree
from textual.worker import get_current_worker

from fileset.cli.browser.halfblocks import fitting, half_blocks
from fileset.cli.browser.hierarchy import Hierarchy
from fileset.cli.browser.history import History
from fileset.cli.browser.lines import Lines, text_of
from fileset.cli.browser.screens import Listing, Question
from fileset.cli.browser.telling import (
    change_lines,
    data_set_lines,
    pending_lines,
    record_lines,
    whose_lines,
)
from fileset.cli.matching import advice, nothing, parse_query
from fileset.cli.screen.documents import staged_line
from fileset.cli.screen.output import Span
from fileset.cli.screen.text import in_commands
from fileset.cli.screen.wording import Wording
from fileset.cli.session import Session
from fileset.cli.stepping import step
from fileset.criteria import Query
from fileset.errors import RefusedError
from fileset.fileset import FileSet
from fileset.pictures.picture import PictureError, frames_of, picture
from fileset.repository.find_change import change_at
from fileset.repository.undo import UndoPlan, redoing, reverting, undoing
from fileset.views.instance import LARGE_VALUE
from fileset.views.search import Search
from ledger.errors import LedgerError
from ledger.phrases import count
from projections.state.nodes import Branch, Leaf

_LOOK: Final = 2.0  # seconds between two looks at whether others have recorded something
_PATIENCE: Final = 2.0  # seconds to wait for others, unless it was said how long
_SETTLED: Final = 0.15  # seconds for which the cursor has to stand before a file is read
_LONGEST: Final = 1024  # pixels of a picture that is kept
_FOUND: Final = 10_000  # instances

_HELP: Final = """\
Arrows, Page Up and Page Down move; Tab goes from one part to the next.

1, 2, 3    the File-set, what is staged, and the history
Enter      open or close a record, or show a change
/          search by KEYWORD=VALUE..., as `fileset find` does; Escape shows all
v, d, p    of what the cursor is at: its values, its data set, its picture
[ and ]    the frame before, and the next one
u, r       undo the newest change, or redo what was undone: asks first
Enter, x   in the history: show a change, and revert it, which asks first
g          read again what others have recorded
?, q       show this, and quit

Nothing is changed without a question that shows what it would do."""


@frozen
class Subject:
    """What is looked at.

    Attributes
    ----------
    session : Session
        The repository, and who works on it.
    fs : FileSet
        The File-set, as of now or before.
    fixed : str
        Why nothing can be changed; empty where something can.
    """

    session: Session
    fs: FileSet
    fixed: str = ""


@frozen
class _Detail:
    """What is shown of what: the values of its records, its data set, or a frame of it."""

    node: Branch | Leaf | None = None
    kind: str = "record"
    frame: int | None = None


class Browser(App[None]):
    """Looks at a File-set, and takes changes back."""

    TITLE = "fileset"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; dock: top; padding: 0 1; background: $panel; }
    TabbedContent, ContentSwitcher, TabPane { height: 1fr; }
    TabPane { padding: 0; }
    Lines, Hierarchy, History { scrollbar-size: 1 1; }
    #left { width: 45%; }
    #query { display: none; border: none; height: 1; padding: 0 1; }
    #query.asked { display: block; }
    #details { padding: 0 1; border-left: solid $panel; }
    #pending { padding: 0 1; }
    .front { width: 100%; height: 1fr; border: round $accent; background: $surface; padding: 0 1; }
    .front Lines { height: 1fr; }
    .buttons { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "pane('files')", "File-set", show=False),
        Binding("2", "pane('staged')", "Staged", show=False),
        Binding("3", "pane('history')", "History", show=False),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("escape", "leave_search", "Back", show=False),
        Binding("v", "detail('record')", "Values"),
        Binding("d", "detail('data')", "Data set"),
        Binding("p", "detail('picture')", "Picture"),
        Binding("left_square_bracket", "frame(-1)", "Frame before", show=False),
        Binding("right_square_bracket", "frame(1)", "Next frame", show=False),
        Binding("u", "step('undo')", "Undo"),
        Binding("r", "step('redo')", "Redo"),
        Binding("x", "revert", "Revert", show=False),
        Binding("g", "refresh", "Read again", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, subject: Subject, reason: str = "") -> None:
        """Look at `subject`; `reason` is what is proposed as the reason of changes."""
        super().__init__()
        self._subject, self._reason = subject, reason
        self._fs = subject.fs
        self._repository = subject.fs.repository
        if subject.session.wait is None:
            self._repository.patience = _PATIENCE
        self._detail = _Detail()
        self._due: Timer | None = None
        self._turn = RLock()  # while a thread looks at the state, or it is changed
        self._news = ""
        self._stale: set[str] = set()
        self.recorded: list[str] = []
        """The ids of the changes that were recorded."""

    def compose(self) -> ComposeResult:
        """Make what is on the screen."""
        yield Static(id="title")
        with TabbedContent(initial="files"):
            with TabPane("1 File-set", id="files"), Horizontal():
                with Vertical(id="left"):
                    yield Input(id="query", placeholder="KEYWORD=VALUE...", compact=True)
                    yield Hierarchy(lambda: self._fs.state, self._look)
                yield Lines(id="details")
            with TabPane("2 Staged", id="staged"):
                yield Lines(id="pending")
            with TabPane("3 History", id="history"):
                yield History()
        yield Footer()

    def on_mount(self) -> None:
        """Show what there is."""
        self._show()
        self.query_one(Hierarchy).focus()
        if self._repository.is_kept:
            self.set_interval(_LOOK, self._look_for_news)

    def _show(self) -> None:
        """Show all of it as it is now."""
        self._news = ""
        self._detail = evolve(self._detail, node=None)  # what is staged for it may have changed
        self._tell_title()
        self._stale = {"files", "staged", "history"}
        self._freshen()

    def _freshen(self) -> None:
        """Show what is in the pane that is seen, if that is not of now."""
        pane = self.query_one(TabbedContent).active
        if pane not in self._stale:
            return
        with self._told(), self._alone():
            self._stale.remove(pane)
            if pane == "files":
                self.query_one(Hierarchy).show_all()
            elif pane == "staged":
                self.query_one("#pending", Lines).show(pending_lines(self._fs.state))
            else:
                self.query_one(History).show(self._repository, self._fs.state.position)

    def on_tabbed_content_tab_activated(self) -> None:
        """Show what is in a pane once it is seen."""
        self._freshen()

    def _tell_title(self) -> None:
        state = self._fs.state
        name = state.identity.id or "File-set"
        fixed = f"{self._subject.fixed}  " if self._subject.fixed else ""
        parts: list[str | Span] = [
            Span(name, "title"),
            Span(f"  {self._news}" if self._news else "", "careful"),  # first: there is little room
            f"  {count(len(state.live), 'instance')}  {fixed}",
            staged_line(state) if not fixed else "",
        ]
        self.query_one("#title", Static).update(text_of(tuple(parts)))

    def _look_for_news(self) -> None:
        """Tell if others have recorded something; that needs no lock."""
        try:
            behind = self._repository.journal.position - self._repository.state.position
        except (LedgerError, OSError) as exc:
            news = f"The repository can't be read any more: {exc}"
        else:
            news = f"{count(behind, 'new event')}: g shows them" if behind > 0 else ""
        if news != self._news:
            self._news = news
            self._tell_title()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Have what is refused be told, and not end the browser."""
        try:
            yield
        except (LedgerError, OSError, click.UsageError, ValueError) as exc:
            message = exc.format_message() if isinstance(exc, click.UsageError) else str(exc)
            self._notify(in_commands(message), "warning")

    def _notify(self, message: str, severity: Any = "information") -> None:
        self.notify(text_of(message).plain, severity=severity, markup=False)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have no thread look at the state; RefusedError while one does."""
        if not self._turn.acquire(blocking=False):
            raise RefusedError("A search is still going on: wait for it.")
        try:
            yield
        finally:
            self._turn.release()

    def _look(self, do: Callable[[], None]) -> None:
        """Do what looks at the state, or tell why that can't be now."""
        with self._told(), self._alone():
            do()

    # --- moving about ----------------------------------------------------------------------------

    def action_pane(self, name: str) -> None:
        """Show a pane."""
        self.query_one(TabbedContent).active = name
        focused = {"files": "#hierarchy", "staged": "#pending", "history": "#changes"}
        self.query_one(focused[name]).focus()

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Listing(_HELP.splitlines()))

    def action_refresh(self) -> None:
        """Take in what others have recorded."""
        with self._told(), self._alone():
            self._fs.refresh()
            self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out of the footer what can't be done."""
        del parameters
        return not (action in {"step", "revert"} and self._subject.fixed)

    # --- searching -------------------------------------------------------------------------------

    def action_search(self) -> None:
        """Ask what to search for."""
        self.action_pane("files")
        query = self.query_one("#query", Input)
        query.add_class("asked")
        query.focus()

    def action_leave_search(self) -> None:
        """Leave a search."""
        query = self.query_one("#query", Input)
        with self._told(), self._alone():
            if query.has_class("asked"):
                query.value = ""
                query.remove_class("asked")
                self.query_one(Hierarchy).show_all()
        self.query_one(Hierarchy).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Search for what was typed."""
        if not event.value.strip():
            self.action_leave_search()
            return
        with self._told():
            try:
                wanted = parse_query(shlex.split(event.value))
            except ValueError as exc:  # quotes that don't end
                raise click.UsageError(f"{event.value!r}: {exc}.") from exc
            self._notify("Searching ...")
            self._search(wanted)

    @work(thread=True, exclusive=True, group="search", exit_on_error=False)
    def _search(self, wanted: Query) -> None:
        search = Search(load=False)
        leaves: list[Leaf] = []
        number = 0
        with self._turn:
            try:
                found = search.find(self._fs, wanted)
                number = len(found)
                leaves = [self._fs.state.leaf(each.handle) for each in found[:_FOUND]]
                told = advice(search, wanted) if found else [nothing(search, self._fs, wanted)]
            except (LedgerError, OSError, click.UsageError) as exc:
                told = [str(exc)]
            except Exception as exc:  # noqa: BLE001 - pydicom raises many things on what is in files
                told = [f"The search failed: {exc!r}"]
        if not get_current_worker().is_cancelled:
            self.call_from_thread(self._found, leaves, number, told)

    def _found(self, leaves: list[Leaf], number: int, told: list[str]) -> None:
        self._freshen()  # what could not be shown meanwhile
        self.clear_notifications()
        for text in told:
            self._notify(text, "warning")
        if leaves:
            left = f"; the first {_FOUND:,} are shown" if number > len(leaves) else ""
            self._notify(f"{count(number, 'instance')} found{left}. Escape shows all.")
            self.query_one(Hierarchy).show_found(leaves)
            self.query_one(Hierarchy).focus()

    # --- what is shown of an instance ------------------------------------------------------------

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Any]) -> None:
        """Show what the cursor is at."""
        node = event.node.data
        if isinstance(node, Branch | Leaf) and node is not self._detail.node:
            self._show_detail(evolve(self._detail, node=node, frame=None))

    def action_detail(self, kind: str) -> None:
        """Show something else of it."""
        if kind != "record" and isinstance(self._detail.node, Branch):
            self._notify("This record stands for several files: go to an instance below it.")
            return
        self._show_detail(evolve(self._detail, kind=kind))

    def action_frame(self, by: int) -> None:
        """Show another frame."""
        if self._detail.kind == "picture":
            self._show_detail(evolve(self._detail, frame=(self._detail.frame or 0) + by))

    def on_resize(self) -> None:
        """Draw a picture anew: it is as large as there is room."""
        if self._detail.kind == "picture":
            self._show_detail(self._detail)

    def _show_detail(self, detail: _Detail) -> None:
        """Show it once the cursor stands; values of records at once."""
        self._detail = detail
        if self._due is not None:
            self._due.stop()
            self._due = None
        if detail.node is None:
            return
        if detail.kind == "record" or not isinstance(detail.node, Leaf):
            with self._told():
                self._details().show(record_lines(detail.node, self._fs.state))
        else:
            self._due = self.set_timer(_SETTLED, partial(self._read_now, detail))

    def _read_now(self, detail: _Detail) -> None:
        self._due = None
        self._read(detail)

    def _details(self) -> Lines:
        return self.query_one("#details", Lines)

    @work(thread=True, exclusive=True, group="detail", exit_on_error=False)
    def _read(self, detail: _Detail) -> None:
        """Read a file for what is shown of it."""
        size = self._details().size
        shown, lines = detail, list[Any]()
        try:
            shown, lines = self._made(detail, size.width, size.height)
        except PictureError as exc:
            lines = [(Span("No picture: ", "careful"), str(exc))]
        except Exception as exc:  # noqa: BLE001 - pydicom raises many things on what is in files
            lines = [(Span("It can't be read: ", "bad"), f"{exc}")]
        if not get_current_worker().is_cancelled:
            self.call_from_thread(self._show_read, detail, shown, lines)

    def _made(self, detail: _Detail, columns: int, rows: int) -> tuple[_Detail, list[Any]]:
        assert isinstance(detail.node, Leaf)  # noqa: S101 - nothing else has a file
        with self._fs.contents.place(detail.node) as path:
            if detail.kind == "data":
                from pydicom import dcmread  # noqa: PLC0415 - where it is used

                return detail, list(data_set_lines(dcmread(path, defer_size=LARGE_VALUE)))
            frames, usual = frames_of(path)
            frame = usual if detail.frame is None else detail.frame % frames
            found = picture(path, frame=frame, longest=_LONGEST)
        head = [text_of((Span(f"Frame {frame + 1:,} of {frames:,}: [ and ]", "faint"),))]
        width, height = fitting(found.size, columns, rows - (frames > 1))
        rgb = found.convert("RGB").resize((width, height)).tobytes()
        lines = [*(head if frames > 1 else []), *half_blocks(width, rgb)]
        return evolve(detail, frame=frame), lines

    def _show_read(self, asked: _Detail, shown: _Detail, lines: list[Any]) -> None:
        if asked == self._detail:  # else something else was asked for meanwhile
            self._detail = shown
            self._details().show(lines)

    # --- changes ---------------------------------------------------------------------------------

    def on_data_table_row_selected(self) -> None:
        """Show a change, and what is different since."""
        entry = self.query_one(History).selected
        if entry is None:
            return
        with self._told(), self._alone():
            lines = list(change_lines(self._repository, entry.change, Wording(self._repository)))
            actions = [] if self._subject.fixed else [("x", "revert", "Revert")]
            self.push_screen(Listing(lines, *actions), self._after_listing)

    def _after_listing(self, name: str | None) -> None:
        if name == "revert":
            self.action_revert()

    def action_step(self, verb: str) -> None:
        """Ask whether to undo the newest change, or to redo one."""
        if verb == "undo":
            self._ask(verb, undoing(1), lambda reason: self._repository.undo(reason=reason))
        else:
            self._ask(verb, redoing(1), lambda reason: self._repository.redo(reason=reason))

    def action_revert(self) -> None:
        """Ask whether to revert the change at the cursor of the history."""
        entry = self.query_one(History).selected
        if entry is None or self.query_one(TabbedContent).active != "history":
            return
        change = entry.change
        self._ask(
            "revert",
            reverting(self._repository.journal, change),
            lambda reason: self._repository.revert(change.id, reason=reason),
        )

    def _ask(self, verb: str, plan: UndoPlan, do: Callable[[str | None], object]) -> None:
        """Show what would be done, and do it if that is wanted."""
        with self._told(), self._alone():
            foreseen = step(self._subject.session, verb, plan, True, False, None)
            (told, *_) = foreseen.document.values()  # the changes
            whose = [line for each in told for line in whose_lines(each)]
            question = Question(verb, [*foreseen.lines, "", *whose], self._reason)
            self.push_screen(question, partial(self._answered, verb, do))

    def _answered(self, verb: str, do: Callable[[str | None], object], reason: str | None) -> None:
        if reason is None:
            return
        with self._told():
            try:
                with self._alone():
                    do(reason.strip() or None)
            finally:
                self._show()  # also what others did, if that is why it was refused
            self.recorded.append(
                change_at(self._repository.journal, self._repository.state.position).id
            )
            self._notify(f"Done: {verb}. {staged_line(self._fs.state)}")
