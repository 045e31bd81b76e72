"""`python -m fuzzing`: fuzz for a time, print what was tried and keep what was found."""

from __future__ import annotations

import argparse
import resource
import sys

from fuzzing.running import fuzz, keep
from fuzzing.targets import TARGETS

_MEMORY = 2 << 30  # bytes of address space


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=list(TARGETS), action="append")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    outcome = fuzz(options.seconds, options.seed, options.target)
    for name, text, data in outcome.finds:
        _tell(f"{name}: {keep(name, data)}\n{text}")
    for name, number in outcome.executions.items():
        _tell(f"{name}: {number:,} executions")
    _tell(f"{sum(outcome.executions.values()):,} executions, {len(outcome.finds)} finds")
    return bool(outcome.finds)


if __name__ == "__main__":
    sys.exit(_main())
