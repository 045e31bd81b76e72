"""keygen: a pair of files, of which one is secret, and neither takes the place of another."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import run
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


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
    assert f"{tmp_path / there} exists already" in run("keygen", tmp_path / "key", code=3).err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_key_that_can_t_be_kept_is_not_made(tmp_path: Path) -> None:
    assert "can't be made" in run("keygen", tmp_path / "missing" / "key", code=3).err
