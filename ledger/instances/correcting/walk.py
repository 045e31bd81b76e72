"""One walk through an instance that is to be corrected: what replaces what, and what was there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from attrs import frozen

from ledger.elements import CHARSET_VRS, KNOWN_VRS, LONG_VRS, pad
from ledger.errors import CorrectionError
from ledger.instances.character_sets import decoded, encoded
from ledger.instances.correcting.bodies import Body, body_of, body_of_found
from ledger.instances.correcting.edits import (
    ORIGINAL_ATTRIBUTES,
    REMOVE,
    Edit,
    ElementPath,
    OriginalAttributes,
    describe_path,
)
from ledger.instances.correcting.original_attributes import item
from ledger.instances.correcting.splices import Splices, size_of
from ledger.instances.correcting.structure import (
    DataSet,
    Encoder,
    Found,
    LengthField,
    creator_tag,
    dictionary_vrs,
)
from ledger.instances.correcting.tree import NOTHING, Asked
from ledger.instances.correcting.values import (
    LONGEST_SHORT,
    NotInCharacterSetError,
    UnfitError,
    encode_value,
)
from ledger.instances.datasets import swapped
from ledger.tags import ISSUER_OF_PATIENT_ID, PATIENT_ID, SPECIFIC_CHARACTER_SET

UNICODE: Final = "ISO_IR 192"


class NeedsUnicodeError(Exception):
    """A value needs characters that the set lacks which the data set at `scope` declares."""

    def __init__(self, scope: ElementPath) -> None:
        super().__init__()
        self.scope = scope


@frozen
class Change:
    """What an edit changes: the element's body before and after, `None` where it is not there."""

    path: ElementPath
    before: Body | None
    after: Body | None


class _Text(NamedTuple):
    """The character set that applies after the correction.

    Either text is encoded in it `anew`, or it is `given`: what the text has been in all the time.
    """

    charset: str
    anew: bool = False
    given: bool = False


class _Places:
    """Where elements of a data set would be that turn out not to be there."""

    def __init__(self, ds: DataSet, tags: Iterable[int]) -> None:
        self._ds = ds
        self._missing = set(tags)
        self._met: set[int] = set()
        self._places: dict[int, int] = {}

    def pass_by(self, found: Found) -> None:
        """Note an element of the data set, in the order of the file."""
        tag = found.tag
        if tag in self._met:
            raise CorrectionError(f"{describe_path((*self._ds.path, tag))} is there twice")
        if tag in self._missing:
            self._missing.remove(tag)
            self._met.add(tag)
        for each in self._missing:
            if each < tag:
                self._places.setdefault(each, found.header)

    def missing(self) -> Iterator[tuple[int, int]]:
        """Yield those that are not there, with the offset where each has its place."""
        for tag in sorted(self._missing):
            yield tag, self._places.get(tag, self._ds.stop)


class Walk:
    """Goes through the data set `top` and puts into `splices` what the correction changes.

    `switched` are the data sets, by path, whose character set becomes ISO_IR 192.
    """

    def __init__(
        self,
        top: DataSet,
        splices: Splices,
        *,
        uids: dict[str, str],
        switched: frozenset[ElementPath],
        big_endian: bool,
    ) -> None:
        self._top, self._splices = top, splices
        self._uids = {
            old.encode("ascii", "replace"): new.encode("ascii") for old, new in uids.items()
        }
        self._switched = switched
        self._big_endian = big_endian
        self._place: int | None = None
        self._held: Found | None = None
        self._kept: dict[int, Found] = {}
        self._text = _Text("")
        self.changes: list[Change] = []
        self.before: dict[int, Found | None] = {}
        """The elements of the instance's data set that change, as they are."""

        self.uids: dict[str, str] = {}
        """Those of the UIDs to be replaced that occur."""

        self.identity: dict[int, bytes] = {}
        """The new values of the UIDs that File Meta Information has as well, by tag."""

        self.encoded_anew: dict[ElementPath, None] = {}
        """The text elements whose bytes follow the new character set."""

    def run(self, asked: Asked) -> None:
        """Go through all of it. Raises `NeedsUnicodeError`: then another walk is needed."""
        self._data_set(self._top, asked, _Text(""), None)

    def add_item(self, note: OriginalAttributes) -> None:
        """Have the item added to Original Attributes Sequence that says what was there before."""
        top, held = self._top, self._held
        encoder = self._encoder(top)
        try:
            pieces = item(note, self.before, self._kept_with(), top, encoder, self._text.charset)
        except NotInCharacterSetError:
            raise NeedsUnicodeError(top.scope) from None
        if held is None:
            pieces.insert(0, encoder.header(ORIGINAL_ATTRIBUTES, b"SQ", size_of(pieces)))
            at = top.stop if self._place is None else self._place
            enclosing = top.enclosing(ORIGINAL_ATTRIBUTES)
        else:
            if held.code == b"UN" or not top.is_sequence(held):
                raise CorrectionError(
                    f"{describe_path((held.tag,))} is not encoded as a sequence: "
                    "no item can be added"
                )
            at = held.value_stop
            enclosing = top.enclosing(ORIGINAL_ATTRIBUTES)
            if not held.is_open:
                enclosing = (*enclosing, LengthField(held.start - 4, held.length))
        self._splices.put(at, at, pieces, enclosing, tag=ORIGINAL_ATTRIBUTES, depth=0)

    def _kept_with(self) -> dict[int, Found]:
        """Return what tells more of what changes: Private Creators, and whose a Patient ID is."""
        creators = map(self._top.creator_of, self.before)
        kept = {found.tag: found for found in creators if found}
        return kept | (self._kept if PATIENT_ID in self.before else {})

    # --- data sets

    def _data_set(self, ds: DataSet, asked: Asked, text: _Text, top: Found | None) -> None:
        """Go through `ds`, which is an item in the element `top` of the instance's data set.

        `text` is what applies to the text in it, unless it has a character set of its own.
        """
        edits, own = asked.edits, asked.edits.get(SPECIFIC_CHARACTER_SET)
        if ds.path in self._switched:
            text = _Text(UNICODE, anew=True)
            own = Edit((*ds.path, SPECIFIC_CHARACTER_SET), UNICODE)
            edits = {**edits, SPECIFIC_CHARACTER_SET: own}
        elif own is not None:
            text = self._declared(own, text)
        places = _Places(ds, (*edits, *asked.items))
        for found in ds.elements():
            if found.tag == SPECIFIC_CHARACTER_SET and own is None:
                text = _Text(ds.charset)
            places.pass_by(found)
            if top is None:
                self._note_place(found)
            if found.tag in edits:
                self._replace(ds, found, edits[found.tag], text, top)
            else:
                self._within(ds, found, asked.items.get(found.tag, {}), text, top)
        for tag, at in places.missing():
            if tag not in edits:
                raise CorrectionError(f"there is no {describe_path((*ds.path, tag))}")
            self._insert(ds, edits[tag], at, text, top)
        if top is None:
            self._text = text

    def _declared(self, own: Edit, text: _Text) -> _Text:
        """Return what applies where the character set itself is corrected."""
        if own.value is REMOVE:
            return text._replace(given=True)
        return _Text(self._encode(own, "CS", "").decode("ascii").strip(), given=True)

    def _note_place(self, found: Found) -> None:
        """Note where Original Attributes Sequence is or would be, and what may go with an item."""
        if found.tag == ORIGINAL_ATTRIBUTES:
            self._held = found
        elif found.tag > ORIGINAL_ATTRIBUTES and self._place is None:
            self._place = found.header
        elif found.tag == ISSUER_OF_PATIENT_ID:
            self._kept[found.tag] = found

    def _within(
        self, ds: DataSet, found: Found, items: dict[int, Asked], text: _Text, top: Found | None
    ) -> None:
        """Go into an element that is no edit's own: into its items, its text or its UIDs."""
        is_foreign = ds.charset != text.charset
        if not (items or is_foreign or self._uids):
            return
        vr = ds.vr(found)
        if vr == "SQ":
            is_past = (top or found).tag == ORIGINAL_ATTRIBUTES
            if not (items or is_foreign or not is_past):
                return
            number = -1
            for number, each in enumerate(ds.items(found)):
                self._data_set(each, items.get(number, NOTHING), text, top or found)
            for missing in items.keys() - range(number + 1):
                raise CorrectionError(
                    f"{describe_path((*ds.path, found.tag))} has no item {missing}: "
                    f"it has {number + 1}, counted from 0"
                )
        elif items:
            raise CorrectionError(f"{describe_path((*ds.path, found.tag))} is no sequence")
        elif vr == "UI" and self._uids:
            self._replace_uids(ds, found, top)
        elif vr in CHARSET_VRS and is_foreign:
            self._encode_anew(ds, found, vr, text)

    # --- elements

    def _replace(
        self, ds: DataSet, found: Found, edit: Edit, text: _Text, top: Found | None
    ) -> None:
        if edit.value is REMOVE:
            before = body_of_found(ds, found, big_endian=self._big_endian)
            self._changed(edit.path, before, None, top, found)
            self._put(ds, found, b"")
            return
        vr = ds.vr(found)
        if vr == "UN" and edit.vr is not None:
            vr = edit.vr
        value = self._encode_in(ds, edit, vr, text)
        raw = swapped(found.tag, vr, value) if self._big_endian else value
        if not found.is_open and raw == ds.value(found):
            return
        code = found.code or b""
        if code and code not in LONG_VRS and len(raw) > LONGEST_SHORT:
            raise CorrectionError(f"{describe_path(edit.path)} takes up to {LONGEST_SHORT:,} bytes")
        before = body_of_found(ds, found, big_endian=self._big_endian)
        after = body_of(found.tag, vr, value, text.charset)
        self._changed(edit.path, before, after, top, found, value)
        self._put(ds, found, self._header(ds, found, len(raw)) + raw)

    def _insert(self, ds: DataSet, edit: Edit, at: int, text: _Text, top: Found | None) -> None:
        if edit.value is REMOVE:
            return
        tag = edit.path[-1]
        vr = self._vr_of_new(ds, edit)
        value = self._encode_in(ds, edit, vr, text)
        raw = swapped(tag, vr, value) if self._big_endian else value
        self._changed(edit.path, None, body_of(tag, vr, value, text.charset), top, None, value)
        if vr.encode() not in LONG_VRS and len(raw) > LONGEST_SHORT:
            raise CorrectionError(f"{describe_path(edit.path)} takes up to {LONGEST_SHORT:,} bytes")
        element = self._encoder(ds).element(tag, vr, raw)
        self._splices.put(at, at, [element], ds.enclosing(tag), tag=tag, depth=ds.depth)

    def _vr_of_new(self, ds: DataSet, edit: Edit) -> str:
        """Return the VR of an element that isn't there yet."""
        tag = edit.path[-1]
        known = dictionary_vrs(tag)
        if tag >> 16 & 1 and tag & 0xFF00 and ds.creator_of(tag) is None:
            raise CorrectionError(
                f"{describe_path(edit.path)} is a private element, and "
                f"{describe_path((*ds.path, creator_tag(tag)))}, its Private Creator, is not there"
            )
        vr = edit.vr or ds.known_vr(tag)
        if vr is None:
            raise CorrectionError(
                f"{describe_path(edit.path)} is not there and PS3.6 doesn't know it: tell its VR"
            )
        if vr.encode() not in KNOWN_VRS or (known and vr not in known):
            raise CorrectionError(f"{describe_path(edit.path)} can't have the VR {vr}")
        return vr

    def _replace_uids(self, ds: DataSet, found: Found, top: Found | None) -> None:
        raw = ds.value(found)
        parts = raw.rstrip(b"\0 ").split(b"\\")
        new = [self._uids.get(part.strip(), part) for part in parts]
        if new == parts:
            return
        for old in parts:
            if (replacement := self._uids.get(old.strip())) is not None:
                self.uids[old.strip().decode("ascii")] = replacement.decode("ascii")
        value = pad("UI", b"\\".join(new))
        self._touch(top, found, value)
        self._put(ds, found, self._header(ds, found, len(value)) + value)

    def _encode_anew(self, ds: DataSet, found: Found, vr: str, text: _Text) -> None:
        raw = ds.value(found)
        if raw.isascii() and b"\x1b" not in raw:
            return
        path = (*ds.path, found.tag)
        value = raw.rstrip(b"\0 ")
        read = decoded(value, ds.charset if text.anew else text.charset)
        if read is None:
            charset = (ds.charset if text.anew else text.charset) or "ASCII"
            raise CorrectionError(
                f"the character set can't change: the text in {describe_path(path)} "
                f"is not in {charset}"
            )
        if not text.anew:
            return
        new = pad(vr, encoded(read, text.charset) or b"")
        self.encoded_anew[path] = None
        self._put(ds, found, self._header(ds, found, len(new)) + new)

    # --- values and bytes

    def _encode_in(self, ds: DataSet, edit: Edit, vr: str, text: _Text) -> bytes:
        try:
            return self._encode(edit, vr, text.charset)
        except NotInCharacterSetError:
            pass
        if text.anew or text.given:
            raise CorrectionError(
                f"the value for {describe_path(edit.path)} is not in {text.charset or 'ASCII'}"
            )
        raise NeedsUnicodeError(ds.scope)

    def _encode(self, edit: Edit, vr: str, charset: str) -> bytes:
        assert edit.value is not REMOVE  # noqa: S101 - nothing is encoded of what goes
        try:
            return encode_value(edit.path[-1], vr, edit.value, charset)
        except UnfitError as exc:
            raise CorrectionError(
                f"{describe_path(edit.path)} can't have the value that was given: {exc}"
            ) from exc

    def _encoder(self, ds: DataSet) -> Encoder:
        return Encoder(implicit=ds.implicit, big_endian=self._big_endian)

    def _header(self, ds: DataSet, found: Found, length: int) -> bytes:
        return self._encoder(ds).header(found.tag, found.code, length)

    def _put(self, ds: DataSet, found: Found, new: bytes) -> None:
        tag, at, stop = found.tag, found.header, found.stop
        self._splices.put(at, stop, [new], ds.enclosing(tag), tag=tag, depth=ds.depth)

    def _changed(
        self,
        path: ElementPath,
        before: Body | None,
        after: Body | None,
        top: Found | None,
        found: Found | None,
        value: bytes = b"",
    ) -> None:
        self.changes.append(Change(path, before, after))
        if top is None and found is None:
            self.before[path[-1]] = None
        self._touch(top, found, value)

    def _touch(self, top: Found | None, found: Found | None, value: bytes) -> None:
        """Note that an element of the instance's data set changes, or one in the sequence `top`."""
        if (changed := top or found) is not None:
            self.before[changed.tag] = changed
        if top is None and found is not None:
            self.identity[found.tag] = value
