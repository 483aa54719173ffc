"""What runs: the command line, its options, the graph on one page, and the launchers."""

__version__ = "0.1.0"
