"""What commands do to a whole data set: plan, merge, lock, finish."""
