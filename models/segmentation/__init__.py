"""Segmentation networks, which cut things out of photos."""
