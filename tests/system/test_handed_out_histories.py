"""Media and erasures in any order: what is known of each medium, and whether it is made again."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import define
from cli_runs import MR, changed
from hypothesis import given, settings
from hypothesis import strategies as st

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.media.choice import Choice
from fileset.media.extras import Extras
from fileset.media.list import is_listed
from fileset.media.make import Maker

PERSONS = {"PAT-1000": "Ersilia^Quux", "PAT-2000": "Bruno^Zorn", "PAT-3000": "Carla^Wied"}
Step: TypeAlias = tuple[Any, ...]

persons = st.sampled_from(sorted(PERSONS))
makings = st.tuples(
    st.just("make"), st.frozensets(persons, min_size=1), st.none() | persons, st.booleans(),
    st.none() | persons, st.frozensets(persons),
)  # fmt: skip
erasures = st.tuples(st.just("erase"), persons)


@define
class Model:
    """What is to be known of a medium."""

    persons: frozenset[str]
    recipient: str | None
    asked: frozenset[str]
    has_files: bool
    named_by_file: str | None
    data: bytes
    is_whole: bool = True
    is_listed: bool = True

    def erase(self, person: str, alive: set[str]) -> bool:
        """Take in an erasure; return whether it concerns what is recorded or on the medium."""
        is_told = person in (self.recipient or "") or person in self.asked
        is_named = self.named_by_file == person and self.is_listed
        if person in self.persons or is_named:
            self.is_listed = self.is_listed and not self.has_files
        if person in self.persons:
            self.is_whole = False
        if is_told or (person in self.persons and self.persons.isdisjoint(alive)):
            self.recipient, self.asked = None, frozenset()
        return is_told or is_named or person in self.persons


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """An instance of each of the persons, and a folder with a letter that is named after each."""
    folder = tmp_path_factory.mktemp("files")
    made = {}
    for number, (patient, name) in enumerate(PERSONS.items()):
        uids = {f"{level}InstanceUID": f"1.9.{number}" for level in ("Study", "Series", "SOP")}
        path = folder / f"{number}.dcm"
        made[patient] = changed(Path(MR), path, PatientID=patient, PatientName=name, **uids)
        (folder / patient).mkdir()
        (folder / patient / f"{patient.replace('-', '')}.TXT").write_bytes(patient.encode())
    return made


@settings(max_examples=max(settings().max_examples // 10, 1))
@given(st.lists(makings | makings | erasures, max_size=7))
def test_a_medium_is_made_again_unless_something_that_was_on_it_is_gone(
    files: Mapping[str, Path], steps: list[Step]
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        FileSet(repository=Path(folder) / "archive") as fs,
    ):
        fs.add_many(list(files.values()))
        alive, media = set(PERSONS), list[Model]()
        for step in steps:
            if step[0] == "make":
                make(fs, step, alive, media, files)
            elif step[1] in alive:
                erase(fs, step[1], alive, media)
        assert fs.verify() == []
        check(fs, alive, media)


def make(
    fs: FileSet, step: Step, alive: set[str], media: list[Model], files: Mapping[str, Path]
) -> None:
    _, chosen, recipient, pages, letter, asked = step
    on_it, asked = chosen & alive, asked & alive
    if not on_it:
        return
    handles = [instance.handle for instance in fs if str(instance.PatientID) in on_it]
    include = files[letter].parent / letter if letter else None
    out = io.BytesIO()
    told = f"the family of {recipient}" if recipient else None
    extras = Extras(pages=pages, viewer=pages, include=include)
    patterns = (("PatientID", asked_for(asked)), ("Modality", "M*")) if asked else ()
    choice = Choice("zip", handles, patterns, told, extras=extras)
    Maker(fs.repository).make(out, fs.state, choice)
    media.append(Model(on_it, told, asked, pages or letter is not None, letter, out.getvalue()))


def asked_for(persons: frozenset[str]) -> str:
    """Return patterns that name none of the persons, and describe each."""
    return "\\".join(f"P*{person[4:-1]}?" for person in sorted(persons))


def erase(fs: FileSet, person: str, alive: set[str], media: list[Model]) -> None:
    done = fs.erase(PatientID=person, reason="asked for", take_off=True)
    alive.remove(person)
    concerned = [number for number, each in enumerate(media, 1) if each.erase(person, alive)]
    assert [each.number for each in done.handed_out] == concerned
    for told in done.handed_out:
        medium = media[told.number - 1]
        assert told.can_be_remade == (medium.is_whole and medium.is_listed)


def check(fs: FileSet, alive: set[str], media: list[Model]) -> None:
    found = fs.media.list()
    assert [medium.recipient for medium in found] == [each.recipient for each in media]
    wanted = [asked_for(each.asked) for each in media]
    assert [
        "".join(text for _, text in (medium.addressed.asked if medium.addressed else ())[:1])
        for medium in found
    ] == wanted
    assert [is_listed(fs.repository, medium) for medium in found] == [m.is_listed for m in media]
    assert [medium.erased for medium in found] == [len(each.persons - alive) for each in media]
    for number, medium in enumerate(media, 1):
        again = io.BytesIO()
        if medium.is_whole and medium.is_listed:
            fs.media.remake(number, again)
            assert again.getvalue() == medium.data
        else:
            with pytest.raises(RefusedError, match="erased since"):
                fs.media.remake(number, again)
