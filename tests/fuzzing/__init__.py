"""Fuzzers of what reads other people's bytes: mutated real files, and what must hold of each.

Some seconds of it are part of the tests. For longer, from the folder `tests`:

    python -m fuzzing --seconds 600 --seed 1

Each find is written to `finds`, where it is tried again by the tests for ever.
"""
