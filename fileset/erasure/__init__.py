"""Erasing a person's data everywhere in a repository."""

from __future__ import annotations

from fileset.erasure.erase import Eraser
from fileset.erasure.mentions import Mention
from fileset.erasure.plan import Erasure

__all__ = ["Eraser", "Erasure", "Mention"]
