"""One walk through an instance that is to be corrected, from data set to data set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from attrs import frozen

from ledger.elements import CHARSET_VRS
from ledger.errors import CorrectionError
from ledger.instances.correcting.bodies import body_of_item
from ledger.instances.correcting.edits import (
    MAC_PARAMETERS,
    ORIGINAL_ATTRIBUTES,
    REMOVE,
    SIGNATURES,
    Edit,
    ElementPath,
    OriginalAttributes,
    describe_path,
)
from ledger.instances.correcting.elements import (
    ElementEditor,
    NeedsUnicodeError,
    Text,
    check_sequence,
    encoded_value,
)
from ledger.instances.correcting.original_attributes import item
from ledger.instances.correcting.outcome import Change, Outcome
from ledger.instances.correcting.signatures import Signature, broken
from ledger.instances.correcting.skimming import Found
from ledger.instances.correcting.splices import size_of
from ledger.instances.correcting.structure import DataSet, LengthField, creator_tag
from ledger.instances.correcting.tree import Asked
from ledger.instances.correcting.values import NotInCharacterSetError
from ledger.phrases import count
from ledger.tags import ISSUER_OF_PATIENT_ID, PATIENT_ID, SPECIFIC_CHARACTER_SET

UNICODE: Final = "ISO_IR 192"
_OF_SIGNATURES: Final = frozenset((MAC_PARAMETERS, SIGNATURES))
_ALWAYS: Final = _OF_SIGNATURES | {
    SPECIFIC_CHARACTER_SET,
    ISSUER_OF_PATIENT_ID,
    ORIGINAL_ATTRIBUTES,
}
"""The elements of an instance's data set that matter whatever is corrected."""


@frozen
class Order:
    """What a correction is to do: the edits, the UIDs to replace, and what is told of it inside.

    With `drop_signatures`, those that are broken are removed.
    """

    asked: Asked
    uids: Mapping[str, str]
    note: OriginalAttributes | None
    drop_signatures: bool

    def wanted(self, asked: Asked) -> Collection[int] | None:
        """Return the tags of the elements to look at in a data set, `None` if that is all of them.

        `asked` is what is asked of it.
        """
        if self.uids or SPECIFIC_CHARACTER_SET in asked.edits:
            return None
        tags = asked.tags()
        return _ALWAYS.union(tags, [creator_tag(tag) for tag in tags if tag >> 16 & 1])


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
            raise CorrectionError(f"the data set has {describe_path((*self._ds.path, tag))} twice")
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
    """Goes through the data set `top` and puts into `outcome` what the correction changes.

    `switched` are the data sets, by path, whose character set becomes ISO_IR 192.
    """

    def __init__(
        self, top: DataSet, order: Order, outcome: Outcome, switched: frozenset[ElementPath]
    ) -> None:
        self._top, self._order, self._outcome = top, order, outcome
        self._editor = ElementEditor(outcome, order.uids)
        self._switched = switched
        self._place: int | None = None
        self._past: Found | None = None
        self._issuer: Found | None = None

    def run(self) -> None:
        """Go through all of it. Raises `NeedsUnicodeError`: then another walk is needed."""
        text = self._data_set(self._top, self._order.asked, Text(""))
        if self._order.note is not None and self._outcome.is_change:
            self._add_item(self._order.note, text.charset)

    # --- data sets

    def _data_set(self, ds: DataSet, asked: Asked, text: Text) -> Text:
        """Go through `ds`; return what applies to the text in it.

        That is `text`, unless `ds` has a character set of its own.
        """
        edits, text = self._declared(ds, asked.edits, text)
        is_given = SPECIFIC_CHARACTER_SET in edits
        places = _Places(ds, asked.tags() | edits.keys())
        changed: set[int] = set()
        signing: dict[int, Found] = {}
        for found in ds.elements(None if is_given else self._order.wanted(asked)):
            tag, count = found.tag, len(self._outcome.splices)
            if tag == SPECIFIC_CHARACTER_SET and not is_given:
                text = Text(ds.charset)
            places.pass_by(found)
            if ds is self._top:
                self._pass_by(found)
            if tag in edits:
                self._editor.replace(ds, found, edits[tag], text)
            elif tag in _OF_SIGNATURES:
                signing[tag] = found
            else:
                self._within(ds, found, text, asked.items.get(tag, {}), asked.gone.get(tag, ()))
            if len(self._outcome.splices) > count:
                changed.add(tag)
        changed |= self._insert(ds, edits, asked.items, places, text)
        self._see_to_signatures(ds, signing, changed, text)
        return text

    def _declared(
        self, ds: DataSet, edits: Mapping[int, Edit], text: Text
    ) -> tuple[Mapping[int, Edit], Text]:
        """Return the edits of `ds` and its text: its character set may be switched or corrected."""
        tag = SPECIFIC_CHARACTER_SET
        if ds.path in self._switched:
            edits = {**edits, tag: Edit((*ds.path, tag), UNICODE)}
            return edits, Text(UNICODE, anew=True)
        own = edits.get(tag)
        if own is None:
            return edits, text
        if own.value is REMOVE:
            return edits, text._replace(given=True)
        return edits, Text(encoded_value(own, "CS", "").decode("ascii").strip(), given=True)

    def _pass_by(self, found: Found) -> None:
        """Note where Original Attributes Sequence is or would be, and what may go with an item."""
        if found.tag == ORIGINAL_ATTRIBUTES:
            self._past = found
        elif found.tag > ORIGINAL_ATTRIBUTES and self._place is None:
            self._place = found.header
        elif found.tag == ISSUER_OF_PATIENT_ID:
            self._issuer = found

    def _insert(
        self,
        ds: DataSet,
        edits: Mapping[int, Edit],
        items: Mapping[int, Mapping[int, Asked]],
        places: _Places,
        text: Text,
    ) -> set[int]:
        """Put the elements into `ds` that are not there; return their tags."""
        inserted = set()
        for tag, at in places.missing():
            edit = edits.get(tag)
            if edit is None:
                path = (*ds.path, tag)
                if tag not in items:
                    raise CorrectionError(f"the instance has no {describe_path(path)}")
                check_sequence(ds, path)
                self._editor.add_items(ds, None, tag, items[tag], 0, at, text)
                inserted.add(tag)
            elif edit.value is not REMOVE:
                self._editor.insert(ds, edit, at, text)
                inserted.add(tag)
        return inserted

    def _see_to_signatures(
        self, ds: DataSet, signing: Mapping[int, Found], changed: set[int], text: Text
    ) -> None:
        """Tell which signatures a change of the elements `changed` breaks, and remove them."""
        if ds is self._top and self._order.note is not None and self._outcome.is_change:
            changed = changed | {ORIGINAL_ATTRIBUTES}
        gone: dict[int, Collection[int]] = {}
        signatures = signing.get(SIGNATURES)
        if changed and signatures is not None:
            is_removed = self._order.drop_signatures
            found = broken(ds, signatures, signing.get(MAC_PARAMETERS), changed)
            for number, uid in found.uids.items():
                signature = Signature((*ds.path, SIGNATURES, number), uid, is_removed)
                self._outcome.signatures.append(signature)
            if is_removed and found.uids:
                gone = {SIGNATURES: found.uids, MAC_PARAMETERS: found.macs}
        for tag, each in signing.items():
            self._within(ds, each, text, {}, gone.get(tag, ()))

    # --- what is in elements

    def _within(
        self,
        ds: DataSet,
        found: Found,
        text: Text,
        items: Mapping[int, Asked],
        gone: Collection[int],
    ) -> None:
        """Go into an element that is no edit's own: into its items, its text or its UIDs.

        `items` is what is asked of these, and those that are `gone` are removed.
        """
        is_foreign = ds.charset != text.charset
        if not (items or gone or is_foreign or self._order.uids):
            return
        vr = ds.vr(found)
        if vr == "SQ":
            # UIDs in Original Attributes are those of the past.
            if items or gone or is_foreign or (ds.top or found).tag != ORIGINAL_ATTRIBUTES:
                self._items(ds, found, text, items, gone)
        elif items or gone:
            raise CorrectionError(f"{describe_path((*ds.path, found.tag))} is not a sequence")
        elif vr == "UI" and self._order.uids:
            self._editor.replace_uids(ds, found)
        elif vr in CHARSET_VRS and is_foreign:
            self._editor.encode_anew(ds, found, vr, text)

    def _items(
        self,
        ds: DataSet,
        found: Found,
        text: Text,
        items: Mapping[int, Asked],
        gone: Collection[int],
    ) -> None:
        number, removed = -1, []
        for number, each in enumerate(ds.items(found)):
            if number in gone:
                removed.append((each, each.after()))
            else:
                self._data_set(each, items.get(number, _NOTHING), text)
        new = {each: items[each] for each in sorted(items) if each > number}
        if new:
            self._editor.add_items(ds, found, found.tag, new, number + 1, 0, text)
        for missing in set(gone) - set(range(number + 1)):
            raise CorrectionError(
                f"{describe_path((*ds.path, found.tag))} has no item {missing}: "
                f"it has {count(number + 1, 'item')}, numbered from 0"
            )
        if found.tag not in _OF_SIGNATURES:
            for each, _ in removed:
                change = Change(each.path, body_of_item(ds, found.tag, each), None)
                self._outcome.changes.append(change)
                self._outcome.note(ds, found, found.tag)
        if len(removed) == number + 1 and self._goes_if_empty(found):
            self._editor.put(ds, found, None)
            return
        for each, after in removed:
            start, tag, depth = each.begin - 8, found.tag, ds.depth
            self._outcome.splices.put(start, after, [], each.around, tag=tag, depth=depth)

    def _goes_if_empty(self, found: Found) -> bool:
        """Whether a sequence is of Type 3, and so goes with its last item."""
        is_past = found is self._past and self._order.note is None
        return is_past or found.tag in _OF_SIGNATURES

    # --- Original Attributes Sequence

    def _add_item(self, note: OriginalAttributes, charset: str) -> None:
        """Add the item that says what was there before."""
        top, past = self._top, self._past
        before = self._outcome.before
        creators = [found for found in map(top.creator_of, before) if found]
        issuer = [self._issuer] if PATIENT_ID in before and self._issuer else []
        kept = {found.tag: found for found in (*creators, *issuer)}
        try:
            pieces = item(note, before, kept, top, charset)
        except NotInCharacterSetError:
            raise NeedsUnicodeError(top.scope) from None
        enclosing = top.enclosing(ORIGINAL_ATTRIBUTES)
        if past is None:
            header = top.encoder.header(ORIGINAL_ATTRIBUTES, b"SQ", size_of(pieces))
            pieces.insert(0, header)
            at = top.stop if self._place is None else self._place
        elif past.code == b"UN" or top.vr(past) != "SQ":
            raise CorrectionError(
                f"{describe_path((past.tag,))} is not encoded as a sequence: no item can be added"
            )
        else:
            at = past.value_stop
            if not past.is_open:
                enclosing = (*enclosing, LengthField(past.start - 4, past.length))
        self._outcome.splices.put(at, at, pieces, enclosing, tag=ORIGINAL_ATTRIBUTES, depth=0)


_NOTHING: Final = Asked()
