"""From files or TFRecords to batches, by tf.data; the same stream for the same settings.

Order and augmentation of an epoch are functions of (seed, epoch) alone, so that a resumed training
goes on with what it would have seen. Pictures are decoded in parallel and given in order.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fgbg.models.trained.compact_network import BACKGROUND, DEPTH, MASK, OVERLAY
from fgbg.models.training import augmentation
from fgbg.models.training.samples import TRAIN, DataSet, Files, Records, Settings, steps_of_epoch

KEY, _DRAWS = "key", "draws"
MASK_THRESHOLD = 128
# Records read ahead and mixed, and shards read at once: shards hold runs of one background.
_MIXED, _SHARDS_AT_ONCE = 2048, 8
_PREFETCHED = 4


def training_batches(data: DataSet, settings: Settings, threads: int, first_epoch: int) -> Any:
    """The training batches of all epochs from one on, as one stream.

    Args:
        data: The data set.
        settings: Of the training.
        threads: Of decoding.
        first_epoch: The epoch to begin with, from 0.

    Returns:
        A tf.data.Dataset of dictionaries: "overlay" (and "background") float32 [batch, height,
        width, 3], RGB in 0..1; "mask" float32 [batch, height, width, 1], 0 or 1; "depth"
        likewise, metres, 0 where it is not known; "key" string [batch].
    """
    import tensorflow as tf

    steps, batch = steps_of_epoch(data, settings)
    epochs = tf.data.Dataset.range(first_epoch, settings.epochs)
    stream = epochs.flat_map(
        lambda epoch: (
            elements(data, settings, epoch)
            .take(steps * batch)
            .map(lambda element: (element, epoch))
        )
    )
    load = functools.partial(_load, data, settings, TRAIN)

    def varied(element: Any, epoch: Any) -> dict[str, Any]:
        sample = load(element)
        numbers = augmentation.draws(settings.seed, epoch, sample[KEY])
        if settings.augment:
            sample = augmentation.vary(sample, numbers)
        return sample | {_DRAWS: numbers}

    def finished(batch: dict[str, Any]) -> dict[str, Any]:
        numbers = batch.pop(_DRAWS)
        batch = _as_float(batch)
        return augmentation.permute_colours(batch, numbers) if settings.augment else batch

    stream = stream.map(varied, num_parallel_calls=threads, deterministic=True)
    stream = stream.batch(batch, drop_remainder=True).map(finished)
    return _threaded(stream.prefetch(_PREFETCHED), threads)


def ordered_batches(data: DataSet, split: str, settings: Settings, threads: int) -> Any:
    """A split's samples once, in order and as they are; the last batch may be smaller.

    Args:
        data: The data set.
        split: Which samples.
        settings: Of the training.
        threads: Of decoding.

    Returns:
        A tf.data.Dataset as of `training_batches`.
    """
    load = functools.partial(_load, data, settings, split)
    stream = elements(data, settings, None, split)
    stream = stream.map(load, num_parallel_calls=threads, deterministic=True)
    stream = stream.batch(settings.batch_size).map(_as_float)
    return _threaded(stream.prefetch(_PREFETCHED), threads)


def stored_samples(data: DataSet, split: str, seed: int | None) -> Any:
    """A split's samples once, as they are stored.

    Args:
        data: The data set.
        split: Which samples.
        seed: Of their order; None: as they are stored.

    Returns:
        A tf.data.Dataset of dictionaries: "key" string; "overlay" uint8 [height, width, 3], RGB;
        "mask" uint8 [height, width, 1], 0 or 1; "depth" float32 [height, width, 1], metres.
    """
    import tensorflow as tf

    settings = Settings("overlay", data.size, seed=seed or 0)
    stream = elements(data, settings, None if seed is None else 0, split)
    return stream.map(functools.partial(_load, data, settings, split), tf.data.AUTOTUNE)


def elements(data: DataSet, settings: Settings, epoch: Any, split: str = TRAIN) -> Any:
    """What samples are loaded from, before anything is decoded: indices, or records.

    Args:
        data: The data set.
        settings: Of the training.
        epoch: int64 scalar tensor; None: in order.
        split: Which samples.

    Returns:
        A tf.data.Dataset of scalars.
    """
    import tensorflow as tf

    samples = data.splits[split]
    if isinstance(samples, Files):
        order = tf.range(len(samples.keys), dtype=tf.int64)
        if epoch is not None:
            order = tf.random.experimental.stateless_shuffle(
                order, tf.stack([settings.seed, epoch])
            )
        return tf.data.Dataset.from_tensor_slices(order)
    shards = tf.constant(list(samples.shards))
    if epoch is None:
        records = tf.data.TFRecordDataset(shards)
    else:
        shards = tf.random.experimental.stateless_shuffle(shards, tf.stack([settings.seed, epoch]))
        records = tf.data.Dataset.from_tensor_slices(shards).interleave(
            tf.data.TFRecordDataset, min(_SHARDS_AT_ONCE, len(samples.shards))
        )
    if not samples.whole:
        records = records.filter(_among(samples))
    if epoch is not None:
        seed = settings.seed * 1_000_003 + epoch
        records = records.shuffle(_MIXED, seed=seed, reshuffle_each_iteration=False)
    return records


def load_one(data: DataSet, settings: Settings, split: str, element: Any) -> dict[str, Any]:
    """One sample, loaded here and now; raises what TensorFlow raises for a damaged one."""
    return _load(data, settings, split, element)


def key_of(data: DataSet, split: str, element: Any) -> str:
    """The name of a sample that may not be loadable, and its files if it has any."""
    samples = data.splits[split]
    if isinstance(samples, Files):
        i = int(element)
        files = [paths[i] for paths in (samples.overlays, samples.masks, samples.depths) if paths]
        return f"{samples.keys[i]} ({', '.join(files)})"
    try:
        return _record_key(element).numpy().decode()
    except Exception:
        return "a record that is no tf.Example of fgbg"


def _threaded(stream: Any, threads: int) -> Any:
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    # TensorFlow's own pool between operations has one thread here (fgbg.models.tensorflow_process).
    options.threading.private_threadpool_size = threads
    return stream.with_options(options)


def _load(data: DataSet, settings: Settings, split: str, element: Any) -> dict[str, Any]:
    """A sample at the size fed: uint8 pictures, mask 0 or 1, float32 metres."""
    samples = data.splits[split]
    found = (
        _from_files(data, samples, element)
        if isinstance(samples, Files)
        else _from_record(data, samples, element)
    )
    if data.backgrounds is not None:
        import tensorflow as tf

        found[BACKGROUND] = tf.gather(_constant(data.backgrounds), found[BACKGROUND])
    else:
        found.pop(BACKGROUND)
    if settings.size == data.size:
        return found
    return {name: _resize(name, value, data, settings) for name, value in found.items()}


def _constant(values: Any) -> Any:
    import tensorflow as tf

    with tf.init_scope():  # a tensor that traced functions refer to, not a part of them
        return tf.constant(values)


def _from_files(data: DataSet, samples: Files, index: Any) -> dict[str, Any]:
    import tensorflow as tf

    def read(paths: Any) -> Any:
        return tf.io.read_file(tf.gather(_constant(list(paths)), index))

    found = {
        KEY: tf.gather(_constant(list(samples.keys)), index),
        OVERLAY: _picture(read(samples.overlays), data, 3),
        MASK: tf.cast(_picture(read(samples.masks), data, 1) >= MASK_THRESHOLD, tf.uint8),
        BACKGROUND: tf.gather(_constant(np.array(samples.backgrounds, np.int64)), index),
    }
    if data.has_depth:
        file = read(samples.depths)
        if samples.depths[0].endswith(".png"):
            found[DEPTH] = _millimetres(file, data)
        else:
            eight_bits = tf.cast(_picture(file, data, 1), tf.float32)
            found[DEPTH] = eight_bits * (data.depth_range_m / 255)
    return found


_NAMING = ("background/id", "foreground/id", "placement/number")


def _record_key(record: Any) -> Any:
    """The name of a record's sample, as the manifest has it: bg1/fg_1/7."""
    import tensorflow as tf

    number = tf.io.FixedLenFeature((), tf.int64)
    found = tf.io.parse_single_example(record, dict.fromkeys(_NAMING, number))
    background, foreground, placement = (tf.strings.as_string(found[name]) for name in _NAMING)
    return tf.strings.join(["bg", background, "/fg_", foreground, "/", placement])


def _among(samples: Records) -> Any:
    """Whether a record is one of a split's chosen ones."""
    import tensorflow as tf

    keys = tf.constant(list(samples.keys))
    rows = tf.lookup.KeyValueTensorInitializer(keys, tf.ones(len(samples.keys), tf.int64))
    table = tf.lookup.StaticHashTable(rows, 0)
    return lambda record: table.lookup(_record_key(record)) > 0


def _from_record(data: DataSet, samples: Records, record: Any) -> dict[str, Any]:
    import tensorflow as tf

    text = tf.io.FixedLenFeature((), tf.string)
    features: dict[str, Any] = {"image/encoded": text}
    features["background/id"] = tf.io.FixedLenFeature((), tf.int64)
    features["image/object/mask"] = tf.io.RaggedFeature(tf.string)
    if data.has_depth:
        features["depth/encoded"] = text
    parsed = tf.io.parse_single_example(record, features)
    masks = parsed["image/object/mask"]
    empty = tf.zeros((data.size[1], data.size[0], 1), tf.uint8)
    found = {
        KEY: _record_key(record),
        OVERLAY: _picture(parsed["image/encoded"], data, 3),
        MASK: tf.cond(
            tf.size(masks) > 0,
            lambda: tf.cast(_picture(masks[0], data, 1) > 0, tf.uint8),
            lambda: empty,
        ),
        BACKGROUND: parsed["background/id"] - 1,
    }
    if data.has_depth:
        found[DEPTH] = _millimetres(parsed["depth/encoded"], data)
    return found


def _picture(file: Any, data: DataSet, channels: int) -> Any:
    """A decoded JPEG or PNG of the data set's size: uint8 [height, width, channels]."""
    import tensorflow as tf

    # The kernel knows PNG too. Accurate: the pixels that OpenCV and Pillow see.
    picture = tf.io.decode_jpeg(file, channels, dct_method="INTEGER_ACCURATE")
    return tf.ensure_shape(picture, (data.size[1], data.size[0], channels))


def _millimetres(file: Any, data: DataSet) -> Any:
    """Metres of a 16-bit PNG: float32 [height, width, 1]."""
    import tensorflow as tf

    stored = tf.io.decode_png(file, 1, tf.uint16)
    return tf.cast(tf.ensure_shape(stored, (data.size[1], data.size[0], 1)), tf.float32) / 1000


def _resize(name: str, value: Any, data: DataSet, settings: Settings) -> Any:
    """Another size, as pictures are resized for a network: area mean to shrink, else bilinear."""
    import tensorflow as tf

    if name in (KEY, _DRAWS):
        return value
    size = settings.size[1], settings.size[0]
    shrinks = all(fed <= stored for fed, stored in zip(settings.size, data.size, strict=True))

    def resized(x: Any) -> Any:
        return tf.image.resize(tf.cast(x, tf.float32), size, "area" if shrinks else "bilinear")

    if name == DEPTH:  # the mean of what is known; not known where most of it is not
        known = resized(value > 0)
        return tf.where(known >= 0.5, resized(value) / tf.maximum(known, 0.5), 0.0)
    if name == MASK:
        return tf.cast(resized(value) >= 0.5, tf.uint8)
    return tf.cast(tf.round(resized(value)), tf.uint8)


def _as_float(batch: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    scaled = dict(batch)
    for name, scale in ((OVERLAY, 1 / 255), (BACKGROUND, 1 / 255), (MASK, 1.0)):
        if name in scaled:
            scaled[name] = tf.cast(scaled[name], tf.float32) * scale
    return scaled
