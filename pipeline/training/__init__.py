"""A run of `fgbg train`: its data set, folder, progress and results."""
