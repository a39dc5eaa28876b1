"""None: the table is one of the migration's own. Django sends `post_migrate` only to an app that has this module."""
