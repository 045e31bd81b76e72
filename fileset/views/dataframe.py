"""A File-set as a data frame of pandas or polars, one row for each instance."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from fileset.errors import MissingExtraError
from fileset.views.columns import Column, Kind
from ledger.phrases import needs, own_pip

LIBRARIES: Final = ("pandas", "polars")

_PANDAS: Final[dict[Kind, str]] = {
    "text": "object",
    "integer": "Int64",
    "number": "float64",
    "date": "datetime64[s]",
}
_POLARS: Final[dict[Kind, str]] = {
    "text": "String",
    "integer": "Int64",
    "number": "Float64",
    "date": "Date",
}


def library_named(name: str | None) -> str:
    """Return the library to use: the one named, or the first that is installed.

    ValueError for a name that is none of `LIBRARIES`; `MissingExtraError` if it isn't installed.
    """
    if name is not None and name not in LIBRARIES:
        raise ValueError(f"'{name}' is no library for data frames: name pandas or polars")
    for each in LIBRARIES if name is None else (name,):
        if find_spec(each) is not None:
            return each
    if name == "polars":
        raise MissingExtraError(
            f"polars is not installed: `{own_pip()} install polars` installs it."
        )
    raise MissingExtraError(needs("A data frame needs", "pandas, or polars", "dataframe"))


def data_frame(columns: Iterable[Column], library: str) -> Any:
    """Return `columns` as a data frame of `library`."""
    frames = import_module(library)
    if library == "polars":
        types = {kind: getattr(frames, name) for kind, name in _POLARS.items()}
        made = [frames.Series(c.keyword, c.values, dtype=types[c.kind]) for c in columns]
        return frames.DataFrame(made)
    return frames.DataFrame(
        {c.keyword: frames.Series(c.values, dtype=_PANDAS[c.kind]) for c in columns}
    )
