"""Firefox without a window, over its own remote protocol Marionette: no driver has to be had."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final

PROGRAM: Final = shutil.which("firefox-esr") or shutil.which("firefox")

_PREFERENCES: Final = {
    "marionette.port": 0,  # any that is free
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
_SECONDS: Final = 120


class FirefoxError(Exception):
    """What was asked of Firefox went wrong, or a script did."""


class Firefox:
    """A Firefox that runs, and what is asked of it; see `firefox`."""

    def __init__(self, connection: BinaryIO) -> None:
        self._connection = connection
        self._numbers = count(1)
        self._message()  # by which it greets
        self.ask(
            "WebDriver:NewSession", capabilities={"alwaysMatch": {"pageLoadStrategy": "normal"}}
        )

    def open(self, url: str) -> None:
        """Load a page, and wait until it has loaded all that it wants."""
        self.ask("WebDriver:Navigate", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, as the body of a function, and return what it returns."""
        return self.ask(
            "WebDriver:ExecuteScript", script=script, args=list(arguments), sandbox=None
        )["value"]

    def run_async(self, script: str, *arguments: Any) -> Any:
        """Run a script that calls the last one of its arguments; return what it calls that with."""
        return self.ask(
            "WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), sandbox=None
        )["value"]

    def ask(self, command: str, **parameters: Any) -> Any:
        """Send a command and return its result; FirefoxError if it fails."""
        number = next(self._numbers)
        data = json.dumps([0, number, command, parameters]).encode()
        self._connection.write(b"%d:%s" % (len(data), data))
        self._connection.flush()
        _, answered, error, result = self._message()
        assert answered == number
        if error is not None:
            raise FirefoxError(f"{command}: {error['error']}: {error['message']}")
        return result

    def _message(self) -> Any:
        """Return the next message, which begins with its length."""
        length = b""
        while (byte := self._connection.read(1)) != b":":
            if not byte:
                raise FirefoxError("Firefox has gone away")
            length += byte
        return json.loads(self._connection.read(int(length)))


@contextmanager
def firefox() -> Iterator[Firefox]:
    """Run a Firefox with a profile of its own, which goes in the end with all that it wrote."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lines = (f'user_pref("{name}", {json.dumps(v)});\n' for name, v in _PREFERENCES.items())
        Path(folder, "user.js").write_text("".join(lines), encoding="utf-8")
        running = subprocess.Popen(
            [PROGRAM, "--headless", "--marionette", "--no-remote", "--profile", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            port = _port(Path(folder, "MarionetteActivePort"), running)
            with (
                socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection,
                connection.makefile("rwb") as file,
            ):
                yield Firefox(file)  # type: ignore[arg-type] - it reads and writes
        finally:
            running.terminate()
            running.wait(_SECONDS)


def _port(path: Path, running: subprocess.Popen[bytes]) -> int:
    """Return the port that Firefox listens on, once it says so."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and running.poll() is None:
        if path.exists() and (text := path.read_text(encoding="ascii").strip()):
            return int(text)
        time.sleep(0.1)
    raise FirefoxError("Firefox does not listen")
