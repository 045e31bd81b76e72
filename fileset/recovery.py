"""Recovering a repository whose journal is damaged, or gone.

What is proven (:mod:`ledger.salvage`) becomes the journal again, and nothing else does. The damaged
one is kept, whole, in a folder ``damaged-TIME`` of the repository, together with what could be read
of it and not be proven. In this order, so that killed at any point another run completes it:

1. The new journal is built in the folder ``recovering``.
2. The damaged files are kept there, too, and the report.
3. The new journal takes the damaged one's place in one step.
4. What was made of the damaged one, in the cache, goes, and the folder gets its name.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson
from attrs import Factory, asdict, define

from fileset.adding import Adder, Offered
from fileset.contents import Contents
from fileset.errors import RefusedError, RepositoryError
from fileset.exclusion import PATIENCE, Exclusion
from fileset.ingest import Outcome, Result, read_bytes
from fileset.repository import Repository, default_actor, default_origin
from fileset.repository_folder import (
    CACHE,
    JOURNAL,
    KEPT_DAMAGED,
    LOCK,
    PASSING,
    RECOVERING,
    SETTINGS,
    SNAPSHOT,
    SUMMARY,
    VAULT,
    open_vault,
    read_settings,
    settings_text,
)
from ledger import codec
from ledger.digest import Digest, digest_of, from_raw
from ledger.disk import fsync, private, replace_file
from ledger.errors import (
    InstanceError,
    JournalDamagedError,
    JournalError,
    LedgerError,
    UnknownFormatError,
    VaultError,
)
from ledger.events import (
    ErasureCompleted,
    Event,
    FileSetCreated,
    FileSetImported,
    JournalRecovered,
    PayloadErased,
    Placement,
)
from ledger.files import naming
from ledger.instance import read_instance
from ledger.journal import Clock, Draft, Journal, timestamp, utc_now, verify_journal
from ledger.packs import list_packs
from ledger.salvage import (
    ExportedJournal,
    Found,
    Proof,
    SalvagedDatabase,
    Witness,
    last_position,
    prove,
    roll_back,
)
from ledger.sqlite import SqliteJournal
from ledger.vault import Vault
from projections.hierarchy import Leaf
from projections.materializer import read_dicomdir
from projections.state import FileSetState

_KEPT: Final = "damaged"
_REPORT: Final = "report.json"
_UNPROVEN: Final = "unproven.jsonl"
_BESIDE: Final = ("-wal", "-journal")
_DATABASE: Final = "the damaged journal"
_REASON: Final = "recovered from the vault"
_DIGEST: Final = re.compile(rb"sha256:[0-9a-f]{64}")

Content: TypeAlias = dict[str, Any]
"""What is told of one content: its digest, size, SOP Instance UID, and what is wrong with it."""


@define
class Recovery:
    """What came of a recovery.

    Attributes
    ----------
    damage : list of str
        What was wrong. Empty if there was nothing to recover.
    dry_run : bool
        Whether this only tells what would be.
    journal : str or None
        The id of the recovered journal.
    begun_anew : bool
        Whether nothing could be proven, so that a new journal was begun.
    events : int
        How many events were proven: all up to that position.
    recorded_at : str or None
        When the last of them was recorded.
    sources : dict of str to int
        How many of them come from where.
    lost : list of int
        The first and the last position that is known to be lost; empty if none is.
    ended : bool
        Whether the database tells that nothing came after these events.
    unproven : int
        How many events beyond could be read and not be proven.
    missing : list of dict
        Contents that instances of the recovered File-set need and the vault has not, or damaged.
    unnamed : list of dict
        Contents of the vault that no proven event names.
    notes : list of str
        What else people have to know.
    erasing : bool
        Whether an erasure may not be complete: what no event names may be what it erases.
    kept : str or None
        The folder where the damaged files are.
    change : str or None
        The id of the change that added instances from the vault.
    added : int
        How many these are.
    not_added : list of dict
        The unnamed contents that were not added, with a reason.
    """

    damage: list[str] = Factory(list)
    dry_run: bool = False
    journal: str | None = None
    begun_anew: bool = False
    events: int = 0
    recorded_at: str | None = None
    sources: dict[str, int] = Factory(dict)
    lost: list[int] = Factory(list)
    ended: bool = True
    unproven: int = 0
    missing: list[Content] = Factory(list)
    unnamed: list[Content] = Factory(list)
    notes: list[str] = Factory(list)
    erasing: bool = False
    kept: str | None = None
    change: str | None = None
    added: int = 0
    not_added: list[Content] = Factory(list)

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return asdict(self)


def looks_like_repository(path: Path, *, with_exports: bool = False) -> bool:
    """Whether the folder `path` is a repository, or what is left of one.

    With exports of its journal there is less needed to tell: a folder for content is enough.
    """
    return (
        any((path / name).exists() for name in (SETTINGS, JOURNAL))
        or (path / RECOVERING).is_dir()
        or bool(list_packs(path / VAULT))
        or (with_exports and (path / VAULT).is_dir())
    )


def recover(  # noqa: PLR0913 - all but the first two are named
    path: Path,
    exports: Sequence[Path] = (),
    *,
    journal_id: str | None = None,
    from_vault: bool = False,
    dry_run: bool = False,
    origin: str | None = None,
    actor: str | None = None,
    clock: Clock = utc_now,
    patience: float = PATIENCE,
) -> Recovery:
    """Rebuild the journal of the repository in the folder `path`, as far as it can be proven.

    `exports` are exported journals to fill gaps from, and `journal_id` is the journal's id, should
    the damaged one have lost it. A journal that is whole, and goes on in an export, is extended by
    that. With `from_vault`, instances in the vault that no proven event names are added again, as
    one change; if nothing is proven, a new journal begins with them. With `dry_run` nothing is
    changed. `patience` is how many seconds to wait for others who are changing the repository.

    Raises :class:`~fileset.errors.RefusedError` if nothing can be proven or another process holds
    the repository, :class:`~fileset.errors.RepositoryError` if there is none,
    :class:`~ledger.errors.UnknownFormatError` if a newer version made it.
    """
    path = Path(path).absolute()
    if not looks_like_repository(path, with_exports=bool(exports)):
        raise RepositoryError(
            f"There is no repository at {path}, nor what is left of one: it has neither a journal "
            f"({JOURNAL}) nor settings ({SETTINGS}) nor content ({VAULT}/)."
        )
    origin = origin or default_origin()
    job = _Recovery(
        path, exports, journal_id, from_vault, dry_run, origin, actor or default_actor(), clock,
    )  # fmt: skip
    lock = path / LOCK
    is_new = not lock.exists()
    exclusion = Exclusion(path, any_journal=True)
    exclusion.patience = patience
    with exclusion.alone(origin):
        try:
            report = job.run()
        except (MemoryError, RecursionError) as exc:
            raise RefusedError(
                f"{path / JOURNAL} or an exported journal needs more memory than there is "
                f"({type(exc).__name__}): it is damaged, or made so. Restore a backup."
            ) from exc
        except LedgerError:
            if is_new:
                lock.unlink(missing_ok=True)  # who waits for it asks for it anew
            raise
    if from_vault and not dry_run:
        _add_unnamed(path, report, origin, actor, clock, patience)
    return report


# --- what is wrong -------------------------------------------------------------------------------


def _settings(path: Path) -> tuple[str | None, str | None]:
    """Return the journal's id that the settings name, and what is wrong with them."""
    try:
        return read_settings(path / SETTINGS), None
    except RepositoryError as exc:
        if isinstance(exc.__cause__, PermissionError):
            raise
        return None, str(exc).partition(" `fileset recover`")[0]


def _journal_damage(path: Path) -> str | None:
    """Return what is wrong with the journal at `path`, ``None`` if it is whole."""
    if not path.is_file():
        return f"There is no journal at {path}."
    with ExitStack() as stack:
        if _logs(path):  # opened for reading alone, SQLite could not play them back
            copy = stack.enter_context(_copied(path, path.parent))
            roll_back(copy)
        else:
            copy = path
        try:
            journal = stack.enter_context(closing(SqliteJournal(copy, read_only=True)))
            verify_journal(journal)
            journal.check()
        except JournalError as exc:
            if isinstance(exc, JournalDamagedError) or _is_unreadable(exc.__cause__):
                return str(exc).replace(str(copy), str(path))
            raise
        try:
            FileSetState.fold(journal.read())
        except UnknownFormatError:
            return None  # it is whole; what it amounts to, only a newer version can tell
        except JournalDamagedError as exc:
            return str(exc).replace(str(copy), str(path))
    return None


def _is_unreadable(cause: BaseException | None) -> bool:
    code = getattr(cause, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_IOERR


def _logs(path: Path) -> list[Path]:
    logs = [path.with_name(f"{path.name}{end}") for end in _BESIDE]
    return [log for log in logs if log.is_file() and log.stat().st_size]


@contextmanager
def _copied(path: Path, within: Path) -> Iterator[Path]:
    """Yield a copy of the database at `path` with its logs, which goes with the block."""
    with tempfile.TemporaryDirectory(prefix=PASSING, dir=within) as folder:
        for each in (path, *_logs(path)):
            shutil.copyfile(each, Path(folder, each.name))
        yield Path(folder, path.name)


# --- the recovery --------------------------------------------------------------------------------


class _Recovery:
    """One run, under the lock of the repository."""

    def __init__(
        self,
        path: Path,
        exports: Sequence[Path],
        journal_id: str | None,
        from_vault: bool,
        dry_run: bool,
        origin: str,
        actor: str,
        clock: Clock,
    ) -> None:
        self.path = path
        self.journal = path / JOURNAL
        self.work = path / RECOVERING
        self.kept = self.work / _KEPT
        self.exports = exports
        self.journal_id = journal_id
        self.from_vault = from_vault
        self.report = Recovery(dry_run=dry_run)
        self.origin = origin
        self.actor = actor
        self.clock = clock

    def run(self) -> Recovery:
        for left in self.path.glob(f"{PASSING}*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        named, of_settings = _settings(self.path)
        of_journal = _journal_damage(self.journal)
        if of_journal is None and (done := self._completed()) is not None:
            self.report = done
        else:
            if of_journal is None and named is not None:
                of_settings = self._is_another(named)
            self.report.damage = [each for each in (of_journal, of_settings) if each]
            try:
                self._recover(named, is_whole=of_journal is None)
            finally:
                with suppress(OSError):  # unless something is in it
                    self.work.rmdir()
        if not self.report.dry_run:
            self._mend_settings(named)
        return self.report

    def _recover(self, named: str | None, *, is_whole: bool) -> None:
        with ExitStack() as stack:
            exports = [stack.enter_context(closing(ExportedJournal(each))) for each in self.exports]
            if not is_whole:
                self._rebuild(stack, exports, named)
                return
            if not self.report.dry_run:
                self._put_away()
            if exports and self._goes_on(stack, exports):
                self._rebuild(stack, exports, named)
                return
        if self.from_vault or self.report.damage:
            with closing(SqliteJournal(self.journal, read_only=True)) as journal:
                self._tell(journal)

    def _goes_on(self, stack: ExitStack, exports: Sequence[ExportedJournal]) -> bool:
        """Whether `exports` prove more than the journal, which is whole, has."""
        with closing(SqliteJournal(self.journal, read_only=True)) as journal:
            id_, last = journal.id, journal.position
        witnesses = _witnesses(id_, self._databases(self.journal, stack), exports)
        proof = prove(id_, witnesses)
        if proof.last > last:
            self.report.damage.append(
                f"The journal at {self.journal} is whole and ends at position {last}; what was "
                f"exported of it has {proof.last - last} more: an older copy was put in its place, "
                "perhaps."
            )
            return True
        self._tell_of_exports(id_, proof, exports)
        return False

    def _put_away(self) -> None:
        """Have nothing left of an earlier run that was broken off, but what it had kept."""
        if not self.work.exists():
            return
        if not self.kept.is_dir() or not any(self.kept.iterdir()):
            shutil.rmtree(self.work, ignore_errors=True)
            return
        free = _free_name(self.path, f"{KEPT_DAMAGED}{self._time()}")
        self.work.rename(free)
        fsync(self.path)
        self.report.notes.append(
            f"An earlier recovery was broken off; the damaged files that it kept are in {free}."
        )

    def _mend_settings(self, named: str | None) -> None:
        """Have the settings name the journal that is there, or else no command would take it."""
        with closing(SqliteJournal(self.journal, read_only=True)) as journal:
            id_ = journal.id
        settings = self.path / SETTINGS
        if named == id_ or (named is None and _settings(self.path)[1] is None):
            return
        if settings.exists():
            settings.replace(_free_name(self.path, f"{SETTINGS}.damaged-{self._time()}"))
        replace_file(settings, settings_text(id_).encode("utf-8"))

    def _is_another(self, named: str) -> str | None:
        """Return what is wrong with settings that name another journal than the one there is.

        Raises :class:`~fileset.errors.RefusedError` where it can't be told which of them is.
        """
        with closing(SqliteJournal(self.journal, read_only=True)) as journal:
            there = journal.id
        if there == named:
            return None
        told = f"{self.path / SETTINGS} names the journal {named}, and the one there is {there}."
        if self.journal_id != there:
            raise RefusedError(
                f"{told} If another repository's journal got here, put the right one back; if this "
                f"is the right one, say so: --journal-id {there}."
            )
        return told

    def _time(self) -> str:
        return re.sub(r"[-:]|\.\d+", "", timestamp(self.clock))

    # --- an earlier run that was killed

    def _completed(self) -> Recovery | None:
        """Complete an earlier run that had got as far as to put the journal in place."""
        try:
            told = orjson.loads((self.work / _REPORT).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        new = self.work / JOURNAL
        if new.exists():
            # Without the logs beside it what was damaged can look whole.
            if told.pop("was") != _signature(self.journal) or self.report.dry_run:
                return None
            self._put_in_place()
        if self.report.dry_run:
            return None
        told.pop("was", None)
        self.report = Recovery(**told)
        self._name_folder()
        return self.report

    # --- building

    def _rebuild(
        self, stack: ExitStack, exports: Sequence[ExportedJournal], named: str | None
    ) -> None:
        report = self.report
        damaged = self.kept / JOURNAL if self._is_kept() else self.journal
        databases = self._databases(damaged, stack)
        proof = self._proof(databases, exports, named)
        if (proof is None or not proof.last) and not self.from_vault:
            raise RefusedError(_nothing_proven(proof is not None, exports, self.journal_id))
        folder = self.work
        if report.dry_run:
            passing = tempfile.TemporaryDirectory(prefix=PASSING, dir=self.path)
            folder = Path(stack.enter_context(passing))
        else:
            if (self.kept / JOURNAL).exists() and not self._is_kept():
                # Kept by a run that was killed, and another file has come in the place of it since.
                self._put_away()
            self.work.mkdir(mode=0o700, exist_ok=True)
        new = folder / JOURNAL
        for each in (new, *(new.with_name(f"{new.name}{end}") for end in _BESIDE)):
            each.unlink(missing_ok=True)
        journal = stack.enter_context(closing(self._build(new, proof, databases, exports)))
        unproven = Counter(found.type for _, found in _unproven(databases, report.events))
        report.ended = self._last(damaged) == report.events
        self._tell(journal)
        self._tell_of_proof(proof, databases, exports, unproven)
        self._record(journal, damaged)
        if report.dry_run:
            return
        journal.close()
        _write_unproven(folder / _UNPROVEN, databases, report.events)
        self._keep(damaged)
        if self.kept.exists():
            report.kept = str(_free_name(self.path, f"{KEPT_DAMAGED}{self._time()}"))
        told = {**report.document(), "was": _signature(self.journal)}
        replace_file(self.work / _REPORT, orjson.dumps(told, option=orjson.OPT_INDENT_2))
        fsync(self.work)
        self._put_in_place()
        self._name_folder()

    def _proof(
        self,
        databases: Sequence[SalvagedDatabase],
        exports: Sequence[ExportedJournal],
        named: str | None,
    ) -> Proof | None:
        """Return what is proven for the id that the journal has; ``None`` if none is known.

        What its owner says counts first, then its settings, then the database. An export's id is
        taken where none of these is known, or where the database's own events follow from it.
        """
        own = list(dict.fromkeys(id_ for each in databases for id_ in each.ids))
        if (id_ := self.journal_id) is not None:
            proven = prove(id_, _witnesses(id_, databases, exports))
            if not proven.last or prove(id_, databases).last:
                return proven
            if named not in (None, id_):
                raise RefusedError(
                    f"{self.path / SETTINGS} names the journal {named}, and --journal-id {id_}; no "
                    "event of the database is of the latter. If it is the right one all the same, "
                    f"move {SETTINGS} away first. Nothing was changed."
                )
            if any(prove(each, databases).last for each in own):
                raise RefusedError(
                    f"The database at {self.journal} is of the journal {own[0]}, and none of its "
                    f"events of {id_}, which --journal-id names. If that is the right one all the "
                    "same, move the database away first. Nothing was changed."
                )
            return proven
        if named is not None:
            return prove(named, _witnesses(named, databases, exports))
        of_exports = list(dict.fromkeys(each.journal_id for each in exports))
        proofs = [prove(id_, _witnesses(id_, databases, exports)) for id_ in own]
        if not any(proof.last for proof in proofs):
            proofs += [
                prove(id_, _witnesses(id_, databases, exports)) for id_ in of_exports
                if not own or prove(id_, databases).last
            ]  # fmt: skip
        return max(proofs, key=lambda proof: proof.last, default=None)

    def _last(self, damaged: Path) -> int | None:
        """Return where the damaged journal ends, by what leads to its last event."""
        if not damaged.is_file():
            return None
        if not _logs(damaged):
            return last_position(damaged)
        with _copied(damaged, self.path) as copy:
            roll_back(copy)
            return last_position(copy)

    def _databases(self, damaged: Path, stack: ExitStack) -> list[SalvagedDatabase]:
        if not damaged.is_file():
            return []
        found = []
        if _logs(damaged):
            copy = stack.enter_context(_copied(damaged, self.path))
            roll_back(copy)
            found.append(stack.enter_context(SalvagedDatabase(copy, _DATABASE)))
        found.append(stack.enter_context(SalvagedDatabase(damaged, _DATABASE)))
        return found

    def _build(
        self,
        new: Path,
        proof: Proof | None,
        databases: Sequence[SalvagedDatabase],
        exports: Sequence[ExportedJournal],
    ) -> SqliteJournal:
        """Build the journal that is proven, or else a new one."""
        while proof is not None and proof.last:
            journal = SqliteJournal.restore(new, proof.journal_id, proof.events(), clock=self.clock)
            try:
                FileSetState.fold(journal.read())
            except UnknownFormatError:
                pass
            except JournalDamagedError as exc:
                journal.close()
                new.unlink()
                self.report.notes.append(f"{exc} It is proven, and can't be taken all the same.")
                proof.end_before(exc.position or 1)
                continue
            self.report.events = proof.last
            return journal
        if not self.from_vault:
            raise RefusedError(_nothing_proven(proof is not None, exports, self.journal_id))
        journal = SqliteJournal.create(new, clock=self.clock)
        self.report.begun_anew = True
        first = _first_event(databases)
        journal.append(
            [first or FileSetCreated(uid=_new_uid())],
            Draft(secrets.token_hex(6), self.actor, self.origin, None),
            expected=0,
        )
        return journal

    def _record(self, journal: SqliteJournal, damaged: Path) -> None:
        """State in the journal itself that it was recovered, and what it lost."""
        report = self.report
        digest = from_raw(_sha256(damaged)) if damaged.is_file() else None
        base = journal.position
        journal.append(
            [JournalRecovered(report.events, report.lost[1] if report.lost else None, digest)],
            Draft(secrets.token_hex(6), self.actor, self.origin, None),
            expected=base,
        )

    # --- what is told

    def _tell(self, journal: SqliteJournal) -> None:
        """Tell of `journal`, the recovered one, and of the vault."""
        report = self.report
        report.journal = journal.id
        report.events = report.events or (0 if report.begun_anew else journal.position)
        for change in journal.changes(journal.position and _last_first(journal) - 1):
            report.recorded_at = change.recorded_at
        try:
            state: FileSetState | None = FileSetState.fold(journal.read())
        except UnknownFormatError:
            state = None
        with closing(open_vault(self.path, writable=False)) as vault:
            self._tell_of_vault(journal, vault, state)
        if state is not None:
            self._tell_of_medium(state)

    def _tell_of_vault(self, journal: Journal, vault: Vault, state: FileSetState | None) -> None:
        report = self.report
        try:
            damaged = {each.digest: each.problem for each in vault.verify()}
            there = {each.digest: each.size for each in vault.contents()}
        except VaultError as exc:
            report.notes.append(str(exc))
            return
        named = _named(journal)
        for leaf in state.hierarchy.leaves.values() if state else ():
            if (problem := _lacking(leaf, there, damaged)) is not None and leaf.content:
                report.missing.append({
                    "digest": leaf.content.digest, "size": leaf.content.size,
                    "sop_instance_uid": leaf.uid, "position": leaf.handle, "problem": problem,
                })  # fmt: skip
        for digest, size in there.items():
            if digest not in named:
                report.unnamed.append({
                    "digest": digest, "size": size, "sop_instance_uid": _uid_of(vault, digest),
                })  # fmt: skip
        if state is not None and state.erasing is not None:
            report.erasing = True
            report.notes.append(
                "An erasure was interrupted: what the vault holds and no event names may be what "
                "it erases. `fileset erase --complete` completes it."
            )

    def _tell_of_medium(self, state: FileSetState) -> None:
        written = state.written
        if written is None or written.dicomdir is None:
            return
        with suppress(OSError, LedgerError):
            dicomdir = read_dicomdir(Path(written.root))
            if dicomdir is not None and digest_of(dicomdir) != written.dicomdir:
                self.report.notes.append(
                    f"The DICOMDIR at {written.root} is not the one that the recovered journal "
                    "tells of: a later write is lost, perhaps. Keep that medium as it is, and "
                    "write another one: `fileset write ROOT --new-medium`."
                )

    def _tell_of_proof(
        self,
        proof: Proof | None,
        databases: Sequence[SalvagedDatabase],
        exports: Sequence[ExportedJournal],
        unproven: Mapping[str, int],
    ) -> None:
        report = self.report
        report.sources = proof.sources if proof else {}
        report.unproven = sum(unproven.values())
        own = [
            each.last for each in exports
            if proof and each.journal_id == proof.journal_id and each.name not in proof.forks
        ]  # fmt: skip
        last = max([each.last for each in databases] + own, default=0)
        report.lost = [report.events + 1, last] if last > report.events else []
        self._tell_of_exports(proof.journal_id if proof else None, proof, exports)
        if unproven.get(PayloadErased.TYPE, 0) > unproven.get(ErasureCompleted.TYPE, 0):
            report.erasing = True
            report.notes.append(
                "An erasure is among what is lost, and was not complete: what the vault holds and "
                "no event names may be what it erased."
            )
        if proof and proof.erasures_lost:
            report.notes.append(
                f"The event at position {report.events + 1} was erased, and which event says so is "
                "not proven: so the recovered journal ends before it."
            )

    def _tell_of_exports(
        self, id_: str | None, proof: Proof | None, exports: Sequence[ExportedJournal]
    ) -> None:
        """Tell which exports were not taken, or not all of them."""
        notes = self.report.notes
        for export in exports:
            if id_ is None or export.journal_id != id_:
                notes.append(
                    f"{export.name} is of another journal, {export.journal_id}: nothing was taken "
                    "of it."
                )
            elif export.trouble:
                notes.append(f"{export.trouble} It was taken up to there.")
        for name, position in (proof.forks if proof else {}).items():
            notes.append(
                f"{name} tells another history from position {position} on: it was made from a "
                "copy that went another way. That was not taken."
            )

    # --- putting it in place

    def _is_kept(self) -> bool:
        """Whether an earlier run has kept all that there was, and nobody changed it since."""
        if not (self.kept / JOURNAL).is_file():
            return False
        return not self.journal.exists() or _same(self.kept / JOURNAL, self.journal)

    def _keep(self, damaged: Path) -> None:
        """Keep the damaged files in the folder; the database comes last, and says that all are."""
        files = [*_logs(damaged), *([damaged] if damaged.is_file() else [])]
        if not files or self._is_kept():
            return
        self.kept.mkdir(mode=0o700, exist_ok=True)
        for each in files:
            target, beside = self.kept / each.name, self.kept / f".{each.name}"
            beside.unlink(missing_ok=True)
            if target.exists() and target.samefile(each):  # kept by a run that was killed
                continue
            try:
                os.link(each, beside)
            except OSError:  # a file system without hard links
                shutil.copy2(each, beside)
            fsync(beside)
            beside.rename(target)
            fsync(self.kept)

    def _put_in_place(self) -> None:
        for name in (VAULT, CACHE):
            (self.path / name).mkdir(mode=0o700, exist_ok=True)
        # SQLite would play the log of the damaged database back into the new one.
        for end in (*_BESIDE, "-shm"):
            self.journal.with_name(f"{JOURNAL}{end}").unlink(missing_ok=True)
        fsync(self.path)
        (self.work / JOURNAL).replace(self.journal)
        fsync(self.path)

    def _name_folder(self) -> None:
        for name in (SNAPSHOT, SUMMARY):
            with suppress(FileNotFoundError):
                (self.path / CACHE / name).replace(self.work / name)
        if not self.kept.exists():  # there was none, and what was told of it is told again
            self.report.kept = None
            shutil.rmtree(self.work)
            return
        if self.report.kept is None or Path(self.report.kept).exists():
            self.report.kept = str(_free_name(self.path, f"{KEPT_DAMAGED}{self._time()}"))
        self.work.rename(self.report.kept)
        fsync(self.path)


def _witnesses(
    id_: str, databases: Sequence[SalvagedDatabase], exports: Sequence[ExportedJournal]
) -> list[Witness]:
    """Return what can tell of the journal with an id; a database's own can be damaged."""
    return [*databases, *(each for each in exports if each.journal_id == id_)]


def _nothing_proven(
    id_is_known: bool, exports: Sequence[ExportedJournal], journal_id: str | None
) -> str:
    why = (
        "no event follows from the journal's id"
        if id_is_known
        else "the journal's id, which the proof begins with, can't be read"
    )
    name = "another exported journal" if exports else "an exported journal"
    others = "".join(
        f" {each.name} is of the journal {each.journal_id}."
        for each in exports if each.journal_id != journal_id
    )  # fmt: skip
    return (
        f"Nothing of the journal can be proven: {why}.{others} Name {name} with --journal, the "
        "journal's id with --journal-id if it is known, or restore a backup. With --from-vault a "
        "new journal begins with the instances that are in the vault. Nothing was changed."
    )


def _first_event(databases: Iterable[SalvagedDatabase]) -> Event | None:
    """Return a File-set like the one that began the journal, if its first event can be read."""
    for database in databases:
        for found in database.events(1):
            with suppress(LedgerError):
                event = codec.decode(found.type, found.version, found.payload)
                if isinstance(event, FileSetCreated | FileSetImported):
                    return FileSetCreated(uid=event.uid, id=event.id)
    return None


def _new_uid() -> str:
    from pydicom.uid import generate_uid  # noqa: PLC0415 - hardly ever needed

    return str(generate_uid())


def _unproven(databases: Sequence[SalvagedDatabase], after: int) -> Iterator[tuple[int, Found]]:
    """Yield what could be read of events beyond position `after`, and their positions."""
    for position in sorted({at for each in databases for at in each.positions(after)}):
        seen: set[bytes] = set()
        for database in databases:
            for found in database.events(position):
                if found.hash not in seen:
                    seen.add(found.hash)
                    yield position, found


def _write_unproven(path: Path, databases: Sequence[SalvagedDatabase], after: int) -> None:
    """Write to `path` what could be read of events beyond position `after`, for people."""
    with open(path, "wb", opener=private) as file:
        for position, found in _unproven(databases, after):
            line = _unproven_line(position, found)
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    fsync(path)


def _unproven_line(position: int, found: Found) -> dict[str, Any]:
    payload = found.payload.decode("utf-8", "backslashreplace") if found.payload else None
    return {
        "position": position, "type": found.type, "version": found.version,
        "hash": from_raw(found.hash), "payload": payload,
    }  # fmt: skip


def _last_first(journal: SqliteJournal) -> int:
    """Return the first position of the last change."""
    *_, last = journal.stored(after=journal.position - 1)
    return last.change.first


def _named(journal: Journal) -> set[Digest]:
    return {
        Digest(found.decode("ascii"))
        for stored in journal.stored()
        for found in _DIGEST.findall(stored.payload)
    }


def _lacking(
    leaf: Leaf, there: Mapping[Digest, int], damaged: Mapping[Digest | None, str]
) -> str | None:
    """Return what is wrong with the content of a live instance that the vault should have."""
    if not leaf.is_live or leaf.content is None or leaf.placement is not Placement.VAULT:
        return None
    if leaf.content.digest in damaged:
        return damaged[leaf.content.digest]
    return None if leaf.content.digest in there else "the vault has it not"


def _uid_of(vault: Vault, digest: Digest) -> str | None:
    """Return the SOP Instance UID of content, ``None`` if it is no instance or can't be read."""
    try:
        return read_instance(vault.read(digest)).sop_instance_uid
    except (VaultError, InstanceError):
        return None


def _signature(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _same(one: Path, two: Path) -> bool:
    """Whether two files hold the same bytes."""
    if one.samefile(two):
        return True
    return _sha256(one) == _sha256(two)


def _sha256(path: Path) -> bytes:
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _free_name(folder: Path, name: str) -> Path:
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}"
    return path


# --- instances from the vault --------------------------------------------------------------------


def _add_unnamed(
    path: Path, report: Recovery, origin: str, actor: str | None, clock: Clock, patience: float
) -> None:
    """Add the instances in the vault that no event names, as one change."""
    if not report.unnamed:
        return
    if report.erasing:
        report.notes.append("Nothing was added from the vault: it may be what was to be erased.")
        return
    with closing(Repository.open(path, clock=clock, origin=origin)) as repository:
        repository.actor = actor
        repository.patience = patience
        adder = Adder(repository, Contents(repository))
        before = repository.journal.position
        results = adder.add(_offered(repository.vault, report.unnamed), reason=_REASON)
        if repository.journal.position > before:
            *_, last = repository.journal.stored(after=repository.journal.position - 1)
            report.change = last.change.id
    report.added = len(results.of(Outcome.ADDED))
    for content, result in zip(report.unnamed, results, strict=True):
        if result.outcome is not Outcome.ADDED:
            reason = result.reason or result.outcome.value
            report.not_added.append({**content, "reason": reason})


def _offered(vault: Vault, contents: Iterable[Content]) -> Iterator[Offered]:
    for content in contents:
        name = f"the content {content['digest']}"
        try:
            yield read_bytes(vault.read(content["digest"]), name)
        except InstanceError as exc:
            yield Result(name, Outcome.SKIPPED, reason=exc.reason)
        except VaultError as exc:
            yield Result(name, Outcome.SKIPPED, reason=str(exc))
