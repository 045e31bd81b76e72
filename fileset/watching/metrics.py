"""The numbers of a watcher for Prometheus, in its text format, on the loopback interface alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from fileset.watching import log

_METRICS: Final = {
    "seen": ("files_seen_total", "counter", "New files seen."),
    "ingested": ("files_ingested_total", "counter", "Files added to the File-set."),
    "duplicates": ("files_duplicate_total", "counter", "Files that the File-set had already."),
    "taken_back": ("files_taken_back_total", "counter", "Files of instances withdrawn before."),
    "mismatched": (
        "files_mismatched_total",
        "counter",
        "Files of different persons under a known ID.",
    ),
    "faulty": ("files_faulty_total", "counter", "Files that break the Standard."),
    "quarantined": ("files_quarantined_total", "counter", "Files put into the quarantine."),
    "vanished": ("files_vanished_total", "counter", "Files gone before they could be added."),
    "changes": ("changes_total", "counter", "Changes recorded."),
    "late": ("late_studies_total", "counter", "Changes to studies written before."),
    "writes": ("writes_total", "counter", "Writes of the medium."),
    "hooks": ("hooks_total", "counter", "Runs of the --on-study command."),
    "hooks_failed": ("hooks_failed_total", "counter", "Runs of it that failed."),
    "scans": ("scans_total", "counter", "Scans of everything."),
    "overflows": (
        "overflows_total",
        "counter",
        "Times that there were more notifications than can be kept.",
    ),
    "errors": ("errors_total", "counter", "Errors met."),
    "settling": ("files_settling", "gauge", "Files that may still be changing."),
    "waiting": ("files_waiting", "gauge", "Files whose study is not quiet yet."),
    "retrying": ("files_retrying", "gauge", "Files that are tried again."),
    "owed": ("files_owed", "gauge", "Files added but not yet deleted or moved."),
    "lag": ("lag_seconds", "gauge", "Age of the file that has been pending longest."),
    "scan_seconds": ("scan_seconds", "gauge", "How long the last scan of everything took."),
}


def render(document: dict[str, Any]) -> str:
    """Return a status document as Prometheus' text format, version 0.0.4."""
    lines = []
    for key, (name, kind, text) in _METRICS.items():
        full = f"fileset_watch_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}", f"{full} {document[key]}"]
    full = "fileset_watch_last_turn_timestamp_seconds"
    last = document["last_turn"]
    at = datetime.fromisoformat(last).timestamp() if last else 0.0
    lines += [f"# HELP {full} When it last completed a round.", f"# TYPE {full} gauge"]
    lines.append(f"{full} {at:.0f}")
    full = "fileset_watch_folder_up"
    lines += [f"# HELP {full} Whether the folder can be looked at.", f"# TYPE {full} gauge"]
    for folder in document["folders"]:
        path = folder["path"].replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        up = int(folder["state"] != "away" and not folder["trouble"])
        lines.append(f'{full}{{folder="{path}"}} {up}')
    return "\n".join(lines) + "\n"


class MetricsServer:
    """Serves `/metrics` on 127.0.0.1 at `port`, 0 for any; OSError if it is taken."""

    def __init__(self, port: int, document: Callable[[], dict[str, Any]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.split("?")[0] != "/metrics":
                    self.send_error(404)
                    return
                body = render(document()).encode("utf-8")
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                # Most often whoever asked has gone.
                log.debug("metrics not served", reason=type(sys.exception()).__name__)

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="fileset-metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
