"""Events on record: the journal's protocol and hash chain, its stores and its exchange format."""
