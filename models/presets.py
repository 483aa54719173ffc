"""Networks that people use, by name: where they are had, under which licence, how they are fed.

Facts only, with their sources: rembg's session files for the cut-outs (which pin MD5s), MoGe's
docs/onnx.md and forward pass, Metric3D's export script, Depth Anything V2's and MiDaS' pages.
SHA-256 and size are those that public sources state of the same file; where none does, the first
download's are recorded and every later one is compared with them (fgbg.files.fetch). None of these
addresses was ever fetched from where this was written (docs/networks.md).
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from fgbg.files import fetch
from fgbg.files.fetch import PUBLISHED, FetchError

DEPTH, CUTOUT = "depth", "cutout"
METRES, RELATIVE, MASK = "metres", "relative inverse depth", "mask"

_GITHUB, _FACE = "https://github.com", "https://huggingface.co"
_REMBG = f"{_GITHUB}/danielgatis/rembg/releases/download/v0.0.0"
_IMAGENET = {"input_mean": (0.485, 0.456, 0.406), "input_std": (0.229, 0.224, 0.225)}
# rembg divides a photo by its own maximum, resizes it by Lanczos' filter, takes the first output
# and stretches the mask.
_AS_REMBG = {
    **{"input_maximum": True, "input_filter": "lanczos", "stretched": True, "output_name": "#1"}
}
_INVERSE = {
    **_IMAGENET,
    **{"output": "relative_inverse_depth", "output_name": "#1", "input_filter": "cubic"},
}
_MOGE = {
    "output": "affine_points",
    "output_name": "points",
    "mask_output": "mask",
    "scale_output": "metric_scale",
    # The number of patches that it looks at, of the 1200 to 3600 that it was trained with.
    "input_constants": {"num_tokens": 1800},
    "max_depth_m": 50.0,
}
_DENSEDEPTH_ADVICE = (
    "The authors' addresses have been reported dead since 2021 (ialhashim/DenseDepth, issues 185, "
    "187, 223 and 226); people hand the file on in issue 223. Once you have it, give its path: "
    "--depth_model {file}"
)


@dataclasses.dataclass(frozen=True)
class Preset:
    """A network by name.

    Attributes:
        name: What --depth_model or --method calls it.
        task: DEPTH or CUTOUT.
        file: What its file is called.
        addresses: Where it is had, tried in this order; all of them the same bytes.
        licence: Of the weights as far as their publishers say it, else of the code.
        origin: Whose it is, and the page that says so.
        unit: METRES, RELATIVE or MASK.
        card: The entries of its card.
        size: Bytes of the file; None while no source states them.
        sha256: Of the file, hex; None while no source states it.
        md5: Likewise.
        variable: The environment variable that overrides the address, if there is one.
        advice: What to do where no address gives it; {file} is its file's name.
        speed: What it costs, if it was run here.
    """

    name: str
    task: str
    file: str
    addresses: tuple[str, ...]
    licence: str
    origin: str
    unit: str
    card: dict[str, Any] = dataclasses.field(default_factory=dict)
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    variable: str | None = None
    advice: str = "Where its file is at hand already, give its path in place of the name"
    speed: str = "not run here"

    def entries(self) -> dict[str, Any]:
        """The card with what it says of the network besides."""
        return {**self.card, "licence": self.licence, "origin": self.origin}


def _moge(name: str, letter: str, size: int, sha256: str, *mirrors: str) -> Preset:
    file = f"moge-2-vit{letter}-normal.onnx"
    return Preset(
        *(name, DEPTH, file),
        (
            *mirrors,
            f"{_FACE}/Ruicheng/moge-2-vit{letter}-normal-onnx/resolve/main/model.onnx#{file}",
        ),
        "MIT",
        f"MoGe-2, Microsoft; ONNX files by its authors ({_GITHUB}/microsoft/MoGe)",
        METRES,
        _MOGE,
        size,
        sha256,
    )


def _densedepth(name: str, drive: str) -> Preset:
    published = PUBLISHED[name]
    file = f"{name}.h5"
    return Preset(
        *(name, DEPTH, file),
        (
            published.url,
            # The authors' own second place, which their README names.
            f"https://drive.usercontent.google.com/download?id={drive}&export=download&confirm=t"
            f"#{file}",
        ),
        "GPL-3.0",
        f"DenseDepth, I. Alhashim and P. Wonka ({_GITHUB}/ialhashim/DenseDepth)",
        METRES,
        size=published.size,
        sha256=published.sha256,
        variable=published.variable,
        advice=_DENSEDEPTH_ADVICE,
    )


def _rembg(name: str, file: str, licence: str, origin: str, **more: Any) -> Preset:
    return Preset(
        name, CUTOUT, f"{name}.onnx", (f"{_REMBG}/{file}",), licence, origin, MASK, **more
    )


_ALL = (
    _moge(
        *("moge2-small", "s", 140_852_051),
        "24eacb5dc7a2c54c7bc98f7de085ffbed79ad006ea5b664c2c2cdc02ff3a52f0",
    ),
    _moge(
        *("moge2-base", "b", 419_411_850),
        "bbf14e07a30f11e69d36ab861590123f5598ababcbc8946a063eb4a966f35a21",
        f"{_GITHUB}/MrNeRF/LichtFeld-Studio/releases/download/model-moge2-v1/moge-2-vitb-normal.onnx",
    ),
    Preset(
        *("depth-anything-v2-small", DEPTH, "depth_anything_v2_vits.onnx"),
        (
            f"{_GITHUB}/fabio-sim/Depth-Anything-ONNX/releases/download/v2.0.0/"
            "depth_anything_v2_vits.onnx",
        ),
        "Apache-2.0",
        f"Depth Anything V2; ONNX file by fabio-sim ({_GITHUB}/DepthAnything/Depth-Anything-V2)",
        RELATIVE,
        _INVERSE,
        sha256="d2b11a11c1d4a12b47608fa65a17ee9a4c605b55ee1730c8e3b526304f2562be",
    ),
    Preset(
        *("metric3d-small", DEPTH, "metric3d-vit-small.onnx"),
        (
            f"{_FACE}/onnx-community/metric3d-vit-small/resolve/main/onnx/model.onnx"
            "#metric3d-vit-small.onnx",
        ),
        "BSD-2-Clause",
        f"Metric3D v2; ONNX file by onnx-community, CC0-1.0 ({_GITHUB}/YvanYin/Metric3D)",
        METRES,
        {
            # 0..255 in: mean and deviation are taken off inside.
            "input_range": (0.0, 255.0),
            "input_multiple": 14,
            "input_filter": "linear",
            "output": "depth_by_focal",
            "output_name": "predicted_depth",
            "canonical_focal": 1000.0,
            "max_depth_m": 50.0,
        },
        size=150_739_433,
    ),
    Preset(
        *("midas-small", DEPTH, "midas-v21-small.onnx"),
        (f"{_GITHUB}/isl-org/MiDaS/releases/download/v2_1/model-small.onnx#midas-v21-small.onnx",),
        "MIT",
        f"MiDaS 2.1 small, Intel ({_GITHUB}/isl-org/MiDaS)",
        RELATIVE,
        _INVERSE,
        sha256="2d8c6cb8f415229daf1eb041024208e2608c9f98e17c81cc7c6ecb449c56fd58",
    ),
    _densedepth("nyu", "19dfvGvDfCRYaqxVKypp1fRHwK7XtSjVu"),
    _densedepth("kitti", "19flUnbJ_6q2xtjuUQvjt1Y1cJRwOr-XY"),
    _rembg(
        *("u2netp", "u2netp.onnx", "Apache-2.0"),
        f"U^2-Net small, X. Qin et al. ({_GITHUB}/xuebinqin/U-2-Net)",
        card={**_IMAGENET, **_AS_REMBG},
        size=4_574_861,
        sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        md5="8e83ca70e441ab06c318d82300c84806",
        speed="0.7 s of CPU a photo",
    ),
    _rembg(
        *("u2net", "u2net.onnx", "Apache-2.0"),
        f"U^2-Net, X. Qin et al. ({_GITHUB}/xuebinqin/U-2-Net)",
        card={**_IMAGENET, **_AS_REMBG},
        md5="60024c5c889badc19c04ad937298a77b",
    ),
    _rembg(
        *("isnet-general-use", "isnet-general-use.onnx", "Apache-2.0"),
        f"IS-Net, X. Qin et al. ({_GITHUB}/xuebinqin/DIS)",
        card={"input_mean": (0.485, 0.456, 0.406), **_AS_REMBG},
        size=178_648_008,
        sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
        md5="fc16ebd8b0c10d971d3513d564d01e29",
    ),
    _rembg(
        *("birefnet-general", "BiRefNet-general-epoch_244.onnx", "MIT"),
        f"BiRefNet, P. Zheng et al. ({_GITHUB}/ZhengPeng7/BiRefNet)",
        card={**_IMAGENET, **_AS_REMBG, "activation": "sigmoid"},
        size=972_666_916,
        sha256="58f621f00f5d756097615970a88a791584600dcf7c45b18a0a6267535a1ebd3c",
        md5="7a35a0141cbbc80de11d9c9a28f52697",
    ),
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}


def of_task(task: str) -> list[str]:
    """Names of the presets for a task."""
    return [preset.name for preset in _ALL if preset.task == task]


def addresses(name: str, url: str | None = None) -> tuple[str, ...]:
    """Where a preset is fetched from, in order.

    Args:
        name: Of the preset.
        url: An address that a person gives, in place of all.
    """
    preset = PRESETS[name]
    given = url or (os.environ.get(preset.variable) if preset.variable else None)
    if not given:
        return preset.addresses
    ending = os.path.splitext(preset.file)[1]
    # Kinds of files are told by their names, which an address need not have.
    named = given.startswith("gs://") or given.partition("?")[0].lower().endswith(ending)
    return (given if named else f"{given}#{preset.file}",)


def obtain(name: str, url: str | None = None, **options: Any) -> tuple[str, Path]:
    """A preset's file in the cache, fetched if it is not there.

    Args:
        name: Of the preset.
        url: An address in place of the preset's own, whose file may be another one.
        **options: As those of fgbg.files.fetch.fetch.

    Returns:
        The address that it is from, and its path.

    Raises:
        FetchError: No address gives it; the message says each one's reason and what to do.
    """
    preset, places = PRESETS[name], addresses(name, url)
    cache = fetch.default_cache_dir()
    if places != preset.addresses:
        return places[0], fetch.fetch(places[0], None, None, cache, **options)
    known: dict[str, Any] = {"sha256": preset.sha256, "size": preset.size, "md5": preset.md5}
    there = cached(name)
    if there is not None:
        places = (there[0],)
    problems = []
    for address in places:
        try:
            return address, fetch.fetch(address, cache_dir=cache, **known, **options)
        except FetchError as error:
            problems.append(str(error))
    count = f"none of its {len(places)} addresses gives it: " if len(places) > 1 else ""
    advice = preset.advice.format(file=preset.file)
    raise FetchError(f"{count}{'; '.join(problems)}. {advice}")


def cached(name: str, url: str | None = None) -> tuple[str, Path] | None:
    """The address and path of a preset's file that was fetched before; None where none was."""
    for address in addresses(name, url):
        path = fetch.default_cache_dir() / fetch.cache_name(address)
        if path.is_file() and fetch.read_record(path).get("sha256"):
            return address, path
    return None
