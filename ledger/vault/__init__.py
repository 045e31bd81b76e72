"""The bytes of instances, by SHA-256, in append-only packs."""
