"""The application profile of a File-set: what it asks of instances, read and recorded."""
