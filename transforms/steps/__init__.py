"""The steps of the graph: Beam DoFns and PTransforms over the other rooms' functions."""
