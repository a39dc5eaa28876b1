"""What `make run`, `make manage` and `make test` need on a bare machine; nothing of it is in an image."""
