"""Training of one network with two heads, mask and depth, on a data set of fgbg.

Nothing here knows how a data set lies on the disk: it is handed over as plain data (samples.py).
"""
