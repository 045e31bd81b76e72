"""What a wheel has besides the packages: the manual pages, made from the commands."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface[Any]):
    """Adds the manual pages to share/man/man1; an editable installation has none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the pages, dated as SOURCE_DATE_EPOCH says or today."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from fileset.cli.man_pages import write_pages  # noqa: PLC0415 - it is what is built

        now = datetime.now(UTC).timestamp()
        on = datetime.fromtimestamp(float(os.environ.get("SOURCE_DATE_EPOCH", now)), UTC)
        self._folder = tempfile.TemporaryDirectory()
        for page in write_pages(Path(self._folder.name), on.date().isoformat()):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Delete them here again."""
        del build_data, artifact_path
        if version != "editable":
            self._folder.cleanup()
