"""Recovering a repository whose journal is damaged, or gone.

Only what is proven (`ledger.salvage.proof`) goes into the new journal. The damaged one is kept, as
it is, in a folder of the repository, together with what could be read of it but not proven.
"""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from fileset.errors import RefusedError, RepositoryError
from fileset.recovery.evidence import Evidence, journal_damage
from fileset.recovery.from_vault import add_unnamed
from fileset.recovery.journal_id import (
    correct_settings,
    id_and_position,
    id_in_settings,
    prove_journal,
    settings_damage,
)
from fileset.recovery.losses import tell_of_losses
from fileset.recovery.report import RecoveryReport
from fileset.recovery.workspace import RecoveryFolder
from fileset.repository.folder import JOURNAL, LOCK, PASSING, RECOVERING, SETTINGS, VAULT
from fileset.repository.lock import PATIENCE, FolderLock
from fileset.repository.named_roots import Roots
from fileset.repository.origin import default_actor, default_origin
from fileset.repository.repository import Repository
from ledger.digest import from_raw
from ledger.disk import fsync, private
from ledger.errors import JournalDamagedError, LedgerError, UnknownFormatError
from ledger.events import Event, FileSetCreated, JournalRecovered
from ledger.files import file_content
from ledger.journal.clocks import Clock, utc_now
from ledger.journal.entries import Draft
from ledger.journal.protocol import Journal
from ledger.journal.sqlite import SqliteJournal
from ledger.salvage.proof import Proof
from ledger.salvage.witnesses import ExportedJournal
from ledger.vault.packs import list_packs
from projections.state.fold import fold

_UNPROVEN: Final = "unproven.jsonl"


@frozen
class _Author:
    """Who recovers, where, and by which clock."""

    actor: str
    origin: str
    clock: Clock

    def append(self, journal: SqliteJournal, event: Event) -> None:
        """Append an event to a new journal, a change of its own."""
        draft = Draft(secrets.token_hex(6), self.actor, self.origin)
        journal.append([event], draft, expected=journal.position)


def looks_like_repository(path: Path, *, with_exports: bool = False) -> bool:
    """Whether the folder `path` is a repository, or what is left of one.

    With exports of its journal a folder for content is enough.
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
) -> RecoveryReport:
    """Rebuild the journal of the repository in the folder `path`, as far as it can be proven.

    `exports` are exported journals to fill gaps from, and `journal_id` is the journal's id, in case
    the damaged one has lost it. An intact journal is extended by an export that continues where it
    ends. With `from_vault`, instances in the vault that no proven event names are added again, as
    one change; if nothing is proven, a new journal begins with them. With `dry_run` nothing is
    changed. `patience` is how many seconds to wait for others who are changing the repository.

    Raises `RefusedError` if nothing can be proven or another process holds
    the repository, `RepositoryError` if there is none,
    `UnknownFormatError` if a newer version made it.
    """
    path = Path(path).absolute()
    if not looks_like_repository(path, with_exports=bool(exports)):
        raise RepositoryError(
            f"There is no repository at {path}, nor what is left of one: it has neither a journal "
            f"({JOURNAL}) nor settings ({SETTINGS}) nor content ({VAULT}/)."
        )
    origin, actor = origin or default_origin(), actor or default_actor()
    lock = path / LOCK
    is_new = not lock.exists()
    exclusion = FolderLock(path, any_journal=True)
    exclusion.patience = patience
    with exclusion.alone(origin):
        try:
            report = _Recovery(
                path, exports, journal_id, from_vault, dry_run, _Author(actor, origin, clock)
            ).run()
        except (MemoryError, RecursionError) as exc:
            raise RefusedError(
                f"{path / JOURNAL} or an exported journal needs more memory than there is "
                f"({type(exc).__name__}): it is damaged, perhaps on purpose. Restore a backup."
            ) from exc
        except LedgerError:
            if is_new:
                lock.unlink(missing_ok=True)  # who waits for it asks for it anew
            raise
    if from_vault and not dry_run and report.unnamed:
        if report.erasing:
            report.notes.append(
                "Nothing was added from the vault: it may hold what was to be erased."
            )
            return report
        with closing(Repository.open(path, clock=clock, origin=origin)) as repository:
            repository.actor, repository.patience = actor, patience
            add_unnamed(repository, report)
    return report


class _Recovery:
    """One run, under the lock of the repository."""

    def __init__(
        self,
        path: Path,
        exports: Sequence[Path],
        journal_id: str | None,
        from_vault: bool,
        dry_run: bool,
        author: _Author,
    ) -> None:
        self._path = path
        self._exports = exports
        self._journal_id = journal_id
        self._from_vault = from_vault
        self._dry_run = dry_run
        self._author = author
        self._folder = RecoveryFolder(path, author.clock)
        self._report = RecoveryReport(dry_run=dry_run)

    def run(self) -> RecoveryReport:
        named, of_settings = id_in_settings(self._path)
        of_journal = journal_damage(self._path / JOURNAL)
        done = self._folder.completed(dry_run=self._dry_run) if of_journal is None else None
        if done is None:
            if of_journal is None and named is not None:
                of_settings = settings_damage(self._path, named, self._journal_id)
            self._report.damage = [each for each in (of_journal, of_settings) if each]
            try:
                self._recover(named, is_whole=of_journal is None)
            finally:
                self._folder.remove_if_empty()
        if not self._dry_run:
            correct_settings(self._path, named, self._folder)
        return done or self._report

    def _recover(self, named: str | None, *, is_whole: bool) -> None:
        journal = self._path / JOURNAL
        with ExitStack() as stack:
            exports = [
                stack.enter_context(closing(ExportedJournal(each))) for each in self._exports
            ]
            if is_whole and not self._dry_run:
                self._report.notes += self._folder.put_away()
            if exports or not is_whole:
                evidence = Evidence(self._folder.damaged, exports, self._path)
                stack.enter_context(evidence)
                if not is_whole or self._goes_on(evidence):
                    self._rebuild(evidence, named)
                    return
        if self._from_vault or self._report.damage:
            with closing(SqliteJournal(journal, read_only=True)) as whole:
                tell_of_losses(self._report, whole, self._path, Roots(self._path))

    def _goes_on(self, evidence: Evidence) -> bool:
        """Whether exports prove more than the journal, which is whole, has."""
        journal = self._path / JOURNAL
        id_, last = id_and_position(journal)
        proof = evidence.prove(id_)
        if proof.last <= last:
            self._report.tell_of_exports(proof, evidence)
            return False
        self._report.damage.append(
            f"The journal at {journal} is whole and ends at position {last}; an exported "
            f"journal has {proof.last - last} more: perhaps an older copy was put in its place."
        )
        return True

    def _rebuild(self, evidence: Evidence, named: str | None) -> None:
        report = self._report
        damaged = self._folder.damaged
        proof = prove_journal(evidence, self._path, asked=self._journal_id, named=named)
        if (proof is None or not proof.last) and not self._from_vault:
            raise self._nothing_proven(proof, evidence)
        with self._building() as new, closing(self._build(new, proof, evidence)) as journal:
            unproven = Counter(found.type for _, found in evidence.beyond(report.events))
            report.ended = evidence.end() == report.events
            own = journal.position if report.begun_anew else evidence.known(journal)
            roots = _roots(self._path, journal, own)
            tell_of_losses(report, journal, self._path, roots)
            report.tell_of_proof(proof, evidence, unproven)
            digest = file_content(damaged).digest if damaged.is_file() else None
            last_lost = report.lost[1] if report.lost else None
            self._author.append(journal, JournalRecovered(report.events, last_lost, digest))
            if self._dry_run:
                return
            journal.close()
            _write_unproven(new.with_name(_UNPROVEN), evidence, report.events)
            roots.keep()
            self._folder.replace_journal(report)

    @contextmanager
    def _building(self) -> Iterator[Path]:
        """Yield where the new journal is built: nothing is there yet."""
        if self._dry_run:
            with tempfile.TemporaryDirectory(prefix=PASSING, dir=self._path) as passing:
                yield Path(passing, JOURNAL)
        else:
            self._report.notes += self._folder.prepare()
            yield self._folder.journal

    def _build(self, new: Path, proof: Proof | None, evidence: Evidence) -> SqliteJournal:
        """Build the journal that is proven at `new`, or else one that begins anew."""
        clock = self._author.clock
        while proof is not None and proof.last:
            journal = SqliteJournal.restore(new, proof.journal_id, proof.events(), clock=clock)
            try:
                with suppress(UnknownFormatError):
                    fold(journal.read())
            except JournalDamagedError as exc:
                journal.close()
                new.unlink()
                self._report.notes.append(f"{exc} It is proven, but can't be used.")
                proof.end_before(exc.position or 1)
            else:
                self._report.events = proof.last
                return journal
        if not self._from_vault:
            raise self._nothing_proven(proof, evidence)
        self._report.begun_anew = True
        journal = SqliteJournal.create(new, clock=clock)
        self._author.append(journal, evidence.first_event() or FileSetCreated(uid=_new_uid()))
        return journal

    def _nothing_proven(self, proof: Proof | None, evidence: Evidence) -> RefusedError:
        why = (
            "the journal's id, which the proof begins with, can't be read"
            if proof is None
            else "no event follows from the journal's id"
        )
        name = "another exported journal" if evidence.exports else "an exported journal"
        others = "".join(
            f" {each.name} is of the journal {each.journal_id}."
            for each in evidence.exports if each.journal_id != self._journal_id
        )  # fmt: skip
        return RefusedError(
            f"Nothing of the journal can be proven: {why}.{others} Name {name} with --journal, the "
            "journal's id with --journal-id if it is known, or restore a backup. With --from-vault "
            "a new journal begins with the instances that are in the vault. `fileset init REPO "
            "--from ROOT` makes a new repository from an intact medium. Nothing was changed."
        )


def _roots(repository: Path, journal: Journal, own: int) -> Roots:
    """Return which roots count if events beyond the position `own` come from elsewhere."""
    roots = Roots(repository)
    if own < journal.position:
        known: Sequence[str] = ()
        with suppress(UnknownFormatError):
            known = fold(journal.read(upto=own)).roots()
        roots.begin(known)
    return roots


def _new_uid() -> str:
    from pydicom.uid import generate_uid  # noqa: PLC0415 - hardly ever needed

    return str(generate_uid())


def _write_unproven(path: Path, evidence: Evidence, after: int) -> None:
    """Write to `path` what could be read of events beyond position `after`, for people."""
    with open(path, "wb", opener=private) as file:
        for position, found in evidence.beyond(after):
            payload = found.payload.decode("utf-8", "backslashreplace") if found.payload else None
            line = {
                "position": position, "type": found.type, "version": found.version,
                "hash": from_raw(found.hash), "payload": payload,
            }  # fmt: skip
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    fsync(path)
