"""What the vault holds, checked against what events say that it has."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from models import Author

from fileset.checking.vault_content import verify_content
from ledger.events import Placement
from ledger.vault.protocol import ContentDamage


@pytest.mark.parametrize(
    ("placement", "told"), [(Placement.VAULT, 1), (Placement.ROOT, 0), (Placement.REFERENCE, 0)]
)
def test_torn_content_is_damage_where_an_event_says_that_the_vault_has_it(
    placement: Placement, told: int
) -> None:
    """A write that the power failed can have begun to store what lies on the medium alone."""
    state = Author().run([("add", 0, 0, 0), ("write",)]).state
    (leaf,) = state.live.values()
    assert leaf.content is not None
    leaf.secure(leaf.content, placement)
    vault: Any = mock.MagicMock()
    vault.verify.return_value = [ContentDamage(leaf.content.digest, "torn", may_be_torn=True)]

    found = [each for each in verify_content(vault, state) if each.message.startswith("torn")]

    assert len(found) == told
