"""`python -m tests.faults`: the whole matrix, or a part of it, and its table in Markdown."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from .matrix import FORMS, run, table
from .scenarios import SCENARIOS
from .tracing import why_not


def main() -> int:
    """Run it; the exit code is 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="OPERATION", help=", ".join(SCENARIOS))
    parser.add_argument("--form", choices=list(FORMS), default="strace")
    parser.add_argument("--every", type=int, default=1, metavar="K", help="try each K-th point")
    parser.add_argument(
        "--seed", type=int, default=None, help="where to begin; by default another one each time"
    )
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(SCENARIOS):
        parser.error(f"no such operation: {', '.join(sorted(unknown))}")
    if options.form == "strace" and (why := why_not()) is not None:
        parser.error(f"{why}: use --form python")
    seed = options.seed if options.seed is not None else time.time_ns() % options.every
    names = options.scenarios or list(SCENARIOS)
    form = FORMS[options.form]
    one = partial(run, form=form, every=options.every, offset=seed, tell=True)
    begun = time.monotonic()
    if options.jobs == 1:
        rows = [one(SCENARIOS[name]) for name in names]
    else:
        with ProcessPoolExecutor(options.jobs, get_context("fork")) as pool:
            rows = list(pool.map(one, [SCENARIOS[name] for name in names]))
    tried = sum(sum(row.tried.values()) for row in rows)
    sys.stdout.write(table(rows))
    sys.stdout.write(
        f"\n\n{tried:,} of {sum(row.points for row in rows):,} points, form {options.form}, each "
        f"{options.every}. from seed {seed}, in {time.monotonic() - begun:.0f} s\n"
    )
    return 1 if any(row.broken for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
