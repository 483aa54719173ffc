"""Networks that could do more than compute are refused before anything of them runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fgbg.models import opening
from fgbg.models.opening import NetworkError
from tests.helpers.small_networks import saved_model


def module(path: Path, how: str, target: Path) -> Path:
    """A SavedModel of tf.saved_model.save; `how` says what it does besides."""
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(2.0)

        @tf.function
        def inner(self, x):
            if how == "write":
                tf.io.write_file(str(target), "written")
            elif how == "print":
                tf.print("written", output_stream=f"file://{target}")
            elif how == "read":
                x += tf.cast(tf.strings.length(tf.io.read_file(str(target))), tf.float32)
            elif how == "python":
                x = tf.numpy_function(lambda v: v, [x], tf.float32)
                x.set_shape([1, 4, 4, 3])
            elif how == "save":
                tf.raw_ops.SaveV2(
                    prefix=str(target), tensor_names=["x"], shape_and_slices=[""], tensors=[x]
                )
            return x

        @tf.function(input_signature=[tf.TensorSpec([1, 4, 4, 3], tf.float32)])
        def __call__(self, x):
            y = tf.cond(tf.reduce_sum(x) > -1, lambda: self.inner(x), lambda: x)
            return y * self.weight

    net = Net()
    tf.saved_model.save(net, str(path), signatures=net.__call__)
    return path


@pytest.mark.parametrize(
    "how, operation",
    [
        ("write", "WriteFile"),
        ("print", "PrintV2"),
        ("read", "ReadFile"),
        ("python", "PyFunc"),
        ("save", "SaveV2"),
    ],
)
def test_a_saved_model_that_does_more_than_compute_is_refused(how, operation, tmp_path):
    path = module(tmp_path / "net", how, tmp_path / "target")
    with pytest.raises(NetworkError, match=operation) as raised:
        opening.open_network(str(path), 1)
    assert str(raised.value).startswith(str(path)) and "\n" not in str(raised.value)
    assert not list(tmp_path.glob("target*"))


def test_what_computes_only_is_opened(tmp_path):
    opened = opening.open_network(str(module(tmp_path / "net", "", tmp_path / "target")), 1)
    (found,) = opened.call([np.ones((1, 4, 4, 3), np.float32)], [0])
    np.testing.assert_array_equal(found, 2)
    assert opening.open_network(str(saved_model(tmp_path / "keras")), 1).outputs


def test_operations_of_savers_count_where_a_signature_reaches_them(tmp_path):
    """The saver of the file is said to be what the signature computes: it runs, so it counts."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = module(tmp_path / "net", "save", tmp_path / "target")
    content = saved_model_pb2.SavedModel()
    content.ParseFromString((path / "saved_model.pb").read_bytes())
    meta = content.meta_graphs[0]
    meta.saver_def.save_tensor_name = next(
        iter(meta.signature_def["serving_default"].outputs.values())
    ).name
    (path / "saved_model.pb").write_bytes(content.SerializeToString())
    with pytest.raises(NetworkError, match="SaveV2"):
        opening.open_network(str(path), 1)


def test_an_operation_that_nobody_knows_is_refused(tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    path = module(tmp_path / "net", "", tmp_path / "target")
    content = saved_model_pb2.SavedModel()
    content.ParseFromString((path / "saved_model.pb").read_bytes())
    content.meta_graphs[0].graph_def.library.function[0].node_def.add(name="odd", op="OddOp")
    (path / "saved_model.pb").write_bytes(content.SerializeToString())
    with pytest.raises(NetworkError, match=r"OddOp \(unknown to TensorFlow\)"):
        opening.open_network(str(path), 1)


def test_a_tflite_file_with_such_operations_is_refused(tmp_path):
    import tensorflow as tf

    net = tf.saved_model.load(str(module(tmp_path / "net", "write", tmp_path / "target")))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([net.signatures["serving_default"]])
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    converter.allow_custom_ops = True
    (tmp_path / "net.tflite").write_bytes(converter.convert())
    with pytest.raises(NetworkError, match="WriteFile"):
        opening.open_network(str(tmp_path / "net.tflite"), 1)


def test_a_keras_file_with_code_in_it_is_refused(tmp_path):
    import keras

    given = keras.Input((4, 4, 3))
    network = keras.Model(
        given, keras.layers.Lambda(lambda x: 2 * x, output_shape=(4, 4, 3))(given)
    )
    network.save(tmp_path / "code.keras")
    with pytest.raises(NetworkError, match="cannot be loaded"):
        opening.open_network(str(tmp_path / "code.keras"), 1)
