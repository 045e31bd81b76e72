"""Running a program after each study: without a shell, one at a time, in a thread.

It gets a JSON document on its standard input. It is ended after a while, and soon when the watcher
is told to stop, with what it has started. What it does and whether it fails changes nothing here
but the log and the status. It is run at most once for a change: one that was due when the watcher
was killed is not made up for.
"""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from attrs import asdict

from fileset.watching import log
from fileset.watching.account import Committed

_WAITING: Final = 10_000  # calls that wait at most; more are left out, which is logged
_GRACE: Final = 3.0  # seconds for what is run to end, when the watcher is told to
_LOOK: Final = 0.1  # seconds between two looks at whether it has to end
STOPPED: Final = "the watcher was stopped"
"""What went wrong with a program that was ended for no fault of its own, or not begun."""


class Hooks:
    """Runs `command` after each study, with `repository` in the environment.

    `done` is called in another thread with what went wrong, `None` if nothing did.
    """

    def __init__(
        self,
        command: Sequence[str],
        repository: str,
        timeout: float,
        done: Callable[[str | None], None],
    ) -> None:
        self._command = list(command)
        self._timeout = timeout
        self._done = done
        self._environment = {"FILESET_REPO": repository}
        self._queue: queue.SimpleQueue[Committed | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._end = math.inf  # when what is run is ended, and no more is begun

    def call(self, committed: Committed) -> None:
        """Run it for a study."""
        if not self._command:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="fileset-hooks", daemon=True)
            self._thread.start()
        if self._queue.qsize() < _WAITING:
            self._queue.put(committed)
        else:
            self._leave_out(committed, "too many are waiting")

    def close(self, *, is_hurried: Callable[[], bool]) -> None:
        """Wait for those that are due; from when `is_hurried`, for no more than a few seconds."""
        if self._thread is None:
            return
        self._queue.put(None)
        while self._thread.is_alive():
            if self._end == math.inf and is_hurried():
                self._end = time.monotonic() + _GRACE
            self._thread.join(_LOOK)
        self._thread = None

    def _work(self) -> None:
        while (committed := self._queue.get()) is not None:
            if time.monotonic() < self._end:
                self._done(self._run(committed))
            else:
                self._leave_out(committed, STOPPED)

    def _leave_out(self, committed: Committed, why: str) -> None:
        log.warning("hook left out", change=committed.change, why=why)
        self._done(why)

    def _run(self, committed: Committed) -> str | None:
        try:
            why = self._outcome(committed)
        except OSError as exc:
            why = log.reason_of(exc)
        if why is None:
            log.info("hook done", change=committed.change)
        else:
            log.warning("hook failed", change=committed.change, why=why)
        return why

    def _outcome(self, committed: Committed) -> str | None:
        """Run it, and return what went wrong; OSError if it can't be run."""
        document: bytes | None = f"{json.dumps(asdict(committed))}\n".encode()
        late = time.monotonic() + self._timeout
        with subprocess.Popen(  # noqa: S603 - the administrator's own command, and no shell
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self._environment, "FILESET_CHANGE": committed.change or ""},
            start_new_session=True,  # so that what it has started can be ended with it
        ) as program:
            while True:
                try:
                    program.communicate(document, timeout=_LOOK)
                except subprocess.TimeoutExpired:
                    document = None  # it goes on with what it has
                    if time.monotonic() < min(late, self._end):
                        continue
                    with suppress(ProcessLookupError):
                        os.killpg(program.pid, signal.SIGKILL)
                    return "it took too long" if time.monotonic() >= late else STOPPED
                return f"exit code {code}" if (code := program.returncode) else None
