"""The vault: what it promises of content, and what it does when the disk breaks its promises."""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.digest import Digest, digest_of
from ledger.errors import ContentDamagedError, ContentMissingError, VaultError
from ledger.events import Content
from ledger.vault import lookup
from ledger.vault import tail as tails
from ledger.vault.packs import CHUNK, HEADER_SIZE, Pack, list_packs
from ledger.vault.protocol import Vault
from ledger.vault.vault import PackVault

SIZES = [0, 1, 2, 131, 8192, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17]
ABSENT = digest_of(b"never added")

Open = Callable[..., PackVault]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "index.sqlite"


@pytest.fixture
def opened(folder: Path, index: Path) -> Iterator[Open]:
    """Opens a vault on the same packs and index, as often as it is called."""
    vaults = []

    def open_vault(**options: object) -> PackVault:
        vaults.append(PackVault(folder, index, **options))  # type: ignore[arg-type]
        return vaults[-1]

    yield open_vault
    for vault in vaults:
        vault.close()


@pytest.fixture(params=["durable", "not durable"])
def vault(request: pytest.FixtureRequest, opened: Open) -> Vault:
    """Every implementation of the protocol: the tests that take this fixture are its contract."""
    return opened(durable=request.param == "durable")


def blob(size: int, seed: int = 0) -> bytes:
    """Return bytes that differ for every size and seed."""
    return (b"%d/%d " % (seed, size) * (size // 4 + 1))[:size]


def store(vault: Vault, *blobs: bytes) -> list[Digest]:
    with vault.batch() as batch:
        return [batch.add(data).digest for data in blobs]


def store_file(vault: Vault, path: Path, **options: int) -> Content:
    with path.open("rb") as file, vault.batch() as batch:
        return batch.add_file(file.fileno(), **options)


@pytest.mark.parametrize("size", SIZES)
def test_content_may_come_in_chunks(opened: Open, size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    chunks = [data[at : at + 1000] for at in range(0, size, 1000)]
    vault = opened()
    with vault.batch() as batch:
        first = batch.add_chunks(chunks, size=size)
        assert batch.add_chunks(iter(chunks), size=size) == first == Content(digest_of(data), size)
    assert vault.read(first.digest) == data
    assert [each.size for each in vault.contents()] == [size]


def test_chunks_that_fail_leave_the_batch_as_it_was(opened: Open) -> None:
    def failing() -> Iterator[bytes]:
        yield bytes(2 * CHUNK)
        raise OSError(errno.EIO, "gone")

    vault = opened()
    with vault.batch() as batch:
        with pytest.raises(OSError, match="gone"):
            batch.add_chunks(failing(), size=4 * CHUNK)
        kept = batch.add(b"kept")
    assert list(vault.contents()) == [kept]


def copied(vault: Vault, digest: Digest, path: Path) -> bytes:
    with path.open("wb") as file:
        vault.copy_to(digest, file.fileno())
    return path.read_bytes()


def pack(folder: Path, number: int = 1) -> Path:
    return folder / f"pack-{number:08}.pack"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.chmod(0o600)
    path.write_bytes(data)


def indexed(index: Path) -> list[object]:
    with closing(sqlite3.connect(index)) as db:
        return [
            db.execute("SELECT * FROM entries ORDER BY digest").fetchall(),
            db.execute("SELECT * FROM packs ORDER BY pack").fetchall(),
        ]


def assert_holds(vault: Vault, *blobs: bytes) -> None:
    assert [vault.read(digest_of(data)) for data in blobs] == list(blobs)
    assert [content.digest for content in vault.contents()] == sorted(map(digest_of, blobs))
    assert list(vault.verify()) == []


class TestEveryVault:
    """What holds for each implementation of the protocol."""

    def test_gives_back_what_was_added(self, vault: Vault, tmp_path: Path) -> None:
        blobs = [blob(size) for size in SIZES]
        with vault.batch() as batch:
            added = [batch.add(data) for data in blobs]

        assert added == [Content(digest_of(data), len(data)) for data in blobs]
        assert_holds(vault, *blobs)
        for content, data in zip(added, blobs, strict=True):
            assert content.digest in vault
            assert vault.content(content.digest) == content
            assert copied(vault, content.digest, tmp_path / "copy") == data

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("hint", [None, 0, 5, 1 << 40])
    def test_takes_files_whatever_size_was_expected(
        self, vault: Vault, tmp_path: Path, size: int, hint: int | None
    ) -> None:
        (tmp_path / "file").write_bytes(blob(size))
        options = {} if hint is None else {"size": hint}

        assert store_file(vault, tmp_path / "file", **options) == Content(
            digest_of(blob(size)), size
        )
        assert_holds(vault, blob(size))

    def test_takes_a_pipe(self, vault: Vault) -> None:
        data = blob(2 * CHUNK + 1)
        script = f"import os; os.write(1, b'x' * 10); os.write(1, b'y' * {CHUNK})"
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            with vault.batch() as batch:
                content = batch.add_file(process.stdout.fileno())
                batch.add(data)

        assert content.size == 10 + CHUNK
        assert_holds(vault, b"x" * 10 + b"y" * CHUNK, data)

    def test_takes_a_file_from_where_it_stands(self, vault: Vault, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"skipped, taken")
        with (tmp_path / "file").open("rb", buffering=0) as file, vault.batch() as batch:
            file.seek(9)
            assert batch.add_file(file.fileno()).digest == digest_of(b"taken")

    def test_copies_what_it_is_given_a_view_of(self, vault: Vault) -> None:
        data = bytearray(b"as it was")
        with vault.batch() as batch:
            content = batch.add(memoryview(data))
            data[:] = b"changed!!"

        assert vault.read(content.digest) == b"as it was"

    def test_lists_content_by_digest(self, vault: Vault) -> None:
        blobs = [blob(10, seed) for seed in range(300)]
        store(vault, *blobs)

        assert list(vault.contents()) == sorted(
            (Content(digest_of(data), 10) for data in blobs), key=lambda content: content.digest
        )

    def test_has_nothing_before_the_first_batch(self, vault: Vault) -> None:
        assert ABSENT not in vault
        assert list(vault.contents()) == []
        assert list(vault.verify()) == []

    def test_says_what_it_does_not_have(self, vault: Vault, tmp_path: Path) -> None:
        store(vault, b"something")

        assert ABSENT not in vault
        for ask in (vault.content, vault.read):
            with pytest.raises(ContentMissingError, match=ABSENT):
                ask(ABSENT)
        with pytest.raises(ContentMissingError, match=ABSENT):
            copied(vault, ABSENT, tmp_path / "copy")

    def test_an_exception_leaves_nothing_of_the_batch(self, vault: Vault, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(blob(2 * CHUNK))
        store(vault, b"before")

        def fail() -> None:
            with vault.batch() as batch, (tmp_path / "file").open("rb") as file:
                batch.add(b"lost")
                batch.add_file(file.fileno())
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert digest_of(b"lost") not in vault
        assert_holds(vault, b"before")
        store(vault, b"after")
        assert_holds(vault, b"before", b"after")

    def test_one_batch_at_a_time(self, vault: Vault) -> None:
        with vault.batch() as batch:
            batch.add(b"one")
            with pytest.raises(VaultError, match="batch is open"), vault.batch():
                pass
            with pytest.raises(VaultError, match="batch is open"):
                vault.rebuild_index()
        assert_holds(vault, b"one")

    def test_a_batch_that_was_left_takes_nothing_more(self, vault: Vault) -> None:
        with vault.batch() as batch:
            batch.add(b"one")
        with pytest.raises(VaultError, match="ended"):
            batch.add(b"two")
        assert_holds(vault, b"one")

    def test_can_be_used_again_after_it_was_closed(self, vault: Vault) -> None:
        store(vault, b"one")
        vault.close()
        vault.close()
        store(vault, b"two")

        assert_holds(vault, b"one", b"two")

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(batches=st.lists(st.lists(st.binary(max_size=40), max_size=6), max_size=6))
    def test_holds_every_content_once_however_it_came(
        self, vault: Vault, batches: list[list[bytes]]
    ) -> None:
        for blobs in batches:
            store(vault, *blobs)
            for data in blobs:
                assert vault.read(digest_of(data)) == data

        digests = [content.digest for content in vault.contents()]
        assert digests == sorted(set(digests))
        assert set(digests) >= {digest_of(data) for blobs in batches for data in blobs}


class TestStoringOnce:
    """Content that is there already costs no byte."""

    def test_in_the_same_batch_and_a_later_one(self, opened: Open, folder: Path) -> None:
        vault = opened()
        store(vault, b"twin", b"twin")
        size = pack(folder).stat().st_size
        store(vault, b"twin")
        store(opened(), b"twin")

        assert size == HEADER_SIZE + 4
        assert pack(folder).stat().st_size == size

    def test_when_it_comes_as_a_large_file(
        self, opened: Open, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_bytes(blob(2 * CHUNK))
        vault = opened()
        with vault.batch() as batch, (tmp_path / "file").open("rb") as file:
            batch.add(b"small, still in the buffer")
            batch.add(blob(2 * CHUNK))
            batch.add(b"small, too")
            batch.add_file(file.fileno())
            batch.add(b"after it")

        blobs = [b"small, still in the buffer", blob(2 * CHUNK), b"small, too", b"after it"]
        assert pack(folder).stat().st_size == sum(HEADER_SIZE + len(data) for data in blobs)
        assert_holds(vault, *blobs)


def test_a_file_that_cannot_be_read_leaves_the_batch_as_it_was(
    opened: Open, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(blob(3 * CHUNK))
    vault = opened()
    read, calls = os.readv, iter(range(9))

    def fail_at_the_third(fd: int, buffers: list[memoryview]) -> int:
        if next(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        return read(fd, buffers)

    with vault.batch() as batch, (tmp_path / "file").open("rb") as file:
        batch.add(b"before")
        with monkeypatch.context() as patch:
            patch.setattr(os, "readv", fail_at_the_third)
            with pytest.raises(OSError, match="Input/output error"):
                batch.add_file(file.fileno())
        batch.add(b"after")

    assert pack(folder).stat().st_size == 2 * HEADER_SIZE + len(b"before" + b"after")
    assert_holds(vault, b"before", b"after")


class TestPacks:
    """The files, their names and modes."""

    def test_nothing_is_made_before_something_is_added(
        self, opened: Open, tmp_path: Path, folder: Path
    ) -> None:
        vault = opened()
        assert ABSENT not in vault
        assert list(tmp_path.iterdir()) == []

        with vault.batch():
            pass
        assert not folder.exists()

    def test_are_for_the_owner_alone(self, opened: Open, folder: Path) -> None:
        store(opened(), b"one")

        assert mode(folder) == 0o700
        assert mode(pack(folder)) == 0o600

    def test_a_full_pack_is_sealed_and_a_new_one_begins(self, opened: Open, folder: Path) -> None:
        vault = opened(pack_limit=2 * (HEADER_SIZE + 100))
        blobs = [blob(100, seed) for seed in range(5)]
        for data in blobs:
            store(vault, data)

        assert [p.path.name for p in list_packs(folder)] == [
            f"pack-0000000{number}.pack" for number in (1, 2, 3)
        ]
        assert [mode(p.path) for p in list_packs(folder)] == [0o400, 0o400, 0o600]
        assert_holds(vault, *blobs)

    def test_a_batch_may_fill_many(self, opened: Open, folder: Path) -> None:
        vault = opened(pack_limit=1000)
        store(vault, b"first")
        blobs = [blob(300, seed) for seed in range(20)]
        store(vault, *blobs)

        assert len(list_packs(folder)) == 10
        assert {mode(p.path) for p in list_packs(folder)[:-1]} == {0o400}
        assert_holds(vault, b"first", *blobs)

    def test_an_exception_takes_back_all_that_a_batch_began(
        self, opened: Open, folder: Path
    ) -> None:
        vault = opened(pack_limit=1000)
        store(vault, b"first")
        with suppress(KeyError), vault.batch() as batch:
            for seed in range(20):
                batch.add(blob(300, seed))
            raise KeyError

        assert [p.size for p in list_packs(folder)] == [HEADER_SIZE + 5]
        assert_holds(vault, b"first")

    def test_what_is_larger_than_a_pack_goes_alone(
        self, opened: Open, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_bytes(blob(3 * CHUNK))
        vault = opened(pack_limit=1000)
        store(vault, b"before")
        store_file(vault, tmp_path / "file")
        store(vault, b"after")

        sizes = [HEADER_SIZE + size for size in (6, 3 * CHUNK, 5)]
        assert [p.size for p in list_packs(folder)] == sizes
        assert_holds(vault, b"before", blob(3 * CHUNK), b"after")

    def test_other_files_in_the_folder_are_let_alone(self, opened: Open, folder: Path) -> None:
        store(opened(), b"one")
        (folder / "pack-1.pack.bak").write_bytes(b"mine")
        store(opened(), b"two")

        assert (folder / "pack-1.pack.bak").read_bytes() == b"mine"
        assert_holds(opened(), b"one", b"two")


class TestAfterACrash:
    """What a killed writer or a power failure left, and what becomes of it."""

    def test_whole_entries_that_no_index_knows_are_there(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        store(opened(), b"one")
        before = index.read_bytes()
        store(opened(), b"two", b"three")
        index.write_bytes(before)

        assert_holds(opened(), b"one", b"two", b"three")
        assert_holds(opened(writable=False), b"one", b"two", b"three")
        size = pack(folder).stat().st_size
        store(opened(), b"two")
        assert pack(folder).stat().st_size == size

    @pytest.mark.parametrize("lost", ["nothing", "index"])
    def test_a_torn_tail_of_any_length_is_cut(
        self, opened: Open, folder: Path, index: Path, lost: str
    ) -> None:
        store(opened(), b"one", b"two")
        whole, known = pack(folder).read_bytes(), index.read_bytes()
        store(opened(), b"the torn one")
        torn = pack(folder).read_bytes()

        for length in range(len(whole), len(torn)):
            pack(folder).write_bytes(torn[:length])
            index.unlink() if lost == "index" else index.write_bytes(known)
            vault = opened()
            assert_holds(vault, b"one", b"two")
            store(vault)
            assert pack(folder).read_bytes() == whole
            store(vault, b"the torn one")
            assert pack(folder).read_bytes() == torn
            assert_holds(vault, b"one", b"two", b"the torn one")
            vault.close()

    @pytest.mark.parametrize("offset", [0, 10, 47, 51, 52, 70])
    def test_a_tail_whose_bytes_never_arrived_is_cut(
        self, opened: Open, folder: Path, index: Path, offset: int
    ) -> None:
        store(opened(), b"one")
        whole, known = pack(folder).read_bytes(), index.read_bytes()
        store(opened(), blob(500))
        data = bytearray(pack(folder).read_bytes())
        data[len(whole) + offset :] = bytes(len(data) - len(whole) - offset)
        pack(folder).write_bytes(data)
        index.write_bytes(known)

        store(opened())
        assert pack(folder).read_bytes() == whole
        assert_holds(opened(), b"one")

    @pytest.mark.parametrize("first", [(), (b"before",)], ids=["first batch", "later batch"])
    @pytest.mark.parametrize("repairs", ["batch", "rebuild"])
    def test_a_batch_that_is_torn_in_its_middle_leaves_what_is_whole(
        self, opened: Open, folder: Path, index: Path, first: tuple[bytes, ...], repairs: str
    ) -> None:
        """A power failure kept the beginning and the end of what the batch wrote."""
        store(opened(), *first)
        known = index.read_bytes()
        store(opened(), b"one", b"torn", b"three")
        flip(pack(folder), pack(folder).read_bytes().index(b"torn"))
        index.write_bytes(known)
        vault = opened()

        store(vault) if repairs == "batch" else vault.rebuild_index()

        assert_holds(vault, *first, b"one", b"three")
        store(vault, b"torn")
        assert_holds(opened(), *first, b"one", b"three", b"torn")

    def test_nothing_is_cut_in_front_of_a_whole_entry(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        store(opened(), b"one", b"damaged", b"three")
        flip(pack(folder), HEADER_SIZE + 3 + 20)
        damaged = pack(folder).read_bytes()
        index.unlink()
        vault = opened()
        store(vault, b"four")

        assert pack(folder).read_bytes().startswith(damaged)
        assert [vault.read(digest_of(data)) for data in (b"one", b"three", b"four")]
        (damage,) = vault.verify()
        assert damage.digest is None
        assert (
            f"{pack(folder)}, offset {HEADER_SIZE + 3}: {HEADER_SIZE + 7} bytes" in damage.problem
        )

    def test_no_entry_behind_a_damaged_one_is_cut(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        """The index is gone, so that nothing but the pack tells what was acknowledged."""
        store(opened(), b"one", b"damaged", b"two", b"damaged at the end")
        opened().close()
        whole = pack(folder).read_bytes()
        first, last = whole.index(b"damaged"), whole.rindex(b"damaged at")
        spoilt = bytearray(whole)
        spoilt[first] ^= 1
        spoilt[last] ^= 1
        pack(folder).write_bytes(spoilt)
        index.unlink()
        vault = opened()
        store(vault, b"three")
        assert vault.read(digest_of(b"one")) == b"one"
        assert vault.read(digest_of(b"two")) == b"two"
        assert pack(folder).read_bytes().startswith(spoilt[: last - HEADER_SIZE])
        # What is cut may be more than a torn entry: it is kept.
        (kept,) = folder.glob("*.cut-*")
        assert kept.read_bytes() == spoilt[last - HEADER_SIZE :]
        assert mode(kept) == 0o400
        vault.drop_excess({digest_of(b"one")}, scraps=True)  # as an erasure does
        assert not list(folder.glob("*.cut-*"))

    def test_nothing_is_kept_of_what_can_only_be_a_torn_entry(
        self, opened: Open, folder: Path
    ) -> None:
        store(opened(), b"one")
        whole = pack(folder).read_bytes()
        for tail in (b"F", b"FSLP torn", bytes(100), whole[:-1]):
            pack(folder).write_bytes(whole + tail)
            store(opened(), b"one", b"two")
            assert pack(folder).read_bytes().startswith(whole)
            assert not list(folder.glob("*.cut-*"))
            pack(folder).write_bytes(whole)

    def test_a_torn_tail_is_left_to_the_next_batch(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        store(opened(), b"one")
        with pack(folder).open("ab") as file:
            file.write(b"FSLP torn")
        torn, known = pack(folder).read_bytes(), index.read_bytes()

        for writable in (True, False):
            vault = opened(writable=writable)
            assert_holds(vault, b"one")
            assert ABSENT not in vault
            assert (pack(folder).read_bytes(), index.read_bytes()) == (torn, known)

    def test_a_magic_at_the_border_of_two_blocks_is_found(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        for shift in range(6):
            store(opened(), b"found %d" % shift)
            entry = pack(folder).read_bytes()
            pack(folder).write_bytes(bytes(CHUNK - 4 + shift) + entry)
            index.unlink()
            assert opened().read(digest_of(b"found %d" % shift))
            pack(folder).unlink()

    def test_a_pack_that_no_batch_finished_is_sealed_by_the_next(
        self, opened: Open, folder: Path
    ) -> None:
        vault = opened(pack_limit=100)
        store(vault, blob(80, 1), blob(80, 2))
        pack(folder).chmod(0o600)
        store(opened(pack_limit=100), blob(80, 3))

        assert mode(pack(folder)) == 0o400
        assert_holds(vault, blob(80, 1), blob(80, 2), blob(80, 3))

    def test_entries_found_are_durable_before_they_count(
        self, opened: Open, folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(opened(), b"one")
        index.unlink()
        synced: list[int] = []
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
        store(opened(), b"one")

        assert synced[0] == pack(folder).stat().st_ino

    @pytest.mark.parametrize("lines", range(1, 40, 6))
    def test_a_killed_writer_leaves_every_batch_that_it_had_left(
        self, opened: Open, folder: Path, index: Path, lines: int
    ) -> None:
        command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(folder), str(index)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            promised = [Digest(writer.stdout.readline().strip()) for _ in range(lines)]
            writer.send_signal(signal.SIGKILL)
            promised += [Digest(line.strip()) for line in writer.stdout if line.endswith("\n")]

        for vault in (opened(writable=False), opened()):
            assert all(digest_of(vault.read(digest)) == digest for digest in promised)
        store(opened(pack_limit=50_000), b"after")
        assert_holds(opened(), b"after", *(opened().read(c.digest) for c in others(opened())))

    def test_what_a_newer_version_wrote_is_not_taken_for_torn(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        store(opened(), b"one")
        frame = struct.pack(">4sB3x32sQ", b"FSLP", 2, bytes(32), 3)
        with pack(folder).open("ab") as file:
            file.write(frame + struct.pack(">I", zlib.crc32(frame)) + b"new")
        whole = pack(folder).read_bytes()

        for _ in range(2):
            with pytest.raises(VaultError, match="newer version"):
                store(opened(), b"two")
            assert pack(folder).read_bytes() == whole
            assert opened().read(digest_of(b"one")) == b"one"


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from ledger.vault.vault import PackVault

vault = PackVault(Path(sys.argv[1]), Path(sys.argv[2]), pack_limit=50_000)
for number in range(1_000_000):
    with vault.batch() as batch:
        digests = [batch.add(b"%d %d " % (number, part) * 300).digest for part in range(3)]
    print("\\n".join(digests), flush=True)
"""


def others(vault: Vault) -> list[Content]:
    return [content for content in vault.contents() if content.digest != digest_of(b"after")]


class TestAPackThatLostBytes:
    """Damage before the end that the index knows is evidence, and nothing is cut."""

    @pytest.fixture
    def cut(self, opened: Open, folder: Path) -> bytes:
        store(opened(), b"one", b"two", b"three")
        os.truncate(pack(folder), pack(folder).stat().st_size - 2)
        return pack(folder).read_bytes()

    @pytest.mark.parametrize("writable", [True, False])
    def test_has_the_rest(self, opened: Open, cut: bytes, writable: bool) -> None:
        vault = opened(writable=writable)

        assert vault.read(digest_of(b"one")) == b"one"
        assert vault.read(digest_of(b"two")) == b"two"
        with pytest.raises(ContentMissingError, match="pack"):
            vault.read(digest_of(b"three"))
        (damage,) = vault.verify()
        assert damage.digest == digest_of(b"three")

    def test_is_left_as_it_is_and_sealed(self, opened: Open, folder: Path, cut: bytes) -> None:
        vault = opened()
        store(vault, b"four")

        assert pack(folder).read_bytes() == cut
        assert mode(pack(folder)) == 0o400
        assert digest_of(b"three") not in vault
        with pytest.raises(ContentMissingError):
            vault.read(digest_of(b"three"))
        (damage,) = vault.verify()
        assert str(pack(folder)) in damage.problem

    def test_takes_the_lost_content_again(self, opened: Open, cut: bytes) -> None:
        vault = opened()
        store(vault, b"three")

        assert vault.read(digest_of(b"three")) == b"three"

    def test_may_be_gone_altogether(self, opened: Open, folder: Path) -> None:
        vault = opened(pack_limit=60)
        store(vault, b"first", b"second", b"third")
        pack(folder, 2).unlink()

        with pytest.raises(ContentMissingError, match="gone"):
            vault.read(digest_of(b"second"))
        assert [damage.digest for damage in vault.verify()] == [digest_of(b"second")]
        store(vault, b"second")
        assert_holds(vault, b"first", b"second", b"third")


class TestDamage:
    """A flipped bit is never handed out as content."""

    BLOBS = (b"one", b"two", b"three")

    @pytest.mark.parametrize("writable", [True, False])
    def test_anywhere_in_an_entry_is_found_and_named(
        self, opened: Open, folder: Path, tmp_path: Path, writable: bool
    ) -> None:
        store(opened(), *self.BLOBS)
        whole = pack(folder).read_bytes()
        start = HEADER_SIZE + 3
        for offset in range(start, start + HEADER_SIZE + 3):
            flip(pack(folder), offset)
            vault = opened(writable=writable)
            with pytest.raises(ContentDamagedError, match=f"{pack(folder)}, offset {start}"):
                vault.read(digest_of(b"two"))
            with pytest.raises(ContentDamagedError):
                copied(vault, digest_of(b"two"), tmp_path / "copy")
            (damage,) = vault.verify()
            assert damage.digest == digest_of(b"two")
            assert f"{pack(folder)}, offset {start}" in damage.problem
            assert vault.read(digest_of(b"three")) == b"three"
            pack(folder).write_bytes(whole)
            vault.close()

    @pytest.mark.parametrize("size", [3, 3 * CHUNK + 17])
    @pytest.mark.parametrize("part", [0, HEADER_SIZE, -1], ids=["header", "content", "end"])
    def test_makes_content_unsound_until_it_is_stored_anew(
        self, opened: Open, folder: Path, size: int, part: int
    ) -> None:
        data = blob(size)
        digest = digest_of(data)
        store(opened(), data)
        assert opened(writable=False).is_sound(digest)
        flip(pack(folder), part if part >= 0 else HEADER_SIZE + size - 1)

        vault = opened()
        assert digest in vault
        assert not vault.is_sound(digest)
        with vault.batch() as batch:
            assert not batch.has(digest)
            batch.add(data)
            assert batch.has(digest)
        assert vault.is_sound(digest)
        assert not vault.is_sound(ABSENT)

    def test_is_told_with_the_ways_out(self, opened: Open, folder: Path) -> None:
        store(opened(), b"one")
        flip(pack(folder), HEADER_SIZE)
        (damage,) = opened().verify()
        assert "add its file again, or have `fileset write --repair`" in damage.problem

    @pytest.mark.parametrize("sealed", [True, False])
    @pytest.mark.parametrize("part", ["header", "content"])
    def test_is_still_found_when_the_index_was_lost(
        self, opened: Open, folder: Path, index: Path, sealed: bool, part: str
    ) -> None:
        store(opened(), *self.BLOBS)
        offset = HEADER_SIZE + 3
        flip(pack(folder), offset + (9 if part == "header" else HEADER_SIZE))
        if sealed:
            pack(folder).chmod(0o400)
        damaged = pack(folder).read_bytes()
        index.unlink()
        vault = opened()
        store(vault)

        assert pack(folder).read_bytes() == damaged
        assert vault.read(digest_of(b"one")) == b"one"
        assert vault.read(digest_of(b"three")) == b"three"
        with pytest.raises((ContentDamagedError, ContentMissingError)):
            vault.read(digest_of(b"two"))
        (damage,) = vault.verify()
        assert f"{pack(folder)}, offset {offset}" in damage.problem

    def test_at_the_end_of_a_sealed_pack_is_found(self, opened: Open, folder: Path) -> None:
        store(opened(), b"one")
        with pack(folder).open("ab") as file:
            file.write(b"junk")
        pack(folder).chmod(0o400)
        vault = opened()
        store(vault, b"two")

        (damage,) = vault.verify()
        assert f"offset {HEADER_SIZE + 3}: 4 bytes" in damage.problem

    def test_of_the_disk_is_told_apart(self, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        vault = opened()
        store(vault, b"one")

        def fail(*_: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(VaultError, match="check the disk") as caught:
            vault.read(digest_of(b"one"))
        assert isinstance(caught.value.__cause__, OSError)
        assert [damage.digest for damage in vault.verify()] == [digest_of(b"one")]


def spoil_nothing(index: Path) -> None:
    pass


def delete(index: Path) -> None:
    index.unlink()


def fill_with_junk(index: Path) -> None:
    index.write_bytes(b"junk" * 5000)


def empty(index: Path) -> None:
    index.write_bytes(b"")


def cut_in_half(index: Path) -> None:
    os.truncate(index, index.stat().st_size // 2)


def zero_its_pages(index: Path) -> None:
    data = index.read_bytes()
    index.write_bytes(data[:4096] + bytes(len(data) - 4096))


def change_its_format(index: Path) -> None:
    with closing(sqlite3.connect(index)) as db:
        db.execute("PRAGMA user_version = 99")


def leave_a_stale_journal(index: Path) -> None:
    fill_with_junk(index)
    index.with_name(index.name + "-journal").write_bytes(b"junk" * 500)


def lose_the_entries(index: Path) -> None:
    with closing(sqlite3.connect(index)) as db, db:
        db.execute("DELETE FROM entries")


def make_it_a_folder(index: Path) -> None:
    index.unlink()
    index.mkdir()


class TestTheEndOfTheLastPack:
    """Small batches leave the index as it is; what they added is found at the end of the pack."""

    def test_is_found_by_whoever_asks_without_being_in_the_index(
        self, opened: Open, index: Path
    ) -> None:
        vault, reader = opened(), opened(writable=False)
        store(vault, b"one")
        assert_holds(reader, b"one")
        before = indexed(index)
        for data in (b"two", b"three"):
            store(vault, data)
            for each in (vault, reader, opened(), opened(writable=False)):
                assert digest_of(data) in each
                assert each.read(digest_of(data)) == data

        assert indexed(index) == before
        assert_holds(opened(), b"one", b"two", b"three")

    @pytest.mark.parametrize("anew", [False, True])
    def test_gets_into_the_index_when_it_is_long(
        self, opened: Open, index: Path, anew: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tails, "MOST_ENTRIES", 3)
        vault = opened()
        sizes = []
        for number in range(9):
            vault = opened() if anew else vault
            store(vault, b"%d" % number)
            sizes.append(len(indexed(index)[0]))  # type: ignore[arg-type]

        assert sizes == [1, 1, 1, 1, 5, 5, 5, 5, 9]

    def test_gets_into_the_index_when_it_is_large(self, opened: Open, index: Path) -> None:
        vault = opened()
        store(vault, b"one")
        store(vault, bytes(tails.MOST_BYTES))

        assert len(indexed(index)[0]) == 2  # type: ignore[arg-type]

    def test_is_not_stored_again(self, opened: Open, folder: Path) -> None:
        store(opened(), b"one")
        store(opened(), b"two")
        size = pack(folder).stat().st_size
        store(opened(), b"two")

        assert pack(folder).stat().st_size == size

    def test_is_made_durable_before_it_is_relied_on(
        self, opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(opened(), b"one")
        store(opened(), b"two")  # by a process that may have been killed before it synced
        vault = opened()
        synced: list[int] = []
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
        for _ in range(2):
            store(vault, b"two")

        assert synced == [pack(folder).stat().st_ino]

    def test_that_cannot_be_made_durable_refuses_the_batch(
        self, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(opened(), b"one")
        store(opened(), b"two")
        vault = opened()

        def fail(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(VaultError, match="making durable failed"):
                store(vault, b"two")
        with pytest.raises(VaultError, match="the disk failed in an earlier batch"):
            store(vault, b"two")
        assert_holds(opened(), b"one", b"two")

    @pytest.mark.parametrize("offset", [0, HEADER_SIZE - 1, HEADER_SIZE + 1])
    def test_loses_nothing_but_what_is_damaged_in_it(
        self, opened: Open, folder: Path, offset: int
    ) -> None:
        for data in (b"one", b"two", b"three", b"four"):
            store(opened(), data)
        flip(pack(folder), HEADER_SIZE + len(b"one") + offset)
        store(opened(), b"five")

        vault = opened()
        for data in (b"one", b"three", b"four", b"five"):
            assert vault.read(digest_of(data)) == data
        assert digest_of(b"two") not in vault
        assert [path.name for path in folder.glob("*.cut-*")] == ["pack-00000001.pack.cut-55"]
        store(vault, b"two")
        assert vault.read(digest_of(b"two")) == b"two"

    @pytest.mark.parametrize("offset", [HEADER_SIZE, HEADER_SIZE + 2])
    def test_is_checked_though_a_crash_may_have_torn_it(
        self, opened: Open, folder: Path, offset: int
    ) -> None:
        for data in (b"one", b"two", b"three"):
            store(opened(), data)
        flip(pack(folder), HEADER_SIZE + len(b"one") + offset)

        (damage,) = opened().verify()

        assert damage.digest == digest_of(b"two")
        assert damage.may_be_torn

    def test_is_found_while_it_gets_into_the_index(
        self, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer, reader = opened(), opened(writable=False)
        store(writer, b"one")
        store(writer, b"two")
        listed = lookup.list_packs

        def writing(folder: Path) -> list[Pack]:
            monkeypatch.setattr(lookup, "list_packs", listed)
            store(writer, *(b"%d" % number for number in range(tails.MOST_ENTRIES)))
            return listed(folder)

        monkeypatch.setattr(lookup, "list_packs", writing)
        assert digest_of(b"two") in reader

    def test_of_a_pack_that_is_deleted_meanwhile_is_nowhere(
        self, opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(opened(), b"one")
        store(opened(), b"two")
        reader, listed = opened(writable=False), lookup.list_packs

        def deleting(path: Path) -> list[Pack]:
            found = listed(path)
            pack(folder).unlink(missing_ok=True)
            return found

        monkeypatch.setattr(lookup, "list_packs", deleting)
        assert digest_of(b"three") not in reader

    def test_that_begins_within_an_entry_is_found_by_the_packs_themselves(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        store(opened(), b"one")
        store(opened(), b"the second", b"three")
        with closing(sqlite3.connect(index)) as db, db:
            db.execute("UPDATE packs SET end = end + 7")

        assert digest_of(b"three") in opened(writable=False)

    def test_has_nothing_that_the_index_has_damaged_elsewhere(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        store(opened(), b"one")
        store(opened(), b"two")
        flip(pack(folder), HEADER_SIZE + 1)
        store(opened(), b"one")

        assert len(indexed(index)[0]) == 2  # type: ignore[arg-type]
        assert opened().read(digest_of(b"one")) == b"one"


class TestTheIndexIsACache:
    """Whatever happens to it, the vault gives the same answers."""

    BLOBS = tuple(blob(40, seed) for seed in range(200))

    @pytest.fixture
    def filled(self, opened: Open) -> None:
        vault = opened(pack_limit=1000)
        for first in range(0, 200, 25):
            store(vault, *self.BLOBS[first : first + 25])

    @pytest.mark.parametrize(
        "spoil",
        [
            spoil_nothing,
            delete,
            fill_with_junk,
            empty,
            cut_in_half,
            zero_its_pages,
            change_its_format,
            leave_a_stale_journal,
            make_it_a_folder,
        ],
    )
    @pytest.mark.usefixtures("filled")
    def test_spoiled_in_any_way_it_is_done_without_and_built_again(
        self, opened: Open, folder: Path, index: Path, spoil: Callable[[Path], None]
    ) -> None:
        good = indexed(index)
        spoil(index)

        assert_holds(opened(writable=False), *self.BLOBS)
        assert_holds(opened(), *self.BLOBS)
        sizes = [p.size for p in list_packs(folder)]
        store(opened(pack_limit=1000), *self.BLOBS)
        if index.is_file():
            opened().rebuild_index()
            assert [p.size for p in list_packs(folder)] == sizes
            assert indexed(index)[0] == good[0]
        store(opened(pack_limit=1000), b"another")
        assert_holds(opened(), *self.BLOBS, b"another")

    @pytest.mark.usefixtures("filled")
    def test_what_it_lost_unnoticed_is_found_in_the_packs(self, opened: Open, index: Path) -> None:
        lose_the_entries(index)

        for vault in (opened(), opened(writable=False)):
            assert [vault.read(digest_of(data)) for data in self.BLOBS] == list(self.BLOBS)
            assert list(vault.verify()) == []
        opened().rebuild_index()
        assert_holds(opened(), *self.BLOBS)

    @pytest.mark.usefixtures("filled")
    def test_built_again_it_is_equal(self, opened: Open, index: Path) -> None:
        good = indexed(index)
        opened().rebuild_index()

        assert indexed(index) == good
        assert [path.name for path in index.parent.iterdir()] == [index.name]

    @pytest.mark.usefixtures("filled")
    def test_deleted_in_mid_life_it_comes_back(self, opened: Open, index: Path) -> None:
        vault, reader = opened(pack_limit=1000), opened(writable=False)
        store(vault, b"one")
        assert digest_of(b"one") in reader
        index.unlink()
        store(vault, b"two")

        assert index.exists()
        assert_holds(vault, *self.BLOBS, b"one", b"two")
        assert_holds(reader, *self.BLOBS, b"one", b"two")

    def test_a_failure_of_the_index_does_not_fail_the_batch(
        self, opened: Open, index: Path
    ) -> None:
        vault = opened()
        with vault.batch() as batch:
            batch.add(b"one")
            fill_with_junk(index)
            batch.add(b"two")

        assert_holds(vault, b"one", b"two")
        store(vault, b"three")
        assert_holds(opened(), b"one", b"two", b"three")
        assert len(indexed(index)[0]) >= 2  # type: ignore[arg-type]

    def test_it_may_lie_where_nothing_can_be_written(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"no folder")
        for number in range(3):
            with closing(PackVault(folder, tmp_path / "file" / "index.sqlite")) as vault:
                store(vault, b"%d" % number, b"same")
                store(vault, b"%d again" % number)
                assert vault.read(digest_of(b"%d" % number)) == b"%d" % number

        with closing(PackVault(folder, tmp_path / "file" / "index", writable=False)) as reader:
            assert len(list(reader.contents())) == 7
            assert list(reader.verify()) == []

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE entries SET digest = zeroblob(32) WHERE offset = 0",
            "UPDATE entries SET offset = offset + 1",
            "UPDATE entries SET length = 2 WHERE offset = 0",
            "UPDATE entries SET pack = 7 WHERE offset = 0",
            "UPDATE entries SET digest = 'text' WHERE offset = 0",
            "UPDATE entries SET offset = 1.5 WHERE offset = 0",
            "DELETE FROM entries WHERE offset = 0",
            "UPDATE packs SET end = 'much'",
        ],
    )
    def test_an_index_that_is_wrong_is_told_and_has_no_say_in_the_check(
        self, opened: Open, index: Path, change: str
    ) -> None:
        store(opened(), b"one", b"two", b"three")
        with closing(sqlite3.connect(index)) as db, db:
            db.execute(change)

        vault = opened(writable=False)
        damages = list(vault.verify())
        assert all("`fileset rebuild` builds it again" in damage.problem for damage in damages)
        assert len(damages) <= 1
        for data in (b"one", b"two", b"three"):
            assert digest_of(data) in vault
            assert vault.read(digest_of(data)) == data
        opened().rebuild_index()
        assert_holds(opened(), b"one", b"two", b"three")

    def test_no_bit_of_the_index_that_is_flipped_makes_the_check_fail_or_mislead(
        self, opened: Open, index: Path
    ) -> None:
        store(opened(), b"one", b"two", b"three")
        good = index.read_bytes()
        chance = random.Random(0)  # noqa: S311 - no secret
        places = {*range(100), *(i for i, byte in enumerate(good) if byte)}
        for at in chance.sample(sorted(places), 150):
            flipped = bytearray(good)
            flipped[at] ^= 1 << chance.randrange(8)
            index.write_bytes(flipped)
            vault = opened(writable=False)
            for damage in vault.verify():
                assert "`fileset rebuild` builds it again" in damage.problem, at
            for data in (b"one", b"two", b"three"):
                assert vault.read(digest_of(data)) == data
            store(opened(), b"one")

    def test_two_writers_in_turn_agree(self, opened: Open, index: Path) -> None:
        first, second = opened(), opened()
        store(first, b"1")
        store(second, b"2")
        store(first, b"3")
        second.rebuild_index()
        store(first, b"4")
        store(second, b"5")

        for vault in (first, second, opened()):
            assert_holds(vault, b"1", b"2", b"3", b"4", b"5")


class TestReaders:
    """They look on while one process writes; they need no lock and change nothing."""

    @pytest.mark.parametrize("with_index", [True, False])
    def test_see_what_is_added_later(self, opened: Open, index: Path, with_index: bool) -> None:
        writer, reader = opened(pack_limit=300), opened(writable=False)
        assert ABSENT not in reader
        blobs = []
        for seed in range(12):
            blobs.append(blob(90, seed))
            store(writer, blobs[-1])
            if not with_index:
                writer.close()
                index.unlink()
            assert reader.read(digest_of(blobs[-1])) == blobs[-1]
            assert_holds(reader, *blobs)

    def test_are_not_misled_by_a_batch_that_is_taken_back(
        self, opened: Open, folder: Path, index: Path
    ) -> None:
        writer, reader = opened(), opened(writable=False)
        store(writer, b"before")
        index.unlink()
        with suppress(KeyError), writer.batch() as batch:
            batch.add(blob(CHUNK, 1))
            batch.add(blob(CHUNK, 2))
            assert ABSENT not in reader
            raise KeyError
        with writer.batch() as batch:
            batch.add(b"moves the rest")
            batch.add(blob(CHUNK, 2))

        assert digest_of(blob(CHUNK, 1)) not in reader
        assert_holds(reader, b"before", b"moves the rest", blob(CHUNK, 2))

    def test_make_and_change_nothing(
        self, opened: Open, tmp_path: Path, folder: Path, index: Path
    ) -> None:
        reader = opened(writable=False)
        assert list(reader.contents()) == []
        assert list(tmp_path.iterdir()) == []

        store(opened(), b"one")
        index.unlink()
        assert_holds(reader, b"one")
        assert not index.exists()
        with pytest.raises(VaultError, match="reading only"), reader.batch():
            pass
        with pytest.raises(VaultError, match="reading only"):
            reader.rebuild_index()

    def test_do_not_make_the_writer_wait(self, opened: Open) -> None:
        writer, reader = opened(), opened(writable=False)
        store(writer, b"one", b"two")
        contents = reader.contents()
        seen = [next(contents).digest]
        store(writer, b"three")

        seen += [content.digest for content in contents]
        assert set(seen) >= {digest_of(b"one"), digest_of(b"two")}


class TestFailureOfTheDisk:
    """A batch is kept whole or not at all, and the error says what to do."""

    @pytest.fixture
    def vault(self, opened: Open) -> PackVault:
        vault = opened()
        store(vault, b"before")
        return vault

    def test_in_fsync_refuses_more_until_the_vault_is_opened_anew(
        self, opened: Open, vault: PackVault, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(fd: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(VaultError, match=str(pack(folder))) as caught:
                store(vault, b"lost")
        assert isinstance(caught.value.__cause__, OSError)
        assert_holds(vault, b"before")
        with pytest.raises(VaultError, match="open the vault again"):
            store(vault, b"refused")

        again = opened()
        store(again, b"after")
        assert_holds(again, b"before", b"after")

    def test_at_any_system_call_keeps_nothing_of_the_batch(
        self, opened: Open, folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every nth call that changes a pack fails in turn, until a batch comes through."""
        blobs = [blob(400, seed) for seed in range(6)] + [blob(2 * CHUNK)]
        for nth in range(100):
            calls = iter(range(1000))
            vault = opened(pack_limit=1000)
            store(vault, b"before")
            with monkeypatch.context() as patch:
                for name in ("pwrite", "fsync"):
                    patch.setattr(os, name, fail_at(nth, calls, getattr(os, name)))
                try:
                    store(vault, *blobs)
                except VaultError as error:
                    assert isinstance(error.__cause__, OSError)  # noqa: PT017
                else:
                    break
            assert_holds(vault, b"before")
            assert_holds(opened(writable=False), b"before")
            assert [p.size for p in list_packs(folder)] == [HEADER_SIZE + 6]
        assert nth > 8
        assert_holds(vault, b"before", *blobs)

    def test_a_full_disk_says_so_and_the_next_batch_may_succeed(
        self, vault: PackVault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", fail)
            with pytest.raises(VaultError, match="free some space"):
                store(vault, b"lost")
        store(vault, b"after")
        assert_holds(vault, b"before", b"after")

    def test_cannot_be_overlooked(self, vault: PackVault, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def carry_on_regardless() -> None:
            with vault.batch() as batch:
                with monkeypatch.context() as patch, suppress(VaultError):
                    patch.setattr(os, "pwrite", fail)
                    batch.add(blob(CHUNK))
                with suppress(VaultError):
                    batch.add(b"more")

        with pytest.raises(VaultError, match="failed"):
            carry_on_regardless()
        assert_holds(vault, b"before")

    def test_short_writes_are_carried_on_with(
        self, vault: PackVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pwrite, write = os.pwrite, os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:7], at))
            patch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
            (digest,) = store(vault, blob(1000))
            assert copied(vault, digest, tmp_path / "copy") == blob(1000)

    def test_without_durability_nothing_is_synced(
        self, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "fsync", lambda fd: pytest.fail("synced"))
        vault = opened(durable=False, pack_limit=100)
        store(vault, b"one", blob(80))
        vault.close()
        assert_holds(vault, b"one", blob(80))

    def test_a_batch_is_synced_once_and_a_new_name_once(
        self, opened: Open, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced = noted_syncs(monkeypatch)
        vault = opened()
        store(vault, b"one", b"two")
        assert synced == [pack(folder).name, folder.name, tmp_path.name]
        synced.clear()
        store(vault, b"three", b"four")
        assert synced == [pack(folder).name]
        synced.clear()
        store(vault, b"one")
        assert synced == []

    def test_what_may_wait_is_synced_once_before_anything_may_name_it(
        self, opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vault = opened()
        store(vault, b"before")
        synced = noted_syncs(monkeypatch)
        for data in (b"one", b"two", b"three"):
            with vault.batch(later=True) as batch:
                batch.add(data)
            assert vault.read(digest_of(data)) == data
        assert synced == []
        vault.make_durable()
        vault.make_durable()
        assert synced == [pack(folder).name]
        assert_holds(opened(), b"before", b"one", b"two", b"three")

    @pytest.mark.parametrize("data", [b"one", b"two"], ids=["the same", "another"])
    def test_what_waited_in_vain_is_synced_with_the_next_batch(
        self, opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
    ) -> None:
        """The change that it was for has failed: nothing names it, but it is there to be found."""
        vault = opened()
        store(vault, b"before")
        with vault.batch(later=True) as batch:
            batch.add(b"one")
        synced = noted_syncs(monkeypatch)
        store(vault, data)
        assert synced == [pack(folder).name]

    def test_what_a_killed_process_has_added_is_synced_with_what_may_wait(
        self, opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(opened(), b"before")
        store(opened(), b"one")  # by the other one, which may not have synced it
        vault = opened()
        with vault.batch(later=True) as batch:
            assert batch.has(digest_of(b"one"))
        synced = noted_syncs(monkeypatch)
        vault.make_durable()
        assert synced == [pack(folder).name]

    def test_what_is_stored_anew_does_not_wait(
        self, opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(opened(), b"before")
        flip(pack(folder), HEADER_SIZE)
        vault = opened()
        synced = noted_syncs(monkeypatch)
        with vault.batch(later=True) as batch:
            batch.add(b"before")
        assert synced[0] == pack(folder).name

    @pytest.mark.parametrize("blobs", [[blob(9 << 20)], [blob(9, n) for n in range(251)]])
    def test_what_is_much_does_not_wait(
        self, opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch, blobs: list[bytes]
    ) -> None:
        vault = opened()
        store(vault, b"before")
        synced = noted_syncs(monkeypatch)
        with vault.batch(later=True) as batch:
            for data in blobs:
                batch.add(data)
        assert synced == [pack(folder).name]

    def test_what_may_wait_and_cannot_be_synced_refuses_more(
        self, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vault = opened()
        store(vault, b"before")
        with vault.batch(later=True) as batch:
            batch.add(b"one")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail_at(0, iter(range(9)), os.fsync))
            with pytest.raises(VaultError, match="making durable failed"):
                vault.make_durable()
        for act in (vault.make_durable, lambda: store(vault, b"two")):
            with pytest.raises(VaultError, match="open the vault again"):
                act()
        assert_holds(opened(), b"before", b"one")


def noted_syncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are synced from now on."""
    synced: list[str] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        synced.append(Path(f"/dev/fd/{fd}").resolve().name)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    return synced


def fail_at(nth: int, calls: Iterator[int], call: Callable[..., object]) -> Callable[..., object]:
    def wrapper(*args: object) -> object:
        if next(calls) == nth:
            raise OSError(errno.EIO, "Input/output error")
        return call(*args)

    return wrapper


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to count open files")
def test_no_file_stays_open(opened: Open) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    vault = opened(pack_limit=100)
    store(vault, b"one", blob(90, 1), blob(90, 2))
    with suppress(KeyError), vault.batch() as batch:
        batch.add(b"two")
        raise KeyError
    vault.read(digest_of(b"one"))
    list(vault.verify())
    with suppress(ContentMissingError):
        vault.read(ABSENT)
    vault.close()
    assert count() == before


def test_the_module_leaves_pydicom_alone() -> None:
    script = "import sys, ledger.vault.vault; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_a_batch_that_was_taken_back_had_behind_an_entry_is_not_looked_for_there(
    opened: Open,
) -> None:
    vault = opened()
    with vault.batch() as batch:
        first = batch.add(b"first")
    large = b"large" * 10**6

    def cancelled() -> None:
        with vault.batch() as batch:
            batch.add(large)
            assert vault.read(first.digest) == b"first"  # with a look at what follows
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cancelled()
    with vault.batch() as batch:
        batch.add(b"another")
        again = batch.add(large)
    assert vault.read(first.digest) == b"first"
    assert vault.read(again.digest) == large
    assert list(vault.verify()) == []
