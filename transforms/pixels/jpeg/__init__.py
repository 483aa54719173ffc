"""JPEG pictures put together from restart segments that are encoded once."""
