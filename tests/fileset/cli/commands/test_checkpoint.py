"""checkpoint and `verify --checkpoint`: what is signed is proven, and nothing else."""

from __future__ import annotations

import base64
import builtins
import json
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from cli_runs import CT, Cli, Run, run, tamper
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from fileset.repository.repository import Repository
from ledger.digest import to_raw
from ledger.journal import checkpoint
from ledger.journal.signing import PublicKey


@pytest.fixture
def key(tmp_path: Path) -> Path:
    run("keygen", tmp_path / "key")
    return tmp_path / "key"


def signed(written: Cli, key: Path, name: str = "checkpoint.json", *options: object) -> Path:
    path = key.parent / name
    written("checkpoint", "--key", key, "--out", path, *options)
    return path


def check(written: Cli, key: Path, *files: Path, code: int = 0) -> Run:
    options = [argument for file in files for argument in ("--checkpoint", file)]
    return written("verify", *options, "--public-key", f"{key}.pub", code=code)


def checked(written: Cli, key: Path, *files: Path, code: int = 0) -> dict[str, Any]:
    options = [argument for file in files for argument in ("--checkpoint", file)]
    return written.json("verify", *options, "--public-key", f"{key}.pub", code=code)


def test_a_checkpoint_states_where_the_journal_is(written: Cli, key: Path) -> None:
    before = written.json("log")
    path = signed(written, key, "c.json", "--note", "sent to the trial office, café")
    body = json.loads(path.read_bytes())
    with closing(Repository.open(written.repository)) as repository:
        head, journal_id = repository.journal.head(), repository.journal.id
    assert (body["journal"], body["position"]) == (journal_id, head.position)
    assert to_raw(body["hash"]) == head.hash
    assert body["note"] == "sent to the trial office, café"
    assert body["signed_at"].endswith("Z")
    assert len(base64.b64decode(body["signature"])) == 64
    assert written.json("log") == before
    assert len(path.read_bytes()) < 1000


def test_a_checkpoint_can_be_checked_with_other_tools(written: Cli, key: Path) -> None:
    """As the page says: the object without its signature, compact and in order."""
    body = json.loads(signed(written, key, "c.json", "--note", "é").read_bytes())
    signature = base64.b64decode(body.pop("signature"))
    message = json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")
    public = serialization.load_pem_public_key(Path(f"{key}.pub").read_bytes())
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(signature, message)


def test_without_a_file_the_checkpoint_is_printed(written: Cli, key: Path, tmp_path: Path) -> None:
    out = written("checkpoint", "--key", key, "--note", "\u200b𝄞").out
    (tmp_path / "c.json").write_text(out)
    assert json.loads(out)["note"] == "\u200b𝄞"
    assert "Proven" in check(written, key, tmp_path / "c.json").out
    assert written.json("checkpoint", "--key", key)["checkpoint"].keys() == json.loads(out).keys()


def test_what_is_proven_and_what_is_not_is_said(written: Cli, key: Path) -> None:
    path = signed(written, key, "c.json", "--note", "for the trial")
    out = check(written, key, path).out
    assert "Proven: the journal has exactly the history up to position 7 " in out
    assert "The checkpoint's note: for the trial" in out
    assert "Not proven: that actors and times are true; whose that key is." in out
    written("set", "id=TWO")
    assert "Not proven: what came after position 7 (up to 8);" in check(written, key, path).out
    document = checked(written, key, path)
    (proof,) = document["checkpoints"]
    assert (proof["file"], proof["proven"], proof["position"]) == (str(path), True, 7)
    assert document["findings"] == []


CUT = ("DELETE FROM event WHERE position > 5", "DELETE FROM change WHERE first > 5")


def test_whole_changes_cut_off_the_end_are_shown_by_a_checkpoint_alone(
    written: Cli, key: Path, tmp_path: Path
) -> None:
    path = signed(written, key)
    tamper(written, *CUT)
    shutil.rmtree(tmp_path / "medium")
    assert "all is well" in written("verify").out
    (finding,) = checked(written, key, path, code=1)["findings"]
    assert (finding["kind"], finding["position"]) == ("checkpoint", 6)
    assert (
        "the journal was cut: it ends at position 5, and the events from 6 to 7 are gone"
        in (finding["message"])
    )
    assert finding["message"] in check(written, key, path, code=1).out


def rewrite(written: Cli, *, after: int) -> None:
    """Make the history after a position anew, as consistent as it was: a new chain."""
    tamper(
        written,
        f"DELETE FROM event WHERE position > {after}",  # noqa: S608 - a number
        f"DELETE FROM change WHERE first > {after}",  # noqa: S608 - as above
    )
    for path in (written.repository / "cache").glob("*.json"):
        path.unlink()
    for number in range(5):
        written("set", f"id=FORGED{number}")


def test_a_rewritten_journal_is_shown_by_a_checkpoint_alone(written: Cli, key: Path) -> None:
    path = signed(written, key)
    rewrite(written, after=3)
    assert "all is well" in written("verify").out
    (finding,) = checked(written, key, path, code=1)["findings"]
    assert (finding["kind"], finding["position"]) == ("checkpoint", 7)
    assert "the journal was rewritten: its history up to position 7 is not" in finding["message"]


def test_several_checkpoints_tell_where_the_rewriting_began(written: Cli, key: Path) -> None:
    first = signed(written, key, "first.json")
    written("set", "id=TWO")
    second = signed(written, key, "second.json")
    rewrite(written, after=7)
    document = checked(written, key, second, first, code=1)
    assert [(p["position"], p["proven"]) for p in document["checkpoints"]] == [
        (7, True),
        (8, False),
    ]
    assert "Up to position 7 it is" in document["findings"][0]["message"]
    assert (
        "Proven: the journal has exactly the history up to position 7"
        in check(written, key, first, second, code=1).out
    )


def test_what_was_signed_before_the_damage_is_still_proven(written: Cli, key: Path) -> None:
    first = signed(written, key, "first.json")
    written("set", "id=TWO")
    second = signed(written, key, "second.json")
    tamper(written, "UPDATE event SET hash = zeroblob(32) WHERE position = 8")
    document = checked(written, key, first, second, code=1)
    assert [p["proven"] for p in document["checkpoints"]] == [True, False]
    assert [(f["kind"], f["position"]) for f in document["findings"]] == [
        ("journal", 8),
        ("checkpoint", 8),
    ]


def test_a_checkpoint_of_another_journal_proves_nothing(
    written: Cli, key: Path, tmp_path: Path
) -> None:
    run("init", tmp_path / "other")
    path = signed(Cli(tmp_path / "other"), key)
    assert "of another journal" in check(written, key, path, code=1).out


def test_a_checkpoint_signed_with_another_key_proves_nothing(
    written: Cli, key: Path, tmp_path: Path
) -> None:
    run("keygen", tmp_path / "mallory")
    path = signed(written, tmp_path / "mallory")
    assert "signed with a different key" in check(written, key, path, code=1).out
    body = json.loads(path.read_bytes())
    body["key"] = run("keygen", tmp_path / "third", "--json").document["key"]
    path.write_text(json.dumps(body))
    assert "was altered" in check(written, tmp_path / "third", path, code=1).out


@pytest.mark.parametrize(
    ("field", "value"),
    [("position", 6), ("signed_at", "2000-01-01T00:00:00.000000Z"), ("note", "x"),
     ("hash", "sha256:" + "0" * 64), ("journal", "x"), ("signature", "AAAA")],
)  # fmt: skip
def test_an_altered_checkpoint_proves_nothing(
    written: Cli, key: Path, field: str, value: object
) -> None:
    path = signed(written, key)
    body = json.loads(path.read_bytes())
    path.write_text(json.dumps({**body, field: value}))
    (finding,) = checked(written, key, path, code=1)["findings"]
    assert (finding["kind"], finding["where"]) == ("checkpoint", str(path))
    assert "altered" in finding["message"]


def test_a_damaged_journal_is_not_signed(written: Cli, key: Path, tmp_path: Path) -> None:
    tamper(written, "UPDATE event SET hash = zeroblob(32) WHERE position = 3")
    refused = written("checkpoint", "--key", key, "--out", tmp_path / "c.json", code=3)
    assert "position 3" in refused.err
    assert not (tmp_path / "c.json").exists()


def test_a_checkpoint_does_not_overwrite(written: Cli, key: Path, tmp_path: Path) -> None:
    path = signed(written, key)
    before = path.read_bytes()
    assert "already" in written("checkpoint", "--key", key, "--out", path, code=3).err
    assert path.read_bytes() == before


def test_a_key_that_others_can_read_is_warned_about(written: Cli, key: Path) -> None:
    key.chmod(0o644)
    assert "can be read by others" in written("checkpoint", "--key", key).err


def pem(key: Any) -> bytes:
    return bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def test_what_is_no_key_or_no_checkpoint_is_refused_by_name(
    written: Cli, key: Path, tmp_path: Path
) -> None:
    path = signed(written, key)
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
        assert told in written("checkpoint", "--key", file, code=3).err
    for file, told in ((key, "but a private key"), (CT, "not a public key in PEM")):
        options = ("--checkpoint", path, "--public-key", file)
        assert told in written("verify", *options, code=3).err
    for text in ("", "{}", "[]", "no", '{"format": "fileset-ledger checkpoint", "version": 1}'):
        other.write_text(text)
        assert "is not a checkpoint" in check(written, key, other, code=3).err
    other.write_text('{"format": "fileset-ledger checkpoint", "version": 2}')
    assert "of format 2" in check(written, key, other, code=3).err
    written("verify", "--checkpoint", path, code=2)
    written("verify", "--public-key", public, code=2)


def test_keys_of_openssl_are_taken(written: Cli, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    key, public = tmp_path / "ossl", tmp_path / "ossl.pub"
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run([openssl, "pkey", "-in", key, "-pubout", "-out", public], check=True)
    assert "Proven" in check(written, key, signed(written, key)).out


def test_without_the_extra_only_signing_is_refused(
    written: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def importing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("cryptography"):
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", importing)
    assert "pip install '.[signing]'" in run("keygen", tmp_path / "k", code=3).err
    assert list(tmp_path.glob("k*")) == []
    assert "all is well" in written("verify").out


@pytest.mark.parametrize("version", [0, -1, True, "1", None, 1.0])
def test_the_version_of_a_checkpoint_can_not_be_altered(
    written: Cli, key: Path, version: object
) -> None:
    path = signed(written, key)
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": version}))
    refused = check(written, key, path, code=3).err
    assert "is not a checkpoint of a journal" in refused


def test_the_version_is_signed_as_it_stands_in_the_file(written: Cli, key: Path) -> None:
    kept = checkpoint.load(signed(written, key).read_bytes(), "c")
    public = PublicKey.load(Path(f"{key}.pub").read_bytes(), "key")
    assert kept.is_signed_by(public)
    assert not evolve(kept, version=2).is_signed_by(public)
