"""Dicts whose values are made when they are first asked for.

A snapshot has as many instances as the File-set; most commands look at a few of them.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, ValuesView
from typing import Any, NoReturn, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")


class Deferred(dict[K, V]):
    """A dict that holds numbers in the place of values which have not been asked for.

    `make` makes the value for a number. Two threads that ask at once get the same one. The values
    themselves are no numbers. Keys, their order and
    how many there are cost nothing more than in any dict; who goes through the values has all made.
    """

    __slots__ = ("_is_complete", "_make", "_making")

    def __init__(self, numbers: Iterable[tuple[K, int]], make: Callable[[int], V]) -> None:
        super().__init__(cast("Iterable[tuple[K, V]]", numbers))
        self._make = make
        self._making: dict[K, V] = {}
        self._is_complete = False

    def __getitem__(self, key: K) -> V:
        value = super().__getitem__(key)
        return self._made(key, value) if type(value) is int else value

    def _made(self, key: K, number: Any) -> V:
        # Of two threads that are here at once, one may be done already, or its value is taken.
        made = self._making.setdefault(key, self._make(number))
        value = super().get(key, made)
        if type(value) is int:
            super().__setitem__(key, value := made)
        self._making.pop(key, None)
        return value

    def _complete(self) -> None:
        if not self._is_complete:
            for key in self:
                self[key]
            self._is_complete = True
            self._make = _nothing_left  # what the values were made of can go

    # Without this, `dict(...)` of one would copy what it holds and not what it gives.
    def __iter__(self) -> Iterator[K]:
        return super().__iter__()

    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of `key`, made if need be, else `default`."""
        value = super().get(key, default)
        return self._made(key, value) if type(value) is int else value

    def pop(self, key: K, *default: Any) -> Any:
        """Take `key` out and return its value, made if need be."""
        value = super().pop(key, *default)
        return self._made(key, value) if type(value) is int else value

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of `key`, made if need be; `default` is put there if it has none."""
        value = super().setdefault(key, default)
        return self._made(key, value) if type(value) is int else value

    def values(self) -> ValuesView[V]:  # type: ignore[override]  # mypy has dict's own class here
        """Return the values, all of them made."""
        self._complete()
        return super().values()

    def items(self) -> ItemsView[K, V]:  # type: ignore[override]  # as above
        """Return the items, all values made."""
        self._complete()
        return super().items()

    def popitem(self) -> tuple[K, V]:
        """Take out the last key, and return it with its value."""
        self._complete()
        return super().popitem()

    def copy(self) -> dict[K, V]:
        """Return a dict of the same values, all of them made."""
        return dict(self.items())

    def __eq__(self, other: object) -> bool:
        self._complete()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        self._complete()
        return super().__ne__(other)

    __hash__ = None  # as a dict's


def _nothing_left(number: int) -> NoReturn:
    raise AssertionError(number)
