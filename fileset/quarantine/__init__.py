"""What was offered and could not be taken, kept with the reason."""
