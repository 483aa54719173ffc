"""Distributed engines on this machine, to run the graph on: Flink and Prism, without containers."""
