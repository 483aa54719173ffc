"""A data set on disk: its inputs, samples, manifest, card and sheets, written and read."""
