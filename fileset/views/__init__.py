"""The objects that programs use: instances, directory records, history and search results."""
