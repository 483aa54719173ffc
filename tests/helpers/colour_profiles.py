"""Colour profiles, written by hand, and what they do, computed by NumPy alone."""

from __future__ import annotations

import struct

import numpy as np
from PIL import ImageCms

D50 = np.array([0.9642, 1.0, 0.8249])
# Bradford's cone responses.
CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
D65, D50_XY = (0.3127, 0.3290), (0.3457, 0.3585)


def xyz(xy):
    return np.array([xy[0] / xy[1], 1, (1 - xy[0] - xy[1]) / xy[1]])


def colorants(primaries, white):
    """Matrix of linear RGB to XYZ of D50, columns red, green, blue."""
    columns = np.stack([xyz(p) for p in primaries], axis=1)
    columns = columns * np.linalg.solve(columns, xyz(white))
    adapted = np.linalg.inv(CONES) @ np.diag((CONES @ D50) / (CONES @ xyz(white))) @ CONES
    return adapted @ columns


def srgb_curve(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def fixed(value):
    return struct.pack(">i", round(value * 65536))


def profile(space, tags, name=b"A test"):
    """An ICC profile, version 2, for a screen."""
    text = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + bytes(1 + 8 + 3 + 67)
    tags = {b"desc": text, b"cprt": b"text" + bytes(4) + b"none\0", **tags}
    tags.setdefault(b"wtpt", b"XYZ " + bytes(4) + b"".join(fixed(v) for v in D50))
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", 132 + 12 * len(tags) + len(body), b"", 0x02400000, b"mntr",
                       space, b"XYZ ")  # fmt: skip
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += b"".join(fixed(v) for v in D50)
    return head + bytes(128 - len(head)) + table + body


def gamma_curve(gamma):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def matrix_profile(matrix, gamma, name=b"A test"):
    tags = {
        key: b"XYZ " + bytes(4) + b"".join(fixed(v) for v in matrix[:, i])
        for i, key in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
    }
    curves = {key: gamma_curve(gamma) for key in (b"rTRC", b"gTRC", b"bTRC")}
    return profile(b"RGB ", tags | curves, name)


def by_numpy(rgb, matrix, gamma):
    linear = (rgb / 255) ** gamma
    to_srgb = np.linalg.inv(colorants(SRGB, D65)) @ matrix
    return np.rint(srgb_curve(linear @ to_srgb.T) * 255)


SPACES = {
    "Display P3": (colorants(P3, D65), 2.19921875),
    "Adobe RGB": (colorants(ADOBE, D65), 2.19921875),
    "ProPhoto RGB": (colorants(PROPHOTO, D50_XY), 1.80078125),
    "swapped primaries": (colorants(SRGB[::-1], D65), 2.19921875),
    "linear sRGB": (colorants(SRGB, D65), 1.0),
}
SRGB_BYTES = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def cmyk_profile():
    """A press that prints grey: lightness falls with the sum of the inks."""
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0))
    table += b"".join(fixed(v) for v in np.eye(3).ravel())
    table += bytes(range(256)) * 4
    for corner in np.ndindex(2, 2, 2, 2):
        lightness = max(0, 255 - 85 * sum(corner[:3]) - 255 * corner[3])
        table += bytes((lightness, 128, 128))
    table += bytes(range(256)) * 3
    whole = bytearray(profile(b"CMYK", {b"A2B0": table, b"A2B1": table}))
    whole[12:16], whole[20:24] = b"prtr", b"Lab "
    return bytes(whole)
