"""Correcting instances: wrong values replaced, as one change that can be undone and explained."""

from __future__ import annotations

from fileset.correcting.coercion import coercer
from ledger.instances.correcting.edits import REMOVE

__all__ = ["REMOVE", "coercer"]
