"""Matching of values by PS3.4 Section C.2.2.2, compared with the plainest models of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from struct import pack, unpack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from projections.matching.keys import Kind, key_of, literally

DAYS = st.dates(date(1899, 12, 1), date(2101, 1, 31))
CLOCKS = st.times()
WRITTEN = ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%Y.%m.%d")


def matches(vr: str, asked: str, *values: str, several: bool = False) -> bool:
    return key_of(vr, asked, several=several).matches(values)


def wildcard(pattern: str, text: str) -> bool:
    """Whether a text is what C.2.2.2.4 says of a pattern, read to the letter."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(wildcard(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in {"?", text[0]} and wildcard(pattern[1:], text[1:])


@given(st.text("ab[.*?!\u0308", min_size=1, max_size=7), st.text("ab[.!\u0308", max_size=7))
def test_wildcards_are_any_characters_and_any_one(pattern: str, text: str) -> None:
    if pattern not in {"*", ""} and not {"*", "?"}.isdisjoint(pattern):
        composed = not {"\u0308"} & {*pattern, *text}  # of which a letter can be made
        if composed:
            assert matches("LO", pattern, text) == wildcard(pattern, text)
        matches("LO", pattern, text)


def test_a_pattern_of_many_asterisks_takes_no_longer_than_it_has_to() -> None:
    assert not matches("UT", "*a" * 40 + "*b", "a" * 20_000)


@given(DAYS, DAYS, DAYS, st.sampled_from(WRITTEN), st.sampled_from(["..", "-", " - "]))
def test_dates_are_in_a_range_as_the_calendar_has_it(
    day: date, first: date, last: date, how: str, between: str
) -> None:
    first, last = sorted((first, last))
    held = f"{day:%Y%m%d}"
    if between != "..":
        how = "%Y%m%d"
    begin, end = f"{first:{how}}", f"{last:{how}}"
    assert matches("DA", f"{begin}{between}{end}", held) == (first <= day <= last)
    assert matches("DA", f"{begin}{between}", held) == (first <= day)
    assert matches("DA", f"{between}{end}".strip(), held) == (day <= last)
    assert matches("DA", f"<{begin}", held) == (day < first)
    assert matches("DA", f"> {begin}", held) == (day > first)
    assert matches("DA", begin, held) == (day == first)
    assert matches("DA", f"{begin},{end}", held) == (day in {first, last})
    assert matches("DA", f"{first:%Y-%m}", held) == (f"{day:%Y%m}" == f"{first:%Y%m}")
    assert matches("DA", f"<={first:%Y}", held) == (day.year <= first.year)


@given(CLOCKS, CLOCKS, CLOCKS)
def test_times_are_in_a_range_whose_end_is_all_of_its_last_minute(
    clock: time, first: time, last: time
) -> None:
    first, last = sorted((first, last))
    held = f"{clock:%H%M%S.%f}"
    in_minutes = f"{first:%H:%M}" <= f"{clock:%H:%M}" <= f"{last:%H:%M}"
    assert matches("TM", f"{first:%H:%M}..{last:%H:%M}", held) == in_minutes
    assert matches("TM", f"{first:%H%M}-{last:%H%M}", held) == in_minutes
    assert matches("TM", f"{first:%H%M%S.%f}-{last:%H%M%S.%f}", held) == (first <= clock <= last)
    assert matches("TM", first.isoformat("microseconds"), held) == (clock == first)


OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.builds(datetime.combine, DAYS, CLOCKS)


@given(MOMENTS, OFFSETS, MOMENTS, OFFSETS)
@example(
    datetime.fromisoformat("2026-03-01T01:00"),
    timezone(timedelta(hours=2)),
    datetime.fromisoformat("2026-02-28T23:00"),
    UTC,
)
def test_moments_are_compared_as_they_are_in_utc_where_both_say_how_far_they_are_from_it(
    held: datetime, zone: timezone, asked: datetime, other: timezone
) -> None:
    here, there = held.replace(tzinfo=zone), asked.replace(tzinfo=other)
    assert matches("DT", f">={there.isoformat()}", f"{here:%Y%m%d%H%M%S.%f%z}") == (here >= there)
    assert matches("DT", f"{there:%Y%m%d%H%M%S.%f%z}-", f"{here:%Y%m%d%H%M%S.%f%z}") == (
        here >= there
    )
    assert matches("DT", f">={there.isoformat()}", f"{here:%Y%m%d%H%M%S.%f}") == (held >= asked)


NUMBERS = st.decimals(-999, 999, places=2)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_numbers_are_in_a_range_by_their_value(held: Decimal, one: Decimal, two: Decimal) -> None:
    low, high = sorted((one, two))
    assert matches("DS", f"{low}..{high}", f"{held} ") == (low <= held <= high)
    assert matches("DS", f"<{low}", f"{held:e}") == (held < low)
    assert matches("DS", f"{low},{high}", str(held)) == (held in {low, high})


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(unpack("<f", pack("<f", 0.1))[0])
def test_a_value_of_32_bits_is_found_by_the_digits_that_tell_it_from_others(held: float) -> None:
    shown, typed = str(held), f"{held:.9g}"  # pydicom's has the digits of 64 bits
    assert matches("FL", typed, shown)
    assert literally("FL", typed).matches([shown])
    assert not matches("FL", f"<{typed}", shown)
    assert not matches("FL", f">{typed}", shown)


@pytest.mark.parametrize(
    ("vr", "asked", "values", "expected"),
    [
        # C.2.2.2.1: single values, of names in any case
        ("LO", "1CT1", ["1CT1"], True),
        ("LO", "1ct1", ["1CT1"], False),
        ("LO", "1CT1 ", [" 1CT1"], True),
        ("PN", "doe^JANE", ["Doe^Jane"], True),
        ("PN", "Doe^Jane", ["Doe^Jane^^^"], True),
        ("PN", "Doe", ["Doe^Jane"], False),
        ("PN", "straße", ["STRASSE"], True),
        ("LO", "cafe\u0301", ["caf\u00e9"], True),
        # component groups
        ("PN", "山田^太郎", ["Yamada^Tarou=山田^太郎=やまだ^たろう"], True),
        ("PN", "yamada^*", ["Yamada^Tarou=山田^太郎"], True),
        ("PN", "*=山田*", ["Yamada^Tarou=山田^太郎"], True),
        ("PN", "=山田^太郎", ["Yamada^Tarou=山田^太郎"], True),
        ("PN", "Doe=山田^太郎", ["Yamada^Tarou=山田^太郎"], False),
        ("PN", "Yamada^Tarou==やまだ^たろう", ["Yamada^Tarou=山田^太郎"], False),
        # C.2.2.2.2: lists of UIDs
        ("UI", "1.2\\1.3", ["1.3"], True),
        ("UI", "1.2,1.3", ["1.3"], True),
        ("UI", "1.2\\1.3", ["1.2.3"], False),
        ("UI", "1.2.*", ["1.2.3"], True),
        # C.2.2.2.3, and what differs from it
        ("LO", "", ["x"], False),
        ("LO", "", [], True),
        ("LO", '""', [], True),
        ("LO", "*", ["x"], True),
        ("LO", "*", [], False),
        # C.2.2.2.4: wildcards
        ("PN", "doe^*", ["Doe"], True),
        ("PN", "*^jane", ["Doe^Jane"], True),
        ("CS", "BR*", ["BRAIN"], True),
        ("CS", "br*", ["BRAIN"], False),
        ("LO", "A*B", ["A*B"], True),
        ("LO", "[AB]*", ["A1"], False),
        ("LO", "[AB]*", ["[AB]1"], True),
        ("LO", "x**", [""], False),
        # C.2.2.2.5: ranges
        ("DA", "20260301-20260331", ["20260331"], True),
        ("DA", "-20260301", ["2026.03.01"], True),
        ("DA", "2000-02-29", ["20000229"], True),
        ("TM", "1000-1800", ["180000"], True),
        ("TM", "10", ["1059"], True),
        ("DT", "20260301-0500", ["202603011200-0500"], True),
        ("DT", "2026-03", ["20260331235959"], True),
        ("DT", "20260301-20260302", ["202603021200"], True),
        ("AS", "040Y,041Y", ["041Y"], True),
        # several values, of which C.2.2.2.1 has one be enough
        ("CS", "PRIMARY", ["ORIGINAL", "PRIMARY", "AXIAL"], True),
        ("CS", "CT,MR", ["MR"], True),
        ("DS", "0.5", ["0.50", "0.7"], True),
        ("LO", "Head, neck", ["Head"], False),
        ("LO", "Head\\neck", ["neck"], True),
    ],
)
def test_what_the_standard_and_people_ask(
    vr: str, asked: str, values: list[str], expected: bool
) -> None:
    assert matches(vr, asked, *values) is expected


@pytest.mark.parametrize(
    ("vr", "asked", "values", "expected"),
    [
        ("CS", "ORIGINAL\\PRIMARY", ["ORIGINAL", "PRIMARY"], True),
        ("CS", "ORIGINAL\\PRIMARY", ["ORIGINAL", "PRIMARY", "AXIAL"], False),
        ("CS", "ORIGINAL\\*\\AXIAL", ["ORIGINAL", "PRIMARY", "AXIAL"], True),
        ("CS", "ORIGINAL\\\\AXIAL", ["ORIGINAL", "", "AXIAL"], True),
        ("DS", "0.5\\0.70", ["0.50", "0.7"], True),
        ("DS", "0.7\\0.5", ["0.50", "0.7"], False),
        ("DS", "0..1\\0..1", ["0.50", "0.7"], True),
        ("DS", "10", ["1_0"], False),
        ("IS", "10", ["\u0661\u0660"], False),
        ("FL", "1e39..", ["3.4028234663852886e+38"], False),
        ("FD", "<1e400", ["1e308"], True),
    ],
)
def test_backslashes_stand_between_all_values_of_what_may_have_several(
    vr: str, asked: str, values: list[str], expected: bool
) -> None:
    assert matches(vr, asked, *values, several=True) is expected


@pytest.mark.parametrize(
    ("vr", "asked", "why"),
    [
        ("DA", "03/01/2026", "'03/01/2026' is not a date, such as 2026-03-01"),
        ("DA", "2026-02-30", "there is no date 2026-02-30"),
        ("DA", "1900-02-29", "there is no date 1900-02-29"),
        ("DA", "2026-00", "there is no date 2026-00"),
        ("DA", "202603*", "'202603*' is not a date"),
        ("DA", "..", ".. has neither a beginning nor an end"),
        ("DA", "2026-03..2026-02", "2026-03..2026-02 ends before it begins"),
        ("TM", "25:00", "there is no time 25:00"),
        ("TM", "22:00..06:00", "22:00..06:00 ends before it begins"),
        ("DT", "tomorrow", "'tomorrow' is not a date or time"),
        ("IS", "many", "'many' is not a number"),
        ("IS", "1_0", "'1_0' is not a number"),
        ("US", "1,x", "'x' is not a number"),
        ("FD", "NaN", "'NaN' is not a number"),
        ("SQ", "x", "it is a sequence"),
    ],
)
def test_what_can_be_no_value_is_doubted_and_finds_only_itself(
    vr: str, asked: str, why: str
) -> None:
    key = key_of(vr, asked)
    assert (key.doubt or "").startswith(why)
    assert key.matches([asked])
    assert not key.matches(["20260301"])


@given(st.sampled_from(["DA", "DT", "TM", "IS", "LO", "PN", "CS", "UI", "AS"]), st.text(max_size=9))
@example("DT", "-0500")
def test_whatever_a_value_is_it_finds_itself_and_raises_nothing(vr: str, text: str) -> None:
    values = text.split("\\") if text else []
    for several in (True, False):
        assert key_of(vr, text, several=several).matches(values)


@given(st.sampled_from(["DS", "LO"]), st.text("10.\\ ", max_size=5), st.text("10.\\", max_size=5))
def test_literally_only_the_text_or_the_same_numbers_match(vr: str, held: str, asked: str) -> None:
    same = literally(vr, asked).matches(held.split("\\"))
    assert same >= (held == asked)
    if vr == "LO":
        assert same == (held == asked)


def test_a_key_tells_which_values_alone_would_do() -> None:
    assert key_of("UI", "1.2\\1.3").literals == ("1.2", "1.3")
    assert key_of("LO", "1CT1").literals == ("1CT1",)
    for asked in ("1*", "", "*", '""'):
        assert key_of("LO", asked).literals == ()
    assert [key_of("DA", asked).kind for asked in ("2026", "2026..", "2026,2027")] == [
        Kind.SINGLE,
        Kind.RANGE,
        Kind.LIST,
    ]
