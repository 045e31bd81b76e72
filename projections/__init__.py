"""What the journal's events amount to: the state of the File-set, and what follows from it.

Everything here is pure: values in, values out, with no clock, file system, network or process.
"""
