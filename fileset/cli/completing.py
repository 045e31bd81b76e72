"""Completing words of a command line for a shell: change ids, tags, keywords and values, too."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import PurePath
from typing import Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from fileset.cli.screen.text import clean
from fileset.cli.session import COMPLETING, Session
from fileset.errors import NoSuchMomentError
from ledger.errors import LedgerError

_PROGRAM: Final = "fileset"
_RECENT: Final = 100  # changes whose ids are offered
_MANY: Final = 300  # values that are offered
_ACTS_IN_QUOTES: Final = frozenset("$`\"\\!'")  # in either kind: Bash's may be open within others

_CLOSED: Final = re.compile(r"""(?:[^\\'"]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")*""", re.DOTALL)
"""A line up to the quote that is open at its end."""

_USUAL: Final = (
    "PatientID",
    "PatientName",
    "StudyDate",
    "StudyDescription",
    "StudyID",
    "StudyInstanceUID",
    "AccessionNumber",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "InstanceNumber",
    "SOPInstanceUID",
    "SOPClassUID",
)
"""Keywords that directory records have, for which no dictionary is loaded."""


def complete(what: str, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return what a word that names a `what` could be; nothing where that can't be told.

    Neither has line breaks, which would make several of one, or other control characters.
    """
    try:
        found = [item for item in _SOURCES[what](ctx, incomplete) if item.value.isprintable()]
    except (LedgerError, OSError, click.ClickException, NoSuchMomentError):
        return []
    for item in found:
        item.help = item.help and clean(item.help)
    return found


def _moments(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    repository = _session(ctx).repository(newer_too=True)
    for name, position in repository.refresh().tags.items():
        if name.startswith(incomplete):
            yield CompletionItem(name, help=f"position {position}")
    yield from _changes(ctx, incomplete)


def _changes(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    journal = _session(ctx).repository(newer_too=True).journal
    after = 0 if incomplete else max(journal.position - _RECENT, 0)
    for change in journal.changes(after=after):
        if change.id.startswith(incomplete):
            what = f"{change.recorded_at[:10]} {change.actor}"
            yield CompletionItem(
                change.id, help=f"{what}: {change.reason}" if change.reason else what
            )


def _tags(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    tags = _session(ctx).repository(newer_too=True).refresh().tags
    return (CompletionItem(name) for name in tags if name.startswith(incomplete))


def _keywords(ctx: click.Context, incomplete: str, after: str = "") -> Iterator[CompletionItem]:
    del ctx
    found = [name for name in _USUAL if name.startswith(incomplete)]
    if not found:
        from pydicom.datadict import keyword_dict  # noqa: PLC0415 - only for what it alone has

        found = sorted(name for name in keyword_dict if name and name.startswith(incomplete))
    return (CompletionItem(f"{name}{after}") for name in found)


def _criteria(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    keyword, equals, value = incomplete.partition("=")
    if not equals:
        yield from _keywords(ctx, incomplete, "=")
        return
    from fileset.values import text_of  # noqa: PLC0415 - it needs pydicom

    texts = map(text_of, _session(ctx).file_set().find_values(keyword))
    wanted = (text for text in texts if text.startswith(value))
    yield from (CompletionItem(f"{keyword}={text}") for text in islice(wanted, _MANY))


_SOURCES: Final[dict[str, Callable[[click.Context, str], Iterable[CompletionItem]]]] = {
    "moment": _moments,
    "change": _changes,
    "tag": _tags,
    "keyword": _keywords,
    "criterion": _criteria,
}


def _session(ctx: click.Context) -> Session:
    return ctx.ensure_object(Session)


# --- shells --------------------------------------------------------------------------------------


class Bash(BashComplete):
    """Bash, of which a word may be a part only: it breaks words at `=` and `:`."""

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' item
    COMPREPLY=()
    while IFS= read -r item; do
        case $item in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            plain,*=) compopt -o nospace; COMPREPLY+=("${item#plain,}") ;;
            plain,*) COMPREPLY+=("${item#plain,}") ;;
        esac
    done < <(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    _typed = _before_quote = ""
    _is_open = _is_escaping = False

    def source(self) -> str:
        """Return the script; it needs Bash 4.4, which is not looked for."""
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is typed, and the beginning of that one."""
        line, point = os.environ.get("COMP_LINE", ""), os.environ.get("COMP_POINT", "")
        if point.isdecimal():  # both are missing where no shell asks
            line = os.fsdecode(os.fsencode(line)[: int(point)])
        words, self._is_open = _words_of(line)
        if self._is_open:
            closed = _CLOSED.match(line)
            self._before_quote = _words_of(closed[0])[0][-1] if closed else ""
        self._is_escaping = self._is_open and line.endswith("\\")
        self._typed = words.pop()
        return words, self._typed

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return what the word could be, without what Bash would take for more than a word.

        Within open quotes nothing can be escaped, and the values are other people's: a name with a
        command in it must not become a command here.
        """
        if self._is_escaping:  # which would take the escape from what is put behind it
            return []
        found = super().get_completions(args, incomplete)
        return [
            item
            for item in found
            if not self._is_open or item.type != "plain" or _ACTS_IN_QUOTES.isdisjoint(item.value)
        ]

    def format_completion(self, item: CompletionItem) -> str:
        """Return a word as Bash puts it in the place of the part that it takes for the word."""
        value = str(item.value)
        if not self._is_open:
            breaks = set(os.environ.get("COMP_WORDBREAKS", "")) & set("=:")
            kept = max((self._typed.rfind(char) for char in breaks), default=-1)
            value = re.sub(r"([^\w@%+=:,./^-])", r"\\\1", value[kept + 1 :])
        else:  # what is in front of the quote is a word of its own to Bash
            value = value.removeprefix(self._before_quote)
        return f"{item.type},{value}"


def _words_of(line: str) -> tuple[list[str], bool]:
    """Return the words of the last command in `line` and whether a quote or backslash is open.

    The last may be empty. The program's name is not among them.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();|&")
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    is_open = False
    try:
        for word in lexer:
            words = [] if set(word) <= set("();|&") else [*words, word]
    except ValueError:  # quotes, or a backslash, that something has to follow
        words.append(lexer.token)
        is_open = True
    if not is_open and (line[-1:].isspace() and not line.endswith("\\ ")):
        words.append("")
    names = [PurePath(word).name for word in words]
    begun = names.index(_PROGRAM) + 1 if _PROGRAM in names else 1
    return words[begun:] or [""], is_open


class _Asked(ShellComplete):
    """A shell that may not have asked: then there is nothing to complete."""

    def get_completion_args(self) -> tuple[list[str], str]:
        return super().get_completion_args() if "COMP_WORDS" in os.environ else ([], "")


class _Zsh(_Asked, ZshComplete):
    pass


class _Fish(_Asked, FishComplete):
    pass


for _class in (Bash, _Zsh, _Fish):
    add_completion_class(_class)


def script(shell: str) -> str:
    """Return what a shell has to run so that it completes words of this command."""
    classes = {"bash": Bash, "zsh": _Zsh, "fish": _Fish}
    return classes[shell](click.Command(_PROGRAM), {}, _PROGRAM, COMPLETING).source()
