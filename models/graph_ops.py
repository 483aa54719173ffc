"""What the operations of a network can do beyond arithmetic, read from its file without running it.

A SavedModel, and a .tflite file with TensorFlow's operations in it, are programs: they can write
files, call servers and run Python. A network of pictures needs none of that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

# Operations that touch files, other processes, the network, Python or native code by its name.
# docs/depth.md has them in words.
_FORBIDDEN = re.compile(
    r"_*("
    r"\w*PyFunc\w*|\w*File\w*|\w*Dataset\w*|\w*Iterator\w*|\w*Reader|\w*ReaderV2|RecordInput"
    r"|Save|SaveV2|SaveSlices|Restore|RestoreV2|RestoreSlice|DTensorRestoreV2|DistributedSave"
    r"|MergeV2Checkpoints|LoadAndRemapMatrix|GenerateVocabRemapping|FixedUnigramCandidateSampler"
    r"|Skipgram|CalibrationStatisticsSaver|\w*SummaryWriter|\w*SummaryDbWriter|Write\w*Summary"
    r"|WriteSummary|ImportEvent|PrintV2|Debug\w*|Dump\w*"
    r"|Rpc\w*|DeleteRpcFutureResource|RemoteCall|Collective\w*|WorkerHeartbeat"
    r"|(Host|Nccl\w*)?(Send|Recv)|Xla(Send|Recv|Host|CustomCall)\w*|_XlaHostComputeMlir"
    r")"
)
# What the functions that save and restore a network's own weights are made of. The opener restores
# by itself; these functions are in the file and are not called.
_OF_SAVERS = {
    *("Save", "SaveV2", "SaveSlices", "Restore", "RestoreV2", "RestoreSlice"),
    *("MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec"),
}
_HARMLESS = {"ShardedFilename", "ShardedFilespec"}


class ForbiddenOps(ValueError):
    """A network that could do more than compute; the message says by what."""


def check_saved_model(folder: str) -> None:
    """Raises ForbiddenOps for a SavedModel whose graphs or functions could do harm.

    Args:
        folder: The SavedModel.
    """
    found: dict[str, str] = {}
    for meta in _read(folder).meta_graphs:
        for name, why in _forbidden(meta):
            found.setdefault(name, why)
    _refuse(found)


def check_names(names: Iterable[str]) -> None:
    """Raises ForbiddenOps if one of some operations could do harm."""
    _refuse({name: why for name in names if (why := _why(name, set()))})


def _refuse(found: dict[str, str]) -> None:
    if found:
        listing = ", ".join(f"{name} ({why})" for name, why in sorted(found.items())[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ForbiddenOps(
            f"it holds operations that a network of pictures does not need: {listing}{more}; "
            "export it without them"
        )


def _read(folder: str) -> Any:
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel()
    path = os.path.join(folder, "saved_model.pb")
    if os.path.exists(path):
        with open(path, "rb") as file:
            content.ParseFromString(file.read())
        return content
    with open(f"{path}txt", encoding="utf-8") as text:
        return text_format.Parse(text.read(), content)


def _why(name: str, functions: set[str]) -> str:
    """Why an operation is refused; "" if it is not."""
    from tensorflow.python.framework import op_def_registry

    if name in functions or name in _HARMLESS:
        return ""
    if _FORBIDDEN.fullmatch(name):
        return "files, network, processes or Python"
    return "" if op_def_registry.get(name) else "unknown to TensorFlow"


def _forbidden(meta: Any) -> Iterator[tuple[str, str]]:
    """Operations that are refused, and why.

    Everything in the file counts, but for what only the saver's own functions reach: there,
    reading and writing of weights is what they are for.
    """
    nodes = {node.name: node for node in meta.graph_def.node}
    library = {f.signature.name: f.node_def for f in meta.graph_def.library.function}
    saver = meta.saver_def
    own = _ancestors(nodes, [saver.save_tensor_name, saver.restore_op_name])
    used = _ancestors(nodes, [t.name for s in meta.signature_def.values() for t in _outputs(s)])
    of_saver = [nodes[name] for name in own - used]
    others = [node for name, node in nodes.items() if name not in own - used]
    reached = _functions(library, others)
    concrete = set(meta.object_graph_def.concrete_functions) & set(library)
    reached |= concrete | _functions(library, (n for name in concrete for n in library[name]))
    only_saver = _functions(library, of_saver) - reached
    for node in others:
        if why := _why(node.op, set(library)):
            yield node.op, why
    for node in of_saver:
        if node.op not in _OF_SAVERS and (why := _why(node.op, set(library))):
            yield node.op, why
    for name, body in library.items():
        for node in body:
            if name in only_saver and node.op in _OF_SAVERS:
                continue
            if why := _why(node.op, set(library)):
                yield node.op, why


def _outputs(signature: Any) -> Iterator[Any]:
    yield from signature.outputs.values()
    yield from signature.inputs.values()


def _ancestors(nodes: dict[str, Any], names: Iterable[str]) -> set[str]:
    """The nodes of a graph that some tensors are computed from, themselves among them."""
    found: set[str] = set()
    pending = [_node_of(name) for name in names if name]
    while pending:
        name = pending.pop()
        if name in nodes and name not in found:
            found.add(name)
            pending += [_node_of(source) for source in nodes[name].input]
    return found


def _node_of(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]


def _functions(library: dict[str, Any], nodes: Iterable[Any]) -> set[str]:
    """The functions that nodes call, and those that these call."""
    found: set[str] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        called = {node.op}
        for value in node.attr.values():
            called.add(value.func.name)
            called |= {function.name for function in value.list.func}
        for name in (called & set(library)) - found:
            found.add(name)
            pending += library[name]
    return found


def tflite_names(content: bytes) -> list[str]:
    """TensorFlow's operations in a .tflite file, which are outside of TensorFlow Lite's own."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(content, 0)
    codes = (model.OperatorCodes(i).CustomCode() for i in range(model.OperatorCodesLength()))
    names = [code.decode("utf-8", "replace") for code in codes if code]
    return [name.removeprefix("Flex") for name in names if name.startswith("Flex")]
