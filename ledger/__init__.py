"""What happened: events, their codec, the journal, the content vault, and reading of instances.

Nothing in this package knows what the events amount to (`projections`) or how people ask for
them (`fileset`).
"""
