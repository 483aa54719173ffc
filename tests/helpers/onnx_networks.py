"""Small ONNX networks, made node by node: those of small_networks, and what others publish."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.helpers.small_networks import BIAS, WEIGHTS

OPSET = 13
FLOAT, HALF, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
Shape = list[Any]
Port = tuple[Any, ...]  # name, type, shape


def constant(name: str, values: Any) -> Any:
    return numpy_helper.from_array(np.asarray(values), name)


def save(
    path: Path,
    nodes: Iterable[Any],
    inputs: Iterable[Port],
    outputs: Iterable[Port],
    constants: Iterable[Any] = (),
    **settings: Any,
) -> Path:
    """Writes a network of some nodes."""
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        list(constants),
    )
    settings.setdefault("opset_imports", [helper.make_opsetid("", OPSET)])
    model = helper.make_model(graph, ir_version=8, **settings)
    path.write_bytes(model.SerializeToString())
    return path


def depth_network(
    path: Path,
    size: tuple[int, int] | None = None,
    layout: str = "nchw",
    batch: int | None = None,
    half: bool = False,
    outputs: int = 1,
) -> Path:
    """The network of small_networks.oracle: depth is the mean over 2x2 of a sum of the channels.

    Args:
        path: Where to.
        size: Width and height that it takes; None for any.
        layout: "nchw" or "nhwc", of input and output.
        batch: How many pictures it takes; None for any.
        half: Whether input and output are float16.
        outputs: How many outputs it has, depth0, depth1 ..: depthN is N + 1 times the first.
    """
    width, height = size or ("width", "height")
    w2, h2 = (None, None) if size is None else (size[0] // 2, size[1] // 2)
    b: Any = batch or "batch"
    kind = HALF if half else FLOAT
    shape: Shape = [b, 3, height, width]
    out: Shape = [b, 1, h2, w2]
    nodes = []
    given = "picture"
    if layout == "nhwc":
        shape, out = [b, height, width, 3], [b, h2, w2, 1]
        nodes.append(helper.make_node("Transpose", [given], ["turned"], perm=[0, 3, 1, 2]))
        given = "turned"
    if half:
        nodes.append(helper.make_node("Cast", [given], ["wide"], to=FLOAT))
        given = "wide"
    nodes.append(helper.make_node("Conv", [given, "kernel", "bias"], ["weighed"]))
    nodes.append(
        helper.make_node(
            "AveragePool", ["weighed"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]
        )
    )
    said, ports = [constant("kernel", WEIGHTS[None, :, None, None]), constant("bias", [BIAS])], []
    for number in range(outputs):
        name = "pooled"
        steps: list[tuple[str, Any]] = [
            ("Mul", None),
            *([("Cast", {"to": HALF})] if half else []),
            *([("Transpose", {"perm": [0, 2, 3, 1]})] if layout == "nhwc" else []),
        ]
        for step, (op, settings) in enumerate(steps):
            made = f"made{number}_{step}"
            taken = [name, f"factor{number}"] if op == "Mul" else [name]
            nodes.append(helper.make_node(op, taken, [made], **(settings or {})))
            name = made
        said.append(constant(f"factor{number}", np.float32(number + 1)))
        nodes.append(helper.make_node("Identity", [name], [f"depth{number}"]))
        ports.append((f"depth{number}", kind, out))
    return save(path, nodes, [("picture", kind, shape)], ports, said)


def mask_network(
    path: Path, size: tuple[int, int] | None = (64, 64), logits: bool = False, outputs: int = 1
) -> Path:
    """How much redder than green a pixel is, steeply around 0.2: as a salient object network."""
    width, height = size or ("width", "height")
    kernel = np.array([40, -40, 0], np.float32).reshape(1, 3, 1, 1)
    nodes = [helper.make_node("Conv", ["picture", "kernel", "bias"], ["logits"])]
    ports = []
    for number in range(outputs):
        op = "Identity" if logits else "Sigmoid"
        nodes.append(helper.make_node(op, ["logits"], [f"mask{number}"]))
        ports.append((f"mask{number}", FLOAT, [1, 1, height, width]))
    said = [constant("kernel", kernel), constant("bias", np.array([-8], np.float32))]
    return save(path, nodes, [("picture", FLOAT, [1, 3, height, width])], ports, said)


def points_network(path: Path) -> Path:
    """As MoGe-2: image and num_tokens in; points up to a shift, normal, mask and metric_scale out.

    Red is x, green y, blue z, of 0..1; where red is under a tenth there is no depth. One unit of
    the points is 2.5 m.
    """
    nodes = [
        helper.make_node("Transpose", ["image"], ["points"], perm=[0, 2, 3, 1]),
        helper.make_node("Identity", ["points"], ["normal"]),
        helper.make_node("Slice", ["image", "zero", "one", "one"], ["red4"]),
        helper.make_node("Squeeze", ["red4", "one"], ["red"]),
        helper.make_node("Greater", ["red", "tenth"], ["there"]),
        helper.make_node("Cast", ["there"], ["mask"], to=FLOAT),
        # It takes num_tokens for what it does, which is nothing here.
        helper.make_node("Cast", ["num_tokens"], ["tokens"], to=FLOAT),
        helper.make_node("Mul", ["tokens", "nought"], ["nothing"]),
        helper.make_node("Add", ["scale", "nothing"], ["metric_scale"]),
    ]
    said = [
        *(constant("zero", [0]), constant("one", [1]), constant("tenth", np.float32(0.1))),
        *(constant("nought", np.float32(0)), constant("scale", np.array([2.5], np.float32))),
    ]
    b, h, w = "batch", "height", "width"
    return save(
        path,
        nodes,
        [("image", FLOAT, [b, 3, h, w]), ("num_tokens", INT64, [])],
        [
            *(("points", FLOAT, [b, h, w, 3]), ("normal", FLOAT, [b, h, w, 3])),
            *(("mask", FLOAT, [b, h, w]), ("metric_scale", FLOAT, [None])),
        ],
        said,
    )


def edited(source: Path, path: Path, change: Any) -> Path:
    """A copy of a network, changed by a function of its ModelProto."""
    model = onnx.load(str(source), load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path
