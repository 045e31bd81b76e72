"""Which journal is being recovered: its id, with which the proof begins."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from fileset.errors import RefusedError, RepositoryError
from fileset.recovery.evidence import Evidence
from fileset.recovery.workspace import RecoveryFolder
from fileset.repository.folder import JOURNAL, SETTINGS, read_settings, settings_text
from ledger.disk import replace_file
from ledger.journal.sqlite import SqliteJournal
from ledger.salvage.proof import Proof


def id_in_settings(repository: Path) -> tuple[str | None, str | None]:
    """Return the journal's id that the settings name, and what is wrong with them."""
    try:
        return read_settings(repository / SETTINGS), None
    except RepositoryError as exc:
        if isinstance(exc.__cause__, PermissionError):
            raise
        return None, str(exc).partition(" `fileset recover`")[0]


def id_and_position(journal: Path) -> tuple[str, int]:
    """Return the id of a journal that is whole, and its last position."""
    with closing(SqliteJournal(journal, read_only=True)) as opened:
        return opened.id, opened.position


def correct_settings(repository: Path, named: str | None, folder: RecoveryFolder) -> None:
    """Make the settings name the journal that is there, or else no command would take it."""
    id_, _ = id_and_position(repository / JOURNAL)
    if named == id_ or (named is None and id_in_settings(repository)[1] is None):
        return
    settings = repository / SETTINGS
    if settings.exists():
        settings.replace(folder.free_name(f"{SETTINGS}.damaged-"))
    replace_file(settings, settings_text(id_).encode("utf-8"))


def settings_damage(repository: Path, named: str, asked: str | None) -> str | None:
    """Return what is wrong with settings that name another journal than the one there is.

    Raises `RefusedError` unless `asked`, the id that the user gives, is that of the one there is.
    """
    there, _ = id_and_position(repository / JOURNAL)
    if there == named:
        return None
    message = f"{repository / SETTINGS} names the journal {named}, and the one there is {there}."
    if asked != there:
        raise RefusedError(
            f"{message} If this is another repository's journal, put the right one back; if it is "
            f"the right one, say so: --journal-id {there}."
        )
    return message


def prove_journal(
    evidence: Evidence, repository: Path, *, asked: str | None, named: str | None
) -> Proof | None:
    """Return what is proven for the id that the journal has; `None` if none is known.

    What the user says, `asked`, counts first, then the id `named` in the settings, then the
    database. An export's id is taken where none of these is known, or where the database's own
    events follow from it.
    """
    own = evidence.ids()
    if asked is not None:
        proof = evidence.prove(asked)
        if proof.last and not evidence.has_events_of(asked):
            _refuse_another(evidence, repository, asked, named)
        return proof
    if named is not None:
        return evidence.prove(named)
    proofs = [evidence.prove(each) for each in own]
    if not any(proof.last for proof in proofs):
        exported = dict.fromkeys(each.journal_id for each in evidence.exports)
        proofs += [
            evidence.prove(each) for each in exported if not own or evidence.has_events_of(each)
        ]
    return max(proofs, key=lambda proof: proof.last, default=None)


def _refuse_another(evidence: Evidence, repository: Path, asked: str, named: str | None) -> None:
    """Raise `RefusedError` if settings or database are of another journal than the one `asked`."""
    if named not in (None, asked):
        raise RefusedError(
            f"{repository / SETTINGS} names the journal {named}, and --journal-id {asked}; no "
            "event in the database belongs to the latter. If it is the right one nevertheless, "
            f"move {SETTINGS} away first. Nothing was changed."
        )
    own = evidence.ids()
    if any(evidence.has_events_of(each) for each in own):
        raise RefusedError(
            f"The database at {repository / JOURNAL} is that of the journal {own[0]}, and none of "
            f"its events belongs to {asked}, which --journal-id names. If that is the right one "
            "nevertheless, move the database away first. Nothing was changed."
        )
