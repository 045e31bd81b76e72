"""Adding instances: finding files, reading them, and recording them as one change."""
