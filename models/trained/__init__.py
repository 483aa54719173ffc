"""The networks of `fgbg train`: their layers, their card, running them."""
