"""Getting a repository back: from a damaged journal, or from an exported one."""
