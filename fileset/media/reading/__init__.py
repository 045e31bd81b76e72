"""Reading media back: discs, sticks, ZIPs and folders, whoever made them, and however hostile."""
