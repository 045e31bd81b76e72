"""Running a command: warnings, errors and interruptions, each in its form and exit code.

0: all done. 1: done, but something was rejected or a check failed. 2: the command line makes no
sense. 3: refused, and nothing was changed unless the message says so. 130 and 141: interrupted, and
nobody reads the output any more, as shells know them.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import click

from fileset.cli.screen.output import Span, print_lines
from fileset.cli.screen.text import in_commands
from fileset.cli.session import Session
from fileset.errors import EndingError, with_remedy
from ledger.errors import JournalDamagedError, LedgerError

OK: Final = 0
INCOMPLETE: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


class OutputError(Exception):
    """The answer to a command can't be printed; the cause says why."""


def run(invoke: Callable[[Session], Any], arguments: Sequence[str]) -> int:
    """Call `invoke` with a new session and return the exit code."""
    _open_streams()
    _take_any_character(sys.stdout, sys.stderr)
    session = Session(as_json=_asks_for_json(arguments))
    try:
        with _collecting(session.warnings):
            status = _guarded(invoke, session)
        sys.stdout.flush()
    except (OSError, OutputError) as exc:
        _silence(sys.stdout)  # Python flushes again at exit, and would complain
        status = _unprinted(exc.__cause__ or exc)
    finally:
        session.close()
    return status


def _unprinted(why: BaseException) -> int:
    """Return the exit code of a command that has done what it was asked and can't say so."""
    if isinstance(why, BrokenPipeError):
        return BROKEN_PIPE
    message = f"the answer can't be printed: {getattr(why, 'strerror', why)}"
    with suppress(OSError):
        print_lines([(Span("error: ", "bad"), message)], err=True)
    return INCOMPLETE


def _guarded(invoke: Callable[[Session], Any], session: Session) -> int:
    try:
        return int(invoke(session) or OK)
    except click.ClickException as exc:
        return _usage(session, exc)
    except (click.Abort, KeyboardInterrupt):
        if session.answered:
            return INTERRUPTED
        return _fail(session, "interrupted", "Interrupted", session.interrupted(), INTERRUPTED)
    except BrokenPipeError:
        raise
    except EndingError as exc:
        return _fail(session, "usage", "UsageError", str(exc), USAGE)
    except LedgerError as exc:
        return _fail(session, "refused", type(exc).__name__, _message(exc), REFUSED)
    except OSError as exc:
        return _fail(session, "refused", type(exc).__name__, _os_message(exc), REFUSED)


@contextmanager
def piped(*, is_stream: bool) -> Iterator[None]:
    """End quietly, with 141, if nobody reads any more what goes to standard output."""
    try:
        yield
    except LedgerError as exc:
        if is_stream and isinstance(exc.__cause__, BrokenPipeError):
            raise OutputError from exc.__cause__
        raise


def _usage(session: Session, exc: click.ClickException) -> int:
    ctx = exc.ctx if isinstance(exc, click.UsageError) else None
    if ctx is not None and not session.as_json:
        hint = f"Try '{ctx.command_path} --help' for help."
        print_lines([*ctx.get_usage().splitlines(), hint, ""], err=True)
    message = in_commands(
        exc.format_message().replace("\n\t", " ")
    )  # before each choice of several
    return _fail(session, "usage", "UsageError", message, USAGE)


def _fail(session: Session, kind: str, name: str, message: str, status: int) -> int:
    error = {"kind": kind, "type": name, "message": message, "exit_code": status}
    session.error(error, message)
    return status


def _message(exc: LedgerError) -> str:
    return in_commands(with_remedy(exc) if isinstance(exc, JournalDamagedError) else str(exc))


def _os_message(exc: OSError) -> str:
    what = exc.strerror or str(exc) or type(exc).__name__
    return f"{exc.filename}: {what}." if exc.filename is not None else f"{what}."


@contextmanager
def _collecting(messages: list[str]) -> Iterator[None]:
    """Keep the text of every warning in `messages`, for the session to print.

    pydicom's are dropped: they come with each look at a value, and would not say of which instance
    it is. What adds or checks an instance tells what is wrong in it.
    """

    def keep(
        message: Warning | str, category: type[Warning], filename: str, *_: object, **__: object
    ) -> None:
        del category
        pydicom = sys.modules.get("pydicom")
        if pydicom is None or not filename.startswith(f"{pydicom.__path__[0]}{os.sep}"):
            messages.append(in_commands(str(message)))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = keep
        yield


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether the answer is wanted in JSON, even where the command line can't be understood."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before


def _open_streams() -> None:
    """Have somewhere to print to where the streams were closed (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _take_any_character(*streams: Any) -> None:
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _silence(stream: Any) -> None:
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - as os.devnull is text
            os.dup2(nowhere.fileno(), stream.fileno())
    except (OSError, ValueError):
        return  # not a real file


__all__ = ["INCOMPLETE", "INTERRUPTED", "OK", "USAGE", "OutputError", "piped", "run"]
