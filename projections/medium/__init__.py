"""What belongs on a medium: File IDs, what is pending, and the plan of a write."""
