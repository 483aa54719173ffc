"""Worker processes: starting them, their tasks, the local run of the graph."""
