"""Results of a fold that are kept beside the journal and can be deleted at any time."""
