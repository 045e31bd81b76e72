"""Setting the application profile: what `set` and `init` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileset.cli.screen.progress import bar
from fileset.repository.repository import Repository

if TYPE_CHECKING:
    from fileset.profiles.recording import ProfileSet


def profile_set(repository: Repository, identifier: str | None) -> ProfileSet:
    """Set the File-set's application profile, with a progress bar; return the account."""
    from fileset.profiles.recording import set_profile  # noqa: PLC0415 - most set something else

    with bar("Reading instances for the profile") as advance:
        return set_profile(repository, identifier, progress=advance)
