"""What `make lint` asks of migrations and of the API's schema; nothing of it is in an image."""
