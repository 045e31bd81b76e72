"""The transfer syntaxes of PS3.6."""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary

from ledger.uids import DEFLATED, TRANSFER_SYNTAXES


def test_every_transfer_syntax_that_pydicom_has_is_known() -> None:
    theirs = {uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "Transfer Syntax"}
    assert theirs <= TRANSFER_SYNTAXES
    assert DEFLATED <= TRANSFER_SYNTAXES
    since = "1.2.840.10008.1.2.4.110 1.2.840.10008.1.2.4.111 1.2.840.10008.1.2.4.112"
    assert TRANSFER_SYNTAXES - theirs <= {*since.split(), "1.2.840.10008.1.2.8.1"}
