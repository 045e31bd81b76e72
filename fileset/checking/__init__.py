"""Checks: of a repository against its journal, and of any File-set against the Standard."""
