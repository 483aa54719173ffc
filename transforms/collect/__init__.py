"""Collecting pictures: searched, downloaded with care, checked, chosen and written."""
