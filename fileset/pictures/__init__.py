"""Pictures of instances: a frame as people look at it. They need the extra `[pictures]`."""

from __future__ import annotations

from fileset.pictures.picture import NoImageError, PictureError, picture

__all__ = ["NoImageError", "PictureError", "picture"]
