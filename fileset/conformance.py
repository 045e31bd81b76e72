"""Checking any File-set against the Standard: `from fileset.conformance import examine_root`."""

from __future__ import annotations

from fileset.checking.conformance import (
    ConformanceReport,
    Finding,
    FindingKind,
    Severity,
    examine_root,
)

__all__ = ["ConformanceReport", "Finding", "FindingKind", "Severity", "examine_root"]
