"""From "which solid, how far" to position, normal and colour of what each ray sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.rooms.atlas import atlas
from tools.rooms.geometry import BOX, ELLIPSOID, FRUSTUM
from tools.rooms.patterns import TILE
from tools.rooms.solids import Array, Triple
from tools.rooms.tracer import World

# Families whose lines run along the longest side of a box.
_GRAINED = ("wood", "metal")


def linear(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Converts sRGB in 0..1 to linear light."""
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


@dataclass
class Surface:
    """What the rays see, each [H, W] or [3, H, W] float32 unless said otherwise.

    Attributes:
        position: world metres.
        normal: unit, towards the viewer's side.
        albedo: linear RGB.
        gloss: 0..1.
        emission: multiple of the albedo.
        key: [H, W] int32, equal on a continuous smooth surface.
        hit: [H, W] bool.
    """

    position: Array
    normal: Array
    albedo: Array
    gloss: Array
    emission: Array
    key: NDArray[np.int32]
    hit: NDArray[np.bool_]


class Tables:
    """The primitives' parameters as arrays, one row a primitive, to be gathered by pixel."""

    def __init__(self, world: World) -> None:
        parts = world.primitives
        sheet = atlas()
        self.kind = np.array([p.kind for p in parts], np.int8)
        # [3, 3, P]: into local axes. Planes, not rows, are gathered: numpy is faster that way.
        self.frame = np.stack([p.rotation.T for p in parts], axis=-1).astype(np.float32)
        self.centre = np.stack([p.centre for p in parts], axis=-1).astype(np.float32)
        self.half = np.stack([p.half for p in parts], axis=-1).astype(np.float32)
        self.radii = np.array([p.radii for p in parts], np.float32).T
        self.slopes = np.array([p.slopes for p in parts], np.float32).T
        materials = [p.material for p in parts]
        self.pattern = np.array([sheet.index(m.texture, m.variant) for m in materials], np.int32)
        self.plain = sheet.index("plain", 0)
        colours = linear(np.array([m.colours for m in materials])).astype(np.float32)
        self.colours = np.ascontiguousarray(colours.transpose(1, 2, 0))  # [3 colours, RGB, P]
        self.scale = np.array([m.scale for m in materials], np.float32)
        self.unit = np.array([m.unit for m in materials])
        self.front_only = np.array([m.front_only for m in materials])
        self.grained = np.array([m.texture in _GRAINED for m in materials])
        self.gloss = np.array([m.gloss for m in materials], np.float32)
        self.emission = np.array([m.emission for m in materials], np.float32)
        self.contrast = np.array([m.contrast for m in materials], np.float32)
        bevel = np.array([m.bevel for m in materials], np.float32)
        self.bevel = np.minimum(bevel, 0.45 * self.half.min(axis=0)) + np.float32(1e-6)
        group = np.zeros(len(parts), np.int32)
        for number, (first, last) in enumerate(world.group_slices):
            group[first:last] = number + 1
        smooth = np.array([p.smooth for p in parts], np.int32)
        own = np.arange(len(parts), dtype=np.int32) * 8
        # Below the range of the others so that no two can be equal.
        self.key = np.where(smooth > 0, -8 * (group * 64 + smooth), own).astype(np.int32)


Local: TypeAlias = tuple[Array, Array, Array, Array, Array, NDArray[np.int8]]


def _boxes(t: Tables, n: NDArray[np.intp], local: Array) -> Local:
    """Treats every hit as one on a box.

    Args:
        t: the parameters.
        n: [H, W] primitives.
        local: [3, H, W] points in the primitives' own axes.

    Returns:
        normal [3, H, W], u and v in metres, the face's half sizes along u and v, and the number
        of the face, each [H, W].
    """
    size = np.abs(local)
    half = np.stack([t.half[i].take(n) for i in range(3)])
    bevel = t.bevel.take(n)
    share = size / half
    is_z = (share[2] >= share[0]) & (share[2] >= share[1])
    is_x = (share[0] >= share[1]) & ~is_z
    normal = np.copysign(np.maximum(size - half + bevel, 0), local)
    x, y, z = local
    u = np.where(is_x, np.copysign(y, y * x), np.where(is_z, x, np.copysign(x, -x * y)))
    v = np.where(is_z, -y, -z)
    u_half = np.where(is_x, half[1], half[0])
    v_half = np.where(is_z, half[1], half[2])
    across = np.where(is_x, x, np.where(is_z, z, y))
    face = np.where(is_x, 0, np.where(is_z, 4, 2)) + (across > 0)
    return normal, u, v, u_half, v_half, face.astype(np.int8)


def _round(t: Tables, n: NDArray[np.intp], p: Array) -> Local:
    """As `_boxes`, for points [3, N] on frustums and ellipsoids."""
    half, radii, slopes = t.half[:, n], t.radii[:, n], t.slopes[:, n]
    x, y, z = p
    angle = np.arctan2(y, x)
    rho = np.hypot(x, y) + np.float32(1e-9)
    share = np.clip(z / half[2] * 0.5 + 0.5, 0, 1)
    radius = radii[0] + share * (radii[1] - radii[0])
    cone = t.kind[n] == FRUSTUM
    # Well inside the rim, else the seams of turned bodies would show as caps.
    cap = cone & (half[2] - np.abs(z) < np.abs(radius - rho)) & (rho < radius * 0.999)
    slope = slopes[0] + share * (slopes[1] - slopes[0])
    side = np.stack([x / rho, y / rho, -slope])
    lid = np.stack([np.zeros_like(x), np.zeros_like(x), np.sign(z)])
    normal = np.where(cone, np.where(cap, lid, side), p / (half * half))
    widest = half[0]
    latitude = np.arcsin(np.clip(z / half[2], -1, 1))
    u = np.where(cap, x, angle * widest)
    v = np.where(cap, -y, np.where(cone, -z, -latitude * half[2]))
    u_half = np.where(cap, widest, np.pi * widest)
    v_half = np.where(cap, widest, np.where(cone, half[2], np.pi / 2 * half[2]))
    face = np.where(cap, np.where(z > 0, 5, 4), 0).astype(np.int8)
    return normal, u, v, u_half, v_half, face


def resolve(
    world: World,
    depth: Array,
    number: NDArray[np.int16],
    rays: Triple,
    origin: NDArray[np.float64],
    pixel: float,
) -> Surface:
    """Looks up everything that shading needs.

    Args:
        world: the scene.
        depth: [H, W] float32 as from `trace`.
        number: [H, W] int16.
        rays: directions.
        origin: [3] the camera.
        pixel: angle of one sample, radians (1 / focal length in samples).
    """
    t = Tables(world)
    hit = number >= 0
    n = np.where(hit, number, 0).astype(np.intp)
    z = np.where(hit, depth, 1).astype(np.float32)
    start = origin.astype(np.float32)
    position = np.stack([start[i] + rays[i] * z for i in range(3)])
    offset = position - np.stack([t.centre[i].take(n) for i in range(3)])
    frame = [[t.frame[i, j].take(n) for j in range(3)] for i in range(3)]
    local = np.stack(
        [row[0] * offset[0] + row[1] * offset[1] + row[2] * offset[2] for row in frame]
    )
    normal, u, v, u_half, v_half, face = _boxes(t, n, local)
    kind = t.kind.take(n)
    curved = kind != BOX
    if curved.any():
        around = _round(t, n[curved], local[:, curved])
        normal[:, curved] = around[0]
        u[curved], v[curved], u_half[curved], v_half[curved], face[curved] = around[1:]
    turned = [
        frame[0][j] * normal[0] + frame[1][j] * normal[1] + frame[2][j] * normal[2]
        for j in range(3)
    ]
    length = np.sqrt(turned[0] ** 2 + turned[1] ** 2 + turned[2] ** 2) + np.float32(1e-12)
    normal = np.stack([c / length for c in turned])

    metres = t.scale.take(n)
    swap = t.grained.take(n) & (v_half > u_half)
    a, b = np.where(swap, v, u), np.where(swap, u, v)
    unit = t.unit.take(n)
    # Each primitive starts at another place of the pattern: no two boards look the same.
    shift = (n.astype(np.float32) * np.float32(0.618034)) % 1
    pu = np.where(unit, u / (2 * u_half) + np.float32(0.5), _fraction(a / metres + shift))
    pv = np.where(unit, v / (2 * v_half) + np.float32(0.5), _fraction(b / metres + shift))
    covers = np.where(unit, 2 * np.minimum(u_half, v_half), metres)
    slant = np.abs(normal[0] * rays[0] + normal[1] * rays[1] + normal[2] * rays[2])
    footprint = z * np.float32(pixel * TILE) / (covers * np.sqrt(np.maximum(slant, 0.03)))
    level = np.log2(np.maximum(footprint, np.float32(1e-3)))
    front_only = t.front_only.take(n)
    front = ~front_only | (face == 2)
    pattern = np.where(front, t.pattern.take(n), np.int32(t.plain))
    sheet = atlas()
    first, second, tone = cv2.split(sheet.sample(pattern, pu, pv, level))
    first, second = (c * np.float32(1 / 255) for c in (first, second))
    # Stains and fading over metres, so that large surfaces are never quite even.
    stain = np.full(n.shape, sheet.index("concrete", 1), np.int32)
    spot = (_fraction(u / np.float32(2.9) + shift), _fraction(v / np.float32(2.9) + shift))
    cloud = sheet.sample(stain, *spot, level - 1)[..., 0]
    strength = t.contrast.take(n) * np.float32(2.6 / 255)
    shade = np.exp((tone - np.float32(127.5)) * strength)
    shade *= np.float32(0.94) + cloud * np.float32(0.12 / 255)
    albedo = np.empty_like(position)
    for i in range(3):
        base, other, third = (t.colours[k, i].take(n) for k in range(3))
        mixed = base + first * (other - base)
        mixed += second * (third - mixed)
        albedo[i] = np.clip(mixed * shade, 0.004, 1.0)
    key = t.key.take(n) + np.where(kind == ELLIPSOID, 0, face)
    return Surface(
        position,
        normal,
        albedo,
        t.gloss.take(n),
        np.where(front, t.emission.take(n), np.float32(0)),
        np.where(hit, key, -1).astype(np.int32),
        hit,
    )


def _fraction(values: Array) -> Array:
    """Returns values modulo 1 (faster than % on arrays)."""
    return values - np.floor(values)
