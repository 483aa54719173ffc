"""The second stage of the built-in network's training: a stream of pictures, Muon, matching."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from tests.helpers.built_in_training import FakeTeacher
from tools.builtin_training import looks, stream, teacher
from tools.builtin_training.schedule import hold_and_fall
from tools.builtin_training.teacher import HINTS


class FakeTeacherOfStream(FakeTeacher):
    metres = np.linspace(0, 10, 256, dtype=np.float32)

    def look(self, rgb):
        depth, features = self.label(rgb)
        finer = [
            np.resize(cv2.resize(rgb, shape[:2]).astype(np.int16) - 128, shape).astype(np.int8)
            for shape in HINTS[:-1]
        ]
        return depth, [*finer, features]


@pytest.fixture
def sources(recipe, monkeypatch) -> stream.Sources:
    monkeypatch.setattr(teacher, "load", lambda path: FakeTeacherOfStream())
    photos = recipe.photos
    return stream.Sources(recipe.rooms, 3, photos, photos[:1], recipe.cutouts, "fake", 5)


@pytest.mark.parametrize("shape", [(48, 64), (480, 640), (900, 200), (224, 224)])
def test_another_camera_sees_nothing_outside_the_photo(shape):
    # A border of another colour around the photo would be seen if a corner lay outside.
    rgb = np.full((*shape, 3), 200, np.uint8)
    for seed in range(20):
        seen, _ = looks.other_camera(rgb, 0.3, np.random.default_rng(seed))
        assert seen.shape == (224, 224, 3) and (seen == 200).all()


def test_another_camera_keeps_left_left_and_up_up():
    rows, columns = np.mgrid[:240, :320]
    rgb = np.stack([columns * 0.75, rows, 0 * rows], 2).astype(np.uint8)
    for seed in range(20):
        seen, _ = looks.other_camera(rgb, 0.3, np.random.default_rng(seed))
        across, down = seen[..., 0].astype(int), seen[..., 1].astype(int)
        assert across[:, -1].mean() > across[:, 0].mean()
        assert down[-1].mean() > down[0].mean()


def test_another_camera_moves_depth_with_the_picture():
    rows, columns = np.mgrid[:240, :320]
    rgb = np.stack([columns * 0.75, rows, 0 * rows], 2).astype(np.uint8)
    depth = (columns + 1000 * rows).astype(np.float32)
    for seed in range(20):
        seen, moved = looks.other_camera(rgb, 0.6, np.random.default_rng(seed), depth)
        inside = (slice(2, -2), slice(2, -2))
        assert np.abs(moved % 1000 * 0.75 - seen[..., 0])[inside].max() < 2.5
        assert np.abs(moved // 1000 - seen[..., 1])[inside].max() < 2.5


def test_a_collage_has_parts_of_both_pictures():
    under, over = np.zeros((224, 224, 3), np.uint8), np.full((224, 224, 3), 250, np.uint8)
    made = [looks.collage(under, over, np.random.default_rng(seed)) for seed in range(20)]
    assert sum(bool((m == 0).any() and (m == 250).any()) for m in made) >= 15


def test_the_stream_is_drawn_by_seed_and_number(sources):
    (first, _), (again, _) = (stream.make_picture(sources, 7) for _ in range(2))
    assert (first == again).all() and first.shape == (224, 224, 3)
    assert (stream.make_picture(sources, 8)[0] != first).any()
    assert (stream.make_picture(dataclasses.replace(sources, seed=6), 7)[0] != first).any()


def test_only_rooms_alone_have_true_depth(sources):
    rooms = dataclasses.replace(sources, shares=(0.0, 0.0, 1.0))
    photos = dataclasses.replace(sources, shares=(0.5, 0.5, 0.0))
    known = [stream.make_picture(rooms, n)[1].any() for n in range(40)]
    assert 15 <= sum(known) <= 33  # 6 of 10 are not mixed with another picture
    assert not any(stream.make_picture(photos, n)[1].any() for n in range(10))


def test_a_target_goes_half_way_to_the_truths_shape_and_keeps_the_teachers_scale():
    taught = np.array([[1, 1, 4, 4]], np.float32)
    truth = np.array([[2, 8, 8, 0]], np.float32)
    made = stream.target(taught, truth)
    moved = truth[0, :3] * np.exp(np.log(taught[0, :3] / truth[0, :3]).mean())
    assert np.allclose(made[0, :3], np.sqrt(taught[0, :3] * moved)) and made[0, 3] == 4
    assert (stream.target(taught, 0 * truth) == taught).all()


def test_a_label_is_the_mean_over_both_directions(sources):
    sources = dataclasses.replace(sources, shares=(0.5, 0.5, 0.0))
    batch = stream.make_batch(sources, 1, 3)
    metres = FakeTeacherOfStream.metres
    for picture, depth in zip(batch["picture"], batch["depth"], strict=True):
        # The stand-in's depth is the red of a pixel whichever way it is shown.
        assert np.allclose(depth, np.maximum(metres[picture[..., 0]], 0.1), atol=1e-5)
    assert [batch[f"hint{i}"].shape[1:] for i in range(3)] == list(HINTS)


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (16, 16)])
def test_muon_makes_matrices_nearly_orthogonal(shape):
    from tools.builtin_training.muon import orthogonal

    matrix = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    matrix[:, 0] *= 20  # one direction that hides the others
    values = np.linalg.svd(np.asarray(orthogonal(matrix)), compute_uv=False)
    assert values.min() > 0.3 and values.max() < 1.3


def test_muon_steps_are_as_large_as_adams_and_decay_weights():
    import keras

    from tools.builtin_training.muon import Muon

    start = np.ones((3, 3, 8, 16), np.float32)
    kernel = keras.Variable(start)
    muon = Muon(0.01, weight_decay=0.5)
    muon.build([kernel])
    gradient = np.random.default_rng(0).standard_normal(start.shape).astype(np.float32)
    muon.apply([keras.ops.convert_to_tensor(gradient)], [kernel])
    moved = np.asarray(kernel) - start * (1 - 0.01 * 0.5)
    assert np.isclose(np.sqrt((moved**2).mean()) / 0.01, 0.2, rtol=0.25)
    assert (moved * gradient).sum() < 0


def test_a_taken_picture_is_deep_and_far_more_often_than_flat_and_near():
    rows = np.linspace(0, 1, 100, dtype=np.float32)[:, None]
    deep, flat = 1.2 + 4 * rows, 1.0 + 0.05 * rows
    draws = np.linspace(0, 1, 101)
    taken = [sum(stream.is_taken(depth, draw) for draw in draws) for depth in (deep, flat)]
    assert taken[0] > 90 and 0 < taken[1] < 10


def test_matching_goes_on_where_it_was(sources, tmp_path, monkeypatch):
    from fgbg.models.trained import compact_network
    from tools.builtin_training.match import MatchSchedule, match

    def batches(sources, first, end, size, workers):
        for number in range(first, end):
            yield stream.make_batch(sources, number, size)

    monkeypatch.setattr(stream, "batches", batches)
    weights = compact_network.build((224, 224)).get_weights()
    schedule = MatchSchedule(steps=3, batch=2, warm_up=1, policy="float32")
    network = match(weights, sources, tmp_path / "kept", schedule)
    again = match(weights, sources, tmp_path / "kept", schedule)  # nothing left to do
    trained = network.get_weights()
    assert any((a != b).any() for a, b in zip(trained, weights, strict=True))
    for a, b in zip(trained, again.get_weights(), strict=True):
        assert (a == b).all()


def test_the_learning_rate_rises_stays_and_falls():
    rate = hold_and_fall(2.0, 10, 100, 20)
    assert [float(rate(step)) for step in (4, 9, 50, 80, 90, 100)] == [1, 2, 2, 2, 1, 0]
