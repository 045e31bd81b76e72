"""Watched folders: files arrive, and are added automatically.

```python
from fileset import FileSet
from fileset.watching import Settings, Watcher

with Watcher(FileSet.open("archive"), ["inbox"], Settings(quiet=30), on_change=print):
    ...
```

One thread does it all, a step after the other (`watcher`, `rounds`). The way of a file: found by
a scan of its folder (`scanning`), *settling* until it is the same at two looks, read for its study
and *waiting* until that is quiet (`intake`, with `settling` and `studies`), *committed* as part of
one change (`committing`, by `ingesting`), and then kept, deleted or moved (`leaving`). What can't
be taken is put into the quarantine (`quarantining`). Others learn of it by `publishing`.
"""

from __future__ import annotations

from fileset.watching.account import Committed
from fileset.watching.settings import After, Settings
from fileset.watching.watcher import Watcher

__all__ = ["After", "Committed", "Settings", "Watcher"]
