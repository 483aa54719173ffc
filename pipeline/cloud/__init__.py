"""Runners elsewhere: Dataflow, its machines and GPUs, price, the launch."""
