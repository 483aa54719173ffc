"""From pictures to a data set: plain functions on arrays, and thin Beam steps over them."""
