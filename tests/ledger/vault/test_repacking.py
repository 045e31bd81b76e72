"""Dropping what the vault holds and nobody needs, and storing anew what was damaged."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stopping import killed_at, stop_at

from ledger.digest import Digest, digest_of
from ledger.errors import ContentDamagedError, ContentMissingError, VaultError
from ledger.vault.packs import HEADER_SIZE, list_packs
from ledger.vault.protocol import Excess
from ledger.vault.vault import PackVault

LIMIT = 1000


def blob(number: int, size: int = 300) -> bytes:
    return (b"%d " % number * size)[:size]


BLOBS = [blob(number) for number in range(12)]
NEEDED = {digest_of(data) for data in BLOBS[::2]}


class Vaults:
    """Opens vaults on the same packs, as often as it is called."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.limit = limit
        self.folder = folder / "vault"
        self.index = folder / "cache" / "index.sqlite"
        self._open: list[PackVault] = []

    def __call__(self, *, writable: bool = True) -> PackVault:
        vault = PackVault(self.folder, self.index, writable=writable, pack_limit=self.limit)
        self._open.append(vault)
        return vault

    def close(self) -> None:
        for vault in self._open:
            vault.close()

    def store(self, *blobs: bytes) -> None:
        with self().batch() as batch:
            for data in blobs:
                batch.add(data)

    def bytes(self) -> bytes:
        return b"".join(pack.path.read_bytes() for pack in list_packs(self.folder))


@pytest.fixture
def vaults(tmp_path: Path) -> Iterator[Vaults]:
    opened = Vaults(tmp_path)
    yield opened
    opened.close()


def damage(vaults: Vaults, data: bytes, offset: int = 5) -> None:
    """Spoil the first stored copy of `data`, `offset` bytes into the content."""
    for pack in list_packs(vaults.folder):
        content = bytearray(pack.path.read_bytes())
        if (at := content.find(data)) >= 0:
            content[at + offset] ^= 0x40
            pack.path.chmod(0o600)
            pack.path.write_bytes(content)
            pack.path.chmod(0o400 if pack.sealed else 0o600)
            return
    raise AssertionError("it is not there")


def assert_holds(vault: PackVault, *blobs: bytes) -> None:
    assert [content.digest for content in vault.contents()] == sorted(map(digest_of, blobs))
    assert [vault.read(digest_of(data)) for data in blobs] == list(blobs)
    assert list(vault.verify()) == []


# --- dropping ------------------------------------------------------------------------------------


def test_what_is_not_needed_goes_and_the_rest_stays(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    told = vaults().excess(NEEDED)
    assert told == Excess(6, 6 * (HEADER_SIZE + 300))
    assert_holds(vaults(), *BLOBS)

    assert vaults().drop_excess(NEEDED) == told
    assert_holds(vaults(), *BLOBS[::2])
    assert_holds(vaults(writable=False), *BLOBS[::2])
    assert len(vaults.bytes()) == 6 * (HEADER_SIZE + 300)
    for data in BLOBS[1::2]:
        with pytest.raises(ContentMissingError):
            vaults().read(digest_of(data))
    assert not vaults().drop_excess(NEEDED)


def test_the_index_forgets_it_as_well(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    vaults().drop_excess(NEEDED)
    assert not any(
        bytes.fromhex(digest_of(d)[7:]) in vaults.index.read_bytes() for d in BLOBS[1::2]
    )
    assert [path.name for path in vaults.index.parent.iterdir()] == [vaults.index.name]


def test_packs_without_excess_are_left_alone(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    before = {pack.number: pack for pack in list_packs(vaults.folder)}
    vaults().drop_excess({digest_of(data) for data in BLOBS[2:]})
    after = {pack.number: pack for pack in list_packs(vaults.folder)}
    assert 1 not in after
    assert [n for n, pack in before.items() if after.get(n, pack).inode != pack.inode] == []


def test_a_number_is_never_given_again(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    last = list_packs(vaults.folder)[-1].number
    vaults().drop_excess(set())
    assert_holds(vaults())
    vaults.store(BLOBS[0])
    assert [pack.number for pack in list_packs(vaults.folder)] == [last + 1]
    assert_holds(vaults(), BLOBS[0])


def test_content_goes_on_being_added_and_dropped(vaults: Vaults) -> None:
    vault = vaults()
    for number in range(20):
        with vault.batch() as batch:
            batch.add(blob(number))
            batch.add(blob(number + 1))
        vault.drop_excess({digest_of(blob(number + 1))})
        assert_holds(vault, blob(number + 1))
    assert len(list_packs(vaults.folder)) == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_batches_and_drops_leave_what_is_needed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    held: dict[Digest, bytes] = {}
    with closing(Vaults(tmp_path_factory.mktemp("any"))) as vaults:
        for _ in range(data.draw(st.integers(1, 5))):
            blobs = data.draw(st.lists(st.binary(max_size=600), max_size=6))
            vaults.store(*blobs)
            held |= {digest_of(each): each for each in blobs}
            gone = data.draw(st.sets(st.sampled_from(sorted(held)))) if held else set()
            if data.draw(st.booleans()):
                vaults.index.unlink()
            vaults().drop_excess(held.keys() - gone)
            for digest in gone:
                del held[digest]
            assert_holds(vaults(), *held.values())


def test_bytes_that_are_no_entry_stay_as_evidence_unless_they_are_to_go(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    first = list_packs(vaults.folder)[0]
    content = bytearray(first.path.read_bytes())
    content[3] ^= 1  # the header of the first entry
    first.path.chmod(0o600)
    first.path.write_bytes(content)
    first.path.chmod(0o400)
    vaults.index.unlink()

    vaults().drop_excess(NEEDED)
    assert first.path.read_bytes() == content
    dropped = vaults().drop_excess(NEEDED, scraps=True)
    assert dropped.scraps == HEADER_SIZE + 300
    assert BLOBS[0] not in vaults.bytes()
    assert_holds(vaults(), *BLOBS[2::2])


def test_damaged_content_that_is_needed_is_kept_as_it_is(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    damage(vaults, BLOBS[8])  # the last one to be copied, where a torn tail would be
    damaged = bytearray(BLOBS[8])
    damaged[5] ^= 0x40
    vaults().drop_excess({digest_of(BLOBS[0]), digest_of(BLOBS[8])})
    assert bytes(damaged) in vaults.bytes()
    assert vaults().read(digest_of(BLOBS[0])) == BLOBS[0]
    with pytest.raises(ContentDamagedError):
        vaults().read(digest_of(BLOBS[8]))
    vaults.store(b"more")
    assert bytes(damaged) in vaults.bytes()
    assert [damage.digest for damage in vaults().verify()] == [digest_of(BLOBS[8])]


def test_large_content_is_copied_in_pieces(vaults: Vaults) -> None:
    large = os.urandom(3 << 20)
    vaults.store(b"before", large, b"after")
    with vaults().batch() as batch:
        batch.add(large[:-1])
    vaults().drop_excess({digest_of(large), digest_of(b"after")})
    assert_holds(vaults(), large, b"after")


def test_readers_read_on(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    readers = [vaults(writable=False) for _ in BLOBS]
    for reader, data in zip(readers, BLOBS, strict=True):
        assert reader.read(digest_of(data)) == data
    vaults().drop_excess(NEEDED)
    for reader in readers:
        assert_holds(reader, *BLOBS[::2])


def test_a_vault_for_reading_drops_nothing(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    with pytest.raises(VaultError, match="reading only"):
        vaults(writable=False).drop_excess(set())
    with vaults().batch() as batch:
        batch.add(b"x")
    assert_holds(vaults(), *BLOBS, b"x")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_point_nothing_needed_is_lost(tmp_path: Path) -> None:
    for nth in range(1, 100):
        vaults = Vaults(tmp_path / f"{nth}")
        vaults.store(*BLOBS)
        vaults.close()
        whole = killed_at(nth, lambda: vaults().drop_excess(NEEDED))  # noqa: B023
        assert [vaults().read(digest_of(data)) for data in BLOBS[::2]] == BLOBS[::2]
        assert list(vaults().verify()) == []
        vaults().drop_excess(NEEDED)
        assert_holds(vaults(), *BLOBS[::2])
        assert len(vaults.bytes()) == 6 * (HEADER_SIZE + 300)
        vaults.close()
        if whole:
            break
    assert nth > 8


def test_failing_at_any_point_nothing_needed_is_lost(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    for nth in range(1, 100):
        vaults = Vaults(tmp_path / f"{nth}")
        vaults.store(*BLOBS)
        with pytest.MonkeyPatch.context() as patch:
            steps = stop_at(nth, fail, patch)
            try:
                vaults().drop_excess(NEEDED)
            except VaultError as error:
                assert str(vaults.folder) in str(error)  # noqa: PT017
        assert [vaults().read(digest_of(data)) for data in BLOBS[::2]] == BLOBS[::2]
        vaults().drop_excess(NEEDED)
        assert_holds(vaults(), *BLOBS[::2])
        vaults.close()
        if steps() < nth:
            break
    assert nth > 8


# --- storing anew --------------------------------------------------------------------------------


def test_what_was_damaged_is_stored_anew_when_it_comes_again(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    damage(vaults, BLOBS[3])
    with pytest.raises(ContentDamagedError):
        vaults().read(digest_of(BLOBS[3]))
    vaults.store(BLOBS[3])

    assert_holds(vaults(), *BLOBS)
    vaults.index.unlink()
    assert_holds(vaults(writable=False), *BLOBS)
    vaults().rebuild_index()
    assert_holds(vaults(), *BLOBS)


def test_a_large_file_is_stored_anew_as_well(vaults: Vaults, tmp_path: Path) -> None:
    large = os.urandom(3 << 20)
    vaults.store(large)
    damage(vaults, large, 2 << 20)
    (tmp_path / "file").write_bytes(large)
    with (tmp_path / "file").open("rb") as file, vaults().batch() as batch:
        batch.add_file(file.fileno())
    assert_holds(vaults(), large)


def test_the_damaged_copy_is_in_excess_then(vaults: Vaults) -> None:
    vaults.store(*BLOBS)
    damage(vaults, BLOBS[3])
    every = {digest_of(data) for data in BLOBS}
    assert not vaults().excess(every)
    vaults.store(BLOBS[3])
    assert vaults().drop_excess(every) == Excess(1, HEADER_SIZE + 300)
    assert_holds(vaults(), *BLOBS)


def test_large_content_that_was_stored_anew_is_read_from_there_in_any_order(tmp_path: Path) -> None:
    vaults = Vaults(tmp_path, limit=1 << 30)
    large = [b"behind it", *(os.urandom(2 << 20) for _ in range(3))]
    vaults.store(*large)
    damage(vaults, large[1], 3 << 19)
    vaults.store(large[1])
    vault = vaults()
    assert [vault.read(digest_of(data)) for data in large] == large
    vaults.close()
