"""Correcting a SOP Instance: some elements changed, all else byte for byte as it was."""
