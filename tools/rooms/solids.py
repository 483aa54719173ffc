"""Where rays enter and leave a convex solid, in closed form and vectorised over rays.

Every function takes ray origins and directions in the solid's own frame (three float32 arrays or
scalars each, broadcastable) and returns (enter, leave): the parameters t of origin + t * direction
between which the ray is inside. enter >= leave means a miss.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tools.rooms.geometry import BOX, FRUSTUM, Primitive

Array: TypeAlias = NDArray[np.float32]
Triple: TypeAlias = tuple[Array, Array, Array]
Span: TypeAlias = tuple[Array, Array]

# Added to directions so that none is exactly zero; far below float32 resolution elsewhere.
_TINY = np.float32(1e-12)
_FAR = np.float32(1e9)


def _slab(origin: Array, direction: Array, half: float) -> Span:
    inverse = np.float32(1.0) / (direction + _TINY)
    a = (np.float32(-half) - origin) * inverse
    b = (np.float32(half) - origin) * inverse
    return np.minimum(a, b), np.maximum(a, b)


def box_span(origin: Triple, direction: Triple, half: tuple[float, float, float]) -> Span:
    """Span inside the box |x|, |y|, |z| <= half."""
    enter, leave = _slab(origin[0], direction[0], half[0])
    for axis in (1, 2):
        near, far = _slab(origin[axis], direction[axis], half[axis])
        enter, leave = np.maximum(enter, near), np.minimum(leave, far)
    return enter, leave


def ellipsoid_span(origin: Triple, direction: Triple, half: tuple[float, float, float]) -> Span:
    """Span inside the ellipsoid with the given semi-axes."""
    o = [origin[i] * np.float32(1 / half[i]) for i in range(3)]
    d = [direction[i] * np.float32(1 / half[i]) for i in range(3)]
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
    # Distance of the line to the centre, from the nearest point: no cancellation for far solids.
    along = -b / a
    e = [o[i] + along * d[i] for i in range(3)]
    rest = np.float32(1.0) - (e[0] * e[0] + e[1] * e[1] + e[2] * e[2])
    reach = np.sqrt(np.maximum(rest, 0.0) / a)
    miss = rest <= 0
    return np.where(miss, _FAR, along - reach), np.where(miss, -_FAR, along + reach)


def frustum_span(
    origin: Triple, direction: Triple, radii: tuple[float, float], half_height: float
) -> Span:
    """Span inside the frustum |z| <= half_height with the bottom and top radius given."""
    slope = np.float32((radii[1] - radii[0]) / (2 * half_height))
    middle = np.float32((radii[0] + radii[1]) / 2)
    ox, oy, oz = origin
    dx, dy, dz = direction
    base = middle + slope * oz
    rate = slope * dz
    a = dx * dx + dy * dy - rate * rate
    a = np.where(np.abs(a) < 1e-9, np.float32(1e-9), a)
    b = ox * dx + oy * dy - base * rate
    c = ox * ox + oy * oy - base * base
    middle_t = -b / a
    rest = middle_t * middle_t - c / a
    reach = np.sqrt(np.maximum(rest, 0.0))
    enter, leave = middle_t - reach, middle_t + reach
    miss = rest <= 0
    if slope != 0:
        # Steeper than the cone: inside before the first or after the second root, on the side
        # where the radius is positive.
        steep = a < 0
        rising = rate > 0
        first, second = enter, leave
        enter = np.where(steep, np.where(rising, second, -_FAR), first)
        leave = np.where(steep, np.where(rising, _FAR, first), second)
    near, far = _slab(oz, dz, half_height)
    enter, leave = np.maximum(enter, near), np.minimum(leave, far)
    return np.where(miss, _FAR, enter), np.where(miss, -_FAR, leave)


def into_frame(primitive: Primitive, vectors: Triple) -> Triple:
    """Turns world vectors into the primitive's axes."""
    x, y, z = vectors
    r = primitive.rotation.astype(np.float32)
    if abs(r[2, 2]) > 0.9999999:  # only turned about z: most furniture
        if abs(r[0, 0]) > 0.9999999:
            return x * np.sign(r[0, 0]), y * np.sign(r[1, 1]), z * np.sign(r[2, 2])
        return x * r[0, 0] + y * r[1, 0], x * r[0, 1] + y * r[1, 1], z * r[2, 2]
    return (
        x * r[0, 0] + y * r[1, 0] + z * r[2, 0],
        x * r[0, 1] + y * r[1, 1] + z * r[2, 1],
        x * r[0, 2] + y * r[1, 2] + z * r[2, 2],
    )


def span(primitive: Primitive, origin: Triple, direction: Triple) -> Span:
    """Span of world rays inside a primitive.

    Args:
        primitive: the solid.
        origin: three float32 arrays or scalars, metres, relative to the primitive's centre.
        direction: three float32 arrays.
    """
    o, d = into_frame(primitive, origin), into_frame(primitive, direction)
    hx, hy, hz = (float(h) for h in primitive.half)
    if primitive.kind == BOX:
        return box_span(o, d, (hx, hy, hz))
    if primitive.kind == FRUSTUM:
        return frustum_span(o, d, primitive.radii, hz)
    return ellipsoid_span(o, d, (hx, hy, hz))
