"""What a command is given: the repository, who runs it, and the form of its output."""

from __future__ import annotations

import os
import platform
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fileset.cli.screen.output import (
    Answer,
    Line,
    Node,
    Span,
    is_terminal,
    print_data,
    print_document,
    print_lines,
)
from fileset.cli.screen.text import with_repository
from ledger.errors import LedgerError
from ledger.phrases import count

if TYPE_CHECKING:
    from fileset.cli.configuration import Configuration
    from fileset.fileset import FileSet
    from fileset.repository.repository import Repository

ENVIRONMENT_VARIABLE = "FILESET_REPO"
CONFIGURATION = "config.toml"
"""The name of a configuration file, of the user or in a repository."""

COMPLETING = "_FILESET_COMPLETE"
"""The environment variable by which a shell asks for completions, as click has it."""

WITHOUT_REPOSITORY = frozenset(
    ("init", "index", "import-journal", "keygen", "demo", "help", "completion")
)
"""The commands that work on none that is there already."""


_LOOKED_AT = 1000
"""Entries of a folder that are looked at for a repository that somebody may mean."""


class Session:
    """One invocation of the command.

    Attributes
    ----------
    path : Path or None
        The repository that was named; `None` to look for the nearest one.
    is_path_from_environment : bool
        Whether the environment named it, and not an option.
    actor : str or None
        Who the changes are recorded as made by.
    wait : float or None
        Seconds to wait for others who are changing the repository; `None` for the usual minute.
    as_json : bool
        Whether the answer is one JSON document.
    quiet : bool
        Whether nothing is printed but what went wrong, or the document.
    no_pager : bool
        Whether even a long answer goes to the terminal at once.
    utc : bool
        Whether times are printed in UTC.
    color : str or None
        What is configured of colours: auto, always or never.
    warnings : list of str
        What was warned about on the way.
    answered : bool
        Whether the command is done and its answer is being printed.
    disc : Path or None
        The DICOMDIR of a File-set that is looked at without a repository.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.path: Path | None = None
        self.is_path_from_environment = False
        self.actor: str | None = None
        self.wait: float | None = None
        self.as_json = as_json
        self.quiet = False
        self.no_pager = False
        self.utc = False
        self.color: str | None = None
        self.warnings: list[str] = []
        self.answered = False
        self.disc: Path | None = None
        self._file_set: FileSet | None = None  # of that disc
        self._repository: Repository | None = None
        self._opened_at = 0
        self._configured: tuple[Configuration, ...] | None = None
        self._own: Configuration | None = None

    def repository(self, *, newer_too: bool = False) -> Repository:
        """Open the repository; `RepositoryError` if there is none.

        With `newer_too` also one of a newer version, whose events alone can be read.
        """
        if self.disc is not None:
            self.file_set()
        elif self._repository is None:
            from fileset.repository.repository import Repository  # noqa: PLC0415 - --help can do without

            with self.telling_who_named_it():
                self.use(Repository.open(self.place(), origin=origin(), newer_too=newer_too))
        assert self._repository is not None  # noqa: S101 - use() has set it
        return self._repository

    @contextmanager
    def telling_who_named_it(self) -> Iterator[None]:
        """Add to an error of a repository that can't be opened that the environment named it."""
        from fileset.errors import RepositoryError  # noqa: PLC0415 - --help can do without

        try:
            yield
        except RepositoryError as exc:
            if self.is_path_from_environment:
                exc.args = (f"{ENVIRONMENT_VARIABLE} names {self.path}. {exc}", *exc.args[1:])
            raise

    def use(self, repository: Repository) -> None:
        """Work on `repository`, which is closed at the end."""
        repository.actor = self.actor
        if self.wait is not None:
            repository.patience = self.wait
        self._repository = repository
        self._opened_at = repository.journal.position

    def file_set(self) -> FileSet:
        """Open the repository and return its File-set."""
        from fileset.fileset import FileSet  # noqa: PLC0415 - it needs pydicom, others don't

        if self.disc is not None:
            if self._file_set is None:
                self._file_set = FileSet(self.disc)
                self.use(self._file_set.repository)
            return self._file_set
        return FileSet(repository=self.repository())

    def home(self) -> tuple[Path, Path] | None:
        """Return the repository that is named or around, and where its medium is, if it has one."""
        path = self._nearest()
        try:
            opened = self.repository() if path is not None else None
        except (LedgerError, OSError):  # it has no say in what is no business of it
            return None
        written = opened.state.written if opened is not None else None
        if path is None or opened is None or written is None:
            return None
        return (path, Path(written.root)) if opened.roots.knows(written.root) else None

    def place(self) -> Path:
        """Return the repository that is named or around, else the one that is configured.

        `RepositoryError` if there is none.
        """
        from fileset.errors import RepositoryError  # noqa: PLC0415 - as above

        path = self._nearest()
        if path is None and (configured := self.setting("repo")) is not None:
            path = self._short_name(configured) or Path(os.path.expanduser(configured))  # noqa: PTH111 - as below
        if path is None:
            raise RepositoryError(
                f"There is no repository in {Path.cwd()} or above it: name one with --repo"
                f"{_one_within(Path.cwd())} or {ENVIRONMENT_VARIABLE}, or make one with `fileset "
                "init REPO`."
            )
        return path

    def _nearest(self) -> Path | None:
        from fileset.repository.folder import find_repository  # noqa: PLC0415 - as above

        return self.path or find_repository(Path.cwd())

    # --- configuration ---------------------------------------------------------------------------

    def configure(self) -> None:
        """Take over what is configured where the command line says nothing.

        A usage error if the user's own configuration is wrong.
        """
        self.actor = self.actor or self.setting("actor")
        self.wait = self.wait or self.setting("wait")
        self.utc = self.utc or bool(self.setting("utc"))
        self.color = self.setting("color")

    def setting(self, name: str) -> Any:
        """Return what is configured as `name`: by the repository, else by the user, or `None`."""
        found = (each.values[name] for each in self._configurations() if name in each.values)
        return next(found, None)

    def settings(self) -> list[tuple[str, Any, Path]]:
        """Return all that is configured and counts: each key, its value, and the file with it."""
        found: dict[str, tuple[str, Any, Path]] = {}
        for each in self._configurations():
            for name, value in each.values.items():
                found.setdefault(name, (name, value, each.path))
        return [found[name] for name in sorted(found)]

    def named(self, text: str) -> Path:
        """Return the repository with that short name, if one is configured so; else the path.

        A usage error if another repository here is called so, too.
        """
        configured = self._short_name(text)
        if configured is None:
            return Path(text)
        from fileset.repository.folder import is_repository  # noqa: PLC0415 - as above

        is_same = os.path.realpath(text) == os.path.realpath(configured)
        if not is_same and is_repository(Path(text)):
            raise click.UsageError(
                f"'{text}' is the repository in this folder, and a short name for {configured}: "
                f"write ./{text} or {configured}."
            )
        return configured

    def _short_name(self, text: str) -> Path | None:
        own = self._read_own() if "/" not in text else None
        configured = None if own is None else own.values.get(f"repos.{text}")
        return None if configured is None else Path(os.path.expanduser(configured))  # noqa: PTH111 - some have no home

    def _configurations(self) -> tuple[Configuration, ...]:
        if self._configured is None:
            own, near = self._read_own(), self._nearest()
            theirs = None if near is None else _read(near / CONFIGURATION, own=False)
            self._configured = tuple(each for each in (theirs, own) if each is not None)
            for each in self._configured:
                self.warnings += each.warnings
        return self._configured

    def _read_own(self) -> Configuration | None:
        if self._own is None:
            path = user_configuration()
            self._own = None if path is None else _read(path, own=True)
        return self._own

    # --- ending ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the repository."""
        if self._repository is not None:
            self._repository.close()
            self._repository = None

    # --- printing --------------------------------------------------------------------------------

    def answer(self, answer: Answer, name: str, version: int, *, pages: bool = False) -> None:
        """Print what the command `name` has to say, in that version of its document.

        On a terminal, it is shown a screen at a time if the command `pages`.
        """
        self.answered = True
        if self.as_json:
            self._print_document(name, version, answer.document)
            return
        pager = None
        if pages and not self.no_pager and not self.quiet and is_terminal(sys.stdout):
            from fileset.cli.screen.pager import pager_named  # noqa: PLC0415 - as it says

            pager = pager_named(os.environ, self.setting("pager"))
        if answer.ending is not None:
            self._print(answer, pager, pages=pages)
            answer.ending()
        self.print_warnings()
        if not self.quiet or answer.status:
            notes = map(self._with_repository, answer.notes)
            print_lines(notes, err=True, color=self.color)
        if answer.ending is None:
            self._print(answer, pager, pages=pages)

    def _print(self, answer: Answer, pager: str | None, *, pages: bool) -> None:
        if answer.data is not None:
            print_data(answer.data)
        elif pager is not None:
            from fileset.cli.screen.pager import paging  # noqa: PLC0415 - for a person alone

            with paging(pager) as screen:
                print_lines(answer.lines, pager=screen, color=self.color)
        elif self.quiet:
            deque(answer.lines, 0)  # going through them is how some commands find what is wrong
        else:  # the answer of a command that pages are records, which stay as they are
            lines = answer.lines if pages else map(self._with_repository, answer.lines)
            print_lines(lines, color=self.color)

    def tell(self, line: Line) -> None:
        """Print at once what people have to know before the answer."""
        if not self.as_json and not self.quiet:
            print_lines([self._with_repository(line)], err=True)

    def error(self, error: dict[str, Any], message: str) -> None:
        """Print why a command failed."""
        message = self._named_in(message)
        if self.as_json:
            self._print_document("fileset error", 1, {"error": {**error, "message": message}})
            return
        self.print_warnings()
        print_lines([(Span("error: ", "bad"), message)], err=True, color=self.color)

    def _print_document(self, name: str, version: int, document: dict[str, Any]) -> None:
        warnings = list(map(self._named_in, self.warnings))
        common = {"format": name, "version": version}
        print_document({**common, **document, "warnings": warnings})

    def print_warnings(self) -> None:
        """Print what was warned about, once."""
        texts = map(self._named_in, self.warnings)
        lines = [(Span("warning: ", "careful"), text) for text in texts]
        print_lines(lines, err=True, color=self.color)
        self.warnings.clear()

    def _named_in(self, text: str) -> str:
        """Return what is said with the repository in the commands that it names.

        That is how they work for whoever named it with an option, and from the same folder.
        """
        if self.path is None or self.is_path_from_environment:
            return text
        import shlex  # noqa: PLC0415 - most people name no repository

        return with_repository(text, shlex.quote(os.fspath(self.path)), WITHOUT_REPOSITORY)

    def _with_repository(self, line: Line | Node) -> Line | Node:
        """Return a line with the repository in the commands that it names."""
        if isinstance(line, str):
            return self._named_in(line)
        if isinstance(line, Node):
            return line
        return tuple(
            part._replace(text=self._named_in(part.text))
            if isinstance(part, Span)
            else self._named_in(part)
            for part in line
        )

    def interrupted(self) -> str:
        """Return what is so after a command was interrupted."""
        repository = self._repository
        if repository is None:
            return "Interrupted; nothing was changed."
        try:
            done = repository.journal.position - self._opened_at
            writing = repository.refresh().writing
            is_known = writing is not None and repository.roots.knows(writing.event.root)
        except (LedgerError, OSError):
            return "Interrupted; `fileset log` shows what was recorded."
        if writing is not None and is_known:
            return (
                f"Interrupted while writing to {writing.event.root}: the medium is consistent, "
                "and `fileset write` completes it."
            )
        if done == 0:
            return "Interrupted; nothing was changed."
        if repository.state.erasing is not None:
            return "Interrupted; `fileset erase --complete` completes what was begun."
        from ledger.events import (  # noqa: PLC0415 - --version can do without
            MediumAddressed,
            MediumFilled,
            MediumStarted,
            WriteAbandoned,
        )  # fmt: skip

        *_, last = repository.journal.read(after=repository.journal.position - 1)
        if isinstance(last.event, WriteAbandoned):
            return (
                "Interrupted; the medium is as it was before: `fileset write` starts again. The "
                "log shows it."
            )
        if isinstance(last.event, MediumStarted | MediumAddressed | MediumFilled):
            return (
                "Interrupted; the medium is not finished, and `fileset media list` shows it so: "
                "`fileset media make` starts again."
            )
        return f"Interrupted; {count(done, 'event')} had been recorded: see `fileset log`."


class Recording:
    """One change; `id` is `None` afterwards if nothing was recorded in it."""

    def __init__(self, repository: Repository, reason: str | None) -> None:
        self._repository = repository
        self._change = repository.change(reason)
        self.id: str | None = None

    def __enter__(self) -> Recording:
        self.id = self._change.__enter__()
        self._position = self._repository.state.position
        return self

    def __exit__(self, *exc: Any) -> bool | None:
        if self._repository.state.position == self._position:
            self.id = None
        return self._change.__exit__(*exc)


def user_configuration() -> Path | None:
    """Return where the user's own configuration is or would be; `None` for one without a home."""
    named = Path(os.environ.get("XDG_CONFIG_HOME", ""))  # which has to be absolute to count
    folder = named if named.is_absolute() else Path(os.path.expanduser("~/.config"))  # noqa: PTH111
    return folder / "fileset" / CONFIGURATION if folder.is_absolute() else None


def _read(path: Path, *, own: bool) -> Configuration | None:
    """Return what a configuration file sets, `None` if there is none."""
    if not os.path.lexists(path):
        return None
    from fileset.cli.configuration import read_configuration  # noqa: PLC0415 - few have one

    return read_configuration(path, own=own)


def _one_within(folder: Path) -> str:
    """Return the name of the one repository that lies in `folder`, as an option has it, or ""."""
    from fileset.repository.folder import is_repository  # noqa: PLC0415 - for an error alone

    try:
        with os.scandir(folder) as entries:
            few = islice(entries, _LOOKED_AT)
            found = [each.name for each in few if is_repository(Path(each.path))]
    except OSError:
        return ""
    if len(found) != 1:
        return ""
    import shlex  # noqa: PLC0415 - as above

    return f" {shlex.quote(found[0])}, which lies there,"


def origin() -> str:
    """Return what the journal says changes come from."""
    return f"fileset@{platform.node()}"


def absolute(path: Path) -> Path:
    """Return `path` from the root of the file system, links as the user wrote them."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute() keeps ".."
