"""What the browser shows in front: a question before something is done, a change, the keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Footer, Input

from fileset.cli.browser.lines import Lines
from fileset.cli.screen.output import Line, Node


class Listing(ModalScreen[str | None]):
    """Lines to look at; it ends with the name of what is to be done, or with nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss", "Back")]

    def __init__(self, lines: Iterable[Line | Node], *actions: tuple[str, str, str]) -> None:
        """Show `lines`; each action is a key, its name, and what the footer calls it."""
        super().__init__()
        self._lines = list(lines)
        for key, name, label in actions:
            self._bindings.bind(key, f"done('{name}')", label)

    def compose(self) -> ComposeResult:
        """Make what is on it."""
        with Vertical(classes="front"):
            yield Lines(id="listed")
        yield Footer()

    def on_mount(self) -> None:
        """Show the lines."""
        self.query_one(Lines).show(self._lines)
        self.query_one(Lines).focus()

    def action_done(self, name: str) -> None:
        """End with what is to be done."""
        self.dismiss(name)


class Question(ModalScreen[str | None]):
    """What would be done, and whether it is to be; it ends with the reason, `None` for no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "Yes"),
        Binding("n,escape", "no", "No"),
    ]

    def __init__(self, verb: str, lines: Sequence[Line | Node], reason: str) -> None:
        """Ask whether to do what `lines` tell; `reason` is what is proposed as the reason."""
        super().__init__()
        self._verb, self._lines, self._reason = verb, lines, reason

    def compose(self) -> ComposeResult:
        """Make what is on it."""
        with Vertical(classes="front"):
            yield Lines(id="foreseen")
            yield Input(self._reason, placeholder="Why (kept in the journal; may be empty)")
            with Horizontal(classes="buttons"):
                yield Button(f"{self._verb.capitalize()} (y)", variant="warning", id="yes")
                yield Button("No (n)", id="no")
        yield Footer()

    def on_mount(self) -> None:
        """Show what would be done."""
        self.query_one(Lines).show(self._lines)
        self.query_one(Lines).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the answer."""
        if event.button.id == "yes":
            self.action_yes()
        else:
            self.action_no()

    def on_input_submitted(self) -> None:
        """Go on to the answer."""
        self.query_one("#yes", Button).focus()

    def action_yes(self) -> None:
        """End with the reason."""
        self.dismiss(self.query_one(Input).value)

    def action_no(self) -> None:
        """End with nothing."""
        self.dismiss(None)
