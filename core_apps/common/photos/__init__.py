"""Photos that people upload: checked, drawn anew without metadata, kept with a thumbnail, deleted with their row."""

from core_apps.common.photos.fields import PhotoField, small_name
from core_apps.common.photos.reading import Photo, photo_of

__all__ = ["Photo", "PhotoField", "photo_of", "small_name"]
