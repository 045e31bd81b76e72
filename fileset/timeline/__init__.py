"""Looking back: moments, tags, the log of changes, blame and comparisons."""
