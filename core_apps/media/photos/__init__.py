"""Photos that people upload: checked, drawn anew without metadata, kept with a thumbnail, deleted with their row."""

from core_apps.media.photos.fields import PhotoField, small_name
from core_apps.media.photos.reading import Photo, photo_of

__all__ = ["Photo", "PhotoField", "photo_of", "small_name"]
