"""What happened to a File-set: effects of changes, where they stand, and differences."""
