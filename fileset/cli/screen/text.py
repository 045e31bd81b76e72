"""Text as it is printed: safe whatever a file name or DICOM value holds, and in our wording."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

import click

IN_UTC: Final = "fileset.cli.utc"
"""What says in the context of a command that times are printed in UTC."""

_NO_RECORD: Final = re.compile(
    r"Unable to use the default '(?P<type>[^']*)' record creator: (?P<why>.*?)\. "
    r"See DICOM PS3\.3 Section F\.5\. Either .*? or use 'FileSet\.add_custom\(\)' instead",
    re.DOTALL,
)

_IN_PYTHON: Final = re.compile(r"(--[a-z][a-z-]*) \([a-z_]+=True\)")
"""What an option is called in Python, behind its name on the command line."""

_HINT: Final = re.compile(r"`fileset ([a-z][a-z-]*)\b")
"""A command that is named in a sentence."""

_OF_SEVERAL: Final = {
    "it is not an image": "they are not images",
    "it is": "they are",
    "it has": "they have",
    "and says that": "and say that",
    "its": "their",
}


def clean(text: str) -> str:
    """Return `text` with every character that could act on a terminal or break a line escaped.

    Those are the control, format and separator characters other than spaces, and the bytes of a
    file name that is not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(char if _is_harmless(char) else _escape(char) for char in text)


def instant(time: str) -> str:
    """Return a time of the journal, quarantine or watcher, which is in UTC, to the second.

    It is local, with the offset, unless the command line asks for UTC.
    """
    context = click.get_current_context(silent=True)
    if context is None or not context.meta.get(IN_UTC):
        try:
            return datetime.fromisoformat(time).astimezone().isoformat(timespec="seconds")
        except (ValueError, OverflowError):  # damaged, or so early that it isn't in all zones
            pass
    return f"{time[:19]}Z"


def did_you_mean(text: str, names: Iterable[str]) -> str:
    """Return a question after those of `names` that are like `text`, or an empty text."""
    import difflib  # noqa: PLC0415 - most texts are right

    near = difflib.get_close_matches(text, list(names), n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _is_harmless(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def in_commands(text: str) -> str:
    """Return what the library says in the words of the command line.

    Some of it is pydicom's to the letter, and names what Python programs would call. Where options
    are named, so is the argument in Python, which is left out.
    """
    text = _IN_PYTHON.sub(r"\1", _NO_RECORD.sub(_no_record, text))
    return text.replace("Changes staged for write():", "Changes staged for write:")


def with_repository(text: str, named: str, others: Collection[str]) -> str:
    """Return `text` with the repository in the commands that it names, so that they work as such.

    `named` is what names it, for a shell; `others` are the commands that work on no repository.
    """

    def name_it(found: re.Match[str]) -> str:
        return found[0] if found[1] in others else f"`fileset --repo {named} {found[1]}"

    return _HINT.sub(name_it, text) if "`fileset " in text else text


def of_several(reason: str) -> str:
    """Return what is said of one instance, "it is not an image", in words for several."""
    for one, several in _OF_SEVERAL.items():
        reason = re.sub(rf"\b{one}\b", several, reason)
    return reason


def _no_record(found: re.Match[str]) -> str:
    why = found["why"]
    why = f"t{why[1:]}" if why.startswith("The ") else why
    return f"no {found['type']} record can be made of it: {why} (PS3.3 Section F.5)"
