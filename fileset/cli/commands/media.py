"""`media`: what is handed out, its own commands."""

from __future__ import annotations

from typing import Final

from fileset.cli.command import Group

SUMMARIES: Final = {
    "Commands": {
        "check": "Check what fits an application profile.",
        "make": "Make a medium and record it.",
        "list": "List the media that were made.",
        "show": "Show a medium and what is on it.",
        "verify": "Compare a medium with the journal.",
        "remake": "Make a medium again, byte for byte.",
        "label": "Make the label of a medium.",
        "burn": "Burn a disc and read it back.",
    }
}
"""What each command does in a few words; it is in the module `media_` and its name."""

media = Group(
    SUMMARIES,
    within="media_",
    name="media",
    help="""Make media that are handed out, prove what is on them, and make them again.

    A medium is a disc, a stick, a ZIP file, a mail or a folder. Each is a fact in the journal: for
    whom, when and why it was made, and which bytes it has.
    """,
)
