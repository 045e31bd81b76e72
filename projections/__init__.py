"""What it amounts to: pure folds over the journal's events, and the File-set they describe.

Only :mod:`projections.materializer` touches a file system; everything else here maps values to
values.
"""
