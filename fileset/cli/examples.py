"""Examples of each command, for its help and its manual page: tests run them in this order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, Mapping[str, str]]] = {
    "status": {
        "fileset status": "What is in the File-set, and what is staged.",
        "fileset status --short": "The same in a line, as for the prompt of a shell.",
    },
    "tree": {
        "fileset tree": "All patients, studies, series and instances.",
        "fileset tree --at 2": "The same as of position 2 of the journal.",
    },
    "find": {
        "fileset find PatientID=1CT1 Modality=CT": "The CT instances of a patient.",
        "fileset find --load BodyPartExamined=HEAD": "By an element that only the files have.",
    },
    "values": {"fileset values PatientID PatientName": "Which patients there are."},
    "add": {
        'fileset add incoming --reason "from the ward"': "All instances in a folder, in one go.",
        'fileset add incoming --ignore "*.txt" --dry-run': "What that would add, and what not.",
    },
    "remove": {
        'fileset remove PatientID=4MR1 --reason "wrong disc"': "All instances of a patient."
    },
    "undo": {
        "fileset undo --dry-run": "What the newest change did, and what an undo would do.",
        "fileset undo": "Take back the newest change.",
        "fileset undo --by anna": "Take back the newest change that anna made.",
    },
    "redo": {"fileset redo": "Do again what was undone last."},
    "log": {
        "fileset log -n 5": "The five newest changes.",
        "fileset log --oneline --graph": "All in a line each, with what took back what.",
        "fileset log --actor anna --since 2026-11-01": "What anna changed since then.",
    },
    "revert": {
        "fileset revert 6 --dry-run": "What it would do to take back the change with position 6."
    },
    "show": {"fileset show 2": "The change with position 2, and its events."},
    "correct": {
        "fileset correct PatientID=1CT1 --to PatientName=Doe^Jane": "A name in all of a patient's "
        "instances."
    },
    "merge": {
        "fileset merge PatientID=4MR1 --into PatientID=1CT1 --dry-run": "What would change if both "
        "were one patient."
    },
    "move": {
        "fileset move PatientID=4MR1 Modality=MR --to PatientID=1CT1 --dry-run": "What would "
        "change if these studies were filed under another patient."
    },
    "set": {
        "fileset set id=TRIAL_0043 uid=new": "A new ID, and a new UID with it.",
        "fileset set descriptor=": "No descriptor file any more.",
    },
    "settle": {"fileset settle PatientID=1CT1": "All with this ID are one person, or may be two."},
    "tag": {
        'fileset tag sent --reason "courier 1187"': "A name for the present position.",
        "fileset tag": "All names.",
    },
    "diff": {
        "fileset diff sent": "What has changed since that tag.",
        "fileset diff --root medium": "How a medium differs from the File-set.",
    },
    "blame": {"fileset blame PatientID=1CT1": "All that happened to a patient's instances."},
    "write": {
        "fileset write --dry-run": "What a write to the same folder as before would do.",
        "fileset write": "Write it.",
        "fileset write stick --new-medium": "Write all to another folder, and leave the old one.",
    },
    "view": {"fileset view": "Look around with the arrow keys; q ends it."},
    "picture": {"fileset picture Modality=CT sheet.png": "The images of a modality on a sheet."},
    "export": {
        "fileset export copy": "A copy of the present File-set.",
        "fileset export copy-of-then --at sent": "A copy of what it was.",
    },
    "index": {"fileset index incoming --rename": "A DICOMDIR for a folder, where it lies."},
    "media make": {
        "fileset media make disc.iso": "An image of a disc with all that there is.",
        'fileset media make for-the-clinic.zip PatientID=1CT1 --recipient "Dr Lee"': "One patient, "
        "for somebody.",
    },
    "media check": {"fileset media check --profile STD-GEN-CD": "What would not fit that profile."},
    "media list": {"fileset media list": "Which media were made."},
    "media show": {"fileset media show 1": "What is on the first one, and for whom it was made."},
    "media verify": {"fileset media verify disc.iso": "Whether it is what was recorded."},
    "media remake": {"fileset media remake 1 again.iso": "The first medium once more."},
    "media label": {"fileset media label 1 label.pdf": "A label to print on the disc."},
    "media burn": {
        "fileset media burn disc.iso --device /dev/sr0": "A disc, read back in the end."
    },
    "keygen": {"fileset keygen trial-key": "A key, and beside it the public one."},
    "checkpoint": {"fileset checkpoint --key trial-key": "Sign the journal as it is."},
    "export-journal": {"fileset export-journal journal.jsonl": "The journal as a file."},
    "import-journal": {
        "fileset import-journal journal.jsonl again": "A repository of that journal."
    },
    "audit send": {
        "fileset audit send --spool messages": "Audit messages into a folder.",
        "fileset audit send --to audit.example.org": "Audit messages to a receiver, by TLS.",
    },
    "audit show": {"fileset audit show": "The messages as they are sent."},
    "audit status": {"fileset audit status": "How far each receiver is."},
    "watch": {
        "fileset watch incoming --once": "Add what is in a folder, and end.",
        "fileset watch incoming --after delete": "Add what arrives, and delete it there.",
    },
    "quarantine": {"fileset quarantine list": "What could not be added, and why."},
    "init": {
        "fileset init new-archive --id TRIAL_0042": "An empty repository.",
        "fileset init of-a-disc --from cd": "A repository of a File-set, which stays where it is.",
    },
    "verify": {
        "fileset verify": "Whether all is as it was recorded.",
        "fileset verify medium": "Whether a File-set is as the Standard has it.",
    },
    "rebuild": {"fileset rebuild": "Make indexes and snapshots anew."},
    "recover": {"fileset recover": "Make a damaged journal anew, and keep what it was."},
    "erase": {"fileset erase PatientID=4MR1 --dry-run": "What would go, and what would stay."},
    "gc": {"fileset gc": "Free what no event names."},
    "config": {
        "fileset config set actor anna": "Who makes your changes.",
        "fileset config set --local institution 'St. Elsewhere'": "Of this repository alone.",
        "fileset config set repos.main archive": "From now on, --repo main is enough.",
        "fileset config": "All that is set.",
    },
    "help": {"fileset help media make": "The help of a command."},
    "completion": {"fileset completion bash": "What Bash has to run."},
    "demo": {"fileset demo try-it": "Everything, before your eyes, in a new folder."},
}
"""By the words of the command: what to type, in the folder that `fileset demo` makes, and why."""
