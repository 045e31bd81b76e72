"""Raw bytes of a damaged database: what can still be read, and what of that is proven."""
