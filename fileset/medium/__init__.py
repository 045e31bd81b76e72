"""Files and the DICOMDIR on a disk: writing, checking and repairing a medium."""
