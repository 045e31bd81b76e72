"""What the machine is that a run was made on."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path


def facts(work: Path, peers: dict[str, str | None]) -> dict[str, str]:
    """Return hardware, systems and versions; `work` is where files were written."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / (1 << 30):.1f} GiB",
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(work),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "fileset-ledger": version("fileset-ledger"),
        **{peer: found or "not installed" for peer, found in peers.items()},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of a folder's file system: on one in memory nothing is durable."""
    done = subprocess.run(
        ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
