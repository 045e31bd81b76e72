"""The DICOMDIR: encoding, decoding, checking and mending it (PS3.3 Annex F)."""
