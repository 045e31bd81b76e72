"""What happened to a File-set: effects of changes, which are in force, and differences."""
