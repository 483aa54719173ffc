"""The job: the data set to make, its work units, and the commit records of finished ones."""
