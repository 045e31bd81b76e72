"""Archives: what is in a ZIP file or a disc image, read where it lies and never unpacked."""
