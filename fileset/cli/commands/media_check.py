"""`media check`: what of a File-set fits an application profile, and which ones would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from fileset.checking.profile import ProfileReport, check_repository, check_root
from fileset.cli.command import command, pass_session
from fileset.cli.identity import named_profile
from fileset.cli.roots import RootType
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import ALL_LISTS_THEM, Answer, Line, Span, first
from fileset.cli.screen.profiles import misfit_document
from fileset.cli.screen.progress import bar
from fileset.cli.session import Session, absolute
from ledger.phrases import count, some
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.profile import Profile

_SHOWN: Final = 10


@command(
    "check",
    {
        "profile": "what was checked, or null",
        "fits": "whether everything fits it, or without one any profile",
        "offered": "why media of the profile are not made, or null",
        "instances": "how many were checked",
        "misfits": "[{sop_instance_uid, where, misfits}] of instances; each misfit is {misfit, "
        "reference, convertible}: in words, where PS3.11 says so, and whether conversion to "
        "Explicit VR Little Endian would do",
        "directory": "what of the File-set as a whole, or its records, does not fit: as misfits",
        "unread": "[{where, reason}] of instances that can't be read",
        "fitting": "the profiles that all instances would fit",
        "counts": "how many instances would fit each profile, by its identifier",
    },
    pages=True,
)
@click.argument("root", type=RootType(), required=False)
@click.option(
    "--profile", metavar="PROFILE", help="What to check against.  [default: the repository's]"
)
@click.option("--all", "show_all", is_flag=True, help="List all that does not fit.")
@pass_session
def media_check(session: Session, root: Path | None, profile: str | None, show_all: bool) -> Answer:
    """Check the instances against an application profile of PS3.11, and name those that would do.

    That is the repository's File-set as it would be written or, with ROOT, the one in a folder,
    whoever made it; no repository is needed for that. Every instance that does not fit is listed
    with the reason, by table of the Standard, and so are directory records without the keys that
    the profile asks for. The exit code is then 1, as it is without a profile if no profile would
    do. Nothing is changed.
    """
    wanted = None if profile is None else named_profile(profile)
    with bar("Reading instances") as advance:
        if root is None:
            report = check_repository(session.repository(), wanted, progress=advance)
        else:
            report = check_root(absolute(root), wanted, progress=advance)
    checked = report.profile
    not_offered = checked.not_offered if checked else ""
    is_fitting = report.is_fitting
    return Answer(
        {
            "profile": checked.identifier if checked else None,
            "fits": is_fitting,
            "offered": not_offered or None,
            "instances": report.instances,
            "misfits": [
                {
                    "sop_instance_uid": each.uid,
                    "where": each.where,
                    "misfits": list(map(misfit_document, each.misfits)),
                }
                for each in report.misfits
            ],
            "directory": list(map(misfit_document, report.directory)),
            "unread": [{"where": where, "reason": why} for where, why in report.unread],
            "fitting": list(report.fitting),
            "counts": report.counts,
        },
        _lines(report, show_all),
        status=OK if is_fitting else INCOMPLETE,
    )


def _lines(report: ProfileReport, show_all: bool) -> Iterator[Line]:
    profile = report.profile
    limit = None if show_all else _SHOWN
    for where, why in report.unread:
        yield (Span("Can't be read: ", "bad"), f"{where}: {why}")
    if profile is not None:
        yield from _of_profile(report, profile, limit)
    yield from _would_fit(report, limit)


def _of_profile(report: ProfileReport, profile: Profile, limit: int | None) -> Iterator[Line]:
    found: list[Line] = [
        (Span("Does not fit: ", "bad"), misfit.in_words()) for misfit in report.directory
    ]
    for each in report.misfits:
        why = "; ".join(misfit.in_words() for misfit in each.misfits)
        found.append((Span("Does not fit: ", "bad"), f"{each.where}: {why}"))
    yield from first(found, limit, ALL_LISTS_THEM)
    fitting = report.instances - len(report.misfits) - len(report.unread)
    fit = "fits" if report.instances == 1 else "fit"
    verdict = f"{fitting:,} of {count(report.instances, 'instance')} {fit} {profile.identifier}"
    yield (Span(verdict, "good" if report.is_fitting else "careful"), ".")
    for why, number in _causes(report).items():
        yield f"  {count(number, 'instance')}: {why}"
    if any(misfit.convertible for each in report.misfits for misfit in each.misfits):
        yield "Some only have to be in Explicit VR Little Endian, which loses nothing."
    if profile.not_offered:
        yield f"Media of {profile.identifier} are not made here: {profile.not_offered}."


def _causes(report: ProfileReport) -> Counter[str]:
    if len(report.misfits) < 2:
        return Counter()
    return Counter(misfit.in_words() for each in report.misfits for misfit in each.misfits)


def _would_fit(report: ProfileReport, limit: int | None) -> Iterator[Line]:
    fitting = report.fitting
    offered = [name for name in fitting if not PROFILES[name].not_offered]
    if offered:
        yield f"All of them would fit {', '.join(offered)}."
        if report.profile is not None:
            return
    elif report.instances:
        yield (Span("No profile fits all of them", "careful"), ".")
    by_number: dict[int, list[str]] = {}
    for name, number in report.counts.items():
        if 0 < number < report.instances and not PROFILES[name].not_offered:
            by_number.setdefault(number, []).append(name)
    for number in sorted(by_number, reverse=True):
        names = by_number[number]
        yield f"  {number:,} would fit {some(names, limit or len(names))}"
