"""Days by their names: today, yesterday, and the last one of each day of the week."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from fileset.timeline import times
from fileset.timeline.times import day_span, span

A_TUESDAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("word", "day"),
    [("today", 24), ("yesterday", 23), ("tuesday", 24), ("Monday", 23), ("wednesday", 18)],
)
def test_a_day_of_the_week_is_the_last_one(
    word: str, day: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "_today", lambda: A_TUESDAY)
    assert span(word) == day_span(date(2026, 11, day))


def test_today_is_the_day_of_this_clock() -> None:
    before = date.today()  # noqa: DTZ011 - as a person sees it
    assert span("today") in {day_span(before), day_span(before + timedelta(days=1))}
    assert span("someday") is None
