"""Synthetic indoor pictures with exact depth, and synthetic foreground cut-outs.

The project renders its own demo input (``samples/``) and the training pictures of its built-in
depth network with this package: boxes, frustums and ellipsoids, ray-cast in NumPy. Everything is
a pure function of the seed.

Depth is z-depth: metres along the optical axis, not along the ray, as NYU Depth v2 stores it.
"""

from tools.rooms.render import render_foreground, render_room

__all__ = ["render_foreground", "render_room"]
