"""A dict whose values are made later is like any dict, whatever is done with it first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.state.deferred import Deferred

Values = dict[str, str]


def made(number: int) -> str:
    return f"value {number}"


class Keys:
    """Keys with their places as numbers."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys

    def number(self, key: str) -> int | None:
        return self._keys.index(key) if key in self._keys else None

    def items(self) -> Iterator[tuple[str, int]]:
        return zip(self._keys, range(len(self)), strict=True)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def deferred(size: int) -> tuple[Deferred[str, str], Values]:
    keys = [f"key {number}" for number in range(size)]
    return Deferred(Keys(*keys), lambda _, number: made(number)), {
        key: made(number) for number, key in enumerate(keys)
    }


OPERATIONS: list[Callable[[Values, str], Any]] = [
    lambda values, key: values.get(key),
    lambda values, key: values.get(key, "none"),
    lambda values, key: values.pop(key, None),
    lambda values, key: values.setdefault(key, "new"),
    lambda values, key: values.__delitem__(key) if key in values else None,
    lambda values, _: next(reversed(values), None),
    lambda values, key: values.__setitem__(key, "set"),
    lambda values, key: key in values,
    lambda values, key: values.popitem() if values else key,
    lambda values, _: list(values),
    lambda values, _: list(reversed(values)),
    lambda values, _: list(values.values()),
    lambda values, _: list(values.items()),
    lambda values, _: list(values.keys()),
    lambda values, _: dict(values),
    lambda values, _: {**values},
    lambda values, _: values | {"more": "than"},
    lambda values, _: values.copy(),
    lambda values, _: len(values),
    lambda values, _: bool(values),
    lambda values, _: [values[key] for key in values],
    lambda values, key: values == {key: made(0)},
    lambda values, _: sorted(values.items()),
    lambda values, _: next(iter(values.values()), None),
]


@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 4).map("key {}".format))),
)
def test_whatever_is_asked_for_it_answers_as_a_dict_of_the_values(
    size: int, steps: list[tuple[Callable[[Values, str], Any], str]]
) -> None:
    one, plain = deferred(size)

    for operation, key in steps:
        assert operation(one, key) == operation(plain, key)
    assert not one != plain  # noqa: SIM202 - that is the operator to be tested
    assert one == plain


def test_a_value_is_made_when_it_is_asked_for() -> None:
    asked = []
    kept: dict[int, list[int]] = {}
    one: Deferred[str, list[int]] = Deferred(
        Keys("a", "b"), lambda _, number: asked.append(number) or kept.setdefault(number, [number])
    )

    assert len(one) == 2
    assert "b" in one
    assert list(one) == ["a", "b"]
    assert asked == []
    assert next(reversed(one)) == "b"
    assert asked == []
    assert one["b"] is kept[1]
    assert asked == [1]


def test_once_whole_it_holds_the_keys_that_its_values_have_anyway() -> None:
    texts = [f"{number} of them" for number in range(3)]
    one: Deferred[str, list[str]] = Deferred(
        Keys(*(str(number) for number in range(3))), lambda _, n: [texts[n]], lambda made: made[0]
    )
    other = "other"
    one[other] = [other]

    values = list(one.values())

    assert [key for key, value in zip(one, values, strict=True) if key is value[0]] == [
        *texts,
        "other",
    ]


def test_a_key_that_is_not_there_is_an_error_as_of_any_dict() -> None:
    one, _ = deferred(1)

    with pytest.raises(KeyError):
        one["other"]
    with pytest.raises(KeyError):
        one.pop("other")
