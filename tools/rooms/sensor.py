"""From linear light to a photograph: exposure, tone, white balance, lens and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.rooms.solids import Array


@dataclass(frozen=True)
class Sensor:
    """How a picture was taken.

    Attributes:
        exposure: linear value that the scene's typical brightness is brought to.
        balance: [3] float64 gains left over from an imperfect white balance.
        vignette: darkening of the corners, 0..1.
        noise: standard deviation in mid-grey, 0..1 of the full range.
        blur: Gaussian sigma as a share of the picture's width.
        bloom: share of light that highlights spill.
        contrast: exponent around mid-grey.
        saturation: 1 leaves colours alone.
    """

    exposure: float
    balance: NDArray[np.float64]
    vignette: float
    noise: float
    blur: float
    bloom: float
    contrast: float
    saturation: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Sensor:
        """Draws a camera: mostly decent, sometimes dark, noisy or soft."""
        warm = rng.normal(0, 0.08)
        balance = np.array([1 + warm, 1 + rng.normal(0, 0.015), 1 - warm])
        return Sensor(
            exposure=float(np.clip(rng.lognormal(np.log(0.23), 0.3), 0.10, 0.45)),
            balance=balance,
            vignette=float(rng.uniform(0, 0.35)),
            noise=float(np.clip(rng.lognormal(np.log(0.007), 0.6), 0.002, 0.025)),
            blur=float(rng.choice([0.0, 0.0008, 0.0016, 0.0024])),
            bloom=float(rng.uniform(0.02, 0.12)),
            contrast=float(rng.uniform(0.92, 1.2)),
            saturation=float(rng.uniform(0.8, 1.25)),
        )


def halve(image: Array) -> Array:
    """Reduces [2H + 1, 2W + 1, C] to [H, W, C], centred on the odd samples (tent filter)."""
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    return np.ascontiguousarray(cv2.sepFilter2D(image, -1, kernel, kernel)[1::2, 1::2])


def encode(light: Array) -> Array:
    """Linear light to sRGB, float32, both 0..1."""
    safe = np.clip(light, 0, 1)
    return np.where(safe <= 0.0031308, safe * 12.92, 1.055 * safe ** (1 / 2.4) - 0.055).astype(
        np.float32
    )


def tone(light: Array) -> Array:
    """Compresses highlights: nearly linear in the shadows, 1 at four times the mid-tones' white."""
    white = np.float32(2.6)
    return np.clip(light * (1 + light / (white * white)) / (1 + light), 0, 1)


def photograph(
    light: Array, weight: NDArray[np.bool_], sensor: Sensor, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Develops a picture.

    Args:
        light: [H, W, 3] float32 linear light.
        weight: [H, W] bool, where the exposure is metered.
        sensor: the camera.
        rng: for the noise.

    Returns:
        [H, W, 3] uint8 sRGB.
    """
    height, width, _ = light.shape
    luminance = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    metered = luminance[weight] if weight.any() else luminance.ravel()
    typical = float(np.exp(np.mean(np.log(metered + 1e-4))))
    image = light * (sensor.exposure / typical * sensor.balance).astype(np.float32)
    spill = cv2.resize(
        np.minimum(image, 6), (width // 4, height // 4), interpolation=cv2.INTER_AREA
    )
    spill = cv2.GaussianBlur(spill, (0, 0), width / 4 * 0.03)
    spill = cv2.resize(spill, (width, height), interpolation=cv2.INTER_LINEAR)
    image = image * np.float32(1 - sensor.bloom) + spill * np.float32(sensor.bloom)
    v = (np.arange(height, dtype=np.float32)[:, None] - height / 2) / (width / 2)
    u = (np.arange(width, dtype=np.float32)[None, :] - width / 2) / (width / 2)
    image *= (1 - sensor.vignette * (u * u + v * v) / 1.5625)[..., None]
    if sensor.blur:
        image = cv2.GaussianBlur(image, (0, 0), sensor.blur * width)
    image = tone(image * np.float32(1.25))
    middle = np.float32(0.18)
    image = middle * (image / middle + np.float32(1e-6)) ** np.float32(sensor.contrast)
    grey = (image @ np.array([0.2126, 0.7152, 0.0722], np.float32))[..., None]
    image = encode(grey + (image - grey) * np.float32(sensor.saturation))
    grain = rng.standard_normal((height, width, 4), dtype=np.float32)
    if sensor.noise > 0.008:  # in-camera noise reduction makes strong grain blotchy
        grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * np.float32(1.3)
    strength = np.float32(sensor.noise) * (np.float32(1.3) - image)
    image = image + strength * (grain[..., :3] * np.float32(0.6) + grain[..., 3:])
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
