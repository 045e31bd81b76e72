"""Correcting single elements: their new values as bytes, in the place of the former ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ledger.elements import ITEM, KNOWN_VRS, pad
from ledger.errors import CorrectionError
from ledger.instances.character_sets import decoded, encoded
from ledger.instances.correcting.bodies import body_of, body_of_found
from ledger.instances.correcting.edits import REMOVE, Edit, ElementPath, describe_path
from ledger.instances.correcting.outcome import Change, Outcome
from ledger.instances.correcting.skimming import Found
from ledger.instances.correcting.structure import (
    DataSet,
    Encoder,
    LengthField,
    creator_tag,
    dictionary_vrs,
)
from ledger.instances.correcting.tree import Asked
from ledger.instances.correcting.values import NotInCharacterSetError, UnfitError, encode_value
from ledger.instances.datasets import swapped
from ledger.phrases import count
from ledger.tags import SPECIFIC_CHARACTER_SET


class NeedsUnicodeError(Exception):
    """A value needs characters that the set lacks which the data set at `scope` declares."""

    def __init__(self, scope: ElementPath) -> None:
        super().__init__()
        self.scope = scope


class Text(NamedTuple):
    """The character set that applies after the correction.

    Either text is encoded in it `anew`, or it is `given`: what the text has been in all the time.
    """

    charset: str
    anew: bool = False
    given: bool = False


class ElementEditor:
    """Puts the new values of elements into an `outcome`; `uids` are those to be replaced."""

    def __init__(self, outcome: Outcome, uids: Mapping[str, str]) -> None:
        self._outcome = outcome
        self._uids = {old.encode("ascii", "replace"): new.encode() for old, new in uids.items()}

    def replace(self, ds: DataSet, found: Found, edit: Edit, text: Text) -> None:
        """Give `found`, an element of `ds`, the value of `edit`, unless it has it already."""
        if edit.value is REMOVE:
            self._changed(ds, found, Change(edit.path, body_of_found(ds, found), None))
            self.put(ds, found, None)
            return
        vr = ds.vr(found)
        if vr == "UN" and edit.vr is not None:
            vr = edit.vr
        value = self._encode_in(ds, edit, vr, text)
        raw = swapped(found.tag, vr, value) if ds.big_endian else value
        is_as_long = found.length == len(raw)  # else a value of any size need not be read
        if is_as_long and raw == ds.value(found):
            return
        after = body_of(found.tag, vr, value, text.charset)
        self._changed(ds, found, Change(edit.path, body_of_found(ds, found), after), value)
        self.put(ds, found, raw)

    def insert(self, ds: DataSet, edit: Edit, at: int, text: Text) -> None:
        """Put a new element of `ds` where it has its place, at the offset `at`."""
        tag, vr = edit.path[-1], _vr_of_new(ds, edit)
        value = self._encode_in(ds, edit, vr, text)
        raw = swapped(tag, vr, value) if ds.big_endian else value
        self._changed(
            ds, None, Change(edit.path, None, body_of(tag, vr, value, text.charset)), value
        )
        self._outcome.splices.put(
            at, at, [ds.encoder.element(tag, vr, raw)], ds.enclosing(tag), tag=tag, depth=ds.depth
        )

    def add_items(
        self,
        ds: DataSet,
        found: Found | None,
        tag: int,
        items: Mapping[int, Asked],
        number: int,
        at: int,
        text: Text,
    ) -> None:
        """Put `items` behind the `number` that the sequence `tag` of `ds` has.

        If it isn't there (`found` is `None`), it comes to the offset `at`.
        """
        is_implicit = found is not None and found.code == b"UN"
        encoder = Encoder(implicit=ds.implicit or is_implicit, big_endian=ds.big_endian)
        path = (*ds.path, tag)
        content = self._new_items(ds, path, items, number, encoder, text)
        self._outcome.note(ds, found, tag)
        enclosing = ds.enclosing(tag)
        if found is None:
            content = encoder.element(tag, "SQ", content)
        else:
            at = found.value_stop
            if not found.is_open:
                enclosing = (*enclosing, LengthField(found.start - 4, found.length))
        self._outcome.splices.put(at, at, [content], enclosing, tag=tag, depth=ds.depth)

    def _new_items(
        self,
        ds: DataSet,
        path: ElementPath,
        items: Mapping[int, Asked],
        number: int,
        encoder: Encoder,
        text: Text,
    ) -> bytes:
        """Return the bytes of items that come behind the `number` of the sequence at `path`."""
        for each, wanted in enumerate(sorted(items), number):
            if wanted != each:
                raise CorrectionError(
                    f"{describe_path(path)} has no item {wanted}: it has {count(number, 'item')}, "
                    f"numbered from 0, and a new one is number {each}"
                )
        made = []
        for each in sorted(items):
            item = self._new_item(ds, (*path, each), items[each], encoder, text)
            made += [encoder.header(ITEM, None, len(item)), item]
        return b"".join(made)

    def _new_item(
        self, ds: DataSet, path: ElementPath, asked: Asked, encoder: Encoder, text: Text
    ) -> bytes:
        """Return the content of a new item at `path`."""
        own = asked.edits.get(SPECIFIC_CHARACTER_SET)
        if own is not None and own.value is not REMOVE:
            text = Text(encoded_value(own, "CS", "").decode("ascii").strip(), given=True)
        made: list[bytes] = []
        for tag in sorted(asked.tags()):
            edit = asked.edits.get(tag)
            if tag in asked.gone or (edit is not None and edit.value is REMOVE):
                raise CorrectionError(f"the instance has no {describe_path((*path, tag))}")
            if edit is None:
                check_sequence(ds, (*path, tag))
                below = self._new_items(ds, (*path, tag), asked.items[tag], 0, encoder, text)
                made.append(encoder.element(tag, "SQ", below))
                continue
            vr = _vr_of_new(ds, edit)
            value = self._encode_in(ds, edit, vr, text)
            raw = swapped(tag, vr, value) if ds.big_endian else value
            after = body_of(tag, vr, value, text.charset)
            self._outcome.changes.append(Change(edit.path, None, after))
            made.append(encoder.element(tag, vr, raw))
        return b"".join(made)

    def replace_uids(self, ds: DataSet, found: Found) -> None:
        """Give `found` the new UIDs for those that it has."""
        parts = [part.strip() for part in ds.value(found).rstrip(b"\0 ").split(b"\\")]
        met = self._uids.keys() & parts
        if not met:
            return
        self._outcome.uids |= {old.decode(): self._uids[old].decode() for old in met}
        value = pad("UI", b"\\".join(self._uids.get(part, part) for part in parts))
        self._outcome.note(ds, found, found.tag, value)
        self.put(ds, found, value)

    def encode_anew(self, ds: DataSet, found: Found, vr: str, text: Text) -> None:
        """Encode the text of `found` anew, or see how it reads in the character set that is given.

        It reads otherwise than before then: that is a change, though no byte of it is another one.
        """
        raw = ds.value(found)
        if raw.isascii() and b"\x1b" not in raw:
            return
        path = (*ds.path, found.tag)
        charset = ds.charset if text.anew else text.charset
        read = decoded(raw.rstrip(b"\0 "), charset)
        if read is None:
            raise CorrectionError(
                f"the character set can't be changed: the text in {describe_path(path)} "
                f"is not valid in {charset or 'ASCII'}"
            )
        if text.anew:
            self._outcome.encoded_anew.append(path)
            self.put(ds, found, pad(vr, encoded(read, text.charset) or b""))
            return
        before, after = (body_of(found.tag, vr, raw, each) for each in (ds.charset, text.charset))
        if before != after:
            self._outcome.changes.append(Change(path, before, after))

    def put(self, ds: DataSet, found: Found, value: bytes | None) -> None:
        """Put `value` in the place of what `found` has, or nothing at all in its place."""
        new = b""
        if value is not None:
            new = ds.encoder.header(found.tag, found.code, len(value)) + value
        tag, start, stop = found.tag, found.header, found.stop
        lengths = ds.enclosing(tag)
        self._outcome.splices.put(start, stop, [new], lengths, tag=tag, depth=ds.depth)

    def _changed(
        self, ds: DataSet, found: Found | None, change: Change, value: bytes = b""
    ) -> None:
        self._outcome.changes.append(change)
        self._outcome.note(ds, found, change.path[-1], value)

    def _encode_in(self, ds: DataSet, edit: Edit, vr: str, text: Text) -> bytes:
        try:
            return encoded_value(edit, vr, text.charset)
        except NotInCharacterSetError:
            if text.anew or text.given:
                charset = text.charset or "ASCII"
                raise CorrectionError(
                    f"the value for {describe_path(edit.path)} has characters that {charset} lacks"
                ) from None
            raise NeedsUnicodeError(ds.scope) from None


def encoded_value(edit: Edit, vr: str, charset: str) -> bytes:
    """Return the value of an edit that is no removal; `CorrectionError` if it is none of `vr`."""
    assert edit.value is not REMOVE  # noqa: S101 - nothing is encoded of what goes
    try:
        return encode_value(edit.path[-1], vr, edit.value, charset)
    except UnfitError as exc:
        raise CorrectionError(f"{describe_path(edit.path)} can't have this value: {exc}") from exc


def check_sequence(ds: DataSet, path: ElementPath) -> None:
    """Raise `CorrectionError` if a new element at `path` can't have items."""
    if ds.known_vr(path[-1]) != "SQ":
        raise CorrectionError(f"{describe_path(path)} is not a sequence")


def _vr_of_new(ds: DataSet, edit: Edit) -> str:
    """Return the VR of an element that isn't there yet."""
    tag = edit.path[-1]
    if tag >> 16 & 1 and tag & 0xFF00 and ds.creator_of(tag) is None:
        raise CorrectionError(
            f"{describe_path(edit.path)} can't be added: it is a private element, and its Private "
            f"Creator {describe_path((*ds.path, creator_tag(tag)))} is not there"
        )
    vr, known = edit.vr or ds.known_vr(tag), dictionary_vrs(tag)
    if vr is None:
        raise CorrectionError(
            f"{describe_path(edit.path)} can't be added: PS3.6 doesn't list it, and so its VR is "
            "unknown"
        )
    if vr.encode() not in KNOWN_VRS or (known and vr not in known):
        raise CorrectionError(f"{describe_path(edit.path)} can't have the VR {vr}")
    return vr
