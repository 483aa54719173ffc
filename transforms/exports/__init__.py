"""Other forms of a data set, one module a format."""
