"""Writes that are more than one `save()`; admin and API call the same."""
