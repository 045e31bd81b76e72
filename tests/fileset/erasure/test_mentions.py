"""A person is found in texts as somebody would find them who reads these."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest

from fileset.erasure.content import file_tells, tells
from fileset.erasure.mentions import Mentions
from ledger.phrases import storable
from projections.state.erasing import Identifiers


def of(*names: str, patients: str = "ERASE-4711", others: tuple[str, ...] = ()) -> Mentions:
    return Mentions(
        Identifiers(
            frozenset({patients}), frozenset(names), frozenset({"1.2.840.4711.1"}),
            others=frozenset(others),
        )
    )  # fmt: skip


HERS = of("Quux^Ersilia^M")
UMLAUTS = of("Müller^Jürgen")
JAPANESE = of("Yamada^Tarou=山田^太郎=やまだ^たろう")


@pytest.mark.parametrize(
    "text",
    [
        "/in/ERASE-4711/x.dcm",
        "/in/erase_4711.dcm",
        "ERASE4711",
        "scanERASE-4711b.dcm",
        "Quux^Ersilia",
        "ersilia-quux.dcm",
        "/in/quux/ersilia/1",
        "QUUXERSILIA01.dcm",
        "xquuxersiliax",
        "DrQuux_Ersilia2024",
        "Ersilia%20Quux",
        "%51uux%5eErsilia",
        "as Mrs Quux (Ersilia) asked",
        "Quux, E. M. (Ersilia)",
    ],
)
def test_a_text_that_names_the_person_tells(text: str) -> None:
    assert HERS.of_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "MÜLLER^JÜRGEN",
        unicodedata.normalize("NFD", "Jürgen Müller"),
        "mueller_juergen.dcm",
        "Muller-Jurgen",
        quote("Müller_Jürgen"),
        quote("Müller_Jürgen", encoding="latin-1"),
        quote("Müller_Jürgen", encoding="cp437"),
        "Müller_Jürgen".encode().decode("latin-1"),
        storable(b"/in/M\xfcller_J\xfcrgen".decode("utf-8", "surrogateescape")),
        r"M\u00fcller J\u00fcrgen",
        "M&uuml;ller J&uuml;rgen",
    ],
)
def test_so_it_does_in_any_spelling_and_encoding(text: str) -> None:
    assert UMLAUTS.of_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "Tarou Yamada", "山田太郎様", "太郎・山田", quote("山田_太郎", encoding="shift_jis"),
        quote("山田太郎", encoding="euc_jp"), "ﾔﾏﾀﾞ".replace("ﾔﾏﾀﾞ", "やまだ たろう"),
    ],
)  # fmt: skip
def test_so_it_does_in_each_representation_of_a_name(text: str) -> None:
    assert JAPANESE.of_person(text)


@pytest.mark.parametrize("charset", ["cp1251", "koi8-r", "iso8859-5"])
def test_so_it_does_in_cyrillic(charset: str) -> None:
    assert of("Иванов^Пётр").of_person(quote("Иванов_Пётр", encoding=charset))


@pytest.mark.parametrize(
    "text",
    ["/in/ERASE-47110/x.dcm", "/in/quuxes/1", "Ersilia", "4711", "/in/theirs/1", "", "Anne Stay"],
)
def test_a_text_that_is_about_others_does_not(text: str) -> None:
    assert not HERS.of_any(text)


@pytest.mark.parametrize("text", ["/in/quux/1", "/data/Ersilia.dcm", "ERASE-47110", "xquuxx"])
def test_part_of_a_name_or_of_a_longer_word_is_a_hint(text: str) -> None:
    patient = HERS if text != "xquuxx" else of("Quuxx^Ersilia")
    assert patient.hint(text)
    assert not patient.of_any(text)


def test_what_is_somebody_else_s_name_or_id_is_no_hint() -> None:
    others = of("Quux^Ersilia", patients="4711", others=("Quux^Bob", "14711"))
    assert not others.hint("/in/14711/quux_bob")
    assert others.hint("/in/24711/x")


def test_a_short_id_is_looked_for_only_as_the_name_of_a_file() -> None:
    short = of(patients="7")
    assert short.too_short() == ["7"]
    assert not short.of_person("/in/7/x")
    assert short.hint("/in/7/x")
    assert not short.hint("took 7 seconds")


@pytest.mark.parametrize(
    "text", ["1.2.840.4711.1", "/in/1.2.840.4711.1.dcm", "ct_1_2_840_4711_1.dcm"]
)
def test_a_uid_is_found_however_it_is_written(text: str) -> None:
    assert HERS.of_any(text)


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "cp437", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("start", [0, 1, (1 << 20) - 5])
def test_bytes_tell_in_any_encoding_wherever_a_piece_ends(charset: str, start: int) -> None:
    data = bytes(start) + "JÜRGEN_MÜLLER".encode(charset) + bytes(1000)
    pieces = [data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20)]
    assert tells(pieces, UMLAUTS)
    assert not tells(pieces, HERS)


def test_a_file_tells_by_a_uid_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\0\0UI\x0e\x001.2.840.4711.1\0rest")
    assert file_tells(tmp_path / "x", HERS)
