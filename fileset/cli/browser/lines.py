"""Lines that can be scrolled, however many there are: values, differences, events, pictures."""

from __future__ import annotations

from collections.abc import Iterable

from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fileset.cli.screen.output import STYLES, Line, Node, Span, drawn
from fileset.cli.screen.text import clean


class Lines(ScrollView, can_focus=True):
    """Shows lines; only those that are seen are rendered."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - textual's name
        super().__init__(id=id)
        self.texts: list[Text] = []

    def show(self, lines: Iterable[Line | Node | Text]) -> None:
        """Show these lines, from the first one on."""
        self.texts = [text for line in lines for text in texts_of(line)]
        width = max((text.cell_len for text in self.texts), default=0)
        self.virtual_size = Size(width, len(self.texts))
        self.scroll_home(animate=False)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return a line of what is seen."""
        left, top = self.scroll_offset
        width = self.size.width
        if top + y >= len(self.texts):
            return Strip.blank(width, self.rich_style)
        text = self.texts[top + y]
        strip = Strip(text.render(self.app.console), text.cell_len)
        return strip.crop_extend(left, left + width, None).apply_style(self.rich_style)


def texts_of(line: Line | Node | Text) -> Iterable[Text]:
    """Yield what a command would print as a line, or as the lines of a tree."""
    if isinstance(line, Text):
        yield line
    elif isinstance(line, Node):
        yield from map(text_of, drawn(line, is_unicode=True))
    else:
        yield text_of(line)


def text_of(line: Line) -> Text:
    """Return a line as a command would print it: nothing in it acts on the terminal."""
    text = Text(no_wrap=True, end="")
    for part in (line,) if isinstance(line, str) else line:
        if isinstance(part, Span):
            text.append(clean(part.text), _STYLES[part.style])
        else:
            text.append(clean(part))
    return text


_STYLES = {
    name: Style(color=style.get("fg"), bold=style.get("bold", False), dim=style.get("dim", False))
    for name, style in STYLES.items()
}
