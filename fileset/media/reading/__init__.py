"""Reading media back: discs, sticks, ZIPs and folders, whoever made them, and however hostile."""

# `fileset.archives` reads discs and ZIPs as well, and shares nothing but the formats: it salvages
# what it can, by the names that people know (Rock Ridge, Joliet), member by member at any offset.
# Here a medium is whole or refused, its names are File IDs, and its files come in the order in
# which they lie, hashed on the way, so that a pipe and a slow device are read once. One reader for
# both would have a switch at nearly every line.
