"""Images of media: where each byte of a disc, a stick, a ZIP or a mail is, before any is read."""
