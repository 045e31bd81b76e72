"""Raw bytes of a damaged database: what can still be read of it, and what of that is proven."""
