"""The building blocks of a scene: materials, convex primitives and assemblies of them.

Lengths are metres, the z axis points up. An assembly is built in its own frame, standing on
z = 0 with its front towards -y, and is then placed into the room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

BOX, FRUSTUM, ELLIPSOID = 0, 1, 2

Colour = tuple[float, float, float]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        texture: name of a pattern family in `patterns`.
        variant: which member of the family (taken modulo its size).
        colours: three sRGB colours in 0..1 that the pattern mixes.
        scale: metres covered by one repeat of the pattern; ignored when `unit`.
        unit: stretch the pattern once over each face instead of repeating it.
        front_only: the pattern is on the local -y face only; other faces are plain.
        gloss: 0 (matt) .. 1 (polished).
        emission: emitted light as a multiple of the colour; > 0 also casts no shadow.
        bevel: width in metres over which box edges are shaded as if rounded.
        contrast: strength of the pattern's shading channel.
    """

    texture: str
    variant: int
    colours: tuple[Colour, Colour, Colour]
    scale: float = 1.0
    unit: bool = False
    front_only: bool = False
    gloss: float = 0.05
    emission: float = 0.0
    bevel: float = 0.004
    contrast: float = 1.0


@dataclass(frozen=True)
class Primitive:
    """A convex solid: box, frustum (cylinder, cone) along its local z axis, or ellipsoid.

    Attributes:
        kind: BOX, FRUSTUM or ELLIPSOID.
        centre: [3] float64, metres.
        rotation: [3, 3] float64; columns are the local axes.
        half: [3] float64 half extents (semi-axes of an ellipsoid), metres.
        material: the surface.
        radii: bottom and top radius of a frustum, metres.
        slopes: dr/dz used for shading at bottom and top, so that stacked frustums look smooth.
        smooth: surfaces with the same positive number share their lighting across seams.
    """

    kind: int
    centre: Vector
    rotation: Vector
    half: Vector
    material: Material
    radii: tuple[float, float] = (0.0, 0.0)
    slopes: tuple[float, float] = (0.0, 0.0)
    smooth: int = 0

    def bounds(self) -> tuple[Vector, Vector]:
        """Returns the lower and upper corner ([3] each, metres) of an axis-aligned bound."""
        reach = np.abs(self.rotation) @ self.half
        return self.centre - reach, self.centre + reach


@dataclass(frozen=True)
class Top:
    """A horizontal rectangle on which things may stand (metres, in the assembly's frame)."""

    x: float
    y: float
    z: float
    width: float
    depth: float
    headroom: float = 1.0


def turn(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Vector:
    """Returns the [3, 3] rotation about z (yaw), then x (pitch), then y (roll); radians."""
    cy, sy = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    about_y = np.array([[cr, 0.0, sr], [0.0, 1.0, 0.0], [-sr, 0.0, cr]])
    return about_z @ about_x @ about_y


def align(direction: Sequence[float] | Vector) -> Vector:
    """Returns a [3, 3] rotation whose third column is the given direction."""
    x, y, z = (float(c) for c in direction)
    length = (x * x + y * y + z * z) ** 0.5
    x, y, z = x / length, y / length, z / length
    # First axis: the cross product of the world's x (or y) axis with the direction.
    a, b, c = (0.0, -z, y) if abs(x) < 0.9 else (z, 0.0, -x)
    size = (a * a + b * b + c * c) ** 0.5
    a, b, c = a / size, b / size, c / size
    return np.array(
        [[a, y * c - z * b, x], [b, z * a - x * c, y], [c, x * b - y * a, z]], np.float64
    )


@dataclass
class Assembly:
    """Primitives that belong together, e.g. a chair."""

    name: str = ""
    parts: list[Primitive] = field(default_factory=list)
    tops: list[Top] = field(default_factory=list)

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        material: Material,
        rotation: Vector | None = None,
    ) -> None:
        """Adds a box between the given limits, turned about its own centre."""
        low = np.array([x[0], y[0], z[0]], np.float64)
        high = np.array([x[1], y[1], z[1]], np.float64)
        frame = np.eye(3) if rotation is None else rotation
        half = np.maximum((high - low) / 2, 1e-4)
        self.parts.append(Primitive(BOX, (low + high) / 2, frame, half, material))

    def pole(
        self,
        start: Sequence[float],
        end: Sequence[float],
        radius: float,
        material: Material,
        end_radius: float | None = None,
        slopes: tuple[float, float] | None = None,
        smooth: int = 0,
    ) -> None:
        """Adds a cylinder or cone between two points."""
        a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
        length = float(np.linalg.norm(b - a))
        last = radius if end_radius is None else end_radius
        slope = (last - radius) / length
        widest = max(radius, last)
        self.parts.append(
            Primitive(
                FRUSTUM,
                (a + b) / 2,
                align(b - a),
                np.array([widest, widest, length / 2]),
                material,
                (radius, last),
                slopes or (slope, slope),
                smooth,
            )
        )

    def blob(
        self,
        centre: Sequence[float],
        radii: Sequence[float],
        material: Material,
        rotation: Vector | None = None,
        smooth: int = 0,
    ) -> None:
        """Adds an ellipsoid."""
        frame = np.eye(3) if rotation is None else rotation
        place, half = np.asarray(centre, np.float64), np.asarray(radii, np.float64)
        self.parts.append(Primitive(ELLIPSOID, place, frame, half, material, smooth=smooth))

    def lathe(
        self, profile: Sequence[tuple[float, float]], material: Material, smooth: int = 1
    ) -> None:
        """Adds a turned body from (radius, z) pairs with rising z, shaded smoothly."""
        points = np.asarray(profile, np.float64)
        slopes = np.gradient(points[:, 0], points[:, 1])
        for i in range(len(points) - 1):
            (r0, z0), (r1, z1) = points[i], points[i + 1]
            self.pole(
                (0, 0, z0),
                (0, 0, z1),
                float(r0),
                material,
                float(r1),
                (float(slopes[i]), float(slopes[i + 1])),
                smooth,
            )

    def add(
        self,
        other: Assembly,
        x: float = 0.0,
        y: float = 0.0,
        z: float = 0.0,
        yaw: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        """Merges a placed copy of another assembly (its tops included)."""
        copy = other.placed(x, y, z, yaw, scale)
        self.parts.extend(copy.parts)
        self.tops.extend(copy.tops)

    def placed(
        self,
        x: float,
        y: float,
        z: float,
        yaw: float = 0.0,
        scale: float = 1.0,
        rotation: Vector | None = None,
    ) -> Assembly:
        """Returns a copy scaled, turned about z (or by `rotation`) and then moved."""
        frame = turn(yaw) if rotation is None else rotation
        shift = np.array([x, y, z], np.float64)
        moved = Assembly(self.name)
        for part in self.parts:
            moved.parts.append(
                replace(
                    part,
                    centre=frame @ part.centre * scale + shift,
                    rotation=frame @ part.rotation,
                    half=part.half * scale,
                    radii=(part.radii[0] * scale, part.radii[1] * scale),
                )
            )
        for top in self.tops:
            spot = frame @ np.array([top.x, top.y, top.z]) * scale + shift
            # Tops stay axis-aligned: quarter turns swap the sides, other turns keep the core.
            turned = np.abs(frame[:2, :2]) @ np.array([top.width, top.depth]) * scale
            straight = max(abs(frame[0, 0]), abs(frame[0, 1])) > 0.999
            core = min(top.width, top.depth) * scale * 0.7
            width, depth = (float(turned[0]), float(turned[1])) if straight else (core, core)
            moved.tops.append(Top(spot[0], spot[1], spot[2], width, depth, top.headroom * scale))
        return moved

    def bounds(self) -> tuple[Vector, Vector]:
        """Returns the lower and upper corner ([3] each, metres) of an axis-aligned bound."""
        corners = [part.bounds() for part in self.parts]
        low = np.min([c[0] for c in corners], axis=0)
        high = np.max([c[1] for c in corners], axis=0)
        return low, high
