"""The browser of `fileset view`: a File-set, what is staged and what happened, on a terminal."""
