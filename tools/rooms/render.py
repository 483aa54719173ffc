"""Renders a world: `render_room` and `render_foreground`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.rooms.foregrounds import draw_foreground
from tools.rooms.lighting import Lamp, spread_up, visibility
from tools.rooms.scene import draw_scene
from tools.rooms.sensor import Sensor, encode, halve, photograph, tone
from tools.rooms.solids import Array
from tools.rooms.surfaces import Surface, resolve
from tools.rooms.tracer import Camera, World, trace

SHADOW_LAMPS = 3


def _light(
    surface: Surface, lamps: list[Lamp], seen: Array, ambient: float, camera: Camera, world: World
) -> Array:
    """Returns the light leaving each surface point towards the camera, [H, W, 3] float32."""
    position, normal = surface.position, surface.normal
    beyond = _beyond(world, position)
    view = camera.position.astype(np.float32)[:, None, None] - position
    view /= _length(view)
    direct = np.zeros_like(position)
    shine = np.zeros_like(position)
    glossy = np.where(_dot(view, normal) > 0.05, surface.gloss * np.float32(2.5), 0)
    for i, lamp in enumerate(lamps):
        place = lamp.position.astype(np.float32)[:, None, None]
        if lamp.beam is None:
            towards = place - position
            squared = _dot(towards, towards)
            towards /= np.sqrt(squared + np.float32(1e-6))
            strength = np.clip(_dot(towards, normal) * np.float32(0.9) + np.float32(0.1), 0, 1)
            strength /= squared + np.float32(0.4)
        else:
            towards = np.broadcast_to(place, position.shape)
            strength = np.clip(_dot(towards, normal), 0, 1)
        if lamp.facing is not None:
            facing = lamp.facing.astype(np.float32)[:, None, None]
            strength *= np.clip(np.float32(0.15) - _dot(towards, facing), 0, 1)
        if i < seen.shape[2] - 1:
            strength *= seen[..., i]
        if world.shell is not None and world.shell.opening is not None:
            strength *= beyond == bool(lamp.inside)
        middle = towards + view
        highlight = np.clip(_dot(middle, normal) / _length(middle), 0, 1)
        for _ in range(5):  # to the power of 32
            highlight *= highlight
        highlight *= strength * glossy
        for channel in range(3):
            direct[channel] += strength * np.float32(lamp.colour[channel])
            shine[channel] += highlight * np.float32(lamp.colour[channel])
    # Light bounced about the room: the mean of the direct light, tinted by what it met.
    sample = (slice(None), slice(None, None, 7), slice(None, None, 7))
    bounced = (direct[sample] * (0.35 + surface.albedo[sample]))[:, surface.hit[sample[1:]]]
    mean = bounced.mean(axis=1) if bounced.size else np.ones(3, np.float32)
    openness = seen[..., -1] * np.float32(0.93) + np.float32(0.07)
    indirect = openness * (np.float32(0.92) + normal[2] * np.float32(0.08)) * np.float32(ambient)
    facing_us = _dot(view, normal)
    # Rounded edges may turn from the camera: they would glitter.
    graze = np.where(facing_us > 0, 1 - facing_us, 0)
    graze *= graze
    sheen = surface.gloss * (np.float32(0.05) + graze * graze) * openness * np.float32(0.6)
    light = np.empty((*seen.shape[:2], 3), np.float32)
    for i in range(3):
        sent = direct[i] + indirect * mean[i] + surface.emission
        light[..., i] = surface.albedo[i] * sent + shine[i] + sheen * mean[i]
    return light


def _dot(a: Array, b: Array) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _length(a: Array) -> Array:
    return np.sqrt(_dot(a, a)) + np.float32(1e-9)


def _beyond(world: World, position: Array) -> NDArray[np.bool_]:
    """Returns which points [3, H, W] are in the room behind the opening."""
    shell = world.shell
    if shell is None or shell.opening is None:
        return np.zeros(position.shape[1:], bool)
    axis = shell.opening.axis
    if shell.opening.side:
        return position[axis] > shell.high[axis] + 1e-3
    return position[axis] < shell.low[axis] - 1e-3


def _shade(
    world: World,
    camera: Camera,
    lamps: list[Lamp],
    ambient: float,
    traced: tuple[Array, NDArray[np.int16], tuple[Array, Array, Array]],
    pixel: float,
    step: int,
) -> tuple[Array, Surface]:
    depth, number, rays = traced
    surface = resolve(world, depth, number, rays, camera.position, pixel)
    coarse = np.s_[::step, ::step]
    points = np.ascontiguousarray(surface.position[:, ::step, ::step])
    normals = np.ascontiguousarray(surface.normal[:, ::step, ::step])
    key = np.ascontiguousarray(surface.key[coarse])
    beyond = _beyond(world, points)
    shadowed = lamps[:SHADOW_LAMPS]
    seen = visibility(world, shadowed, points, normals, number[coarse], key, beyond)
    fine = spread_up(seen, key, surface.key, step)
    return _light(surface, lamps, fine, ambient, camera, world), surface


def render_room(
    seed: int, width: int, height: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Renders an indoor picture with its depth.

    The scene depends on the seed alone, not on the size.

    Args:
        seed: any non-negative integer.
        width, height: size in pixels.

    Returns:
        rgb: [height, width, 3] uint8 sRGB.
        depth: [height, width] float32 z-depth in metres (along the optical axis) of the surface
            at each pixel's centre; exact and always finite.
    """
    scene = draw_scene(seed)
    traced = trace(scene.world, scene.camera, width, height, oversample=2)
    pixel = 1 / (2 * scene.camera.focal(width))
    light, surface = _shade(
        scene.world, scene.camera, scene.lamps, scene.ambient, traced, pixel, step=4
    )
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 3])))
    metered = (surface.emission == 0)[1::2, 1::2]
    rgb = photograph(halve(light), metered, Sensor.draw(rng), rng)
    return rgb, np.ascontiguousarray(traced[0][1::2, 1::2])


def render_foreground(seed: int, height: int, kind: str | None = None) -> NDArray[np.uint8]:
    """Renders an object as a cut-out.

    Args:
        seed: any non-negative integer.
        height: height of the cut-out in pixels; the width follows from the object.
        kind: a name from foregrounds.KINDS; drawn from the seed if None.

    Returns:
        [height, W, 4] uint8 sRGB with straight alpha, cropped to the object. Colour of
        half-covered pixels is the object's own, and goes on under alpha 0.
    """
    stage = draw_foreground(seed, height, kind)
    factor = 4
    traced = trace(stage.world, stage.camera, stage.width * factor, stage.height * factor)
    pixel = 1 / stage.camera.focal(stage.width * factor)
    light, surface = _shade(
        stage.world, stage.camera, stage.lamps, stage.ambient, traced, pixel, step=factor
    )
    luminance = light[surface.hit] @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    typical = float(np.exp(np.mean(np.log(luminance + 1e-4))))
    light = encode(tone(light * np.float32(stage.exposure / typical * 1.25)))
    return _cut_out(light, surface.hit.astype(np.float32), height)


def _cut_out(colour: Array, cover: Array, height: int) -> NDArray[np.uint8]:
    """Crops to the object, reduces to the height and spreads its colour under alpha 0.

    Args:
        colour: [H, W, 3] float32 sRGB samples in 0..1.
        cover: [H, W] float32, 1 on the object and 0 elsewhere.
        height: of the result.
    """
    rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cover = cover[window]
    summed = np.dstack([colour[window] * cover[..., None], cover])
    width = max(1, round(cover.shape[1] * height / cover.shape[0]))
    summed = cv2.resize(summed, (width, height), interpolation=cv2.INTER_AREA)
    alpha = summed[..., 3]
    # Averaged premultiplied and divided again: the edge keeps the object's colour, no dark halo.
    rgb = summed[..., :3] / np.maximum(alpha, 1e-6)[..., None]
    value = np.rint(alpha * 255).astype(np.uint8)
    known = (alpha > 0).astype(np.float32)
    filled = rgb * known[..., None]
    for _ in range(4):  # resizing later reads a few pixels beyond the edge
        padded = np.pad(filled, ((1, 1), (1, 1), (0, 0)))
        weight = np.pad(known, 1)
        total = np.zeros_like(filled)
        count = np.zeros_like(known)
        for i in range(3):
            for j in range(3):
                total += padded[i : i + known.shape[0], j : j + known.shape[1]]
                count += weight[i : i + known.shape[0], j : j + known.shape[1]]
        grow = (known == 0) & (count > 0)
        filled[grow] = total[grow] / count[grow][:, None]
        known[grow] = 1.0
    filled[known == 0] = filled[alpha > 0].mean(axis=0)
    rgb8 = np.rint(np.clip(filled, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.dstack([rgb8, value]))
