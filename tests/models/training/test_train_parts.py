"""What fgbg train is made of: losses against NumPy, batches against the files, transferred weights.

Trainings themselves are in test_train.py.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.models.training import samples
from fgbg.models.training.samples import TEST, TRAIN, VALIDATION, DataSet, Settings, TrainingError
from fgbg.pipeline.training import set as training_set
from fgbg.pipeline.training.set import TrainingSet
from tests.helpers import training_sets
from tests.helpers.training_sets import SAMPLES, SIZE

SETTINGS = Settings("overlay", (SIZE, SIZE), epochs=3, batch_size=4, widths=(4, 8), blocks=(0, 1))


@pytest.fixture(scope="module")
def data_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets.make(small_inputs, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def exact_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with depth in millimetres."""
    folder = tmp_path_factory.mktemp("exact")
    return training_sets.make(small_inputs, folder, "--depth_format", "png16")


@pytest.fixture(scope="module")
def record_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as TFRecords."""
    folder = tmp_path_factory.mktemp("records")
    return training_sets.make(small_inputs, folder, "--format", "tfrecord")


def batches(found: TrainingSet, split: str, settings: Settings = SETTINGS) -> list[dict]:
    from fgbg.models.training import input_pipeline

    stream = input_pipeline.ordered_batches(found.data, split, settings, 1)
    return [{name: value.numpy() for name, value in batch.items()} for batch in stream]


def joined(found: list[dict]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}


def ssim_by_hand(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Wang et al. 2004 by loops over windows; a and b [h, w] with values up to 100."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    out = np.zeros((a.shape[0] - 10, a.shape[1] - 10))
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            out[y, x] = (2 * mp * mq + 1) * (2 * cov + 9)
            out[y, x] /= (mp**2 + mq**2 + 1) * (vp + vq + 9)
    return out


@pytest.mark.parametrize("holes", [False, True])
def test_depth_loss_is_the_papers(holes):
    from fgbg.models.training import losses

    rng = np.random.default_rng(0)
    true = cv2.resize(rng.uniform(0.05, 12, (5, 6)), (21, 18), interpolation=cv2.INTER_CUBIC)
    true, said = np.maximum(true, 0.01), rng.uniform(0.2, 9, (18, 21))
    if holes:
        true[3:9, 4:12] = 0
    known = true > 0
    y = np.where(known, 10 / np.clip(np.where(known, true, 1), 0.1, 10), 1)
    z = np.where(known, 10 / said, y)
    n = known.sum()
    pointwise = sum(abs(z - y)[known]) / n
    gradient = 0.0
    for (i, j), k in np.ndenumerate(known):
        for p, q in ((i + 1, j), (i, j + 1)):
            if k and p < 18 and q < 21 and known[p, q]:
                gradient += abs((z[p, q] - z[i, j]) - (y[p, q] - y[i, j])) / n
    similar = ssim_by_hand(y, z)[known[5:-5, 5:-5]]
    wanted = 0.1 * pointwise + gradient + np.mean((1 - similar) / 2)
    given = [np.asarray(x, np.float32)[None, ..., None] for x in (true, said)]
    found = losses.depth_loss(given[0], given[1], 10.0).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_ssim_is_tensorflows():
    import tensorflow as tf

    from fgbg.models.training import losses

    a, b = np.random.default_rng(1).uniform(1, 100, (2, 2, 32, 40)).astype(np.float32)
    ours = losses.ssim_map(tf.constant(a), tf.constant(b)).numpy().mean(axis=(1, 2))
    theirs = tf.image.ssim(a[..., None], b[..., None], 100.0).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_mask_losses():
    from fgbg.models.training import losses

    rng = np.random.default_rng(2)
    true = (rng.random((3, 8, 9, 1)) < 0.3).astype(np.float32)
    true[2] = 0
    p = rng.uniform(0.01, 0.99, true.shape).astype(np.float32)
    entropy, dice = (value.numpy() for value in losses.mask_loss(true, p))
    by_hand = [-np.log(p[i] if t else 1 - p[i]) for i, t in np.ndenumerate(true)]
    np.testing.assert_allclose(entropy, np.mean(by_hand), rtol=1e-5)
    each = [(2 * (t * q).sum() + 1) / (t.sum() + q.sum() + 1) for t, q in zip(true, p, strict=True)]
    np.testing.assert_allclose(dice, 1 - np.mean(each), rtol=1e-5)
    entropy, dice = losses.mask_loss(true, true)
    assert float(entropy) < 1e-6 and float(dice) < 1e-6


def test_no_known_depth_is_no_loss_and_no_gradient():
    import tensorflow as tf

    from fgbg.models.training import losses

    said = tf.Variable(np.full((1, 32, 32, 1), 3, np.float32))
    with tf.GradientTape() as tape:
        loss = losses.depth_loss(tf.zeros((1, 32, 32, 1)), said, 10.0)
    assert float(loss) == 0
    assert not np.any(tape.gradient(loss, said).numpy())


@pytest.mark.parametrize("form", ["data_set", "exact_set"])
def test_batches_are_the_files(form, request):
    path = request.getfixturevalue(form)
    found = training_set.read(str(path), pair=True, limit=None)
    given = joined(batches(found, TRAIN))
    files = found.data.splits[TRAIN]
    assert [key.decode() for key in given["key"]] == files.keys and len(files.keys) == SAMPLES
    for i, key in enumerate(files.keys):
        folder, number = key.rsplit("/", 1)
        overlay = cv2.imread(str(path / folder / "overlay" / f"{number}.jpg"))[..., ::-1]
        np.testing.assert_allclose(given["overlay"][i], overlay / 255, atol=1.01 / 255)
        mask = cv2.imread(str(path / folder / "mask" / f"{number}.jpg"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(given["mask"][i, ..., 0], mask >= 128)
        if form == "exact_set":
            stored = cv2.imread(str(path / folder / "depth" / f"{number}.png"), -1) / 1000
        else:
            stored = cv2.imread(str(path / folder / "depth" / f"{number}.jpg"), -1) * (10 / 255)
        np.testing.assert_allclose(given["depth"][i, ..., 0], stored, atol=0.041)
        # Where nothing was pasted, the pair shows the same but for JPEG.
        unlike = np.abs(given["overlay"][i] - given["background"][i])[mask == 0]
        assert np.median(unlike) < 0.02


def test_records_give_what_files_give(exact_set, record_set):
    found = [training_set.read(str(path), True, None) for path in (exact_set, record_set)]
    for split in samples.SPLITS:
        images, records = (joined(batches(f, split)) for f in found)
        order = np.argsort(images["key"]), np.argsort(records["key"])
        assert len(images["key"]) == SAMPLES
        for name, values in images.items():
            np.testing.assert_array_equal(values[order[0]], records[name][order[1]], name)
    some = training_set.read(str(record_set), False, 5)
    assert joined(batches(some, TEST))["key"].tolist() != []
    assert sorted(key.decode() for key in joined(batches(some, TEST))["key"]) == sorted(
        some.data.splits[TEST].keys
    )
    assert len(some.data.splits[TEST].keys) == 5


def stream(found: TrainingSet, settings: Settings, first: int) -> list[dict]:
    from fgbg.models.training import input_pipeline

    given = input_pipeline.training_batches(found.data, settings, 2, first)
    return [{name: value.numpy() for name, value in batch.items()} for batch in given]


@pytest.mark.parametrize("form", ["exact_set", "record_set"])
def test_the_stream_can_be_taken_up_at_any_epoch(form, request):
    found = training_set.read(str(request.getfixturevalue(form)), True, None)
    whole, rest = stream(found, SETTINGS, 0), stream(found, SETTINGS, 1)
    assert len(whole) == 9 and len(rest) == 6
    for one, other in zip(whole[3:], rest, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    orders = [[key for batch in whole[e : e + 3] for key in batch["key"]] for e in (0, 3, 6)]
    assert orders[0] != orders[1] != orders[2]
    assert all(len(set(order)) == SAMPLES for order in orders)


def test_augmentation_keeps_what_belongs_together(exact_set):
    found = training_set.read(str(exact_set), True, None)
    plain = dict(zip((p := joined(batches(found, TRAIN)))["key"], range(SAMPLES), strict=True))
    mirrored = set()
    for batch in stream(found, SETTINGS, 0):
        for i, key in enumerate(batch["key"]):
            j = plain[key]
            as_is = np.array_equal(batch["mask"][i], p["mask"][j])
            mirrored.add(as_is)
            turned = slice(None) if as_is else slice(None, None, -1)
            for name in ("mask", "depth"):
                np.testing.assert_array_equal(batch[name][i], p[name][j][:, turned])
            # One change of light and colours for both pictures: the same colour stays the same.
            both = np.concatenate((p["overlay"][j], p["background"][j]))[:, turned].reshape(-1, 3)
            now = np.concatenate((batch["overlay"][i], batch["background"][i])).reshape(-1, 3)
            _, first = np.unique(np.sort(both, axis=1), axis=0, return_index=True)
            matches = [
                max(abs(np.corrcoef(both[first, c], now[first, d])[0, 1]) for d in range(3))
                for c in range(3)
            ]
            assert min(matches) > 0.97
    assert mirrored == {True, False}


def test_another_size_is_fed(exact_set):
    found = training_set.read(str(exact_set), False, None)
    small = joined(batches(found, TEST, dataclasses.replace(SETTINGS, size=(32, 32))))
    whole = joined(batches(found, TEST))
    means = whole["overlay"].reshape(SAMPLES, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(small["overlay"], means, atol=0.6 / 255)
    np.testing.assert_allclose(
        small["depth"], whole["depth"].reshape(SAMPLES, 32, 2, 32, 2, 1).mean(axis=(2, 4)), 1e-5
    )
    assert set(np.unique(small["mask"])) == {0, 1}
    large = joined(batches(found, TEST, dataclasses.replace(SETTINGS, size=(96, 96))))
    assert large["depth"].shape == (SAMPLES, 96, 96, 1) and (large["depth"] > 0).all()


def test_transfer_of_weights():
    from fgbg.models.training import network

    def build(heads=("depth",), **changes):
        return network.build(
            dataclasses.replace(SETTINGS, **changes), heads, 10.0, "float32", steps=10
        )

    picture = np.random.default_rng(3).random((2, SIZE, SIZE, 3), np.float32)
    source = build()
    wanted = source(picture)["depth"].numpy()
    for inputs, heads in (("overlay", ("depth", "mask")), ("pair", ("mask", "depth"))):
        target = build(heads, inputs=inputs, seed=1)
        shown = picture if inputs == "overlay" else {"overlay": picture, "background": 1 - picture}
        assert not np.allclose(target(shown)["depth"], wanted)
        assert network.transfer(source, target) > 10
        np.testing.assert_allclose(target(shown)["depth"], wanted, rtol=1e-6)
    for other in (build(widths=(4, 10)), build(blocks=(1, 1)), build(inputs="pair")):
        with pytest.raises(TrainingError, match="of another shape"):
            network.transfer(other, source)
    weights = source.get_weights()
    weights[0][0, 0, 0, 0] = np.nan
    source.set_weights(weights)
    with pytest.raises(TrainingError, match="not finite"):
        network.transfer(source, build(seed=2))


def test_a_tiny_data_set_overfits(exact_set, tmp_path):
    from fgbg.models.training import evaluate, fit, network

    found = training_set.read(str(exact_set), False, None)
    same = {name: found.data.splits[TRAIN] for name in samples.SPLITS}
    data = dataclasses.replace(found.data, splits=same)
    settings = dataclasses.replace(
        SETTINGS,
        epochs=40,
        batch_size=6,
        learning_rate=0.01,
        augment=False,
        patience=40,
        widths=(12, 24, 32),
        blocks=(0, 1, 1),
    )
    trained = network.build(settings, ("depth", "mask"), 10.0, "float32", 80)
    network.begin_at(trained, data.typical_depth_m, 10.0)
    first = trained(np.zeros((1, SIZE, SIZE, 3), np.float32))["depth"].numpy()
    assert 0.5 < np.median(first) / data.typical_depth_m < 2
    path = str(tmp_path / "checkpoint.npz")
    state = fit.fit(data, settings, trained, path, 2, lambda *_: None, lambda _: None)
    assert len(state.history) == 40 and state.history[-1]["loss"] < state.history[0]["loss"] / 2
    measures = evaluate.evaluate(trained, data, TRAIN, settings, 2).measures
    assert measures["mask"]["iou"] > 0.95
    assert measures["depth"]["delta1"] > 0.9


def test_pictures_that_are_no_numbers_stop_with_names(exact_set, tmp_path, monkeypatch):
    from fgbg.models.training import fit, input_pipeline, network

    def spoiled(batch, as_float=input_pipeline._as_float):
        found = as_float(batch)
        return found | {"overlay": found["overlay"] * np.nan}

    monkeypatch.setattr(input_pipeline, "_as_float", spoiled)
    found = training_set.read(str(exact_set), False, None)
    settings = dataclasses.replace(SETTINGS, augment=False)
    trained = network.build(settings, ("depth", "mask"), 10.0, "float32", 9)
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(TrainingError, match=r"epoch 1, step 1: loss is nan.*bg1/fg_") as error:
        fit.fit(found.data, settings, trained, str(path), 1, lambda *_: None, lambda _: None)
    assert str(error.value).count("bg1/fg_") == 4
    assert not path.exists()


def test_a_data_set_without_samples_or_range_is_refused(exact_set):
    data = training_set.read(str(exact_set), False, None).data
    empty = dataclasses.replace(data, splits={**data.splits, VALIDATION: _no_files(data)})
    for wrong, words in (
        (empty, "split validation has no sample"),
        (dataclasses.replace(data, depth_range_m=float("nan")), "range of depth is nan"),
    ):
        with pytest.raises(TrainingError, match=words):
            samples.check(wrong, SETTINGS)


def _no_files(data: DataSet) -> samples.Files:
    return samples.Files([], [], [], [], [])
