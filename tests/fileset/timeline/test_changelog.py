"""Reading changes from the newer end: the same ones, at the cost of those that are looked at."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from models import calls

from fileset.repository.repository import Repository
from fileset.timeline.changelog import newest_first, oldest_first
from ledger.events import FileSetIDChanged, InstanceRejected


def journal_of(path: Path | None, sizes: list[int]) -> Repository:
    """Return a repository with changes of that many events each."""

    def begin(repository: Repository) -> None:
        repository.begin("1.2.3")

    if path is None:
        repository = Repository.ephemeral()
        begin(repository)
    else:
        repository = Repository.create(path, begin)
    for number, size in enumerate(sizes):
        with repository.change():
            for _ in range(size - 1):
                repository.emit(InstanceRejected("/a", "none"))
            repository.emit(FileSetIDChanged(str(number), repository.state.identity.id))
    return repository


@pytest.mark.parametrize(
    "sizes", [[], [1], [1] * 200, [300, 1, 2, 70, 1, 500, 1], [3000]], ids=lambda s: str(len(s))
)
def test_both_ends_give_the_same_changes_and_events(tmp_path: Path, sizes: list[int]) -> None:
    for repository in (journal_of(None, sizes), journal_of(tmp_path / "r", sizes[:20])):
        forwards = list(oldest_first(repository))
        backwards = list(newest_first(repository))[::-1]
        assert [entry[:2] for entry in forwards] == [entry[:2] for entry in backwards]
        assert [entry.change for entry in forwards] == repository.changes()
        assert [e.position for entry in forwards for e in entry.events] == list(
            range(1, repository.journal.position + 1)
        )
        repository.close()


def test_the_newest_changes_cost_the_same_whatever_came_before(tmp_path: Path) -> None:
    def cost(changes: int) -> int:
        repository = journal_of(tmp_path / str(changes), [1] * changes)
        try:
            return calls(lambda: list(islice(newest_first(repository), 20)))
        finally:
            repository.close()

    assert cost(600) < 1.2 * cost(100)
