"""Media that are handed out: images of them, written and read back."""
