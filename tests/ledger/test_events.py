"""What stands on the class of an event, that others rely on."""

from __future__ import annotations

import pytest
from hypothesis import given
from strategies import events

from ledger.events import EVENT_TYPES, ContentRecorded, Event
from projections.past.provenance import TouchKind


class Numbers:
    """Names instances and changes by what events call them."""

    def instance(self, handle: int) -> str:
        return f"instance {handle}"

    def change_by_id(self, id_: str) -> str:
        return f"change {id_}"


@given(events)
def test_every_event_can_be_told_in_a_line(event: Event) -> None:
    assert event.line(Numbers(), 5)


@given(events.filter(lambda event: event.COUNTED is None and type(event) is not ContentRecorded))
def test_an_event_that_is_not_counted_has_its_part_in_what_is_told_of_its_change(
    event: Event,
) -> None:
    assert event.summary(Numbers())


@pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=lambda cls: cls.TYPE)
def test_what_an_event_did_to_instances_is_a_kind_that_blame_knows(cls: type[Event]) -> None:
    assert cls.TOUCH is None or TouchKind(cls.TOUCH)


@given(events)
def test_only_events_that_name_instances_are_erased_with_them(event: Event) -> None:
    if event.ERASED_WITH_INSTANCE and getattr(event, "instance", 0) is not None:
        assert event.handles()
