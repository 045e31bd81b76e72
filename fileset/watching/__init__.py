"""Watched folders: files arrive, and the File-set keeps itself.

::

    from fileset import FileSet
    from fileset.watching import Settings, Watcher

    with Watcher(FileSet.open("archive"), ["inbox"], Settings(quiet=30), on_change=print):
        ...

One thread does it all, a step after the other (:mod:`~fileset.watching.watcher`). The way of a
file: *seen* by a look at the folder (:mod:`~fileset.watching.looking`), *settling* until it is
the same over two looks (:mod:`~fileset.watching.settling`), read for its study and *waiting* until
that is quiet (:mod:`~fileset.watching.studies`), *committed* as part of one change
(:mod:`~fileset.watching.taking`), and then kept, deleted or moved
(:mod:`~fileset.watching.sources`). What can't be taken goes into the quarantine
(:mod:`~fileset.watching.quarantine`).
"""

from __future__ import annotations

from fileset.watching.settings import After, Settings
from fileset.watching.taking import Committed
from fileset.watching.watcher import Watcher

__all__ = ["After", "Committed", "Settings", "Watcher"]
