"""Bulk labels: depth and masks of any pictures by a network, resumable."""
