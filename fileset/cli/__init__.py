"""The `fileset` command."""

from __future__ import annotations

from typing import Final

import click

from fileset import __version__
from fileset.cli.command import Commands

SUMMARIES: Final = {
    "Make and check": {
        "init": "Make a repository, new or from a DICOMDIR.",
        "verify": "Check a repository, or any File-set.",
        "rebuild": "Rebuild indexes and snapshots.",
        "recover": "Rebuild a damaged journal, as far as provable.",
        "erase": "Erase a person's data for good.",
        "gc": "Drop what the vault no longer needs.",
        "demo": "Run through everything on real instances.",
    },
    "Prove and export": {
        "keygen": "Make a key to sign checkpoints with.",
        "checkpoint": "Sign the current end of the journal.",
        "export-journal": "Write the journal as JSON Lines.",
        "import-journal": "Make a repository from an exported journal.",
        "audit": "Send audit messages of what happened.",
    },
    "Stage changes": {
        "add": "Stage instances to be added.",
        "remove": "Stage instances to be removed.",
        "correct": "Stage corrected values of elements.",
        "merge": "Stage a move of a patient to another one.",
        "move": "Stage a move of studies to another patient.",
        "set": "Set the ID, UID or descriptor file.",
        "settle": "Accept several persons under one Patient ID.",
        "undo": "Take back the newest changes.",
        "redo": "Do again what was undone.",
        "revert": "Take back one change, keeping later ones.",
        "tag": "Name a position of the journal.",
    },
    "Watch": {
        "watch": "Add what arrives in folders.",
        "quarantine": "List, retry or drop what could not be added.",
    },
    "Look": {
        "view": "Look around, on the whole terminal.",
        "status": "Show the File-set and what is staged.",
        "tree": "Show the hierarchy down to the instances.",
        "find": "Find instances by their elements.",
        "values": "List the values that elements have.",
        "picture": "Make a contact sheet of images.",
        "log": "List the changes, newest last.",
        "show": "Show a change and its events.",
        "diff": "Compare two states, or one with a medium.",
        "blame": "Show all that happened to a patient.",
    },
    "Write": {
        "write": "Write the File-set and its DICOMDIR.",
        "export": "Write a plain copy of the File-set.",
        "index": "Make a DICOMDIR for a folder as it is.",
        "media": "Hand out discs, sticks and ZIP files.",
    },
    "Get on": {
        "help": "Show the help of a command.",
        "config": "Set what is to be so each time.",
        "completion": "Have a shell complete words.",
    },
}
"""What each command does in a few words, by section; it is in the module of its name."""


main = Commands(
    SUMMARIES,
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

click.version_option(__version__, prog_name="fileset")(main)

__all__ = ["SUMMARIES", "main"]
