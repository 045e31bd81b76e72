"""What programs hold: instances, directory records, history and search results."""
