"""Writes that take more than one `save()`, shared by admin and API."""
