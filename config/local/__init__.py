"""Runs `make run`, `make manage` and `make test` on a bare machine; not part of any image."""
