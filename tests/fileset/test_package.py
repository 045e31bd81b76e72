"""What `import fileset` offers: the names that are public, and no others."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import fileset
import ledger
import projections
from fileset import LedgerError


def errors() -> Iterator[type[Exception]]:
    """Yield every error of ours that a caller may meet."""
    for package in (ledger, projections, fileset):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            module = import_module(found.name)
            for _, thing in inspect.getmembers(module, inspect.isclass):
                is_own = thing.__module__ == module.__name__ and not thing.__name__.startswith("_")
                if is_own and issubclass(thing, LedgerError):
                    yield thing


def test_every_error_is_imported_from_the_package() -> None:
    found = list(errors())
    assert len(found) > 40
    missing = [error for error in found if error.__name__ not in fileset.__all__]
    assert not missing, "name them in fileset/__init__.py, three times each"
    for error in found:
        assert getattr(fileset, error.__name__) is error


def test_the_names_listed_are_the_public_ones_and_all_of_them_are_there() -> None:
    listed = dir(fileset)
    assert listed == sorted([*fileset.__all__, "__version__"])
    assert not [name for name in listed if name.startswith("_") and name != "__version__"]
    for name in listed:
        assert getattr(fileset, name) is not None


def test_the_version_is_that_of_the_package() -> None:
    assert fileset.__version__.count(".") == 2
