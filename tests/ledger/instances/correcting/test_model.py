"""Any corrections of any data set, in every encoding, compared with a model without offsets."""

from __future__ import annotations

import struct
from copy import deepcopy

from attrs import define, field
from corrections import NOTE, correct, meta, read
from hypothesis import given
from hypothesis import strategies as st

from ledger.elements import LONG_VRS, pad
from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import REMOVE, Edit, UIDsReplaced, Value
from ledger.instances.correcting.present import values_of
from ledger.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

UNDEFINED = 0xFFFFFFFF


@define
class Sequence:
    """A sequence: its items, and which of it and of them have an undefined length."""

    items: list[dict[int, object]]
    is_open: bool
    open_items: bool


TEXT = st.text(st.sampled_from("abc XYZ019"), max_size=9).map(str.strip)
UID = st.sampled_from(["1.2.3", "1.2.3.4.5.6", "2.25.7", "1.2.840.1"])
NUMBER = st.integers(0, 65535).map(str)
LEAVES: dict[int, tuple[str, st.SearchStrategy[str]]] = {
    0x00081030: ("LO", TEXT),
    0x00081155: ("UI", UID),
    0x00100010: ("PN", TEXT),
    0x00100020: ("LO", TEXT),
    0x0020000D: ("UI", UID),
    0x00200013: ("IS", NUMBER),
    0x00400009: ("SH", TEXT),
    0x00720050: ("CS", st.just("LO")),
    0x00720052: ("AT", st.just("00080018")),
    0x00720070: ("UT", TEXT),
    0x00189073: ("FD", st.just("1.5")),
    0x00209056: ("SH", TEXT),
    0x00209057: ("UL", NUMBER),
}
SEQUENCES = (0x00081140, 0x00400275, 0x0040A730)


def leaves() -> st.SearchStrategy[dict[int, object]]:
    return st.fixed_dictionaries({}, optional={tag: each for tag, (_, each) in LEAVES.items()})


def data_sets(depth: int) -> st.SearchStrategy[dict[int, object]]:
    if not depth:
        return leaves()
    inner = st.builds(
        Sequence, st.lists(data_sets(depth - 1), max_size=3), st.booleans(), st.booleans()
    )
    nested = st.fixed_dictionaries({}, optional=dict.fromkeys(SEQUENCES, inner))
    return st.builds(lambda one, two: {**one, **two}, leaves(), nested)


@define
class Coder:
    """Encodes a model as a file of a transfer syntax, with lengths of groups where `grouped`."""

    syntax: str
    grouped: frozenset[int] = field(factory=frozenset)

    def file(self, model: dict[int, object], *, before: dict[int, object] | None = None) -> bytes:
        """Return the file of a model, corrected from that of `before` if it is given.

        Then just the groups have a length that had one.
        """
        whole = {
            **model,
            0x00080016: "1.2.840.10008.5.1.4.1.1.7",
            0x00080018: "1.2.3.4",
            0x7FE00010: b"\1\2" * 40,
        }
        had = {tag >> 16 for tag in (whole if before is None else {**before, 0x00080016: ""})}
        return meta(self.syntax) + self.data_set(whole, grouped=self.grouped & had)

    def data_set(self, model: dict[int, object], *, grouped: frozenset[int] = frozenset()) -> bytes:
        made, groups = b"", sorted({tag >> 16 for tag in model} | grouped)
        for group in groups:
            tags = sorted(tag for tag in model if tag >> 16 == group)
            content = b"".join(self.element(tag, model[tag]) for tag in tags)
            if group in grouped:
                made += self.header(group << 16, "UL", 4) + struct.pack(
                    self.order + "I", len(content)
                )
            made += content
        return made

    @property
    def order(self) -> str:
        return ">" if self.syntax == EXPLICIT_VR_BIG_ENDIAN else "<"

    def header(self, tag: int, vr: str, length: int) -> bytes:
        parts = struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF)
        if self.syntax == IMPLICIT_VR_LITTLE_ENDIAN or not vr:
            return parts + struct.pack(self.order + "I", length)
        if vr.encode() in LONG_VRS:
            return parts + vr.encode() + b"\0\0" + struct.pack(self.order + "I", length)
        return parts + vr.encode() + struct.pack(self.order + "H", length)

    def element(self, tag: int, value: object) -> bytes:
        if isinstance(value, Sequence):
            content = b"".join(
                self.item(self.data_set(each), is_open=value.open_items) for each in value.items
            )
            if value.is_open:
                end = self.header(0xFFFEE0DD, "", 0)
                return self.header(tag, "SQ", UNDEFINED) + content + end
            return self.header(tag, "SQ", len(content)) + content
        if isinstance(value, bytes):
            return self.header(tag, "OW", len(value)) + value
        assert isinstance(value, str)
        vr = LEAVES[tag][0] if tag in LEAVES else "UI"
        raw = self.value(vr, value)
        return self.header(tag, vr, len(raw)) + raw

    def item(self, content: bytes, *, is_open: bool) -> bytes:
        if is_open:
            return self.header(0xFFFEE000, "", UNDEFINED) + content + self.header(0xFFFEE00D, "", 0)
        return self.header(0xFFFEE000, "", len(content)) + content

    def value(self, vr: str, text: str) -> bytes:
        if not text:
            return b""
        if vr == "UL":
            return struct.pack(self.order + "I", int(text))
        if vr == "FD":
            return struct.pack(self.order + "d", float(text))
        if vr == "AT":
            return struct.pack(self.order + "HH", int(text[:4], 16), int(text[4:], 16))
        return pad(vr, text.encode())


CODERS = st.builds(
    Coder,
    st.sampled_from([EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]),
    st.sets(st.sampled_from([0x0008, 0x0010, 0x0020, 0x0040, 0x0072])).map(frozenset),
)


@st.composite
def corrections(draw: st.DrawFn) -> tuple[dict[int, object], list[Edit], dict[int, object]]:
    """Return a model, edits of it, and the model as it is then."""
    before = draw(data_sets(2))
    after = deepcopy(before)
    edits: dict[tuple[int, ...], Edit] = {}
    for _ in range(draw(st.integers(1, 4))):
        at, path = after, ()
        while (
            below := [(tag, n) for tag in SEQUENCES for n in range(len(items_of(at, tag)))]
        ) and (draw(st.booleans())):
            tag, number = draw(st.sampled_from(below))
            at, path = items_of(at, tag)[number], (*path, tag, number)
        tag = draw(st.sampled_from(sorted(LEAVES)))
        path = (*path, tag)
        if path in edits:
            continue
        value: Value = draw(st.one_of(LEAVES[tag][1], st.just(None), st.just(REMOVE)))
        edits[path] = Edit(path, value)
        if value is REMOVE:
            at.pop(tag, None)
        else:
            at[tag] = value or ""
    return before, list(edits.values()), after


def items_of(model: dict[int, object], tag: int) -> list[dict[int, object]]:
    sequence = model.get(tag)
    return sequence.items if isinstance(sequence, Sequence) else []


@given(CODERS, corrections())
def test_just_what_is_corrected_changes(
    coder: Coder, case: tuple[dict[int, object], list[Edit], dict[int, object]]
) -> None:
    before, edits, after = case
    assert correct(coder.file(before), edits) == coder.file(after, before=before)


@given(CODERS, corrections())
def test_with_the_added_item_all_else_is_the_same(
    coder: Coder, case: tuple[dict[int, object], list[Edit], dict[int, object]]
) -> None:
    before, edits, after = case
    with corrected(coder.file(before), edits, NOTE) as result:
        made = b"".join(result.chunks())
    ds, plain = read(made), read(coder.file(after))
    assert ("OriginalAttributesSequence" in ds) is result.is_changed
    if result.is_changed:
        changed = {change.path[0] for change in result.changes}
        [item] = ds.OriginalAttributesSequence
        assert {int(each.tag) for each in item.ModifiedAttributesSequence[0]} == changed
        original = read(coder.file(before))
        for was in item.ModifiedAttributesSequence[0]:
            assert was.value == original[was.tag].value if was.tag in original else was.is_empty
        del ds.OriginalAttributesSequence
    for tag in [tag for tag in (*ds.keys(), *plain.keys()) if not tag.element]:
        ds.pop(tag, None)
        plain.pop(tag, None)
    assert ds == plain


@given(CODERS, data_sets(2))
def test_uids_are_replaced_everywhere_and_back(coder: Coder, model: dict[int, object]) -> None:
    uids = {"1.2.3": "1.2.3.7.8.9", "1.2.3.4.5.6": "1.9", "1.2.3.4": "1.5"}
    data = coder.file(model)
    there = correct(data, [UIDsReplaced(uids)])
    assert not set(uids) & {str(e.value) for e in read(there).iterall() if e.VR == "UI"}
    assert correct(there, [UIDsReplaced({new: old for old, new in uids.items()})]) == data


@given(CODERS, corrections())
def test_values_are_those_that_changes_are_told_from(
    coder: Coder, case: tuple[dict[int, object], list[Edit], dict[int, object]]
) -> None:
    before, edits, after = case
    paths = [edit.path for edit in edits]
    were, are = values_of(coder.file(before), paths), values_of(coder.file(after), paths)
    with corrected(coder.file(before), edits, None) as result:
        told = {change.path: (change.before, change.after) for change in result.changes}
    assert told == {path: (were[path], are[path]) for path in paths if were[path] != are[path]}
