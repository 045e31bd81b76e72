"""What an application profile asks of instances, and what doesn't fit it: in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from fileset.cli.screen.output import Line, Shape, Span
from ledger.phrases import count

if TYPE_CHECKING:
    from fileset.profiles.recording import ProfileSet
    from projections.dicomdir.profiles.fitting import Misfit

MISFITS: Final = "what does not fit the profile: [{misfit, instances}], in words, and of how many"
PROFILE: Final[Shape] = {
    "read": "of how many instances something was recorded for the application profile",
    "unread": "those that can't be read: [{sop_instance_uid, handle, reason}]",
    "misfits": MISFITS,
}


def profile_document(account: ProfileSet | None) -> dict[str, Any]:
    """Return the account of setting a profile, or of not setting one."""
    return {
        "read": account.recorded if account else 0,
        "unread": [
            {"sop_instance_uid": each.leaf.uid, "handle": each.leaf.handle, "reason": each.reason}
            for each in (account.unread if account else ())
        ],
        "misfits": misfits_document(account.misfits if account else ()),
    }


def misfits_document(misfits: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """Return what doesn't fit a profile, and of how many instances."""
    return [{"misfit": words, "instances": number} for words, number in misfits]


def misfit_document(misfit: Misfit) -> dict[str, Any]:
    """Return what of an instance does not fit."""
    return {"misfit": misfit.what, "reference": misfit.reference, "convertible": misfit.convertible}


def profile_lines(account: ProfileSet | None) -> Iterator[Line]:
    """Yield the account of setting a profile, line by line."""
    if account is None:
        return
    if account.recorded:
        yield f"Read for the profile: {count(account.recorded, 'instance')}."
    yield from misfit_lines(account.misfits)
    for each in account.unread:
        yield (Span("Can't be read: ", "bad"), f"{each.leaf.uid}: {each.reason}")


def misfit_lines(misfits: Iterable[tuple[str, int]]) -> Iterator[Line]:
    """Yield what doesn't fit the File-set's profile, line by line."""
    for words, number in misfits:
        what = f"{count(number, 'instance')}: {words}"
        yield (Span("Does not fit the profile: ", "careful"), what)
