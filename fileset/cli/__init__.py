"""The ``fileset`` command."""

from __future__ import annotations

from typing import Final

import click

from fileset.cli.command import Commands

HOMES: Final = {
    "Make and check": {
        "init": ("fileset.cli.lifecycle", "Make a repository, new or from a DICOMDIR."),
        "verify": ("fileset.cli.proving", "Check a repository, or any File-set."),
        "rebuild": ("fileset.cli.lifecycle", "Build indexes and snapshots anew."),
        "recover": ("fileset.cli.recovering", "Rebuild a damaged journal, as far as provable."),
        "erase": ("fileset.cli.erasing", "Erase a person's data for good."),
        "gc": ("fileset.cli.erasing", "Drop what the vault holds and nobody needs."),
        "demo": ("fileset.cli.demo", "Go through all of it on real instances."),
    },
    "Prove and hand on": {
        "keygen": ("fileset.cli.proving", "Make a key to sign checkpoints with."),
        "checkpoint": ("fileset.cli.proving", "Sign what the journal's end is now."),
        "export-journal": ("fileset.cli.exchange", "Write the journal as JSON Lines."),
        "import-journal": ("fileset.cli.exchange", "Make a repository of an exported journal."),
    },
    "Stage changes": {
        "add": ("fileset.cli.staging", "Stage instances to be added."),
        "remove": ("fileset.cli.staging", "Stage instances to be removed."),
        "set": ("fileset.cli.staging", "Set the ID, UID or descriptor file."),
        "undo": ("fileset.cli.stepping", "Take back the newest changes."),
        "redo": ("fileset.cli.stepping", "Do again what was undone."),
        "revert": ("fileset.cli.stepping", "Take back one change, not those since."),
        "tag": ("fileset.cli.tagging", "Name a position of the journal."),
    },
    "Watch": {
        "watch": ("fileset.cli.watching", "Add what arrives in folders."),
        "quarantine": ("fileset.cli.watching", "List, retry or drop what could not be taken."),
    },
    "Look": {
        "status": ("fileset.cli.status", "Show the File-set and what is staged."),
        "tree": ("fileset.cli.looking", "Show the hierarchy down to the instances."),
        "find": ("fileset.cli.looking", "Find instances by their elements."),
        "values": ("fileset.cli.looking", "List the values that elements have."),
        "log": ("fileset.cli.log", "List the changes, newest last."),
        "show": ("fileset.cli.show", "Show a change and its events."),
        "diff": ("fileset.cli.diff", "Compare two states, or one with a medium."),
        "blame": ("fileset.cli.blame", "Tell all that happened to a patient."),
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
