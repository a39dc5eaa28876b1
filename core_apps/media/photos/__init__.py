"""Uploaded photos: checked, re-encoded without metadata, stored with a thumbnail, deleted with their row."""

from core_apps.media.photos.fields import PhotoField, get_small_name
from core_apps.media.photos.image import RETRY_AFTER, Photo, PhotosBusyError, read_photo

__all__ = ["RETRY_AFTER", "Photo", "PhotoField", "PhotosBusyError", "get_small_name", "read_photo"]
