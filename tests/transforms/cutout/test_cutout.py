"""Cutting out by GrabCut, matting and colours: photos whose alpha is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.transforms.cutout import automatic, colours, finish, matting, parts, saliency
from fgbg.transforms.cutout import superpixels as patches
from fgbg.transforms.cutout.found import Found, Rejected
from fgbg.transforms.cutout.method import Method
from tests.helpers import cutout_pictures as draw


def whole_alpha(cut: finish.CutOut, shape: tuple[int, ...]) -> np.ndarray:
    alpha = np.zeros(shape[:2], np.uint8)
    height, width = cut.bgra.shape[:2]
    alpha[cut.y : cut.y + height, cut.x : cut.x + width] = cut.bgra[..., 3]
    return alpha


def cut_out(bgr: np.ndarray) -> tuple[finish.CutOut, np.ndarray]:
    cut = finish.finish(bgr, automatic.find(bgr))
    return cut, whole_alpha(cut, bgr.shape)


@pytest.mark.parametrize("background", ["plain", "textured"])
@pytest.mark.parametrize("thing", ["disc", "ring", "animal", "person"])
def test_things_are_found(thing: str, background: str) -> None:
    true = getattr(draw, thing)()
    cut, alpha = cut_out(draw.composed(true, getattr(draw, background)()))
    assert draw.iou(alpha, true) > 0.95
    assert np.abs(alpha / 255 - true).mean() < 0.01
    assert cut.measures.confidence > 0.5
    assert cut.measures.touches == ("bottom" if thing == "person" else "")
    assert cut.measures.coverage == pytest.approx(true.mean(), abs=0.01)
    if thing == "ring":
        assert alpha[120, 160] == 0  # one sees through it
    if thing == "animal":  # no leg is missing
        assert all(alpha[180, x] > 200 for x in (105, 130, 190, 215))


def test_the_crop_is_tight() -> None:
    cut, alpha = cut_out(draw.composed(draw.disc(), draw.plain()))
    assert cut.bgra[..., 3].any(axis=1).all() and cut.bgra[..., 3].any(axis=0).all()
    assert int(alpha.astype(int).sum()) == int(cut.bgra[..., 3].astype(int).sum())


def test_two_things_stay_two() -> None:
    true = np.maximum(draw.disc(95, 120, 45), draw.disc(225, 120, 45))
    alpha = cut_out(draw.composed(true, draw.plain()))[1]
    assert draw.iou(alpha, true) > 0.95
    assert cv2.connectedComponents((alpha >= 128).astype(np.uint8))[0] == 3


def test_a_soft_edge_stays_soft_and_takes_no_background_along() -> None:
    true = draw.disc(radius=60, soft=1.8)
    back = draw.plain((40, 190, 60))  # green would show at a red edge
    bgr = draw.composed(true, back)
    cut, alpha = cut_out(bgr)
    band = (true > 0.1) & (true < 0.9)
    assert np.abs(alpha[band] / 255 - true[band]).mean() < 0.13
    assert cut.measures.softness > 0.05
    colour = np.zeros_like(bgr)
    height, width = cut.bgra.shape[:2]
    colour[cut.y : cut.y + height, cut.x : cut.x + width] = cut.bgra[..., :3]
    seen = band & (alpha > 25)
    greener = (colour[..., 1].astype(int) - bgr[..., 1])[seen]
    assert colour[..., 1][seen].mean() < 75 < 100 < bgr[..., 1][seen].mean()
    assert greener.max() < 25


def test_confidence_falls_with_the_cut() -> None:
    """What a camouflaged thing on clutter gives is less sure than a plain case."""
    easy, _ = cut_out(draw.composed(draw.disc(), draw.plain()))
    true = draw.disc()
    hidden = draw.composed(true, draw.textured(), (48, 105, 55))
    try:
        hard, alpha = cut_out(hidden)
    except Rejected:
        return
    assert draw.iou(alpha, true) < 0.9
    assert hard.measures.confidence < easy.measures.confidence - 0.2
    assert hard.measures.confidence < 0.6


def test_the_same_photo_gives_the_same_cut_out() -> None:
    bgr = draw.composed(draw.animal(), draw.textured())
    first, second = cut_out(bgr)[0], cut_out(bgr)[0]
    assert np.array_equal(first.bgra, second.bgra) and first.measures == second.measures


def test_large_photos_are_cut_at_their_own_size() -> None:
    true = draw.disc()
    bgr = draw.composed(true, draw.plain())
    large = cv2.resize(bgr, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    cut, alpha = cut_out(large)
    assert alpha.shape == (1440, 1920)
    larger = cv2.resize(true, None, fx=6, fy=6, interpolation=cv2.INTER_LINEAR)
    assert draw.iou(alpha, larger) > 0.97
    assert cut.bgra.shape[0] > 700


@pytest.mark.parametrize(
    ("bgr", "reason"),
    [
        (np.full((*draw.SHAPE, 3), 128, np.uint8), "blank"),
        (np.full((300, 200, 3), 255, np.uint8), "blank"),
        (np.zeros((1, 1, 3), np.uint8), "too small"),
        (np.zeros((5, 400, 3), np.uint8), "too small"),
    ],
)
def test_a_picture_of_nothing_is_rejected(bgr: np.ndarray, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        cut_out(bgr)


def test_small_and_narrow_pictures_do_not_fail() -> None:
    rng = np.random.default_rng(0)
    for shape in ((16, 16), (17, 90), (400, 16), (23, 29)):
        try:
            cut_out(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
        except Rejected as error:
            assert str(error)


def test_nothing_and_everything_are_rejected() -> None:
    bgr = draw.composed(draw.disc(), draw.plain())
    nothing, everything = np.zeros(draw.SHAPE, np.float32), np.ones(draw.SHAPE, np.float32)
    with pytest.raises(Rejected, match="nothing found"):
        finish.finish(bgr, Found(nothing, 1.0))
    with pytest.raises(Rejected, match="whole picture"):
        finish.finish(bgr, Found(everything, 1.0))


def test_own_alpha_is_kept_as_it_is() -> None:
    rng = np.random.default_rng(0)
    bgra = rng.integers(0, 256, (40, 50, 4), dtype=np.uint8)
    bgra[:7, :, 3] = 0
    bgra[:, 45:, 3] = 0
    cut = finish.keep(bgra)
    x, y, w, h = cv2.boundingRect(np.ascontiguousarray(bgra[..., 3]))
    assert (cut.x, cut.y) == (x, y) and y >= 7
    assert np.array_equal(cut.bgra, bgra[y : y + h, x : x + w])
    assert cut.measures.confidence == 1
    with pytest.raises(Rejected, match="visible"):
        finish.keep(np.zeros((4, 4, 4), np.uint8))


def test_matting_against_the_dense_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alpha is that of the matting Laplacian as Levin et al. write it down, solved as a whole."""
    monkeypatch.setattr(matting, "_TOLERANCE", 1e-6)
    monkeypatch.setattr(matting, "_ITERATIONS", 500)
    rng = np.random.default_rng(0)
    picture = rng.random((7, 8, 3)).astype(np.float32)
    dense = np.zeros((56, 56))
    index = np.arange(56).reshape(7, 8)
    for y in range(1, 6):
        for x in range(1, 7):
            window = np.s_[y - 1 : y + 2, x - 1 : x + 2]
            members, values = index[window].ravel(), picture[window].reshape(-1, 3).astype(float)
            centred = values - values.mean(axis=0)
            covariance = centred.T @ centred / 9 + matting._EPSILON * np.eye(3)
            affinity = (1 + centred @ np.linalg.inv(covariance) @ centred.T) / 9
            dense[np.ix_(members, members)] += np.eye(9) - affinity
    wanted = (index % 8 >= 4).astype(np.float32).ravel()
    weights = np.where(index % 8 % 7 == 0, 100, 0.05).astype(np.float32).ravel()
    windows = matting._windows(np.ones((7, 8), bool))
    affinities = matting._affinities(picture, windows)
    found = matting._solve(affinities, windows, weights, wanted, np.zeros(56, np.float32))
    true = np.linalg.solve(dense + np.diag(weights), weights * wanted)
    assert np.ptp(true) > 0.5
    assert np.abs(found - true).max() < 0.005


def test_colours_come_back_from_a_known_mixture() -> None:
    alpha = draw.disc(soft=4)
    front, back = (np.array(c, np.float32) for c in ((30, 60, 210), (200, 220, 30)))
    mixed = alpha[..., None] * front + (1 - alpha[..., None]) * back
    found = colours.foreground_colours(np.rint(mixed).astype(np.uint8), alpha)
    band = (alpha > 0.15) & (alpha < 0.95)
    assert np.abs(found[band] - front).mean() < 6
    assert np.abs(mixed[band] - front).mean() > 60
    opaque = alpha >= 1
    assert np.array_equal(found[opaque], np.rint(mixed).astype(np.uint8)[opaque])


def test_strands_go_and_legs_stay() -> None:
    mask = draw.animal() >= 0.5
    assert np.array_equal(parts.without_strands(mask), mask)
    bridged = mask.copy()
    bridged[20:60, 250:310] = True  # a thing behind
    bridged[58:62, 180:255] = True
    cleaned = parts.without_strands(bridged)
    assert not cleaned[20:55, 260:310].any() and cleaned[180, 105]


def test_small_holes_are_filled_and_large_ones_stay() -> None:
    mask = draw.ring() >= 0.5
    spotted = mask.copy()
    spotted[118:121, 100:103] = False
    assert np.array_equal(parts.fill_holes(spotted), mask)


def test_saliency_is_high_on_the_thing_and_low_at_the_border() -> None:
    true = draw.person() >= 0.5
    lab = patches.to_lab(draw.composed(draw.person(), draw.plain()))
    cut = patches.superpixels(lab)
    assert np.array_equal(np.unique(cut.labels), np.arange(len(cut.sizes)))
    assert cut.sizes.sum() == true.size
    for values in (
        cut.paint(saliency.background_saliency(cut)),
        saliency.border_saliency(lab),
    ):
        assert values[true].mean() > 2 * values[~true].mean()


def test_shortest_paths_go_round() -> None:
    far = np.inf
    lengths = np.array([[0, 1, far], [1, 0, 2], [far, 2, 0]], float)
    assert patches.shortest_paths(lengths)[0, 2] == 3


@pytest.mark.slow
def test_real_photos(shared_data: Path) -> None:
    """The goal: a mean intersection over union of 0.85, and doubt where it is bad."""
    from benchmarks.cutout import cut, photos

    cases = photos(shared_data / "fg_noalpha", shared_data / "fg_noalpha_ref")
    results = [cut(case, Method(), None)[0] for case in cases]
    assert len(results) >= 8
    assert np.mean([r.iou for r in results]) >= 0.85
    assert np.mean([r.error for r in results]) < 0.05
    assert all(r.confidence < 0.5 for r in results if r.iou < 0.7)
