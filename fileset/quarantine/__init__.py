"""Files that could not be added, kept with the reason."""
