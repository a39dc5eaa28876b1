"""Empty: a migration creates the table. Django sends `post_migrate` only to apps that have this module."""
