"""ONNX files: opened and run as any other network, and what is refused before anything is run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from fgbg.models import onnx_file, opening
from fgbg.models.onnx_network import OnnxNetwork, OutOfMemory
from fgbg.models.opening import NetworkError
from fgbg.models.picture_input import picture_input
from tests.helpers.data_sets import ROOT
from tests.helpers.onnx_networks import depth_network, edited, mask_network, save
from tests.helpers.small_networks import oracle

SIZE = (24, 16)


def batch(count: int = 1, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(1).random((count, size[1], size[0], 3), dtype=np.float32)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("size", [SIZE, None], ids=["static", "dynamic"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_layouts_sizes_and_types(tmp_path, layout, size, half):
    path = depth_network(tmp_path / "net.onnx", size, layout, half=half)
    opened = opening.open_network(str(path), 1)
    given = picture_input(opened)
    assert (given.layout, given.batch, given.size) == (layout, None, size)
    assert given.port.dtype == opened.outputs[0].dtype == (np.float16 if half else np.float32)
    for fed in ((2, SIZE), (3, size or (10, 8))):
        pictures = batch(*fed)
        (found,) = opened.call(given.given(pictures), [0])
        maps = found[:, 0] if layout == "nchw" else found[..., 0]
        np.testing.assert_allclose(maps, oracle(pictures), rtol=3e-3 if half else 1e-5)


def test_outputs_are_chosen_by_name(tmp_path):
    opened = opening.open_network(str(depth_network(tmp_path / "net.onnx", SIZE, outputs=3)), 1)
    assert [output.name for output in opened.outputs] == ["depth0", "depth1", "depth2"]
    wanted = [opened.choose_output(name, "name it") for name in ("depth2", "depth0")]
    third, first = opened.call(picture_input(opened).given(batch()), wanted)
    np.testing.assert_array_equal(third, 3 * first)
    with pytest.raises(NetworkError, match="name it: depth0, depth1, depth2"):
        opened.choose_output(None, "name it")


def test_a_published_network_gives_what_onnxruntime_gives_by_itself(shared_data):
    path = str(shared_data / "weights" / "u2netp.onnx")
    opened = opening.open_network(path, 1)
    pictures = batch(1, (320, 320))
    found = opened.call(picture_input(opened).given(pictures), range(7))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    plain = session.run(None, {session.get_inputs()[0].name: pictures.transpose(0, 3, 1, 2)})
    for ours, theirs in zip(found, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert all(
        (a == b).all()
        for a, b in zip(found, opened.call([pictures.transpose(0, 3, 1, 2)], range(7)))
    )


def test_bound_inputs_and_outputs_give_the_same(tmp_path):
    """As on a GPU, whose code binds them; here to the processor's own memory."""
    opened = opening.open_network(str(depth_network(tmp_path / "net.onnx", None, outputs=2)), 1)
    assert isinstance(opened, OnnxNetwork) and not opened.gpu
    given = picture_input(opened).given(batch(3))
    plain = opened.call(given, [1, 0])
    opened.gpu = True
    for ours, theirs in zip(opened.call(given, [1, 0]), plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_call_that_fails_is_told_by_the_file(tmp_path, monkeypatch):
    path = str(depth_network(tmp_path / "net.onnx", SIZE))
    opened = opening.open_network(path, 1)
    assert isinstance(opened, OnnxNetwork)
    with pytest.raises(NetworkError, match="invalid dimensions") as raised:
        opened.call([np.zeros((1, 3, 5, 5), np.float32)], [0])
    assert str(raised.value).startswith(path) and "\n" not in str(raised.value)

    def full(names: object, fed: object) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 6 : FAIL : Failed to allocate memory for 9 bytes")

    monkeypatch.setattr(opened, "_session", type("Session", (), {"run": staticmethod(full)}))
    with pytest.raises(OutOfMemory, match="Failed to allocate memory"):
        opened.call([np.zeros((1, 3, 16, 24), np.float32)], [0])


def test_an_onnx_network_is_opened_without_tensorflow(tmp_path):
    path = depth_network(tmp_path / "net.onnx", SIZE)
    code = (
        "import sys\nfrom fgbg.models import opening\n"
        f"opening.open_network({str(path)!r}, 1)\nprint('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def refused(path: Path, words: str) -> None:
    with pytest.raises(NetworkError, match=words) as raised:
        opening.open_network(str(path), 1)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def one_node(path: Path, op: str, domain: str) -> Path:
    node = helper.make_node(op, ["picture"], ["depth"], domain=domain)
    shape = [1, 3, 4, 4]
    opsets = [helper.make_opsetid("", 13)]
    opsets += [helper.make_opsetid(domain, 1)] if domain else []
    return save(
        path,
        [node],
        [("picture", TensorProto.FLOAT, shape)],
        [("depth", TensorProto.FLOAT, shape)],
        opset_imports=opsets,
    )


@pytest.mark.parametrize(
    "op, domain",
    [("Shell", "evil.ops"), ("PythonOp", "com.microsoft"), ("EPContext", "com.microsoft")],
)
def test_operators_of_others_are_refused_by_name(tmp_path, op, domain):
    refused(one_node(tmp_path / "net.onnx", op, domain), f"not ONNX's own: {domain}.{op}; export")


def test_operators_are_found_in_subgraphs_and_functions(tmp_path):
    shape = [1, 3, 4, 4]
    inner = helper.make_graph(
        [helper.make_node("Run", ["picture"], ["inner"], domain="evil.ops")],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, shape)],
    )
    node = helper.make_node("If", ["yes"], ["depth"], then_branch=inner, else_branch=inner)
    ports = ([("picture", TensorProto.FLOAT, shape), ("yes", TensorProto.BOOL, [])],)
    out = [("depth", TensorProto.FLOAT, shape)]
    refused(save(tmp_path / "if.onnx", [node], *ports, out), r"evil\.ops\.Run")
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    for op, domain in (("Run", "evil.ops"), ("Neg", "")):
        function = helper.make_function(
            "own", "F", ["x"], ["y"], [helper.make_node(op, ["x"], ["y"], domain=domain)], opsets
        )
        path = save(
            tmp_path / "function.onnx",
            [helper.make_node("F", ["picture"], ["depth"], domain="own")],
            [("picture", TensorProto.FLOAT, shape)],
            out,
            opset_imports=opsets,
            functions=[function],
        )
        if domain:
            refused(path, r"evil\.ops\.Run")
    # Functions that the file is made of itself are no operators of others.
    opened = opening.open_network(str(path), 1)
    np.testing.assert_array_equal(opened.call([np.ones(shape, np.float32)], [0])[0], -1)


def with_external(source: Path, path: Path, location: str) -> Path:
    def change(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == "kernel")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location
        tensor.ClearField("raw_data")

    return edited(source, path, change)


def test_weights_elsewhere_are_refused_and_beside_it_are_read(tmp_path):
    source = depth_network(tmp_path / "net.onnx", SIZE)
    kernel = onnx.load(str(source)).graph.initializer[0].raw_data
    (tmp_path / "outside.bin").write_bytes(kernel)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    for place in ("../outside.bin", str(tmp_path / "outside.bin"), "link.bin", "", "."):
        refused(with_external(source, folder / "net.onnx", place), "only files in its own folder")
    path = with_external(source, folder / "net.onnx", "weights.bin")
    refused(path, r"its weights are in weights\.bin, which is not beside it")
    shutil.copy(tmp_path / "outside.bin", folder / "weights.bin")
    assert onnx_file.read(str(path)).files == [str(path), str(folder / "weights.bin")]
    opened = opening.open_network(str(path), 1)
    (found,) = opened.call(picture_input(opened).given(batch()), [0])
    np.testing.assert_allclose(found[:, 0], oracle(batch()), rtol=1e-5)


def test_graphs_beyond_limits_are_refused(tmp_path, monkeypatch):
    path = depth_network(tmp_path / "net.onnx", SIZE)
    monkeypatch.setattr(onnx_file, "MOST_NODES", 3)
    refused(path, "it has more than 3 nodes")
    monkeypatch.setattr(onnx_file, "LARGEST_FILE", 100)
    refused(path, "are more than an ONNX file can have")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda model: setattr(model, "ir_version", 999), "IR version"),
        (lambda model: setattr(model.opset_import[0], "version", 999), "opset"),
        (lambda model: setattr(model.graph.node[0], "op_type", "Convolve"), "Convolve"),
        (lambda model: model.graph.ClearField("node"), "holds no graph"),
    ],
    ids=["IR", "opset", "operator", "empty"],
)
def test_versions_and_operators_that_are_unknown_are_one_line(tmp_path, change, words):
    source = depth_network(tmp_path / "net.onnx", SIZE)
    refused(edited(source, tmp_path / "other.onnx", change), words)


def test_files_that_are_no_networks_are_told(tmp_path):
    path = tmp_path / "net.onnx"
    for content in (b"not a network at all", b"<html>", bytes(100), b"\x08"):
        path.write_bytes(content)
        refused(path, "not an ONNX file")
    path.write_bytes(mask_network(tmp_path / "mask.onnx").read_bytes()[:-40])
    refused(path, "not an ONNX file, or a damaged one: it ends too early")
