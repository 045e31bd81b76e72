"""The frames of an instance: how many, which one to show, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fileset.pictures.unfit import number_of_frames

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_NUMBER_OF_FRAMES: Final = 0x00280008
_SAID: Final = (
    ("FrameVOILUTSequence", ("WindowCenter", "WindowWidth", "VOILUTFunction")),
    ("PixelValueTransformationSequence", ("RescaleSlope", "RescaleIntercept", "RescaleType")),
    ("PixelMeasuresSequence", ("PixelSpacing",)),
)
"""What functional groups say that others have at the top (PS3.3 Section C.7.6.16.2)."""


def frame_count(ds: Dataset) -> int:
    """Return how many frames an image has, at least one; InstanceError for what is no number."""
    if _NUMBER_OF_FRAMES not in ds:
        return 1
    value = ds.get_item(_NUMBER_OF_FRAMES).value  # as it is in the file, if it comes from one
    return number_of_frames(
        value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    )


def frame_to_show(ds: Dataset) -> int:
    """Return the number, from 0 on, of the frame that stands for the others.

    That is the Representative Frame, else one a third of the way in (PS3.3 Section F.7).
    """
    count = frame_count(ds)
    chosen = ds.get("RepresentativeFrameNumber")
    if isinstance(chosen, int) and 1 <= chosen <= count:
        return chosen - 1
    return (count - 1) // 3


def described_frame(ds: Dataset, number: int) -> Dataset:
    """Return `ds` with what the functional groups of a frame say in place of what it says."""
    from pydicom.dataset import Dataset

    described = Dataset()
    described.update(ds)
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        items: Any = ds.get(groups) or ()
        index = number if groups.startswith("PerFrame") else 0
        if index >= len(items):
            continue
        for sequence, keywords in _SAID:
            for said in (items[index].get(sequence) or ())[:1]:
                for keyword in keywords:
                    if keyword in said:
                        described[keyword] = said[keyword]
    return described
