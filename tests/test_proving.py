"""verify, keygen and checkpoint: what was changed is named, and what was not can be proven."""

from __future__ import annotations

import base64
import builtins
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from cli_runs import CT, MR, Cli, Run, run
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydicom import examples

from fileset import FileSet
from fileset.repository import Repository
from fileset.verification import FindingKind
from ledger.digest import to_raw
from ledger.packs import HEADER_SIZE
from projections import snapshot


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Seven events: created, two instances added, the ID set, written, its ID set again."""
    run("init", tmp_path / "archive")
    cli = Cli(tmp_path / "archive")
    cli("add", CT, MR, "--reason", "first")
    cli("set", "id=ONE", "descriptor=README")
    cli("write", tmp_path / "medium")
    return cli


@pytest.fixture
def key(tmp_path: Path) -> Path:
    run("keygen", tmp_path / "key")
    return tmp_path / "key"


def tamper(cli: Cli, *statements: str) -> None:
    """Change the database as somebody would who knows how to drop its triggers."""
    with closing(sqlite3.connect(cli.repository / "journal.sqlite")) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            db.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            db.execute(statement)
        db.commit()


def only_finding(cli: Cli, *options: object) -> dict[str, Any]:
    """Return the one finding of ``verify``, which it tells in text as well."""
    (finding,) = cli.json("verify", *options, code=1)["findings"]
    told = cli("verify", *options, code=1).out
    assert f"{finding['kind']}: {finding['message']}" in told
    assert "1 finding." in told
    return dict(finding)


# --- verify: the journal -------------------------------------------------------------------------


TAMPERING = {
    "payload": (
        "UPDATE event SET payload = x'7b7d' WHERE position = 2",
        2,
    ),
    "hash": ("UPDATE event SET hash = zeroblob(32) WHERE position = 3", 3),
    "type": ("UPDATE event SET type = 'instance-rejected' WHERE position = 3", 3),
    "change's reason": ("UPDATE change SET reason = 'another' WHERE first = 2", 2),
    "change's actor": ("UPDATE change SET actor = 'nobody' WHERE first = 4", 4),
    "change's time": ("UPDATE change SET recorded_at = '2000' WHERE first = 1", 1),
    "a deleted event": ("DELETE FROM event WHERE position = 4", 4),
    "a deleted change": ("DELETE FROM change WHERE first = 2", 2),
    "a cut that leaves half a change": ("DELETE FROM event WHERE position > 2", 3),
}


@pytest.mark.parametrize(("statement", "position"), TAMPERING.values(), ids=TAMPERING)
def test_a_tampered_journal_is_named_with_its_first_bad_position(
    cli: Cli, statement: str, position: int
) -> None:
    tamper(cli, statement)
    finding = only_finding(cli)
    assert (finding["kind"], finding["position"]) == ("journal", position)
    assert finding["where"] == f"position {position}"
    assert f"the event at position {position} " in finding["message"]
    document = cli.json("verify", code=1)
    assert (document["events"], document["instances"]) == (position - 1, 0)


def test_the_vault_is_checked_though_the_journal_is_damaged(cli: Cli) -> None:
    tamper(cli, "UPDATE event SET hash = zeroblob(32) WHERE position = 3")
    flip(content_of(cli, CT))
    kinds = [finding["kind"] for finding in cli.json("verify", code=1)["findings"]]
    assert kinds == ["journal", "vault"]


def test_events_that_can_t_have_been_are_damage_though_the_chain_is_good(cli: Cli) -> None:
    made = Cli(cli.repository.parent / "made")
    Repository.create(made.repository, lambda repository: repository.begin("1.2.3")).close()
    with closing(Repository.open(made.repository)) as repository:
        from ledger.events import InstanceRemoved
        from ledger.journal import Draft

        repository.journal.append([InstanceRemoved(9)], Draft("bad", "a", "b"), expected=1)
    finding = only_finding(made)
    assert (finding["kind"], finding["position"]) == ("journal", 2)
    assert "does not fit" in finding["message"]


def test_a_snapshot_has_no_say_in_what_verify_finds(cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(cli.repository, tmp_path / "copy")
    cli("remove", "PatientID=4MR1")
    shutil.rmtree(tmp_path / "copy" / "vault")
    (tmp_path / "copy" / "vault").mkdir()
    for path in (cli.repository / "cache").glob("*.json"):
        shutil.copy(path, tmp_path / "copy" / "cache")
    findings = Cli(tmp_path / "copy").json("verify", code=1)["findings"]
    assert [finding["position"] for finding in findings] == [2, 3]


# --- verify: the vault and the medium ------------------------------------------------------------


def content_of(cli: Cli, source: Path) -> tuple[Path, int, int]:
    """Return the pack that holds the bytes of `source`, where in it, and how many."""
    data = source.read_bytes()
    for pack in (cli.repository / "vault").iterdir():
        if (at := pack.read_bytes().find(data)) >= 0:
            return pack, at, len(data)
    raise AssertionError("it is not in the vault")


def flip(place: tuple[Path, int, int]) -> None:
    pack, at, _ = place
    data = bytearray(pack.read_bytes())
    data[at + 1000] ^= 1
    overwrite(pack, data)


def overwrite(pack: Path, data: bytes | bytearray) -> None:
    pack.chmod(0o600)
    pack.write_bytes(data)


def test_content_of_the_vault_that_was_edited_is_named_with_its_instance(cli: Cli) -> None:
    flip(content_of(cli, MR))
    finding = only_finding(cli)
    assert (finding["kind"], finding["position"]) == ("vault", 3)
    assert finding["where"].startswith("sha256:3f27d1c2")
    assert "added at position 3" in finding["message"]


def test_content_swapped_for_other_content_is_named(cli: Cli) -> None:
    """The bytes of one instance are put under the digest of the other, framed as they should be."""
    pack, at, size = content_of(cli, CT)
    other = MR.read_bytes()
    data = bytearray(pack.read_bytes())
    data[at : at + size] = other.ljust(size, b"\0")
    overwrite(pack, data)
    finding = only_finding(cli)
    assert (finding["kind"], finding["position"]) == ("vault", 2)


def test_an_entry_taken_out_of_the_vault_is_named(cli: Cli) -> None:
    """The whole entry of one instance gives way to another that is as good."""
    pack, at, size = content_of(cli, MR)
    data = bytearray(pack.read_bytes())
    del data[at - HEADER_SIZE : at + size]
    overwrite(pack, data)
    (cli.repository / "cache" / "vault-index.sqlite").unlink()
    finding = only_finding(cli)
    assert (finding["kind"], finding["position"]) == ("content-missing", 3)


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize(
    ("change", "name", "kind", "position"),
    [
        (edit, "PT000001/ST000000/SE000000/IM000000", "file-changed", 3),
        (Path.unlink, "PT000000/ST000000/SE000000/IM000000", "file-missing", 2),
        (edit, "DICOMDIR", "dicomdir", None),
    ],
)
def test_an_edited_medium_is_named_by_path(
    cli: Cli,
    tmp_path: Path,
    change: Callable[[Path], None],
    name: str,
    kind: str,
    position: int | None,
) -> None:
    path = tmp_path / "medium" / name
    change(path)
    finding = only_finding(cli)
    assert (finding["kind"], finding["where"]) == (kind, str(path))
    assert finding["position"] == position


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_is_a_pair_of_standard_files_of_which_one_is_secret(tmp_path: Path) -> None:
    document = run("keygen", tmp_path / "key", "--json").document
    private, public = tmp_path / "key", tmp_path / "key.pub"
    assert (document["private_key"], document["public_key"]) == (str(private), str(public))
    assert private.stat().st_mode & 0o777 == 0o600
    assert public.stat().st_mode & 0o777 == 0o644
    secret = serialization.load_pem_private_key(private.read_bytes(), None)
    assert isinstance(secret, ed25519.Ed25519PrivateKey)
    assert private.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert public.read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")
    opened = serialization.load_pem_public_key(public.read_bytes())
    assert opened == secret.public_key()


@pytest.mark.parametrize("there", ["key", "key.pub"])
def test_no_key_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    assert f"{tmp_path / there} already" in run("keygen", tmp_path / "key", code=3).err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_key_that_can_t_be_kept_is_not_made(tmp_path: Path) -> None:
    assert "can't be made" in run("keygen", tmp_path / "missing" / "key", code=3).err


# --- checkpoints ---------------------------------------------------------------------------------


def signed(cli: Cli, key: Path, name: str = "checkpoint.json", *options: object) -> Path:
    path = key.parent / name
    cli("checkpoint", "--key", key, "--out", path, *options)
    return path


def check(cli: Cli, key: Path, *files: Path, code: int = 0) -> Run:
    options = [argument for file in files for argument in ("--checkpoint", file)]
    return cli("verify", *options, "--public-key", f"{key}.pub", code=code)


def checked(cli: Cli, key: Path, *files: Path, code: int = 0) -> dict[str, Any]:
    options = [argument for file in files for argument in ("--checkpoint", file)]
    return cli.json("verify", *options, "--public-key", f"{key}.pub", code=code)


def test_a_checkpoint_states_where_the_journal_is(cli: Cli, key: Path) -> None:
    before = cli.json("log")
    path = signed(cli, key, "c.json", "--note", "sent to the trial office, café")
    body = json.loads(path.read_bytes())
    with closing(Repository.open(cli.repository)) as repository:
        head, journal_id = repository.journal.head(), repository.journal.id
    assert (body["journal"], body["position"]) == (journal_id, head.position)
    assert to_raw(body["hash"]) == head.hash
    assert body["note"] == "sent to the trial office, café"
    assert body["signed_at"].endswith("Z")
    assert len(base64.b64decode(body["signature"])) == 64
    assert cli.json("log") == before
    assert len(path.read_bytes()) < 1000


def test_a_checkpoint_can_be_checked_with_other_tools(cli: Cli, key: Path) -> None:
    """As the page says: the object without its signature, compact and in order."""
    body = json.loads(signed(cli, key, "c.json", "--note", "é").read_bytes())
    signature = base64.b64decode(body.pop("signature"))
    message = json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")
    public = serialization.load_pem_public_key(Path(f"{key}.pub").read_bytes())
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(signature, message)


def test_without_a_file_the_checkpoint_is_printed(cli: Cli, key: Path, tmp_path: Path) -> None:
    out = cli("checkpoint", "--key", key, "--note", "\u200b𝄞").out
    (tmp_path / "c.json").write_text(out)
    assert json.loads(out)["note"] == "\u200b𝄞"
    assert "Proven" in check(cli, key, tmp_path / "c.json").out
    assert cli.json("checkpoint", "--key", key)["checkpoint"].keys() == json.loads(out).keys()


def test_what_is_proven_and_what_is_not_is_said(cli: Cli, key: Path) -> None:
    path = signed(cli, key, "c.json", "--note", "for the trial")
    out = check(cli, key, path).out
    assert "Proven: the journal has exactly the history up to position 7 " in out
    assert "The checkpoint's note: for the trial" in out
    assert "Not proven: that actors and times are true; whose that key is." in out
    cli("set", "id=TWO")
    assert "Not proven: what came after position 7 (up to 8);" in check(cli, key, path).out
    document = checked(cli, key, path)
    (proof,) = document["checkpoints"]
    assert (proof["file"], proof["proven"], proof["position"]) == (str(path), True, 7)
    assert document["findings"] == []


CUT = ("DELETE FROM event WHERE position > 5", "DELETE FROM change WHERE first > 5")


def test_whole_changes_cut_off_the_end_are_shown_by_a_checkpoint_alone(
    cli: Cli, key: Path, tmp_path: Path
) -> None:
    path = signed(cli, key)
    tamper(cli, *CUT)
    shutil.rmtree(tmp_path / "medium")
    assert "all is well" in cli("verify").out
    (finding,) = checked(cli, key, path, code=1)["findings"]
    assert (finding["kind"], finding["position"]) == ("checkpoint", 6)
    assert (
        "the journal was cut: it ends at position 5, and the events from 6 to 7 are gone"
        in (finding["message"])
    )
    assert finding["message"] in check(cli, key, path, code=1).out


def rewrite(cli: Cli, *, after: int) -> None:
    """Make the history after a position anew, as consistent as it was: a new chain."""
    tamper(
        cli,
        f"DELETE FROM event WHERE position > {after}",  # noqa: S608 - a number
        f"DELETE FROM change WHERE first > {after}",  # noqa: S608 - as above
    )
    for path in (cli.repository / "cache").glob("*.json"):
        path.unlink()
    for number in range(5):
        cli("set", f"id=FORGED{number}")


def test_a_rewritten_journal_is_shown_by_a_checkpoint_alone(cli: Cli, key: Path) -> None:
    path = signed(cli, key)
    rewrite(cli, after=3)
    assert "all is well" in cli("verify").out
    (finding,) = checked(cli, key, path, code=1)["findings"]
    assert (finding["kind"], finding["position"]) == ("checkpoint", 7)
    assert "the journal was rewritten: its history up to position 7 is not" in finding["message"]


def test_several_checkpoints_tell_where_the_rewriting_began(cli: Cli, key: Path) -> None:
    first = signed(cli, key, "first.json")
    cli("set", "id=TWO")
    second = signed(cli, key, "second.json")
    rewrite(cli, after=7)
    document = checked(cli, key, second, first, code=1)
    assert [(p["position"], p["proven"]) for p in document["checkpoints"]] == [
        (7, True),
        (8, False),
    ]
    assert "Up to position 7 it is" in document["findings"][0]["message"]
    assert (
        "Proven: the journal has exactly the history up to position 7"
        in check(cli, key, first, second, code=1).out
    )


def test_what_was_signed_before_the_damage_is_still_proven(cli: Cli, key: Path) -> None:
    first = signed(cli, key, "first.json")
    cli("set", "id=TWO")
    second = signed(cli, key, "second.json")
    tamper(cli, "UPDATE event SET hash = zeroblob(32) WHERE position = 8")
    document = checked(cli, key, first, second, code=1)
    assert [p["proven"] for p in document["checkpoints"]] == [True, False]
    assert [(f["kind"], f["position"]) for f in document["findings"]] == [
        ("journal", 8),
        ("checkpoint", 8),
    ]


def test_a_checkpoint_of_another_journal_proves_nothing(
    cli: Cli, key: Path, tmp_path: Path
) -> None:
    run("init", tmp_path / "other")
    path = signed(Cli(tmp_path / "other"), key)
    assert "of another journal" in check(cli, key, path, code=1).out


def test_a_checkpoint_signed_with_another_key_proves_nothing(
    cli: Cli, key: Path, tmp_path: Path
) -> None:
    run("keygen", tmp_path / "mallory")
    path = signed(cli, tmp_path / "mallory")
    assert "signed with another key" in check(cli, key, path, code=1).out
    body = json.loads(path.read_bytes())
    body["key"] = run("keygen", tmp_path / "third", "--json").document["key"]
    path.write_text(json.dumps(body))
    assert "was altered" in check(cli, tmp_path / "third", path, code=1).out


@pytest.mark.parametrize(
    ("field", "value"),
    [("position", 6), ("signed_at", "2000-01-01T00:00:00.000000Z"), ("note", "x"),
     ("hash", "sha256:" + "0" * 64), ("journal", "x"), ("signature", "AAAA")],
)  # fmt: skip
def test_an_altered_checkpoint_proves_nothing(
    cli: Cli, key: Path, field: str, value: object
) -> None:
    path = signed(cli, key)
    body = json.loads(path.read_bytes())
    path.write_text(json.dumps({**body, field: value}))
    (finding,) = checked(cli, key, path, code=1)["findings"]
    assert (finding["kind"], finding["where"]) == ("checkpoint", str(path))
    assert "altered" in finding["message"]


def test_a_damaged_journal_is_not_signed(cli: Cli, key: Path, tmp_path: Path) -> None:
    tamper(cli, "UPDATE event SET hash = zeroblob(32) WHERE position = 3")
    refused = cli("checkpoint", "--key", key, "--out", tmp_path / "c.json", code=3)
    assert "position 3" in refused.err
    assert not (tmp_path / "c.json").exists()


def test_a_checkpoint_does_not_overwrite(cli: Cli, key: Path, tmp_path: Path) -> None:
    path = signed(cli, key)
    before = path.read_bytes()
    assert "already" in cli("checkpoint", "--key", key, "--out", path, code=3).err
    assert path.read_bytes() == before


def test_a_key_that_others_can_read_is_warned_about(cli: Cli, key: Path) -> None:
    key.chmod(0o644)
    assert "can be read by others" in cli("checkpoint", "--key", key).err


def pem(key: Any) -> bytes:
    return bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def test_what_is_no_key_or_no_checkpoint_is_refused_by_name(
    cli: Cli, key: Path, tmp_path: Path
) -> None:
    path = signed(cli, key)
    public = Path(f"{key}.pub")
    other = tmp_path / "other"
    other.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    locked = tmp_path / "locked"
    secret = ed25519.Ed25519PrivateKey.generate()
    locked.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for file, told in (
        (public, "not a private key in PEM but a public key"),
        (CT, "not a private key in PEM"),
        (other, "not an Ed25519 key"),
        (locked, "protected by a passphrase"),
        (tmp_path / "missing", "No such file"),
    ):
        assert told in cli("checkpoint", "--key", file, code=3).err
    for file, told in ((key, "but a private key"), (CT, "not a public key in PEM")):
        options = ("--checkpoint", path, "--public-key", file)
        assert told in cli("verify", *options, code=3).err
    for text in ("", "{}", "[]", "no", '{"format": "fileset-ledger checkpoint", "version": 1}'):
        other.write_text(text)
        assert "is not a checkpoint" in check(cli, key, other, code=3).err
    other.write_text('{"format": "fileset-ledger checkpoint", "version": 2}')
    assert "of format 2" in check(cli, key, other, code=3).err
    cli("verify", "--checkpoint", path, code=2)
    cli("verify", "--public-key", public, code=2)


def test_keys_of_openssl_are_taken(cli: Cli, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    key, public = tmp_path / "ossl", tmp_path / "ossl.pub"
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run([openssl, "pkey", "-in", key, "-pubout", "-out", public], check=True)
    assert "Proven" in check(cli, key, signed(cli, key)).out


def test_without_the_extra_only_signing_is_refused(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def importing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("cryptography"):
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", importing)
    assert "pip install 'fileset-ledger[signing]'" in run("keygen", tmp_path / "k", code=3).err
    assert list(tmp_path.glob("k*")) == []
    assert "all is well" in cli("verify").out


def test_an_edited_snapshot_is_found(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    fs.add(examples.get_path("ct"))
    fs.close()
    with closing(Repository.open(tmp_path / "repository")) as repository:
        state = repository.state
        state.identity = evolve(state.identity, id="EVIL")
        data = snapshot.dump(state, repository.journal.head().hash.hex())
    (tmp_path / "repository" / "cache" / "snapshot.json").write_bytes(data)
    with closing(FileSet.open(tmp_path / "repository")) as fs:
        assert [finding.kind for finding in fs.verify()] == [FindingKind.SNAPSHOT]
        fs.repository.rebuild()
        assert fs.verify() == []
