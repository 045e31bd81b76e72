"""Without the extra, pictures say how to get it, and nothing else needs it."""

from __future__ import annotations

import sys

import pytest

from fileset.pictures import PictureError, picture


@pytest.mark.parametrize("package", ["numpy", "PIL.Image"])
def test_what_is_missing_is_one_sentence_with_the_command_that_installs_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PictureError, match=r"pip install '\.\[pictures\]'"):
        picture(b"")
