"""A picture of one frame of an instance: from the stored values to what a viewer shows first.

pydicom's decoders give the stored values. What is done with them is PS3.4 Section N.2: the modality
transformation, the VOI transformation and the polarity, with the values that the instance itself
has for these. No presentation state is applied, and no overlay.
"""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypeAlias

from fileset.pictures.frames import described_frame, frame_count, frame_to_show
from fileset.pictures.unfit import KEYWORDS, refuse_lacking, refuse_short
from ledger.errors import InstanceError, LedgerError
from ledger.files import FileView
from ledger.instances.encodings import has_encapsulated
from ledger.phrases import needs
from ledger.uids import DEFLATED, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from pydicom.dataset import Dataset

INSTALL: Final = needs("Pictures need", "numpy, Pillow and decoders", "pictures")
_MOST: Final = 1 << 28  # pixels of a frame: Rows and Columns are at most 65,535 each
_AT_ONCE: Final = 1 << 20  # pixels that become tones together: on the way each takes many bytes
_GREY: Final = frozenset(("MONOCHROME1", "MONOCHROME2"))
_NUMBERS: Final = frozenset(("rows", "columns", "samples", "allocated"))
_NEEDED: Final = _NUMBERS | {"photometric"}
_FLOATS: Final = (32, 64)  # bits that pixels with a fraction have, which need less to be said
_UNSHOWN: Final = "its pixels can't be shown: {}"
_UNFIT: Final = _UNSHOWN.format("they are damaged, or not as the elements that describe them say")
_OF_THE_INSTANCE: Final = frozenset((None, errno.EINVAL, errno.EOVERFLOW))
"""Errors of a file that come from places and sizes that an instance has wrong."""
_PALETTE: Final = "PALETTE COLOR"


class PictureError(LedgerError):
    """An instance can't be shown; the message says why, without naming it."""


class NoImageError(PictureError):
    """An instance is none that could be shown: there is nothing wrong with it."""


class NotInstalledError(PictureError):
    """It can't be shown as long as something is not installed that can be."""


Source: TypeAlias = bytes | FileView | Path
"""A DICOM file, of which only the header and what is shown is read, unless it is at hand."""


def picture(source: Source, *, frame: int | None = None, longest: int | None = None) -> Image:
    """Return a frame of the instance in the DICOM file `source` as an 8-bit grey or RGB image.

    Parameters
    ----------
    source : bytes, FileView or Path
        The file.
    frame : int, optional
        The number of the frame, from 0 on; by default the one that stands for the others.
    longest : int, optional
        The most pixels of either side; larger pictures are made smaller.

    Raises
    ------
    PictureError
        If the instance has no pixels or can't be decoded; `NotInstalledError` if an extra is
        missing, or a decoder.
    OSError
        If the file can't be read.
    """
    needed()
    with _explained():
        ds, size = _header(source)
        count = _refuse(ds, size)
        number = frame_to_show(ds) if frame is None else frame
        if not 0 <= number < count:
            raise PictureError(f"it has no frame {number}: it has {count}, counted from 0")
        _refuse_short(ds, size, number)
        described = described_frame(ds, number)
        return _sized(_shown(_values(source, ds, number), described), described, longest)


def stored_values(path: Path, frame: int) -> NDArray[Any]:
    """Return the stored values of a frame, colours as RGB; PictureError if they can't be decoded.

    They have rows and columns, and samples as a third axis if there are several.
    """
    needed()
    with _explained():
        ds, size = _header(path)
        _refuse(ds, size)
        _refuse_short(ds, size, frame)
        return _values(path, ds, frame)


def frames_of(path: Path) -> tuple[int, int]:
    """Return how many frames the image at `path` has, and the one that stands for the others.

    Raises as `picture`.
    """
    needed()
    with _explained():
        ds, size = _header(path)
        return _refuse(ds, size), frame_to_show(ds)


def needed() -> None:
    """Raise `NotInstalledError` without the extra `[pictures]`."""
    try:
        import numpy  # noqa: F401, ICN001 - whether it is there
        import PIL.Image  # noqa: F401
    except ImportError:
        raise NotInstalledError(INSTALL) from None


@contextmanager
def _explained() -> Iterator[None]:
    """Have whatever goes wrong with the pixels of an instance be a `PictureError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PictureError:
        raise
    except OSError as exc:
        if exc.errno not in _OF_THE_INSTANCE:
            raise
        raise PictureError(_UNFIT) from exc
    except InstanceError as exc:
        raise PictureError(exc.reason) from exc
    except RuntimeError as exc:
        what = f"its pixels can't be decoded: {_of_pydicom(str(exc))}"
        is_lacking = "missing dependencies" in str(exc).partition("\n")[0]
        raise (NotInstalledError if is_lacking else PictureError)(what) from exc
    except MemoryError as exc:
        raise PictureError(_UNSHOWN.format("they take more memory than there is")) from exc
    except Exception as exc:
        raise PictureError(_UNFIT) from exc


def _of_pydicom(text: str) -> str:
    """Return why pydicom can't decode: its text lists the plug-ins that it has, a line each.

    What each one says of damaged pixels is not told: it differs with every run.
    """
    first, *rest = (line.strip() for line in text.split("\n"))
    if first.startswith("Unable to decode as exceptions were raised"):
        return "they are damaged, or not as their transfer syntax says"
    if "missing dependencies" in first:
        return f"no decoder of their transfer syntax is installed ({'; '.join(rest)})"
    return first.rstrip(":")


class _File(RawIOBase):
    """What a view gives, as a file."""

    name = ""  # which pydicom asks for

    def __init__(self, view: FileView) -> None:
        super().__init__()
        self._view = view
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        start = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: len(self._view)}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        piece = self._view[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _file(source: Source) -> BinaryIO | Path:
    if isinstance(source, Path):
        return source
    return BytesIO(source) if isinstance(source, bytes) else BufferedReader(_File(source))


def _header(source: Source) -> tuple[Dataset, int | None]:
    """Return what comes before the pixels, and how many bytes these have.

    It is 0 if there are none, and `None` if they are compressed.
    """
    from pydicom import dcmread

    file = _file(source)
    with file.open("rb") if isinstance(file, Path) else file as opened:
        ds = dcmread(opened, stop_before_pixels=True)
        uid = str(ds.file_meta.TransferSyntaxUID)
        at = opened.tell()
        head = opened.read(12)
        left = opened.seek(0, SEEK_END) - at
    if uid not in DEFLATED and not head:
        return ds, 0
    if uid in DEFLATED or has_encapsulated(uid) is not False:
        return ds, None
    order: Literal["big", "little"] = "big" if uid == EXPLICIT_VR_BIG_ENDIAN else "little"
    length = head[4:8] if uid == IMPLICIT_VR_LITTLE_ENDIAN else head[8:12]
    return ds, min(int.from_bytes(length, order), left)


def _values(source: Source, ds: Dataset, number: int) -> NDArray[Any]:
    """Return the stored values of a frame."""
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array

    file = _file(source)
    if ds.file_meta.TransferSyntaxUID.is_deflated:  # a frame of these can't be read on its own
        return pixel_array(dcmread(file), index=number)
    return pixel_array(file, index=number)


def _refuse(ds: Dataset, size: int | None) -> int:
    """Return how many frames there are; refuse if there is nothing to show, or too much."""
    if not size and "Rows" not in ds:
        raise NoImageError("it is not an image")
    if size == 0:
        raise PictureError("it has no pixels")
    lacking = {name for name in _NEEDED if KEYWORDS[name] not in ds}
    odd = [KEYWORDS[name] for name in _NUMBERS - lacking if _number(ds, name) is None]
    if odd:
        raise PictureError(f"it has no single number as its {', '.join(sorted(odd))}")
    if ds.get("SamplesPerPixel", 1) > 1 and "PlanarConfiguration" not in ds:
        lacking.add("planar")
    if ds.get("BitsAllocated") not in _FLOATS:
        lacking |= {name for name in ("stored", "signed") if KEYWORDS[name] not in ds}
    refuse_lacking(lacking)
    rows, columns = ds.Rows, ds.Columns
    if not rows or not columns:
        raise PictureError("it has no rows or no columns")
    if rows * columns > _MOST:
        raise PictureError(f"it has {rows:,} rows and {columns:,} columns: more than are shown")
    return frame_count(ds)


def _refuse_short(ds: Dataset, size: int | None, number: int) -> None:
    """Refuse if the pixels end before a frame does."""
    if size is None:
        return
    samples = 2 if ds.PhotometricInterpretation == "YBR_FULL_422" else ds.SamplesPerPixel
    bits = ds.Rows * ds.Columns * samples * ds.BitsAllocated * (number + 1)
    refuse_short(size, -(-bits // 8), frames=frame_count(ds), rows=ds.Rows, columns=ds.Columns)


def _number(ds: Dataset, name: str) -> int | None:
    try:
        value = ds.get(KEYWORDS[name])
    except Exception:  # noqa: BLE001 - pydicom has one of its own for each way to be damaged
        return None
    return value if isinstance(value, int) else None


# --- values to tones -----------------------------------------------------------------------------


def _shown(values: NDArray[Any], ds: Dataset) -> Image:
    """Return the picture that the stored `values` of a frame make, which `ds` describes."""
    from PIL import Image
    from pydicom.pixels.processing import apply_color_lut

    meaning = str(ds.get("PhotometricInterpretation", "MONOCHROME2")).strip()
    if values.ndim == 3:  # the third are samples
        return Image.fromarray(_eight_bits(values, int(ds.get("BitsStored", 8))))
    if meaning == _PALETTE:
        return Image.fromarray(_eight_bits(apply_color_lut(values, ds), 16))
    tones = _windowed(values, ds)
    if meaning == "MONOCHROME1" or ds.get("PresentationLUTShape") == "INVERSE":
        tones = 255 - tones
    return Image.fromarray(tones)


def _eight_bits(values: NDArray[Any], bits: int) -> NDArray[Any]:
    import numpy as np

    if values.dtype == np.uint8:
        return values
    return (values >> max(bits - 8, 0)).astype(np.uint8)


def _windowed(values: NDArray[Any], ds: Dataset) -> NDArray[Any]:
    """Return grey tones of 0 to 255 (PS3.3 Sections C.11.1 and C.11.2)."""
    import numpy as np

    toned = _toning(values, ds)
    tones = np.empty(values.shape, np.uint8)
    for rows in _strips(values):
        tones[rows] = toned(values[rows])
    return tones


def _strips(values: NDArray[Any]) -> Iterator[slice]:
    """Yield the rows of a frame, as many at a time as become tones together."""
    height, width = values.shape[:2]
    step = max(_AT_ONCE // width, 1)
    return (slice(first, first + step) for first in range(0, height, step))


def _toning(values: NDArray[Any], ds: Dataset) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what makes tones of stored values, of all that a frame has or of some."""
    import numpy as np
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    luts = ds.get("VOILUTSequence")
    if luts and luts[0].get("LUTData") is not None and luts[0].get("LUTDescriptor") is not None:
        bits = int(luts[0].LUTDescriptor[2])
        return lambda part: _scaled(
            apply_voi(apply_modality_lut(part, ds).astype(np.int64), ds), 0, (1 << bits) - 1
        )
    centre, width = (_first(ds.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if centre is not None and width:
        function = str(ds.get("VOILUTFunction") or "LINEAR")
        return lambda part: _in_window(apply_modality_lut(part, ds), centre, width, function)
    padding = ds.get("PixelPaddingValue")
    least, most = _extremes(values, ds, padding) or _extremes(values, ds, None) or (0.0, 0.0)
    return lambda part: _scaled(apply_modality_lut(part, ds), least, most)


def _extremes(values: NDArray[Any], ds: Dataset, padding: Any) -> tuple[float, float] | None:
    """Return the least and the greatest value, padding apart; `None` if that is all there is."""
    import numpy as np
    from pydicom.pixels.processing import apply_modality_lut

    found = []
    for rows in _strips(values):
        seen = apply_modality_lut(values[rows], ds)
        if padding is not None:
            seen = seen[values[rows] != padding]
        if seen.size:
            found += [float(seen.min()), float(seen.max())]
    return (float(np.min(found)), float(np.max(found))) if found else None


def _in_window(values: NDArray[Any], centre: float, width: float, function: str) -> NDArray[Any]:
    """Return tones by a window (PS3.3 Section C.11.2.1)."""
    import numpy as np

    exact = values.astype(np.float64)
    if function == "SIGMOID":
        return (255 / (1 + np.exp(-4 * (exact - centre) / width)) + 0.5).astype(np.uint8)
    if function != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1
    if width <= 0:
        return np.where(exact > centre, 255, 0).astype(np.uint8)
    return _scaled(exact, centre - width / 2, centre + width / 2)


def _scaled(values: NDArray[Any], least: float, most: float) -> NDArray[Any]:
    import numpy as np

    if most <= least:
        return np.full(values.shape, 0 if least <= 0 else 255, np.uint8)
    tones = (values.astype(np.float64) - least) * (255 / (most - least))
    return (np.clip(tones, 0, 255) + 0.5).astype(np.uint8)


def _first(value: Any) -> float | None:
    """Return the first one of the values of an element, `None` without one."""
    if isinstance(value, str) or not hasattr(value, "__getitem__"):
        return None if value in (None, "") else float(value)
    return float(value[0]) if len(value) else None


# --- size ----------------------------------------------------------------------------------------


def _sized(shown: Image, ds: Dataset, longest: int | None) -> Image:
    """Return the picture with square pixels, and no side longer than wanted."""
    down, across = _pixel_sides(ds)
    width, height = shown.width * max(across / down, 1), shown.height * max(down / across, 1)
    factor = min(1.0, longest / max(width, height)) if longest else 1.0
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return shown if size == shown.size else shown.resize(size)


def _pixel_sides(ds: Dataset) -> tuple[float, float]:
    """Return how high a pixel is and how wide, in the same unit whatever that is."""
    for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        value = ds.get(keyword)
        if value is not None and not isinstance(value, str) and len(value) == 2:
            down, across = float(value[0]), float(value[1])
            if down > 0 and across > 0 and 0.1 < down / across < 10:  # else a mistake
                return down, across
    return 1.0, 1.0
