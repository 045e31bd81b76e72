"""What a File-set is at a position: the fold of its events, and what follows from it."""
