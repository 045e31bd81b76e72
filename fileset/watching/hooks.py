"""Telling another program of each study: run without a shell, one after the other, in a thread.

It gets a JSON document on its standard input and is ended after a while. What it does and whether
it fails changes nothing here but the log and the counts. It is run at most once for a change: one
that was due when the watcher was killed is not made up for.
"""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from attrs import asdict

from fileset.watching import log
from fileset.watching.taking import Committed

_WAITING: Final = 10_000  # calls that wait at most; more are left out, and told


class Hooks:
    """Runs `command` after each study, with `repository` in the environment."""

    def __init__(
        self, command: Sequence[str], repository: str, timeout: float, done: Callable[[bool], None]
    ) -> None:
        self._command = list(command)
        self._timeout = timeout
        self._done = done
        self._environment = {"FILESET_REPO": repository}
        self._queue: queue.Queue[Committed | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._end = math.inf  # when no more are begun

    def call(self, committed: Committed) -> None:
        """Have it run for a study."""
        if not self._command:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="fileset-hooks", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(committed)
        except queue.Full:
            log.warning("hook left out", change=committed.change, why="too many are waiting")
            self._done(False)

    def close(self, *, patient: bool) -> None:
        """Wait for those that are due; unless `patient`, no longer than one may take."""
        if self._thread is None:
            return
        if not patient:
            self._end = time.monotonic() + self._timeout
        self._queue.put(None)
        self._thread.join()
        self._thread = None

    def _work(self) -> None:
        while (committed := self._queue.get()) is not None:
            if time.monotonic() < self._end:
                self._done(self._run(committed))
            else:
                self._leave_out(committed, "the watcher was stopped")

    def _leave_out(self, committed: Committed, why: str) -> None:
        log.warning("hook left out", change=committed.change, why=why)
        self._done(False)

    def _run(self, committed: Committed) -> bool:
        document = json.dumps(asdict(committed)) + "\n"
        try:
            run = subprocess.run(  # noqa: S603 - the administrator's own command, and no shell
                self._command,
                input=document.encode("utf-8", "backslashreplace"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=self._timeout,
                check=False,
                env={**os.environ, **self._environment, "FILESET_CHANGE": committed.change or ""},
            )
        except subprocess.TimeoutExpired:
            log.warning("hook failed", change=committed.change, why="it took too long")
            return False
        except OSError as exc:
            log.warning("hook failed", change=committed.change, why=log.reason_of(exc))
            return False
        if run.returncode:
            log.warning("hook failed", change=committed.change, exit_code=run.returncode)
            return False
        log.info("hook done", change=committed.change)
        return True
