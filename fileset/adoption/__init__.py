"""Taking over what others made: File-sets with a DICOMDIR, and folders without one."""
