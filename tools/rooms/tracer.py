"""Which surface each ray of the camera meets first, and where: exact, one solid at a time.

A solid is tested only against the rays inside its projected bounding box, front to back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tools.rooms.geometry import BOX, Assembly, Material, Primitive, Vector, turn
from tools.rooms.solids import Array, Triple, span

NEAR = 0.05


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        position: [3] float64, metres.
        yaw, pitch, roll: radians; yaw 0 looks along +y, positive pitch looks up.
        fov: horizontal field of view, radians.
    """

    position: Vector
    yaw: float
    pitch: float
    roll: float
    fov: float

    def axes(self) -> Vector:
        """Returns [3, 3] float64: rows are right, down and forward in the world."""
        frame = turn(self.yaw, self.pitch, self.roll)
        return np.stack([frame[:, 0], -frame[:, 2], frame[:, 1]])

    def focal(self, width: int) -> float:
        """Returns the focal length in pixels of a picture `width` pixels wide."""
        return width / 2 / float(np.tan(self.fov / 2))

    def rays(self, width: int, height: int, oversample: int = 1) -> Triple:
        """Returns ray directions with a forward component of 1, so that t is the z-depth.

        With oversample 2 the grid has 2 * size + 1 rays a side: odd rows and columns go through
        the pixel centres, the others half-way between.

        Returns:
            Three float32 arrays [rows, columns]: world x, y, z.
        """
        focal = self.focal(width)
        if oversample == 1:
            u = np.arange(width) + 0.5
            v = np.arange(height) + 0.5
        else:
            u = np.arange(2 * width + 1) / 2
            v = np.arange(2 * height + 1) / 2
        right, down, forward = self.axes()
        a = ((u - width / 2) / focal)[None, :]
        b = ((v - height / 2) / focal)[:, None]
        x, y, z = ((forward[i] + a * right[i] + b * down[i]).astype(np.float32) for i in range(3))
        return x, y, z


@dataclass(frozen=True)
class Opening:
    """A hole in a wall of the room: axis (0 x, 1 y), side (0 low, 1 high), from .. to, height."""

    axis: int
    side: int
    start: float
    end: float
    bottom: float
    top: float


@dataclass
class Shell:
    """A rectangular room seen from inside, with an optional opening into another one.

    Attributes:
        low, high: [3] float64 corners, metres.
        faces: materials of x-, x+, y-, y+, floor, ceiling.
        opening: the hole, or None.
        beyond: the room behind it.
    """

    low: Vector
    high: Vector
    faces: list[Material]
    opening: Opening | None = None
    beyond: Shell | None = None

    def surfaces(self) -> list[Primitive]:
        """Returns thin boxes just outside the six faces, to look up texture and normal by."""
        found = []
        for number, material in enumerate(self.faces):
            axis, side = divmod(number, 2)
            low, high = self.low.copy(), self.high.copy()
            edge = self.high[axis] if side else self.low[axis]
            low[axis], high[axis] = (edge, edge + 0.02) if side else (edge - 0.02, edge)
            found.append(Primitive(BOX, (low + high) / 2, np.eye(3), (high - low) / 2, material))
        return found


@dataclass
class World:
    """Everything that can be hit.

    Attributes:
        shell: the room, or None for objects in empty space.
        groups: assemblies; a group shares a bounding sphere for shadow tests.
        primitives: the shell's surfaces first, then all parts of all groups.
        group_slices: where each group's parts are in `primitives`.
        spheres: [G, 4] float32 bounding sphere of each group: centre, radius.
        bounds: [G, 2, 3] float64 axis-aligned bounds of each group.
        corners: [P, 8, 3] float64 corners of the oriented bounding box of each solid that is
            not part of the shell.
    """

    shell: Shell | None
    groups: list[Assembly]
    primitives: list[Primitive] = field(init=False)
    group_slices: list[tuple[int, int]] = field(init=False)
    spheres: Array = field(init=False)
    bounds: NDArray[np.float64] = field(init=False)
    corners: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.primitives = []
        if self.shell is not None:
            self.primitives += self.shell.surfaces()
            if self.shell.beyond is not None:
                self.primitives += self.shell.beyond.surfaces()
        self.first = len(self.primitives)
        self.group_slices = []
        for group in self.groups:
            start = len(self.primitives)
            self.primitives += group.parts
            self.group_slices.append((start, len(self.primitives)))
        solids = self.primitives[self.first :]
        signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], np.float64)
        centres = np.array([p.centre for p in solids]).reshape(-1, 3)
        spans = np.array([p.rotation * p.half for p in solids]).reshape(-1, 3, 3)
        self.corners = centres[:, None] + np.einsum("pij,cj->pci", spans, signs)
        low, high = self.corners.min(axis=1), self.corners.max(axis=1)
        starts = np.array([a - self.first for a, b in self.group_slices if b > a], int)
        if len(starts) != len(self.groups):
            raise ValueError("an assembly without parts")
        if not len(starts):
            self.bounds, self.spheres = np.zeros((0, 2, 3)), np.zeros((0, 4), np.float32)
            return
        self.bounds = np.stack(
            [np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)], axis=1
        )
        middle, reach = self.bounds.mean(axis=1), np.ptp(self.bounds, axis=1) / 2
        radius = np.sqrt((reach**2).sum(axis=1, keepdims=True))
        self.spheres = np.concatenate([middle, radius], axis=1).astype(np.float32)


def _shell_exit(shell: Shell, origin: Vector, rays: Triple) -> tuple[Array, NDArray[np.int16]]:
    """Returns where rays leave the room's box: t and the number of the face."""
    best: Array | None = None
    face = np.zeros(np.broadcast(*rays).shape, np.int16)
    for axis in range(3):
        d = rays[axis]
        up = d > 0
        edge = np.where(up, np.float32(shell.high[axis]), np.float32(shell.low[axis]))
        t = (edge - np.float32(origin[axis])) / (d + np.float32(1e-12))
        number = np.where(up, np.int16(2 * axis + 1), np.int16(2 * axis))
        if best is None:
            best, face = t, number
        else:
            closer = t < best
            best = np.where(closer, t, best)
            face = np.where(closer, number, face)
    assert best is not None
    return best, face


def _trace_shell(shell: Shell, origin: Vector, rays: Triple) -> tuple[Array, NDArray[np.int16]]:
    t, face = _shell_exit(shell, origin, rays)
    hole = shell.opening
    if hole is not None and shell.beyond is not None:
        other = 1 - hole.axis
        along = np.float32(origin[other]) + t * rays[other]
        height = np.float32(origin[2]) + t * rays[2]
        through = (
            (face == 2 * hole.axis + hole.side)
            & (along > hole.start)
            & (along < hole.end)
            & (height > hole.bottom)
            & (height < hole.top)
        )
        if through.any():
            far_t, far_face = _shell_exit(shell.beyond, origin, rays)
            t = np.where(through, far_t, t)
            face = np.where(through, far_face + np.int16(6), face)
    return t, face


def project_bounds(
    corners: NDArray[np.float64], camera: Camera, width: int, height: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projects the corners [P, 8, 3] of oriented bounding boxes.

    Returns:
        boxes: [P, 4] float64 pixel limits u0, v0, u1, v1; infinite where the solid reaches
            behind the camera.
        depths: [P, 2] float64 smallest and largest z-depth of the corners.
    """
    seen = (corners - camera.position) @ camera.axes().T
    z = seen[..., 2]
    focal = camera.focal(width)
    safe = np.maximum(z, NEAR)
    u = seen[..., 0] / safe * focal + width / 2
    v = seen[..., 1] / safe * focal + height / 2
    boxes = np.stack([u.min(1), v.min(1), u.max(1), v.max(1)], axis=1)
    crosses = z.min(1) < NEAR
    boxes[crosses] = (-np.inf, -np.inf, np.inf, np.inf)
    return boxes, np.stack([z.min(1), z.max(1)], axis=1)


def trace(
    world: World, camera: Camera, width: int, height: int, oversample: int = 1
) -> tuple[Array, NDArray[np.int16], Triple]:
    """Finds the first surface along each ray.

    Returns:
        depth: [rows, columns] float32 z-depth in metres; infinite where nothing is hit.
        number: [rows, columns] int16 index into world.primitives, -1 where nothing is hit.
        rays: the directions, as Camera.rays gives them.
    """
    rays = camera.rays(width, height, oversample)
    shape = rays[0].shape
    if world.shell is not None:
        depth, number = _trace_shell(world.shell, camera.position, rays)
    else:
        depth = np.full(shape, np.inf, np.float32)
        number = np.full(shape, -1, np.int16)
    solids = world.primitives[world.first :]
    if not solids:
        return depth, number, rays
    boxes, depths = project_bounds(world.corners, camera, width, height)
    scale = 1 if oversample == 1 else 2
    limit = np.array([shape[1], shape[0], shape[1], shape[0]])
    pixel = np.clip(boxes * scale + np.array([-1.0, -1.0, 2.0, 2.0]), 0, limit)
    pixel = np.where(np.isnan(pixel), 0, pixel).astype(int)
    for i in np.argsort(depths[:, 0], kind="stable"):
        u0, v0, u1, v1 = (int(c) for c in pixel[i])
        if u1 <= u0 or v1 <= v0 or depths[i, 1] <= NEAR:
            continue
        window = np.s_[v0:v1, u0:u1]
        known = depth[window]
        if depths[i, 0] > known.max():
            continue
        solid = solids[i]
        start = (camera.position - solid.centre).astype(np.float32)
        origin = (start[0], start[1], start[2])
        enter, leave = span(solid, origin, (rays[0][window], rays[1][window], rays[2][window]))
        hit = (enter < leave) & (enter < known) & (enter > 0)
        np.copyto(known, enter, where=hit)
        np.copyto(number[window], np.int16(world.first + i), where=hit)
    return depth, number, rays
