"""A griffe extension: how docstrings of this project become the API reference.

A name in `backticks` links to what it names, looked up in the scope of the docstring as Python
would, or among the errors; one that is on no page of the reference stays plain code. The fields of
a class, and the members of an enumeration, become one table.
"""

import re
from typing import Any

import griffe

NAME = re.compile(r"(?<![`\[])`([A-Za-z_][\w.]*)`(?![`\]])")
ATTRIBUTES = griffe.DocstringSectionKind.attributes


class Docstrings(griffe.Extension):
    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        _prepare(pkg)


def _prepare(obj: griffe.Object) -> None:
    if obj.docstring:
        docstring = obj.docstring
        docstring.value = NAME.sub(lambda name: _link(obj, name[1]), docstring.value)
    for member in obj.members.values():
        if not member.is_alias:
            _prepare(member)
    if isinstance(obj, griffe.Class):
        _gather_fields(obj)


def _link(obj: griffe.Object, name: str) -> str:
    head, _, rest = name.partition(".")
    if name in _parameters(obj):
        return f"`{name}`"
    try:
        path = obj.members[head].path if head in obj.members else obj.resolve(head)
    except griffe.NameResolutionError:
        errors = [
            obj.modules_collection[f"{package}.errors"] for package in ("ledger", obj.package.name)
        ]
        homes = [module.path for module in errors if head in module.members]
        if not homes:
            return f"`{name}`"
        path = f"{homes[0]}.{head}"
    target = f"{path}.{rest}" if rest else path
    return f'<autoref identifier="{target}" optional><code>{name}</code></autoref>'


def _parameters(obj: griffe.Object) -> set[str]:
    function = obj.members.get("__init__") if obj.is_class else obj
    return {p.name for p in function.parameters} if isinstance(function, griffe.Function) else set()


def _gather_fields(cls: griffe.Class) -> None:
    """Describe the fields of `cls` in its docstring, and not one by one."""
    fields = {
        name: member
        for name, member in cls.members.items()
        if isinstance(member, griffe.Attribute)
        and not name.startswith("_")
        and "property" not in member.labels
    }
    if not fields:
        return
    docstring = cls.docstring or griffe.Docstring("", parent=cls)
    sections = docstring.parse("numpy", warnings=False)
    said = {
        name: attribute.description
        for section in sections
        if section.kind is ATTRIBUTES
        for attribute in section.value
        for name in attribute.name.split(", ")
    }
    table = []
    for name, member in fields.items():
        about = said.get(name) or (member.docstring.value if member.docstring else "")
        kind = member.annotation or member.value  # of an enumeration's member there is the value
        if member.annotation and (default := _default(member.value)) is not None:
            about = f"{about} Default: `{default}`.".strip()
        member.docstring = None
        table.append(griffe.DocstringAttribute(name, annotation=kind, description=about))
    rest = [section for section in sections if section.kind is not ATTRIBUTES]
    # What `parse` gives is cached in the docstring, and read from there by the templates.
    cls.docstring = docstring
    docstring.__dict__["parsed"] = [*rest, griffe.DocstringSectionAttributes(table)]


def _default(value: Any) -> str | None:
    """Return the default of a field as source text, `None` if it has none or computes it."""
    if isinstance(value, griffe.ExprCall):
        for argument in value.arguments:
            if isinstance(argument, griffe.ExprKeyword) and argument.name == "default":
                return str(argument.value)
        return None
    return None if value is None else str(value)
