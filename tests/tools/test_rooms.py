"""The renderer of rooms and foregrounds: exact depth, determinism, clean cut-outs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tools.rooms import materials, render_foreground, render_room
from tools.rooms.__main__ import main
from tools.rooms.dataset import SAMPLE_FOREGROUNDS, SAMPLE_SIZE, pair_names, sample_files
from tools.rooms.foregrounds import KINDS
from tools.rooms.geometry import BOX, ELLIPSOID, FRUSTUM, Assembly, Primitive, align, turn
from tools.rooms.scene import draw_scene
from tools.rooms.tracer import Camera, Shell, World, trace

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
PAINT = materials.paint((0.5, 0.5, 0.5))


def decode(content: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def pixel_ray(camera: Camera, width: int, height: int, column: int, row: int) -> np.ndarray:
    """The world direction of one pixel's centre with forward component 1, from first principles."""
    focal = (width / 2) / np.tan(camera.fov / 2)
    a, b = (column + 0.5 - width / 2) / focal, (row + 0.5 - height / 2) / focal
    # Camera frame: x right, y forward, z up; roll about forward, then pitch, then yaw.
    x, y, z = a, 1.0, -b
    cr, sr = np.cos(camera.roll), np.sin(camera.roll)
    x, z = cr * x + sr * z, -sr * x + cr * z
    cp, sp = np.cos(camera.pitch), np.sin(camera.pitch)
    y, z = cp * y - sp * z, sp * y + cp * z
    cy, sy = np.cos(camera.yaw), np.sin(camera.yaw)
    return np.array([cy * x - sy * y, sy * x + cy * y, z])


def oracle_depth(world: World, camera: Camera, ray: np.ndarray) -> float:
    """The nearest surface along a ray in float64, by asking "is the point inside" along it."""

    def inside(part: Primitive, t: np.ndarray) -> np.ndarray:
        """Negative where camera + t * ray is inside; t is [N]."""
        p = (camera.position + t[:, None] * ray - part.centre) @ part.rotation
        if part.kind == BOX:
            return np.max(np.abs(p) - part.half, axis=1)
        if part.kind == ELLIPSOID:
            return np.sum((p / part.half) ** 2, axis=1) - 1
        share = p[:, 2] / part.half[2] * 0.5 + 0.5
        radius = part.radii[0] + share * (part.radii[1] - part.radii[0])
        return np.maximum(np.hypot(p[:, 0], p[:, 1]) - radius, np.abs(p[:, 2]) - part.half[2])

    best = np.inf
    if world.shell is not None:
        for axis in range(3):
            for edge in (world.shell.low[axis], world.shell.high[axis]):
                t = (edge - camera.position[axis]) / ray[axis] if ray[axis] else -1.0
                if t > 0:
                    best = min(best, t)
    for part in world.primitives[world.first :]:
        low, high = 0.05, 12.0
        # Each round zooms in on the first step that ends inside.
        for _ in range(4):
            grid = np.linspace(low, high, 1500)
            first = np.flatnonzero(inside(part, grid) < 0)
            if not len(first):
                high = np.inf
                break
            low, high = grid[max(first[0] - 1, 0)], grid[first[0]]
        best = min(best, high)
    return best


def solid(kind: str) -> Assembly:
    thing = Assembly(kind)
    if kind == "box":
        thing.box((-0.5, 0.7), (2.5, 3.1), (0.2, 1.2), PAINT, turn(0.4, 0.2, -0.3))
    elif kind == "sphere":
        thing.blob((0.2, 3.0, 1.1), (0.6, 0.6, 0.6), PAINT)
    elif kind == "ellipsoid":
        thing.blob((-0.2, 2.6, 1.3), (0.6, 0.2, 0.9), PAINT, turn(1.0, 0.5, 0.2))
    elif kind == "cylinder":
        thing.pole((0.4, 2.4, 0.3), (-0.3, 3.0, 1.6), 0.35, PAINT)
    elif kind == "cone":
        thing.pole((0.1, 2.2, 2.2), (0.0, 2.9, 0.4), 0.05, PAINT, 0.7)
    return thing


@pytest.mark.parametrize("kind", ["nothing", "box", "sphere", "ellipsoid", "cylinder", "cone"])
def test_depth_equals_an_independent_computation(kind: str) -> None:
    low, high = np.array([-2.0, -1.0, 0.0]), np.array([2.5, 4.5, 2.6])
    groups = [] if kind == "nothing" else [solid(kind)]
    world = World(Shell(low, high, [PAINT] * 6), groups)
    camera = Camera(np.array([0.1, 0.0, 1.4]), 0.1, -0.12, 0.05, 1.1)
    width, height = 20, 15
    depth, number, _ = trace(world, camera, width, height)
    expected = np.array(
        [
            [
                oracle_depth(world, camera, pixel_ray(camera, width, height, u, v))
                for u in range(width)
            ]
            for v in range(height)
        ]
    )
    # Rays that graze an edge may fall on either side of it.
    wrong = np.abs(depth - expected) > 1e-3
    assert wrong.sum() <= 2
    if groups:
        assert (number >= world.first).sum() > 15


def test_oversampled_grid_holds_the_pixel_centres() -> None:
    scene = draw_scene(11)
    plain, _, _ = trace(scene.world, scene.camera, 40, 30)
    fine, _, _ = trace(scene.world, scene.camera, 40, 30, oversample=2)
    assert fine.shape == (61, 81)
    assert (np.abs(fine[1::2, 1::2] - plain) < 1e-3).mean() > 0.998


@pytest.mark.parametrize("seed", range(12))
def test_every_pixel_lies_on_the_surface_it_hit(seed: int) -> None:
    scene = draw_scene(seed)
    world, camera = scene.world, scene.camera
    width, height = 96, 72
    depth, number, rays = trace(world, camera, width, height)
    assert np.isfinite(depth).all() and (number >= 0).all() and depth.min() > 0.1
    points = camera.position + np.stack(rays, -1).astype(np.float64) * depth[..., None]
    shell = world.shell
    assert shell is not None
    low, high = shell.low, shell.high
    if shell.beyond is not None:
        low, high = np.minimum(low, shell.beyond.low), np.maximum(high, shell.beyond.high)
    assert (points > low - 2e-3).all() and (points < high + 2e-3).all()
    assert ((camera.position > shell.low) & (camera.position < shell.high)).all()
    for index in np.unique(number):
        part = world.primitives[index]
        p = (points[number == index] - part.centre) @ part.rotation
        if part.kind == BOX:
            away = np.abs((np.abs(p) - part.half).max(axis=1))
        elif part.kind == ELLIPSOID:
            q = np.linalg.norm(p / part.half, axis=1)
            away = np.abs(q - 1) * part.half.min()
        else:
            share = p[:, 2] / part.half[2] * 0.5 + 0.5
            radius = part.radii[0] + share * (part.radii[1] - part.radii[0])
            side = np.hypot(p[:, 0], p[:, 1]) - radius
            away = np.abs(np.maximum(side, np.abs(p[:, 2]) - part.half[2]))
        assert away.max() < 3e-3, (index, part.kind)


def test_frames_are_rotations() -> None:
    for direction in ([0, 0, 1], [1, 0, 0], [0.3, -2, 0.5], [0, 0, -1], [0.95, 0.1, 0.1]):
        frame = align(direction)
        assert np.allclose(frame.T @ frame, np.eye(3)) and np.isclose(np.linalg.det(frame), 1)
        assert np.allclose(frame[:, 2], np.array(direction) / np.linalg.norm(direction))


def test_rooms_are_deterministic_and_differ_by_seed() -> None:
    first, depth = render_room(5, 80, 60)
    again, same = render_room(5, 80, 60)
    other, _ = render_room(6, 80, 60)
    assert first.dtype == np.uint8 and first.shape == (60, 80, 3)
    assert depth.dtype == np.float32 and depth.shape == (60, 80)
    assert np.array_equal(first, again) and np.array_equal(depth, same)
    assert not np.array_equal(first, other)


def test_the_scene_does_not_depend_on_the_size() -> None:
    _, small = render_room(9, 48, 36)
    _, large = render_room(9, 144, 108)
    # The centre of a small pixel is the centre of the middle one of its 3 x 3 large pixels.
    assert (np.abs(large[1::3, 1::3] - small) < 1e-3).mean() > 0.995


def test_rooms_have_the_depths_and_brightness_of_rooms() -> None:
    medians, spreads, means = [], [], []
    for seed in range(100, 140):
        rgb, depth = render_room(seed, 64, 48)
        assert depth.min() > 0.1 and depth.max() < 18
        medians.append(float(np.median(depth)))
        spreads.append(float(np.percentile(depth, 90) - np.percentile(depth, 10)))
        means.append(float(rgb.mean()))
    assert 1.8 < np.median(medians) < 3.6
    assert np.median(spreads) > 0.8
    assert np.std(medians) > 0.4
    assert 60 < np.mean(means) < 180 and min(means) > 15


def test_furniture_stands_on_the_floor() -> None:
    for seed in range(6):
        for group in draw_scene(seed).world.groups:
            if group.name in (
                "table",
                "chair",
                "sofa",
                "cupboard",
                "bed",
                "stool",
                "shelf",
                "counter",
            ):
                low, _ = group.bounds()
                assert abs(low[2]) < 0.03, (seed, group.name, low[2])


def test_the_camera_is_clear_of_everything() -> None:
    for seed in range(30):
        scene = draw_scene(seed)
        p = scene.camera.position
        assert 0.55 <= p[2] <= 2.05
        for group in scene.world.groups:
            for part in group.parts:
                q = np.abs(part.rotation.T @ (p - part.centre)) - part.half
                assert q.max() > 0.05, (seed, group.name)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_cut_outs_are_tight_soft_and_have_no_halo(kind: str) -> None:
    image = render_foreground(3, 90, kind)
    assert image.dtype == np.uint8 and image.shape[0] == 90 and image.shape[2] == 4
    alpha = image[..., 3]
    for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]):
        assert edge.max() > 0
    soft = (alpha > 0) & (alpha < 255)
    assert 0.01 < soft.mean() < 0.5 and (alpha == 255).mean() > 0.05
    # Straight alpha: along the edge the colour is that of the solid pixels beside it.
    solid_pixels = (alpha == 255).astype(np.uint8)
    near = cv2.dilate(solid_pixels, np.ones((5, 5), np.uint8)).astype(bool) & soft
    rgb = image[..., :3].astype(np.float32)
    weight = cv2.blur(solid_pixels.astype(np.float32), (5, 5))
    inner = cv2.blur(rgb * solid_pixels[..., None], (5, 5))[near] / weight[near][:, None]
    darker = inner.mean(1) - rgb[near].mean(1)
    assert darker.mean() < 25
    assert np.array_equal(image, render_foreground(3, 90, kind))


def test_foregrounds_vary_with_the_seed() -> None:
    shapes = {render_foreground(seed, 48).shape[1] for seed in range(12)}
    assert len(shapes) > 5


def test_samples_are_what_the_command_renders() -> None:
    files = sample_files()
    stored = {str(p.relative_to(SAMPLES)) for p in SAMPLES.rglob("*") if p.is_file()}
    assert stored == set(files)
    for name, content in files.items():
        path = SAMPLES / name
        if name == "README.md":
            assert path.read_bytes() == content
            continue
        assert path.stat().st_size < (90_000 if name.endswith(".jpg") else 120_000)
        kept, made = decode(path.read_bytes()), decode(content)
        assert kept.shape == made.shape
        # Another CPU or library may round differently here and there.
        difference = np.abs(kept.astype(int) - made)
        assert difference.mean() < 1.0 and (difference > 24).mean() < 0.01
        if name.endswith(".jpg"):
            assert made.shape == (SAMPLE_SIZE[1], SAMPLE_SIZE[0], 3)
        else:
            assert made.shape[0] in {height for _, _, height in SAMPLE_FOREGROUNDS}


def test_dataset_is_written_resumed_and_exact(tmp_path: Path, capsys) -> None:
    arguments = ["dataset", "--output", str(tmp_path), "--size", "48x36", "--seed", "2"]
    assert main([*arguments, "--count", "2"]) == 0
    first = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.iterdir()}
    assert set(first) == {*pair_names(0), *pair_names(1)}
    (tmp_path / pair_names(1)[1]).unlink()
    assert main([*arguments, "--count", "3"]) == 0
    assert "2 rooms rendered, 1 were there" in capsys.readouterr().out
    again = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.iterdir()}
    assert again[pair_names(0)[0]] == first[pair_names(0)[0]]
    assert again[pair_names(1)[1]][1] == first[pair_names(1)[1]][1]
    assert set(again) == {name for n in range(3) for name in pair_names(n)}
    stored = decode((tmp_path / pair_names(1)[1]).read_bytes())
    _, depth = render_room(20_000_001, 48, 36)
    assert stored.dtype == np.uint16
    assert np.abs(stored / 1000 - depth).max() < 0.00051


def test_wrong_options_are_refused(capsys) -> None:
    for bad in (["--size", "0x5"], ["--count", "0"], ["--size", "ten"]):
        with pytest.raises(SystemExit) as stopped:
            main(["dataset", "--output", "x", "--count", "1", *bad])
        assert stopped.value.code == 2
    assert "not" in capsys.readouterr().err


def test_every_kind_of_solid_occurs() -> None:
    kinds = {p.kind for seed in range(5) for p in draw_scene(seed).world.primitives}
    assert kinds == {BOX, FRUSTUM, ELLIPSOID}
