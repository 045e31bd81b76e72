"""Setting the application profile: what `set` and `init` share."""

from __future__ import annotations

from fileset.cli.screen.progress import bar
from fileset.profiles.recording import ProfileSet, set_profile
from fileset.repository.repository import Repository


def profile_set(repository: Repository, identifier: str | None) -> ProfileSet:
    """Set the File-set's application profile, with a progress bar; return the account."""
    with bar("Reading instances for the profile") as advance:
        return set_profile(repository, identifier, progress=advance)
