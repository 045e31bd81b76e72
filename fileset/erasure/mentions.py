"""Finding a person in texts: paths, reasons, tags and the like, into which people put names.

Case, accents, the order of a name's parts and what is between them do not matter, nor does the
encoding, declared or not; percent-encoded text is found, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from html import unescape
from itertools import pairwise
from typing import Final
from urllib.parse import unquote_to_bytes

from attrs import define, frozen

from fileset.criteria import path_named
from fileset.errors import NoSuchKeywordError
from projections.state.erasing import Identifiers

CHARSETS: Final = (
    "utf-8", "latin-1", "cp437", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8",
    "iso8859-9", "iso8859-11", "cp1251", "koi8-r", "shift_jis", "euc_jp", "iso2022_jp_2",
    "gb18030", "euc_kr", "big5", "utf-16-le",
)  # fmt: skip
"""What a text may be encoded in of which nobody says."""

_MISREAD: Final = ("latin-1", "cp1252", "cp437")  # UTF-8 is taken for
_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "\u0131": "i"}
)
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_ESCAPED: Final = re.compile(r"(?:\\(?:udc|x)[0-9a-fA-F]{2})+")
_CODE_POINT: Final = re.compile(r"\\u(?!d[89a-fA-F])([0-9a-fA-F]{4})")
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_DIGIT, _LETTER = r"\d", r"[^\W\d_]"
_SHORTEST: Final = 3  # of an ID or a part of a name: a shorter one is found in any text
_LONG: Final = 6  # of what is found within a longer word, and nobody takes for chance
_PART: Final = 4  # of what is worth telling of where it is part of a longer word


@frozen
class Mention:
    """A text that stays and holds the person's ID or name, or may hold it.

    `position` is where in the journal it is, `None` for a file. `what` names the event's type, the
    part of its change, or the file, and `text` is what it says. It is `certain` unless only
    part of the name is there, or the ID within a longer word.
    """

    position: int | None
    what: str
    text: str
    certain: bool = True


@define(slots=False)
class Mentions:
    """Looks for a person in texts."""

    identifiers: Identifiers

    def of_person(self, text: str) -> bool:
        """Whether the Patient ID or the name is in `text`: as words, or beyond doubt within one."""
        return any(self._is_there(reading) for reading in readings(text))

    def of_any(self, text: str) -> bool:
        """Whether the Patient ID, the name, or a UID of the person's data is in `text`."""
        return self._has_uid(text) or self.of_person(text)

    def asked_for(self, asked: Iterable[tuple[str, str]]) -> bool:
        """Whether what was asked of instances, pairs of keyword and value, describes the person.

        Patterns and ranges do so that match the person and nobody who stays.
        """
        for name, text in asked:
            with suppress(NoSuchKeywordError):  # pydicom's dictionary changes, a journal doesn't
                if self.identifiers.are_meant(path_named(name)[-1], text):
                    return True
        return False

    def is_of_person(self, value: str) -> bool:
        """Whether `value` is the very Patient ID or a UID of the person's data."""
        return value in self.identifiers.patients or value in self.identifiers.uids

    def hint(self, text: str) -> bool:
        """Whether part of the name is in `text`, or the ID within a longer word.

        What is part of the ID or the name of somebody else is none.
        """
        for reading in readings(text):
            for pattern in self._hints:
                for found in pattern.finditer(reading):
                    if _word_around(reading, *found.span()) not in self._others:
                        return True
        return False

    def may_be_in(self, payload: bytes) -> bool:
        """Whether a payload may mention the person: a quick test that rules out most."""
        if not payload.isascii() or b"%" in payload or b"\\" in payload:
            return True
        if b"InlineBinary" in payload or self.identifiers.uids:
            return True
        text = payload.decode("ascii").casefold()
        return any(word in text for word in self._words)

    @cached_property
    def _words(self) -> set[str]:
        identifiers = self.identifiers
        texts = (*identifiers.patients, *identifiers.names, *identifiers.shared)
        return {run for each in texts for form in _forms(each) for run in _runs(form)}

    def too_short(self) -> list[str]:
        """Return the Patient IDs that are too short to be looked for but as names of files."""
        return [each for each in sorted(self.identifiers.patients) if _weight(each) < _SHORTEST]

    def words(self) -> Iterator[str]:
        """Yield words one of which is in any text that holds the ID or the name, as written."""
        for patient in self.identifiers.patients:
            yield max(re.findall(r"[^\W_]+", patient) or [patient], key=len)
        for name in self.identifiers.names:
            for parts in _groups(name):
                yield max(re.findall(r"[^\W_]+", " ".join(parts)) or [name], key=len)

    @cached_property
    def in_bytes(self) -> re.Pattern[bytes]:
        """What finds words of the person, and all that looks like a UID, in any encoding."""
        patterns = {re.escape(form) for word in self.words() for form in _encoded(word)}
        if self.identifiers.uids:
            patterns.add(rb"[0-9]+(?:[._-][0-9]+){3,}")
        return re.compile(b"|".join(sorted(patterns)) or rb"(?!)", re.IGNORECASE)

    def _has_uid(self, text: str) -> bool:
        uids = self.identifiers.uids
        if not uids or not any(map(str.isdigit, text)):
            return False
        dotted = re.sub(r"[_-]", ".", text)
        return not uids.isdisjoint(_UID.findall(text)) or not uids.isdisjoint(_UID.findall(dotted))

    def _is_there(self, folded: str) -> bool:
        return any(all(p.search(folded) for p in patterns) for patterns in self._patterns)

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], ...]]:
        """What has to be there together, for the ID and each way to write the name."""
        wanted: list[tuple[str, ...]] = []
        for patient in self.identifiers.patients:
            for form in _forms(patient):
                if (runs := _runs(form)) and _weight(form) >= _SHORTEST:
                    number = any(map(str.isdigit, form)) and _weight(form) >= _LONG
                    wanted.append((_bounded(runs, within_words=number),))
        for name in self.identifiers.names:
            for parts in _groups(name):
                wanted += _patterns_of_name(parts)
        return [tuple(map(re.compile, each)) for each in wanted]

    @cached_property
    def _hints(self) -> list[re.Pattern[str]]:
        found = {
            _anywhere(_runs(form)) if _weight(form) >= _PART else _as_name_of_file(form)
            for patient in self.identifiers.patients
            for form in _forms(patient)
            if _runs(form)
        }
        for name in (*self.identifiers.names, *self.identifiers.shared):
            for parts in _groups(name):
                for form in _forms(parts[0]):
                    if _weight(form) > _PART:
                        found.add(_anywhere(_runs(form)))
                    elif _weight(form) >= _SHORTEST:
                        found.add(_bounded(_runs(form)))
                    found.update(_bounded([run]) for run in _runs(form) if _weight(run) > _PART)
                for form in _forms("".join(parts[1:])):
                    if _weight(form) >= _PART:
                        found.add(_bounded(_runs(form)))
        return [re.compile(pattern) for pattern in sorted(found)]

    @cached_property
    def _others(self) -> set[str]:
        """The words in the IDs and names of persons who stay."""
        return {
            run for each in self.identifiers.others for form in _forms(each) for run in _runs(form)
        }


# --- words ---------------------------------------------------------------------------------------


def readings(text: str) -> set[str]:
    """Return all that `text` may say, without case, accents and encodings."""
    return {form for each in _says(text) for form in _forms(each)}


def _says(text: str) -> set[str]:
    """Return all that `text` may say, however it was encoded."""
    found = {text}
    if "%" in text:
        found.update(_decoded(unquote_to_bytes(text)))
    if "&" in text:
        found.add(unescape(text))
    if "\\" in text:
        raw = _ESCAPED.sub(_unescaped, _CODE_POINT.sub(lambda code: chr(int(code[1], 16)), text))
        found.update(_decoded(raw.encode("utf-8", "surrogateescape")))
    for each in tuple(found):
        if not each.isascii():
            found.update(_set_right(each))
    return found


def _unescaped(escaped: re.Match[str]) -> str:
    values = [int(part[-2:], 16) for part in re.findall(r"\\(?:udc|x)..", escaped[0])]
    return bytes(values).decode("utf-8", "surrogateescape")


def _encoded(word: str) -> Iterator[bytes]:
    """Yield a word in each character set that has its letters, in the cases there are."""
    plain = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode("ascii")
    for text in {word, *(unicodedata.normalize(form, word) for form in ("NFC", "NFD")), plain}:
        for cased in {text, text.lower(), text.upper(), text.title()}:
            for charset in CHARSETS:
                try:
                    data = cased.encode(charset)
                except UnicodeError:
                    continue
                if len(data) > 1:
                    # In UTF-16 of the other byte order, the last byte is where another one begins.
                    yield data[:-1] if charset == "utf-16-le" else data


def _decoded(data: bytes) -> Iterator[str]:
    """Yield what bytes say in each of the character sets."""
    for charset in CHARSETS if not data.isascii() or b"\x1b" in data else ("utf-8",):
        yield data.decode(charset, "replace")


def decoded(data: bytes) -> Iterator[str]:
    """Yield what bytes of any kind may say, in whatever character set."""
    for charset in CHARSETS:
        yield data.decode(charset, "replace")
    yield data[1:].decode("utf-16-le", "replace")


def _set_right(text: str) -> Iterator[str]:
    """Yield what `text` is if it was UTF-8 that was read as something else."""
    for charset in _MISREAD:
        try:
            yield text.encode(charset).decode("utf-8")
        except UnicodeError:
            continue


def _forms(text: str) -> set[str]:
    """Return `text` without case and accents; umlauts both as a vowel and as two."""
    if text.isascii():
        return {text.casefold()}
    composed = unicodedata.normalize("NFKC", text).casefold()
    return {_plain(composed), _plain(composed.translate(_UMLAUTS))}


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.translate(_LETTERS)).casefold()
    return "".join(c for c in letters if unicodedata.category(c) not in {"Mn", "Cf"})


def _runs(folded: str) -> list[str]:
    return re.findall(r"[^\W_]+", folded)


def _weight(text: str) -> int:
    """Return how much a word says, in letters of an alphabet."""
    return sum(3 if ord(c) >= 0x2E80 else 1 for c in text if c.isalnum())


def _groups(name: str) -> Iterator[tuple[str, ...]]:
    """Yield the family and given name in each representation (PS3.5 Section 6.2) of a name."""
    for group in (group for said in _says(name) for group in said.split("=")):
        if parts := tuple(part.strip() for part in group.split("^")[:2] if _runs(part.casefold())):
            yield parts


# --- patterns ------------------------------------------------------------------------------------


def _anywhere(runs: list[str]) -> str:
    """Return a pattern of `runs` of letters and digits, whatever is between them."""
    pattern = re.escape(runs[0])
    for before, run in pairwise(runs):
        apart = before[-1].isdigit() and run[0].isdigit()
        pattern += (r"[\W_]+" if apart else r"[\W_]*") + re.escape(run)
    return pattern


def _bounded(runs: list[str], *, within_words: bool = False) -> str:
    """Return the same where no number goes on beyond it, and no word unless `within_words`."""
    before, after = _same_kind(runs[0][0], within_words), _same_kind(runs[-1][-1], within_words)
    ahead = f"(?<!{before})" if before else ""
    return ahead + _anywhere(runs) + (f"(?!{after})" if after else "")


def _same_kind(character: str, within_words: bool) -> str:
    if character.isdigit():
        return _DIGIT
    return "" if within_words else _LETTER


def _as_name_of_file(folded: str) -> str:
    return rf"(?:^|[/\\]){re.escape(folded)}(?:$|[/\\.])"


def _patterns_of_name(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the patterns that have to be there together, for each way to write a name."""
    if len(parts) == 1:
        for form in _forms(parts[0]):
            if _weight(form) >= _SHORTEST:
                yield (_bounded(_runs(form)),)
        return
    for family, given in ((f, g) for f in _forms(parts[0]) for g in _forms(parts[1])):
        sure = _weight(family + given) >= _LONG
        for order in (family, given), (given, family):
            yield (_bounded([run for part in order for run in _runs(part)], within_words=sure),)
        if max(_weight(family), _weight(given)) >= _SHORTEST:
            yield _bounded(_runs(family)), _bounded(_runs(given))


def _word_around(text: str, start: int, stop: int) -> str:
    while start and text[start - 1].isalnum():
        start -= 1
    while stop < len(text) and text[stop].isalnum():
        stop += 1
    return text[start:stop]
