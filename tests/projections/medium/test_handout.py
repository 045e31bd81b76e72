"""What is handed out: a choice of instances as a File-set that tells of nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from models import Author, Command, named_by, programs

from ledger.digest import digest_of
from ledger.names import is_conformant
from projections.medium.handout import checksums, derived_uid, hand_out, volume_id
from projections.state.fold import fold


@given(programs(30), st.data())
def test_a_choice_has_its_instances_and_what_they_say_and_nothing_else(
    program: list[Command], data: st.DataObject
) -> None:
    author = Author().run(program)
    live = sorted(author.model.live())
    chosen = data.draw(st.sets(st.sampled_from(live))) if live else set()
    made = hand_out(fold(author.events), chosen, uid="1.2.4", id="CHOICE")
    entries = author.model.entries
    dicomdir = made.dicomdir()
    named = named_by(dicomdir)
    assert sorted(named.values()) == sorted(entries[handle].spec.uid for handle in chosen)
    assert named == {path: leaf.uid for leaf, path in made.file_ids.items()}
    assert all(map(is_conformant, named))
    ranks = {handle: author.model.now.ranks[handle] for handle in chosen}
    said = set(author.model.records(ranks).values())
    for record in said:
        assert record.elements in dicomdir
    assert (made.state.identity.uid, made.state.identity.id) == ("1.2.4", "CHOICE")


@given(programs(20))
def test_what_lies_on_the_medium_makes_no_difference(program: list[Command]) -> None:
    author = Author().run(program)
    before = fold(author.events)
    author.run([("abandon",), ("write", "pydicom"), ("complete",)])
    live = author.model.live()
    made = [hand_out(state, live, uid="1.2.4", id=None) for state in (before, fold(author.events))]
    assert made[0].dicomdir() == made[1].dicomdir()
    assert list(made[0].file_ids.values()) == list(made[1].file_ids.values())


@given(st.integers(0, 2**40), st.lists(st.tuples(st.integers(), st.integers())), st.integers(1, 99))
def test_the_uid_of_a_choice_is_that_of_a_uuid(
    base: int, runs: list[tuple[int, int]], volume: int
) -> None:
    uid = derived_uid("ab" * 16, base, runs, None, volume, 99)
    assert len(uid) <= 64
    number = uid.removeprefix("2.25.")
    assert str(int(number)) == number
    assert (int(number) >> 76 & 0xF, int(number) >> 62 & 0x3) == (8, 2)
    assert uid == derived_uid("ab" * 16, base, runs, None, volume, 99)


def test_the_uid_of_a_choice_is_the_same_for_ever() -> None:
    uid = derived_uid("00112233445566778899aabbccddeeff", 12, [(2, 5), (7, 7)], "STD-GEN-CD", 1, 3)
    assert uid == "2.25.88209688957103018974653864820136747744"


def test_choices_that_differ_in_anything_have_different_uids() -> None:
    uids = {
        derived_uid("a", 12, [(2, 5)], None, 1, 1),
        derived_uid("b", 12, [(2, 5)], None, 1, 1),
        derived_uid("a", 13, [(2, 5)], None, 1, 1),
        derived_uid("a", 12, [(2, 4)], None, 1, 1),
        derived_uid("a", 12, [(2, 5)], "STD-GEN-CD", 1, 1),
        derived_uid("a", 12, [(2, 5)], None, 1, 2),
        derived_uid("a", 12, [(2, 5)], None, 2, 2),
    }
    assert len(uids) == 7


def test_the_id_of_a_volume_is_shortened_to_fit() -> None:
    assert volume_id("CLINIC", 1, 3) == "CLINIC_1OF3"
    assert volume_id("ABCDEFGHIJKLMNOP", 10, 12) == "ABCDEFGHI_10OF12"


def test_checksums_are_those_of_sha256sum() -> None:
    digest = digest_of(b"")
    assert checksums([("DICOMDIR", digest)]) == (
        b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  DICOMDIR\n"
    )
