"""Sending audit messages: at least once, whoever is killed, down, slow or not who he should be."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import examples
from stopping import killed_at
from syslog_receiver import Authority, Receiver, read_all

from fileset import FileSet
from fileset.audit import Collector, Cursor, Cursors, DeliveryError, Sender, Spool, audit_messages
from fileset.audit.message import AuditMessage
from fileset.errors import RefusedError
from fileset.recovery.recover import recover
from fileset.repository.repository import Repository
from ledger.journal.lines import write_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A repository of which there are four messages to send."""
    with FileSet(repository=tmp_path / "archive") as fs:
        fs.add(examples.get_path("ct"))
        fs.write(tmp_path / "medium")
        fs.ID = "NOTHING TO TELL"
        fs.add(examples.get_path("mr"))
        fs.write()
    return tmp_path / "archive"


@pytest.fixture
def mixed_up(tmp_path: Path) -> Path:
    """A repository with changes that several messages tell of: each patient has one."""
    with FileSet(repository=tmp_path / "archive") as fs:
        fs.add_many(map(examples.get_path, ("ct", "mr", "overlay")))
        fs.merge("1CT1", into="4MR1")
        fs.correct(fs.find(), {"PatientName": "Right^Name"})
        fs.move(fs.find(PatientID="021234567"), "4MR1")
    return tmp_path / "archive"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("others"), "stranger")


@define
class Fake:
    """A destination that fails when it is told to."""

    name: str = "fake"
    got: list[AuditMessage] = field(factory=list)
    fails: Iterator[bool] = field(factory=lambda: iter([]))

    def deliver(self, messages: Sequence[AuditMessage]) -> None:
        if next(self.fails, False):
            raise DeliveryError("It is down.")
        self.got += messages


def everything(path: Path) -> list[AuditMessage]:
    repository = Repository.open(path)
    found = [each for _, messages in audit_messages(repository) for each in messages]
    repository.close()
    return found


def send(path: Path, destination: Fake | Collector | Spool) -> int:
    repository = Repository.open(path)
    try:
        with Cursors(path).alone(destination.name) as cursor:
            sender = Sender(destination, cursor)
            sender.send(repository)
            return sender.sent
    finally:
        repository.close()


def cursor_of(path: Path) -> Cursor:
    (found,) = Cursors(path)
    return found


# --- the cursor ----------------------------------------------------------------------------------


def test_each_message_is_sent_once_and_what_comes_later_when_it_is_there(path: Path) -> None:
    fake = Fake()
    assert send(path, fake) == 4
    assert fake.got == everything(path)
    assert send(path, fake) == 0
    assert send(path, Fake("another")) == 4
    with FileSet.open(path) as fs:
        fs.add(examples.get_path("overlay"))
    assert send(path, fake) == 1
    assert fake.got == everything(path)
    (another, found) = Cursors(path)
    assert (another.destination, another.sent, found.sent) == ("another", 4, 5)
    assert found.error is None


def test_what_fails_is_sent_again_and_the_reason_is_kept_as_long_as_it_fails(path: Path) -> None:
    fake = Fake(fails=iter([True, True, False]))
    for _ in range(2):
        with pytest.raises(DeliveryError, match="down"):
            send(path, fake)
        assert cursor_of(path).error == "It is down."
        assert cursor_of(path).position == 0
    assert send(path, fake) == 4
    assert cursor_of(path).error is None
    assert fake.got == everything(path)


def test_two_senders_to_one_destination_are_refused(path: Path) -> None:
    with Cursors(path).alone("fake"):
        with pytest.raises(RefusedError, match="already"):
            send(path, Fake())
        send(path, Fake("another"))
        in_another_process = (
            "import sys; from pathlib import Path; from fileset.audit import Cursors\n"
            "with Cursors(Path(sys.argv[1])).alone('fake'): pass"
        )
        command = [sys.executable, "-c", in_another_process, path]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "already" in result.stderr
    assert send(path, Fake()) == 4


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"destination": "fake", "position": "x"}', b"\xff" * 9]
)
def test_a_cursor_that_is_damaged_or_gone_sends_all_of_it_again(path: Path, damage: bytes) -> None:
    send(path, Fake())
    (file,) = (path / "audit").glob("*.json")
    file.write_bytes(damage)
    assert send(path, Fake()) == 4
    file.unlink()
    assert send(path, Fake()) == 4


def test_a_journal_that_was_recovered_is_sent_from_where_it_is_another(path: Path) -> None:
    before = everything(path)
    fake = Fake()
    send(path, fake)
    exported = path.parent / "journal.jsonl"
    repository = Repository.open(path)
    with exported.open("wb") as file:
        write_journal(repository.journal, file.write)
    repository.close()
    kept = 3  # a header, the File-set, the first instance: the rest is lost
    exported.write_bytes(b"".join(exported.read_bytes().splitlines(keepends=True)[:kept]))
    (path / "journal.sqlite").write_bytes(b"nothing of it is left")
    recover(path, exports=[exported])
    said: list[str] = []
    repository = Repository.open(path)
    with Cursors(path).alone("fake") as cursor:
        assert cursor.now.position > 2
        sender = Sender(fake, cursor, said.append)
        sender.send(repository)
        sender.send(repository)
        assert cursor.now.is_at_end(repository.journal)
    repository.close()
    assert len(said) == 1
    assert "was recovered, and everything after position 2 is sent" in said[0]
    after = everything(path)
    assert after[0] == before[0]
    assert fake.got == [*before, *after[1:]]


def test_another_journal_in_its_place_is_sent_from_the_beginning(path: Path) -> None:
    send(path, Fake())
    (file,) = (path / "audit").glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"journal": "another"}))
    assert send(path, Fake()) == 4


@settings(max_examples=10)
@given(st.lists(st.booleans(), max_size=6))
def test_whatever_fails_in_between_nothing_is_lost_and_the_order_stays(fails: list[bool]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r"
        fake = Fake(fails=iter(fails))
        FileSet(repository=path).close()
        for file in ("ct", "mr", "overlay"):
            with FileSet.open(path) as fs:
                fs.add(examples.get_path(file))
            try:
                send(path, fake)
            except DeliveryError:
                continue
        fake.fails = iter([])
        send(path, fake)
        assert fake.got == everything(path)


@pytest.mark.parametrize("nth", range(1, 20))
@pytest.mark.parametrize("kind", ["path", "mixed_up"])
def test_a_sender_that_is_killed_at_any_step_loses_nothing(
    kind: str, nth: int, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(kind)
    spool = Spool(path.parent / "spool")
    messages = everything(path)
    wanted = {f"{message.name}.xml": message.xml for message in messages}
    assert len(wanted) == len(messages)
    killed_at(nth, lambda: send(path, spool))
    for file in (path.parent / "spool").glob("*.xml"):
        assert wanted[file.name] == file.read_bytes()
    send(path, spool)
    found = {file.name: file.read_bytes() for file in (path.parent / "spool").glob("*.xml")}
    assert found == wanted


def test_a_sender_that_is_killed_between_two_messages_of_a_change_sends_both(
    mixed_up: Path,
) -> None:
    wanted = {f"{message.name}.xml": message.xml for message in everything(mixed_up)}
    had = []
    for nth in range(1, 100):
        folder = mixed_up.parent / f"spool{nth}"
        spool = Spool(folder)
        is_done = killed_at(
            nth, lambda spool=spool: send(mixed_up, spool), operations=["replace"], statements=False
        )
        had.append(len(list(folder.glob("*.xml"))))
        send(mixed_up, spool)
        assert {file.name: file.read_bytes() for file in folder.glob("*.xml")} == wanted
        if is_done:
            break
    assert set(had) == set(range(len(wanted) + 1))  # it was killed before each of them


# --- the folder ----------------------------------------------------------------------------------


def test_a_spool_has_a_file_for_each_message_in_the_order_of_the_journal(path: Path) -> None:
    folder = path.parent / "spool"
    assert send(path, Spool(folder)) == 4
    files = sorted(folder.iterdir())
    assert [file.read_bytes() for file in files] == [message.xml for message in everything(path)]
    assert all(file.suffix == ".xml" and file.stat().st_mode & 0o077 == 0 for file in files)


def test_each_message_of_a_change_that_has_several_is_a_file_and_counted_once(
    mixed_up: Path,
) -> None:
    messages = everything(mixed_up)
    assert [(m.part, m.parts) for m in messages] == [
        (1, 1), (1, 2), (2, 2), (1, 2), (2, 2), (1, 2), (2, 2)
    ]  # fmt: skip
    folder = mixed_up.parent / "spool"
    assert send(mixed_up, Spool(folder)) == len(messages)
    assert [file.read_bytes() for file in sorted(folder.iterdir())] == [m.xml for m in messages]


def test_no_message_takes_the_place_of_another_one_also_if_the_cursor_is_lost_after_an_erasure(
    mixed_up: Path,
) -> None:
    folder = mixed_up.parent / "spool"
    before = everything(mixed_up)
    send(mixed_up, Spool(folder))
    with FileSet.open(mixed_up) as fs:
        fs.erase(PatientID="4MR1", reason="asked for", take_off=True)
    after = everything(mixed_up)
    for _ in range(2):  # the second time there is nothing new
        shutil.rmtree(mixed_up / "audit")
        assert send(mixed_up, Spool(folder)) == len(after)
        files = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
        assert {m.xml for m in (*before, *after)} == set(files.values())
        assert len(files) == len(set(files.values()))
    assert [files[f"{m.name}.xml"] for m in before] == [m.xml for m in before]


def test_a_spool_in_a_repository_or_a_file_set_is_refused(path: Path) -> None:
    for folder in (path, path / "audit", path.parent / "medium", path.parent / "medium" / "new"):
        with pytest.raises(RefusedError, match="name another folder"):
            Spool(folder)


def test_a_spool_that_takes_no_file_is_a_failed_delivery(path: Path) -> None:
    spool = Spool(path.parent / "spool")
    (path.parent / "spool").rmdir()
    with pytest.raises(DeliveryError, match="No such file"):
        send(path, spool)


# --- the receiver --------------------------------------------------------------------------------


def collector(receiver: Receiver, authority: Authority, **options: object) -> Collector:
    files = {"ca": authority.path, "cert": authority.certificate("sender"), "seconds": 10.0}
    return Collector("127.0.0.1", receiver.port, **{**files, **options})  # type: ignore[arg-type]


def test_a_receiver_gets_every_message_over_mutual_tls(path: Path, authority: Authority) -> None:
    with Receiver(authority).running() as receiver:
        assert send(path, collector(receiver, authority)) == 4
    assert receiver.documents == [message.xml for message in everything(path)]
    assert receiver.messages[0].startswith(b"<85>1 2")
    assert receiver.failures == []


def test_a_receiver_can_tell_the_messages_of_one_change_apart_by_their_headers(
    mixed_up: Path, authority: Authority
) -> None:
    messages = everything(mixed_up)
    with Receiver(authority, drop(5_000), read_all).running() as receiver:
        destination = collector(receiver, authority)
        with pytest.raises(DeliveryError):
            send(mixed_up, destination)
        assert send(mixed_up, destination) == len(messages)
    assert receiver.documents == [message.xml for message in messages]
    processes = [message.split(b" ")[4].decode() for message in receiver.messages]
    assert processes == [f"{m.change.id}-{m.part:04}" for m in messages]
    assert len(set(processes)) == len(messages)


def test_who_is_not_known_gets_nothing_and_nothing_counts_as_sent(
    path: Path, authority: Authority, stranger: Authority
) -> None:
    cases: list[tuple[Authority, dict[str, object], str]] = [
        (stranger, {"cert": authority.certificate("sender")}, "is not accepted"),
        (authority, {"cert": stranger.certificate("sender")}, "unknown ca|broke off|decrypt"),
        (authority, {"cert": None}, "required|broke off"),
    ]
    for trusted, options, why in cases:
        with Receiver(authority).running() as receiver:
            files = {"ca": trusted.path, **options}
            with pytest.raises(DeliveryError, match=f"(?i){why}"):
                send(path, collector(receiver, authority, **files))
        assert receiver.messages == []
        assert all(cursor.position == 0 for cursor in Cursors(path))


def test_a_certificate_for_another_host_is_not_accepted(path: Path, authority: Authority) -> None:
    mismatch = pytest.raises(DeliveryError, match="is not accepted: IP address mismatch")
    with Receiver(authority, host="elsewhere.example").running() as receiver, mismatch:
        send(path, collector(receiver, authority))
    assert receiver.messages == []


def drop(after: int) -> Callable[[ssl.SSLSocket, Receiver], None]:
    """Read so many octets and break off, with something unread if there is any."""

    def behave(connection: ssl.SSLSocket, _: Receiver) -> None:
        read = 0
        while read < after and (chunk := connection.recv(min(512, after - read))):
            read += len(chunk)
        # No farewell, and the sender's data is thrown away.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return behave


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.05])
def test_a_receiver_that_closes_without_reading_gets_all_of_it_again(
    path: Path, authority: Authority, seconds: float
) -> None:
    """It closes in good order if it is early, and has thrown away what it got if it is late."""

    def hang_up(_: ssl.SSLSocket, __: Receiver) -> None:
        time.sleep(seconds)

    with Receiver(authority, hang_up, read_all).running() as receiver:
        destination = collector(receiver, authority)
        with pytest.raises(DeliveryError, match="broke off"):
            send(path, destination)
        assert send(path, destination) == 4
    assert receiver.documents == [message.xml for message in everything(path)]


def test_a_receiver_that_closes_first_and_throws_away_what_comes_has_got_nothing(
    path: Path, authority: Authority
) -> None:
    """So does `openssl s_server` when its own input ends: nothing resets the connection."""
    closed = threading.Event()

    def close_first(connection: ssl.SSLSocket, _: Receiver) -> None:
        connection.shutdown(socket.SHUT_WR)
        closed.set()
        while connection.recv(4096):
            pass

    class Late(AuditMessage):
        def syslog(self, host: str) -> bytes:
            closed.wait(10)
            return super().syslog(host)

    first = everything(path)[0]
    late = Late(first.change, first.kind, first.part, first.parts, first.xml)
    broken_off = pytest.raises(DeliveryError, match="broke off")
    with Receiver(authority, close_first).running() as receiver, broken_off:
        collector(receiver, authority).deliver([late])


@pytest.mark.parametrize("after", [0, 1, 700, 2_500])
def test_a_receiver_that_drops_the_connection_gets_all_of_it_again(
    path: Path, authority: Authority, after: int
) -> None:
    with Receiver(authority, drop(after), read_all).running() as receiver:
        destination = collector(receiver, authority)
        with pytest.raises(DeliveryError):
            send(path, destination)
        assert cursor_of(path).position == 0
        assert send(path, destination) == 4
    assert receiver.documents == [message.xml for message in everything(path)]


def test_a_receiver_that_does_not_answer_in_time_is_a_failed_delivery(
    path: Path, authority: Authority
) -> None:
    def stall(_: ssl.SSLSocket, receiver: Receiver) -> None:
        receiver.over.wait(10)

    with Receiver(authority, stall).running() as receiver:
        with pytest.raises(DeliveryError, match="does not answer in time"):
            send(path, collector(receiver, authority, seconds=0.2))
        receiver.over.set()


def sip(connection: ssl.SSLSocket, receiver: Receiver) -> None:
    """Take little at a time."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    read_all(connection, receiver)


def bid_farewell(connection: ssl.SSLSocket, receiver: Receiver) -> None:
    """Answer the sender's close_notify, which not all receivers do."""
    read_all(connection, receiver)
    connection.unwrap()


@pytest.mark.parametrize("behave", [sip, bid_farewell])
def test_a_receiver_may_be_slow_and_may_bid_farewell_or_not(
    path: Path, authority: Authority, behave: Callable[[ssl.SSLSocket, Receiver], None]
) -> None:
    with Receiver(authority, behave).running() as receiver:
        assert send(path, collector(receiver, authority)) == 4
    assert receiver.failures == []


def test_a_receiver_that_is_down_is_a_failed_delivery_with_a_reason(
    path: Path, authority: Authority
) -> None:
    with Receiver(authority).running() as receiver:
        pass
    with pytest.raises(DeliveryError, match=f"127.0.0.1:{receiver.port}: Connection refused"):
        send(path, collector(receiver, authority))
    with pytest.raises(DeliveryError, match=r"no-such-host\.invalid:6514: "):
        send(path, Collector("no-such-host.invalid", seconds=5))


def test_files_that_are_no_certificates_are_refused_at_once(
    tmp_path: Path, authority: Authority
) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    locked = authority.certificate("locked", password=b"secret")
    for options, why in (
        ({"ca": nothing}, "nothing.pem can't be used"),
        ({"ca": tmp_path / "missing"}, "missing can't be used: No such file"),
        ({"cert": nothing}, "a certificate and its key in PEM"),
        ({"cert": locked}, "The key is encrypted"),
    ):
        with pytest.raises(RefusedError, match=why):
            Collector("localhost", **options)  # type: ignore[arg-type]


# --- following -----------------------------------------------------------------------------------


class StopFollowingError(Exception):
    """The test has seen enough."""


@contextmanager
def following(path: Path, fake: Fake, steps: list[Callable[[], object]]) -> Iterator[list[float]]:
    """Follow the journal, with the next of `steps` in each pause; yield the pauses and stop."""
    pauses: list[float] = []
    todo = iter(steps)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        try:
            next(todo)()
        except StopIteration:
            raise StopFollowingError from None

    with Cursors(path).alone(fake.name) as cursor:
        said: list[str] = []
        with pytest.raises(StopFollowingError):
            Sender(fake, cursor, said.append).follow(path, sleep)
        yield pauses
    assert said == [] or said[0] == "It is down. It is tried again."


def test_following_sends_what_comes_and_is_in_nobodys_way(path: Path) -> None:
    fake = Fake()

    def add() -> None:
        with FileSet.open(path) as fs:
            fs.add(examples.get_path("overlay"))

    with following(path, fake, [add, lambda: None]) as pauses:
        assert pauses == [2.0] * 3
    assert fake.got == everything(path)
    assert len(fake.got) == 5


def test_following_tries_again_ever_more_rarely_until_it_works(path: Path) -> None:
    fake = Fake(fails=iter([True] * 8))
    with following(path, fake, [lambda: None] * 8) as pauses:
        assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 2.0]
    assert fake.got == everything(path)


def test_following_sees_that_a_journal_was_replaced(path: Path) -> None:
    """An open database would go on reading the one that is gone."""
    fake = Fake()

    def replace() -> None:
        exported = path.parent / "journal.jsonl"
        repository = Repository.open(path)
        with exported.open("wb") as file:
            write_journal(repository.journal, file.write)
        repository.close()
        (path / "journal.sqlite").write_bytes(b"nothing of it is left")
        recover(path, exports=[exported])
        with FileSet.open(path) as fs:
            fs.add(examples.get_path("overlay"))

    with following(path, fake, [replace, lambda: None]):
        pass
    assert fake.got == everything(path)
