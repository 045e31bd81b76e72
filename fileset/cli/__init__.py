"""The ``fileset`` command."""

from __future__ import annotations

from typing import Final

import click

from fileset.cli.command import Commands

HOMES: Final = {
    "Make and check": {
        "init": ("fileset.cli.lifecycle", "Make a repository, new or from a DICOMDIR."),
        "verify": ("fileset.cli.lifecycle", "Check journal, vault and medium."),
        "rebuild": ("fileset.cli.lifecycle", "Build indexes and snapshots anew."),
        "demo": ("fileset.cli.demo", "Go through all of it on real instances."),
    },
    "Stage changes": {
        "add": ("fileset.cli.staging", "Stage instances to be added."),
        "remove": ("fileset.cli.staging", "Stage instances to be removed."),
        "set": ("fileset.cli.staging", "Set the ID, UID or descriptor file."),
        "undo": ("fileset.cli.stepping", "Take back the newest changes."),
        "redo": ("fileset.cli.stepping", "Do again what was undone."),
    },
    "Look": {
        "status": ("fileset.cli.status", "Show the File-set and what is staged."),
        "tree": ("fileset.cli.looking", "Show the hierarchy down to the instances."),
        "find": ("fileset.cli.looking", "Find instances by their elements."),
        "values": ("fileset.cli.looking", "List the values that elements have."),
        "log": ("fileset.cli.history", "List the changes, newest last."),
        "show": ("fileset.cli.history", "Show a change and its events."),
        "diff": ("fileset.cli.history", "Compare the File-set at two positions."),
    },
    "Write": {
        "write": ("fileset.cli.writing", "Write the File-set and its DICOMDIR."),
        "index": ("fileset.cli.indexing", "Make a DICOMDIR for a folder as it is."),
    },
}
"""Where each command is and what it does in a few words, by section."""


main = Commands(
    HOMES,
    name="fileset",
    help="""A DICOM File-set over a journal: stage, undo, explain, write.

    Every change is an event in a repository, so all of them can be undone and explained; `fileset
    write` turns what is staged into files and a DICOMDIR.
    """,
    epilog="Exit codes: 0 all done; 1 done, but something was rejected or a check failed; "
    "2 usage; 3 refused.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
"""The command line: call it to run it."""

click.version_option(package_name="fileset-ledger", prog_name="fileset")(main)

__all__ = ["HOMES", "main"]
