"""X-ray angiography for the profiles that ask for icons, made of a CT that ships with pydicom."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread, examples
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1, XRayAngiographicImageStorage

PROFILE: Final = "STD-XABC-CD"


def angiogram(path: Path, *, frames: bytes | None = None, **values: Any) -> Path:
    """Save an instance that fits STD-XABC-CD, but for its pixels, which nobody can decode.

    `frames` are grey tones to be its pixels instead, uncompressed: 128 rows of as many a frame.
    """
    ds = dcmread(examples.get_path("ct"))
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = XRayAngiographicImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3." + "".join(
        filter(str.isdigit, path.stem)
    )
    ds.Modality, ds.ImageType = "XA", ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    for keyword in ("PixelPaddingValue", "RescaleSlope", "RescaleIntercept"):
        if keyword in ds:
            delattr(ds, keyword)
    if frames is None:
        ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        ds.PixelData = encapsulate([b"no JPEG"])
        ds["PixelData"].VR = "OB"
    else:
        ds.NumberOfFrames = len(frames) // 128**2
        ds.PixelData = frames
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
    return path


def losslessly_compressed(path: Path) -> Path:
    """Have DCMTK compress the pixels of a file as STD-XABC-CD wants them; return its path."""
    subprocess.run(["dcmcjpeg", "+e1", path, path], check=True)
    return path
