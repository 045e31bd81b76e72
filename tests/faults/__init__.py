"""What faults do to the commands: each file system call of each killed, or made to fail.

`python -m tests.faults` from the project's folder tries every one; tests/faults/test_crashes.py a
sample of them.
"""
