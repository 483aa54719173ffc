"""The steps of the graph: plain functions on arrays, and thin Beam transforms over them."""
