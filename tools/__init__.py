"""The workshop: makes samples/ and the built-in network. Not installed."""
