"""The identifiers of application profiles as people type them."""

from __future__ import annotations

import difflib

from fileset.errors import NoSuchProfileError
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.profile import Profile


def profile_named(text: str, *, to_set: bool = False) -> Profile:
    """Return the profile with the identifier `text`, with `to_set` only if media of it are made.

    Upper and lower case are the same.

    `NoSuchProfileError`, which tells of those with similar names and lists all, if there is none.
    """
    profile = PROFILES.get(text.upper())
    if profile is None:
        near = difflib.get_close_matches(text.upper(), PROFILES, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise NoSuchProfileError(
            f"'{text}' is not an application profile of PS3.11.{hint} There are {listed()}."
        )
    if to_set and profile.not_offered:
        raise NoSuchProfileError(
            f"The application profile {profile.identifier} is known and not offered: "
            f"{profile.not_offered}."
        )
    return profile


def listed() -> str:
    """Return the identifiers of all profiles that are offered, those of ultrasound together."""
    offered = [name for name, profile in PROFILES.items() if not profile.not_offered]
    ultrasound = [name.split("-", 4) for name in offered if name.startswith("STD-US-")]
    parts = [",".join(dict.fromkeys(each[at] for each in ultrasound)) for at in (2, 3, 4)]
    others = [name for name in offered if not name.startswith("STD-US-")]
    return ", ".join((*others, "STD-US-" + "-".join(f"{{{part}}}" for part in parts)))
