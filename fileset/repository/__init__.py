"""Journal, vault and state of one File-set, kept together, and who may change them."""
