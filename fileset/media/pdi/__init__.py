"""IHE Portable Data for Imaging: what a medium has for people who have no DICOM viewer.

That is README.TXT, INDEX.HTM and the folder IHE_PDI with XHTML pages and JPEG previews of what the
File-set contains. What goes on a medium is kept in the vault by its digest, so none of this has to
come out the same again.
"""
