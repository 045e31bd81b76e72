"""Dicts whose values are made when they are first asked for.

A snapshot has as many instances as the File-set; most commands look at a few of them. So neither
the instances nor a dict of their keys is made before somebody goes through all of them.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Collection,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    ValuesView,
)
from itertools import chain
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Numbered(Protocol[K]):
    """Keys in their order, each with the number by which its value is made."""

    def number(self, key: K) -> int | None:
        """Return the number of `key`, `None` if it is none of the keys."""
        ...

    def items(self) -> Iterable[tuple[K, int]]:
        """Return the keys with their numbers."""
        ...

    def __reversed__(self) -> Iterator[K]: ...
    def __len__(self) -> int: ...


class Apart(NamedTuple, Generic[K, V]):
    """What a `Deferred` holds beside the keys it began as.

    `held` are the values that were made or put in, `gone` the keys that were taken out, and
    `behind` those that were put in behind the others.
    """

    known: Numbered[K]
    held: Mapping[K, V]
    gone: Collection[K]
    behind: Collection[K]


class Deferred(MutableMapping[K, V]):
    """A dict that begins as the keys of `known`, whose values `make` makes of them.

    It is given a key and its number. A value is kept once it was made; two threads that ask at once
    get the same one. None is `None`. What was put in and taken out is kept beside `known` until
    somebody goes through the values: from then on all of it is in one dict, under the very keys
    that `key` finds in the values, where it is given: an equal one would take memory beside it.
    """

    __slots__ = ("_behind", "_gone", "_held", "_is_whole", "_key", "_known", "_make")

    def __init__(
        self, known: Numbered[K], make: Callable[[K, int], V], key: Callable[[V], K] | None = None
    ) -> None:
        self._known, self._make, self._key = known, make, key
        self._held: dict[K, V] = {}  # the values that were made or put in
        self._gone: set[K] = set()  # the keys of `known` that were taken out
        self._behind: dict[K, None] = {}  # those that were put in behind the rest of `known`
        self._is_whole = False

    def _number(self, key: K) -> int | None:
        """Return the number of a key that is still where `known` has it."""
        return None if key in self._gone else self._known.number(key)

    def _made(self, key: K) -> V:
        """Return the value of a key of which none is held."""
        number = None if self._is_whole else self._number(key)
        if number is None:
            raise KeyError(key)
        return self._held.setdefault(key, self._make(key, number))

    def _whole(self) -> dict[K, V]:
        """Return the dict that holds it all from now on."""
        if not self._is_whole:
            held, gone, make = self._held, self._gone, self._make
            own = self._key
            whole: dict[K, V] = {}
            for key, number in self._known.items():
                if key in gone:
                    continue
                value = held.get(key)
                if value is None:
                    value = make(key, number)
                    value = held.setdefault(own(value) if own else key, value)
                whole[own(value) if own else key] = value
            whole.update((key, held[key]) for key in self._behind)
            self._held, self._is_whole = whole, True
        return self._held

    def apart(self) -> Apart[K, V] | None:
        """Return what it holds beside the keys it began as, `None` once all is in one dict."""
        if self._is_whole:
            return None
        return Apart(self._known, self._held, self._gone, self._behind)

    def __getitem__(self, key: K) -> V:
        value = self._held.get(key)
        return self._made(key) if value is None else value

    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of `key`, made if need be, else `default`."""
        value = self._held.get(key)
        if value is not None:
            return value
        return self._made(key) if key in self else default

    def __contains__(self, key: object) -> bool:
        is_known = not self._is_whole and self._number(key) is not None  # type: ignore[arg-type]
        return is_known or key in self._held

    def __len__(self) -> int:
        if self._is_whole:
            return len(self._held)
        return len(self._known) - len(self._gone) + len(self._behind)

    def __setitem__(self, key: K, value: V) -> None:
        if not self._is_whole and self._number(key) is None:
            self._behind[key] = None
        self._held[key] = value

    def __delitem__(self, key: K) -> None:
        if not self._is_whole and self._number(key) is not None:
            self._held.pop(key, None)
            self._gone.add(key)
        else:
            del self._held[key]
            self._behind.pop(key, None)

    def __iter__(self) -> Iterator[K]:
        if self._is_whole:
            return iter(self._held)
        known = (key for key, _ in self._known.items() if key not in self._gone)
        return chain(known, self._behind)

    def __reversed__(self) -> Iterator[K]:
        if self._is_whole:
            return reversed(self._held)
        known = (key for key in reversed(self._known) if key not in self._gone)
        return chain(reversed(self._behind), known)

    def keys(self) -> KeysView[K]:
        """Return the keys; no value is made."""
        return self._held.keys() if self._is_whole else super().keys()

    def values(self) -> ValuesView[V]:
        """Return the values, all of them made."""
        return self._whole().values()

    def items(self) -> ItemsView[K, V]:
        """Return the items, all values made."""
        return self._whole().items()

    def popitem(self) -> tuple[K, V]:
        """Take out the last key, and return it with its value, as of a dict."""
        return self._whole().popitem()

    def copy(self) -> dict[K, V]:
        """Return a dict of the same values, all of them made."""
        return self._whole().copy()

    def __or__(self, other: Mapping[K, V]) -> dict[K, V]:
        return self._whole() | dict(other)


AnyDict: TypeAlias = dict[K, V] | Deferred[K, V]
