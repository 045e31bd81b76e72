"""Rules by which instances are coerced when they arrive, as a TOML file.

    [[rule]]
    match = {InstitutionName = "St. Elsewhere*"}
    issuer = "ELSEWHERE"
    prefix = "E-"
    set = {AccessionNumber = ""}
    remove = ["OtherPatientIDs"]
    ids = "ids.csv"
    new_uids = true

This is what IHE calls reconciliation on import (Import Reconciliation Workflow).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from attrs import field, frozen

from fileset.correcting.asked import edits_of, path_asked
from fileset.correcting.table import read_table
from fileset.errors import NoSuchKeywordError
from ledger.errors import CorrectionError
from ledger.instances.correcting.edits import (
    REMOVE,
    SOP_INSTANCE_UID,
    Edit,
    ElementPath,
    check_edits,
)
from ledger.tags import PATIENT_ID

_ID: Final[ElementPath] = (PATIENT_ID,)


@frozen
class IDTable:
    """Which instances get which values, as a table has it (`fileset.correcting.table`)."""

    name: str
    _rows: Mapping[tuple[ElementPath, ...], Mapping[tuple[str, ...], tuple[Edit, ...]]]

    def paths(self) -> Iterable[ElementPath]:
        """Return what has to be known of an instance to find its line."""
        return (path for paths in self._rows for path in paths)

    def edits(self, values: Mapping[ElementPath, str]) -> tuple[Edit, ...] | None:
        """Return what the line of an instance with `values` asks, `None` if it has none.

        CorrectionError if there are several.
        """
        found = [
            edits
            for paths, rows in self._rows.items()
            if (edits := rows.get(tuple(values[path] for path in paths))) is not None
        ]
        if len(found) > 1:
            raise CorrectionError(f"several lines of {self.name} match it")
        return found[0] if found else None


@frozen
class Rule:
    """What instances are coerced to that `match` patterns, by path: `edits`, and what the rest say.

    The Patient ID gets a `prefix` unless the `table` has a line for the instance. Without a prefix
    there has to be one.
    """

    match: Mapping[ElementPath, re.Pattern[str]]
    edits: tuple[Edit, ...] = ()
    prefix: str = ""
    table: IDTable | None = None
    new_uids: bool = False

    def paths(self) -> Iterable[ElementPath]:
        """Return what has to be known of an instance."""
        return (*self.match, *(self.table.paths() if self.table else ()), _ID)

    def is_for(self, values: Mapping[ElementPath, str]) -> bool:
        """Whether it is for an instance that has `values`."""
        return all(pattern.fullmatch(values[path]) for path, pattern in self.match.items())

    def asked(self, values: Mapping[ElementPath, str]) -> Iterable[Edit]:
        """Return what it asks of such an instance; CorrectionError if it can't be coerced."""
        listed = self.table.edits(values) if self.table else ()
        if listed is None and not self.prefix:
            assert self.table is not None  # noqa: S101 - else nothing is missing
            raise CorrectionError(f"no line of {self.table.name} matches it")
        edits = [*self.edits, *(listed or ())]
        if self.prefix and all(edit.path != _ID for edit in edits):
            if not values[_ID]:
                raise CorrectionError("it has no Patient ID to put the prefix before")
            edits.append(Edit(_ID, self.prefix + values[_ID]))
        return edits


@frozen
class Rules:
    """Rules in their order: of what several ask of one element, the last counts."""

    rules: tuple[Rule, ...]
    paths: frozenset[ElementPath] = field(init=False)
    """What has to be known of an instance."""

    @paths.default
    def _all_paths(self) -> frozenset[ElementPath]:
        return frozenset(path for rule in self.rules for path in rule.paths())

    def asked(self, values: Mapping[ElementPath, str]) -> tuple[tuple[Edit, ...], bool]:
        """Return what is asked of an instance with `values`, and whether it gets new UIDs.

        CorrectionError if it can't be coerced.
        """
        chosen = [rule for rule in self.rules if rule.is_for(values)]
        edits = {edit.path: edit for rule in chosen for edit in rule.asked(values)}
        return tuple(edits.values()), any(rule.new_uids for rule in chosen)


# --- reading them --------------------------------------------------------------------------------


def read_rules(path: Path) -> Rules:
    """Return the rules in the file at `path`, and in the tables that it names, from its folder.

    Raises `CorrectionError` if they can't be read or are wrong: it names the file and the key.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise CorrectionError(f"{path} can't be read: {exc.strerror}") from exc
    except RecursionError as exc:
        raise CorrectionError(f"{path} is no file of rules: it is nested too deep") from exc
    except ValueError as exc:  # of TOML or UTF-8
        raise CorrectionError(f"{path} is not a TOML file: {exc}") from exc
    for key in document.keys() - {"rule"}:
        raise CorrectionError(f"{path}: unknown key {key!r}: each rule begins with [[rule]]")
    tables = document.get("rule")
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise CorrectionError(f"{path} contains no rules: each begins with [[rule]]")
    return Rules(
        tuple(_Reader(path, number, table).rule() for number, table in enumerate(tables, 1))
    )


@frozen
class _Reader:
    """Reads the rule with a number, which is a table of the file."""

    path: Path
    number: int
    table: dict[str, Any]

    def rule(self) -> Rule:
        """Return it."""
        for key in self.table.keys() - _TYPES.keys():
            self.refuse(key, f"unknown key: a rule can have {', '.join(_TYPES)}")
        if not self.table.keys() - {"match"}:
            self.refuse("", f"it changes nothing: add at least one of {', '.join(_CHANGING)}")
        match = self.paths("match", self._get("match", {}))
        prefix, issuer = self._get("prefix", ""), self._get("issuer", "")
        edits = list(self.edits("set", self._get("set", {})))
        edits += self.edits("remove", dict.fromkeys(self._get("remove", []), REMOVE))
        if issuer:
            edits += self.edits("issuer", {"IssuerOfPatientID": issuer})
        if prefix:
            self.edits("prefix", {"PatientID": prefix})
        self.check("set", edits)
        return Rule(
            {path: _pattern(text) for path, text in match.items()},
            tuple(edits),
            prefix,
            self._ids(edits, has_prefix=bool(prefix)),
            self._get("new_uids", False),
        )

    def refuse(self, key: str, why: object) -> NoReturn:
        """Raise the error that a key is wrong, or the rule as a whole."""
        where = f"rule {self.number}, {key}" if key else f"rule {self.number}"
        raise CorrectionError(f"{self.path}, {where}: {why}")

    def _get(self, key: str, default: Any) -> Any:
        value, kind = self.table.get(key, default), _TYPES[key]
        texts = value if isinstance(value, list) else [value]
        if not isinstance(value, kind) or (kind is list and not all(map(_is_text, texts))):
            self.refuse(key, f"it must be {_KINDS[kind]}")
        return value

    def paths(self, key: str, values: Mapping[str, Any]) -> dict[ElementPath, str]:
        """Return the texts in `values` by path."""
        found = {}
        for name, text in values.items():
            if not isinstance(text, str):
                self.refuse(
                    f"{key}.{name}", "it must be text: * is any text in it, and ? one character"
                )
            (edit,) = self.edits(f"{key}.{name}", {name: ""}, is_change=False)
            found[edit.path] = text.strip()
        return found

    def edits(
        self, key: str, values: Mapping[str, Any], *, is_change: bool = True
    ) -> Iterable[Edit]:
        """Return what `values` ask for, each one checked as far as it can be."""
        for name, value in values.items():
            where = f"{key}.{name}" if key == "set" else key
            try:
                yield _edit(name, value, is_change=is_change)
            except (CorrectionError, NoSuchKeywordError) as exc:
                self.refuse(where, exc)

    def check(self, key: str, edits: Sequence[Edit]) -> None:
        """Refuse edits that don't go together."""
        try:
            check_edits(edits)
        except CorrectionError as exc:
            self.refuse(key, exc)
        if any(edit.path == (SOP_INSTANCE_UID,) for edit in edits):
            self.refuse(key, "instances can't share a SOP Instance UID: use new_uids")

    def _ids(self, edits: Sequence[Edit], *, has_prefix: bool) -> IDTable | None:
        name = self._get("ids", "")
        given = {edit.path for edit in edits}
        if has_prefix and _ID in given:
            self.refuse("prefix", "set gives a Patient ID already: leave one of the two out")
        if not name:
            return None
        try:
            table = read_table(self.path.parent / name)
        except OSError as exc:
            self.refuse("ids", f"{self.path.parent / name} can't be read: {exc.strerror}")
        except CorrectionError as exc:
            self.refuse("ids", exc)
        rows: dict[tuple[ElementPath, ...], dict[tuple[str, ...], tuple[Edit, ...]]] = {}
        for row in table:
            query = self.paths("ids", row.query)
            asked = tuple(self.edits("ids", row.values))
            self.check("ids", [*edits, *asked])
            same = rows.setdefault(tuple(query), {})
            if same.setdefault(tuple(query.values()), asked) is not asked:
                self.refuse("ids", f"{row.name}: an earlier line is for the same instances")
        return IDTable(name, rows)


_TYPES: Final[Mapping[str, type]] = {
    "match": dict,
    "set": dict,
    "remove": list,
    "issuer": str,
    "prefix": str,
    "ids": str,
    "new_uids": bool,
}
"""The keys of a rule, and what they take."""

_CHANGING: Final = [key for key in _TYPES if key != "match"]
_KINDS: Final[Mapping[type, str]] = {
    dict: "keywords with values, as in {PatientSex = 'F'}",
    list: "a list of keywords, as in ['PatientComments']",
    str: "text",
    bool: "true or false",
}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _edit(name: str, value: Any, *, is_change: bool) -> Edit:
    """Return the edit that is asked for; CorrectionError or NoSuchKeywordError if it is none."""
    several = value if isinstance(value, list) else [value]
    if any(isinstance(each, bool) or not isinstance(each, _VALUES) for each in several):
        raise CorrectionError("a value must be text, a number, or a list of these")
    if not is_change:
        return Edit(path_asked(name), None)
    (edit,) = edits_of({name: value})
    return edit


_VALUES: Final = (str, int, float, type(REMOVE))


def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of texts that are as `text` is, with `*` for any and `?` for one more."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each, re.escape(each)) for each in text), re.DOTALL)
