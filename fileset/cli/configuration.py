"""Configuration files: the user's own and that of a repository, and what can be set there."""

from __future__ import annotations

import io
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click
from attrs import frozen

from fileset.cli.screen.text import did_you_mean
from ledger.disk import make_folders, replace_file
from ledger.files import open_regular
from ledger.phrases import storable

_REPOS: Final = "repos."
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_COLORS: Final = ("auto", "always", "never")
_MOST: Final = 1 << 20  # bytes of a file that are read: what people write is far shorter


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("a text in one line")
    return value


def _command(value: Any) -> str:
    if not isinstance(value, str) or not all(char.isprintable() for char in value):
        raise ValueError("a command, or an empty text for none")
    return value


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds < float("inf"):
        raise ValueError("a number of seconds greater than 0")
    return seconds


def _switch(value: Any) -> bool:
    words = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in words:
        raise ValueError("true or false")
    return words[value]


def _place(value: Any) -> str:
    text = _text(value)
    if not text.startswith(("/", "~")):
        raise ValueError("a path from / or ~ on: any other is in another place each time")
    return text


def _one_of(words: Callable[[], Iterable[str]]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        known = list(words())
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return value

    return check


def _layouts() -> Iterable[str]:
    from projections.medium.layouts import LAYOUTS  # noqa: PLC0415 - for this key alone

    return LAYOUTS


def _languages() -> Iterable[str]:
    from fileset.media.words import LANGUAGES  # noqa: PLC0415 - as above

    return sorted(LANGUAGES)


@frozen
class Key:
    """Something that can be set.

    Attributes
    ----------
    what : str
        What it is, for people.
    check : callable
        Returns a value as it is used; ValueError, which says what it has to be, if it can't be.
    own : bool
        Whether only the user's own file may set it.
    """

    what: str
    check: Callable[[Any], Any]
    own: bool = False


KEYS: Final[Mapping[str, Key]] = {
    "actor": Key("who makes changes", _text),
    "wait": Key("seconds to wait for others who change the repository", _seconds),
    "layout": Key(
        "the layout of exports, copies and the first write to a medium", _one_of(_layouts)
    ),
    "language": Key("the language of the pages of media", _one_of(_languages)),
    "institution": Key("whose media they are, as their pages have it", _text),
    "color": Key("always, never, or auto where a terminal is", _one_of(lambda: _COLORS)),
    "utc": Key("whether times are printed in UTC", _switch),
    "pager": Key("the command that shows long answers; empty for none", _command, own=True),
    "repo": Key("the repository where none is named or around", _text, own=True),
}
"""What can be set, besides `repos.NAME`."""

_REPO: Final = Key("what --repo NAME stands for", _place, own=True)
_WHY_OWN: Final = (
    "a repository may come from elsewhere, and must not choose what is run or opened here"
)


def key_named(name: str) -> Key:
    """Return what is called `name`; a usage error, with near names, if nothing is."""
    if name in KEYS:
        return KEYS[name]
    if name.startswith(_REPOS) and _NAME.fullmatch(name.removeprefix(_REPOS)):
        return _REPO
    raise click.UsageError(
        f"There is nothing called '{name}' to be set, only {', '.join(KEYS)} and repos.NAME."
        f"{did_you_mean(name, KEYS)}"
    )


@frozen
class Configuration:
    """What one file sets: the values by key, and warnings on what is ignored in it."""

    path: Path
    values: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def read_configuration(path: Path, *, own: bool) -> Configuration | None:
    """Return what the file at `path` sets, `None` if there is none; `own` is whether it is yours.

    A usage error that names the file if it is yours and can't be read, sets something that is not
    known, or sets it to what it can't be. In another one, which may come from elsewhere or be of a
    newer version, that is ignored with a warning, as is what only your own may set.
    """
    values, warnings = {}, []
    try:
        table = _table(path)
    except click.UsageError as exc:
        if own:
            raise
        return Configuration(path, {}, (f"{exc.message} It is ignored.",))
    if table is None:
        return None
    for name, value in _flat(table):
        try:
            key, checked = _checked(name, value)
        except click.UsageError as exc:
            if own:
                raise click.UsageError(f"{path}: {exc.message}") from exc
            warnings.append(f"{path}: {exc.message} It is ignored.")
            continue
        if key.own and not own:
            warnings.append(f"{path}: {name} is ignored: {_WHY_OWN}")
        else:
            values[name] = checked
    return Configuration(path, values, tuple(warnings))


def _checked(name: str, value: Any) -> tuple[Key, Any]:
    key = key_named(name)
    try:
        return key, key.check(value)
    except ValueError as exc:
        raise click.UsageError(f"{name} has to be {exc}.") from exc


def _table(path: Path) -> dict[str, Any] | None:
    text = _text_of(path)
    try:
        return None if text is None else tomllib.loads(text)
    except RecursionError as exc:
        raise click.UsageError(f"{path} is no configuration: it is nested too deep.") from exc
    except ValueError as exc:  # of TOML, or of a number with too many digits for Python
        raise click.UsageError(f"{path} is not TOML: {exc}.") from exc


def _text_of(path: Path) -> str | None:
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor: a pipe would block
            data = file.read(_MOST + 1)
        if len(data) > _MOST:
            raise click.UsageError(f"{path} is far too long for a configuration.")
        return data.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise click.UsageError(f"{path} can't be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise click.UsageError(f"{path} is not TOML: it is not UTF-8.") from exc


def _flat(table: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{below}", each) for below, each in value.items())
        else:
            yield name, value


# --- setting -------------------------------------------------------------------------------------


def change_configuration(path: Path, name: str, value: str | None) -> bool:
    """Set `name` in the file at `path`, or unset it for `None`; whether that changed anything.

    The rest of the file stays as it is, comments included, and at any instant it is the old or the
    new one. A usage error if the value can't be, or the file is written so that its line can't be
    found.
    """
    text = _text_of(path) or ""
    before = dict(_flat(_table(path) or {}))
    wanted = dict(before)
    if value is None:
        wanted.pop(name, None)
    else:
        try:
            wanted[name] = key_named(name).check(value)
        except ValueError as exc:
            raise click.UsageError(f"{name} has to be {exc}, not '{value}'.") from exc
    if wanted == before:
        return False
    changed = _edited(text, name, wanted.get(name))
    try:
        is_done = dict(_flat(tomllib.loads(changed))) == wanted
    except tomllib.TOMLDecodeError:
        is_done = False
    if not is_done:
        raise click.UsageError(f"{path} sets {name} in a way of its own: edit it by hand.")
    real = Path(os.path.realpath(path))  # whoever keeps it elsewhere has a link here
    make_folders(real.parent)
    replace_file(real, changed.encode("utf-8"))
    return True


def _edited(text: str, name: str, value: Any) -> str:
    """Return a file with the line of `name` replaced, added, or dropped if the value is `None`.

    All other lines stay as they are, with their ends; the last gets one.
    """
    table, _, key = name.rpartition(".")
    lines = list(io.StringIO(text, newline="\n"))  # and at no other character
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    section = ""
    at, end = None, None  # the line of the key, and where that of a new one belongs
    for number, line in enumerate(lines):
        if header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            section = header[1]
        elif section == table and re.match(rf"\s*{re.escape(key)}\s*=", line):
            at = number
        if section == table and (header or re.match(r"\s*[^#\s].*=", line)):
            end = number + 1
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += ending
    if value is None:
        return "".join(line for number, line in enumerate(lines) if number != at)
    new = f"{key} = {_literal(value)}{ending}"
    if at is not None:
        lines[at] = new
    elif end is not None:
        lines.insert(end, new)
    elif table:
        lines += [*([ending] if lines else []), f"[{table}]{ending}", new]
    else:
        lines.insert(0, new)
    return "".join(lines)


def _literal(value: Any) -> str:
    """Return a value as TOML has it, which for texts is as JSON has them."""
    if isinstance(value, str):
        return json.dumps(storable(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
