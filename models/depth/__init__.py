"""Depth networks: their cards, opening them from files, running them, DenseDepth itself."""
