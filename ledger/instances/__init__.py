"""From a file's bytes to the elements and the directory record that events hold."""
