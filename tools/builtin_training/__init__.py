"""How the built-in depth network is trained: pictures, labels, training, one command.

    python -m tools.builtin_training --photos BG --foregrounds FG --teacher FASTDEPTH --work DIR

See docs/training.md.
"""
