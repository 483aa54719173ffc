"""Networks: depth, segmentation, trained ones: what each is, opening, running, training it."""
