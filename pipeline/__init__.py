"""The command line, the graph on one page, and what launches it."""
