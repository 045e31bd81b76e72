"""Media that were handed out: for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fileset.cli.screen.output import Line, Shape, Span
from fileset.cli.screen.text import instant
from ledger.digest import short
from ledger.events import MediumBurnt, MediumVerified
from ledger.events.media import KINDS
from ledger.journal.entries import Change
from ledger.phrases import count
from projections.past.media import Medium

MEDIUM: Final[Shape] = {
    "number": "what it is known by: the first one is 1",
    "kind": '"iso", "usb", "zip", "eml" or "folder"',
    "kind_version": "the version of the format of that kind",
    "position": "the position of the journal whose File-set it has",
    "uid": "its File-set UID",
    "id": "its File-set ID, or null",
    "profile": "its application profile, or null",
    "volume": "which one it is of those that were made together",
    "volumes": "how many these are",
    "instances": "how many instances are on it",
    "erased": "how many of these were erased from the repository since",
    "left_out": "how many that were chosen don't fit the profile",
    "recipient": "for whom it is, or null",
    "label": "what is written on it, or null",
    "institution": "who hands it out, or null where that was not said",
    "asked": "how the instances were chosen: values by keyword",
    "options": "what else it was made with",
    "writer": "the software that made it",
    "started_at": "when it was begun, UTC",
    "actor": "who made it",
    "reason": "why, or null",
    "finished_at": "when it was finished, UTC; null if it was not",
    "digest": "sha256:... of the image, of a folder that of its SHA256.TXT; or null",
    "size": "bytes of the image, of a folder those of all files; or null",
    "dicomdir": "sha256:... of the DICOMDIR, or null",
    "verified": "when it was read back: [{at, where, problems, first}], oldest first",
    "burnt": "when it was burnt: [{at, device, digest}], oldest first",
}


def _asked_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return how instances were chosen; of one element several things can be asked."""
    asked: dict[str, list[str]] = {}
    for keyword, value in pairs:
        asked.setdefault(keyword, []).append(value)
    return {keyword: " and ".join(values) for keyword, values in asked.items()}


def medium_document(medium: Medium) -> dict[str, Any]:
    """Return a medium as `MEDIUM` says."""
    started, addressed, produced = medium.started, medium.addressed, medium.produced
    return {
        "number": medium.number,
        "kind": started.kind,
        "kind_version": started.format,
        "position": started.base,
        "uid": started.uid,
        "id": started.id,
        "profile": started.profile,
        "volume": started.volume,
        "volumes": started.volumes,
        "instances": started.count,
        "erased": medium.erased,
        "left_out": sum(last - first + 1 for first, last in started.left_out),
        "recipient": medium.recipient,
        "label": addressed.label if addressed else None,
        "institution": addressed.institution if addressed else None,
        "asked": _asked_values(addressed.asked) if addressed else {},
        "options": started.options,
        "writer": started.writer,
        "started_at": medium.change.recorded_at,
        "actor": medium.change.actor,
        "reason": medium.change.reason,
        "finished_at": medium.produced_by.recorded_at if medium.produced_by else None,
        "digest": str(produced.image.digest) if produced else None,
        "size": produced.image.size if produced else None,
        "dicomdir": str(produced.dicomdir) if produced else None,
        "verified": [
            {"at": c.recorded_at, "where": e.where, "problems": e.problems, "first": e.first}
            for c, e in medium.verified
        ],
        "burnt": [
            {"at": c.recorded_at, "device": e.device, "digest": str(e.image)}
            for c, e in medium.burnt
        ],
    }


def medium_row(medium: Medium) -> tuple[str | Span, ...]:
    """Return a medium as the columns of a line."""
    return (
        Span(f"{medium.number}", "command"),
        Span(instant(medium.change.recorded_at), "faint"),
        kind_in_words(medium),
        count(medium.started.count, "instance"),
        f"for {medium.recipient}" if medium.recipient else "",
        short(medium.produced.image.digest) if medium.produced else "",
        _state(medium),
        Span(f"{count(medium.erased, 'instance')} erased since", "bad") if medium.erased else "",
    )


def kind_in_words(medium: Medium) -> str:
    """Return what a medium is, and which volume."""
    started = medium.started
    kind = KINDS.get(started.kind, started.kind)
    return kind if started.volumes == 1 else f"{kind}, {started.volume} of {started.volumes}"


def _state(medium: Medium) -> Span | str:
    if medium.produced is None:
        return Span("not finished", "bad")
    looks: list[tuple[Change, MediumVerified | MediumBurnt]] = [*medium.verified, *medium.burnt]
    if not looks:
        return ""
    change, last = max(looks, key=lambda look: look[0].first)
    at = instant(change.recorded_at)
    if isinstance(last, MediumBurnt):
        return Span(f"burnt {at}", "good")
    return Span(f"differed {at}", "bad") if last.problems else Span(f"verified {at}", "good")


def medium_lines(medium: Medium) -> Iterator[Line]:
    """Yield all that is known of a medium."""
    started, addressed, produced = medium.started, medium.addressed, medium.produced
    yield (Span(f"Medium {medium.number}", "title"), f": {kind_in_words(medium)}")
    rows: list[tuple[str, str | None]] = [
        ("for", medium.recipient),
        ("label", addressed.label if addressed else None),
        ("from", addressed.institution if addressed else None),
        ("made", f"{instant(medium.change.recorded_at)} by {medium.change.actor}"),
        ("reason", medium.change.reason),
        ("chosen", _asked(medium)),
        ("File-set", f"{started.id or 'without ID'}, {started.uid}"),
        ("position", f"{started.base}"),
        ("profile", started.profile),
        ("instances", f"{started.count:,}"),
        ("digest", produced.image.digest if produced else None),
        ("size", f"{produced.image.size:,} bytes" if produced else None),
        ("options", ", ".join(f"{name} {value}" for name, value in started.options.items())),
        ("writer", f"{started.writer}, format {started.format}"),
    ]
    for name, text in rows:
        if text:
            yield f"  {name:<10} {text}"
    if produced is None:
        yield ("  ", Span("It was not finished: it must not be handed out.", "bad"))
    for change, event in medium.verified:
        at = instant(change.recorded_at)
        if event.problems:
            first = f"the first one {event.first}" if event.first else "of the medium as a whole"
            what = f"{count(event.problems, 'problem')}, {first}"
            yield (f"  {'verified':<10} {at} at {event.where}: ", Span(what, "bad"))
        else:
            yield f"  {'verified':<10} {at} at {event.where}: as it was made"
    for change, burnt in medium.burnt:
        yield f"  {'burnt':<10} {instant(change.recorded_at)} on {burnt.device}"


def _asked(medium: Medium) -> str:
    asked = medium.addressed.asked if medium.addressed else ()
    return " ".join(f"{keyword}={value}" for keyword, value in asked)
