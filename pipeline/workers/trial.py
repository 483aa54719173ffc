"""A network of others, tried in a process of its own: one that dies or hangs there is refused.

Damaged files kill the process that opens or runs them, or keep it busy for ever, and no library
looks at them well enough before. So a network sees one grey picture before any work begins. What it
takes of memory is watched from here: one that takes all of it would take the machine with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from fgbg.models.depth.depth_card import DepthModel, DepthModelError
from fgbg.models.opening import KERAS, ONNX, SAVED_MODEL, TFLITE, NetworkError
from fgbg.pipeline import faults, interrupts
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.progress import byte_size
from fgbg.pipeline.workers import memory
from fgbg.transforms.cutout.method import Method
from fgbg.transforms.label.network import LabelNetwork

# So long opening and one picture may take, in seconds.
PATIENCE_S = 120.0
# How much of the memory that is free it may take, and how often it is looked at, in seconds.
_SHARE, _LOOK_S = 0.75, 0.02
_TRIED = (KERAS, SAVED_MODEL, TFLITE, ONNX)
_GREY = 128


def depth(path: str, model: DepthModel, canvas: tuple[int, int]) -> None:
    """Tries a depth network. Those of known content and DenseDepth's weights are not tried.

    Args:
        path: Where it lies on this machine.
        model: What it is.
        canvas: Width and height of the pictures that it will be given.

    Raises:
        UserError: It cannot be opened, or kills its process, or takes too long.
    """
    if model.kind in _TRIED:
        _run(path, _depth, path, model, canvas)


def cutout(method: Method) -> None:
    """Tries the network of a way to cut out, if it has one. Raises UserError as `depth`."""
    if method.model is not None:
        _run(method.model.path, _cutout, method)


def trained(folder: str) -> None:
    """Tries a network of fgbg train. Raises UserError as `depth`."""
    _run(folder, _trained, folder)


def labelling(network: LabelNetwork) -> None:
    """Tries a network that labels pictures, of whatever kind. Raises UserError as `depth`."""
    if network.depth is None or network.depth.kind in _TRIED:
        _run(network.path, _labelling, network)


def _depth(path: str, model: DepthModel, canvas: tuple[int, int]) -> Callable[[], Any]:
    from fgbg.models.depth import depth_network

    network = depth_network.load(path, model, canvas, 1, 1)
    return lambda: network.predict(_grey(*canvas)[None])


def _cutout(method: Method) -> Callable[[], Any]:
    from fgbg.transforms.cutout import method as methods

    network = methods.open_network(method, 1)
    return lambda: methods.find(_grey(320, 320), method, network)


def _trained(folder: str) -> Callable[[], Any]:
    from fgbg.models.trained.trained_network import TrainedNetwork

    network = TrainedNetwork(folder, 1)
    picture = _grey(*network.size)
    return lambda: network.predict(picture, picture if network.pair else None)


def _labelling(network: LabelNetwork) -> Callable[[], Any]:
    labeller = network.open(1)
    return lambda: labeller.predict(_grey(*labeller.fed_size((640, 480))))


def _grey(width: int, height: int) -> Any:
    return np.full((height, width, 3), _GREY, np.uint8)


def _work(
    sender: Connection, open_network: Callable[..., Callable[[], Any]], arguments: Any
) -> None:
    """What the process does: its last words are what is wrong, "" for nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        predict = open_network(*arguments)
    except (DepthModelError, NetworkError, ValueError, MemoryError) as error:
        sender.send(str(error) or type(error).__name__)
        return
    # What it says of a grey picture is its own affair, and so is an error: others may do.
    with contextlib.suppress(Exception):
        predict()
    sender.send("")


def _run(path: str, open_network: Callable[..., Callable[[], Any]], *arguments: Any) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        return  # a launcher whose workers are elsewhere
    # ONNX Runtime needs little beside what is there already.
    faults.check_limit_of_memory(with_tensorflow=not path.endswith(".onnx"))
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, open_network, arguments), daemon=True)
    free = memory.available()
    with interrupts.held_back(), _quiet():
        process.start()
    sender.close()
    try:
        _wait(path, receiver, process.pid, free)
        problem = receiver.recv()
    except (EOFError, OSError):
        process.join()
        how = faults.signal_or_code(process.exitcode)
        if faults.memory_is_limited():
            raise MemoryError(f"{path}: its trial ended by {how}") from None
        raise UserError(
            f"{path}: this network kills the process that opens and runs it ({how}); its file is "
            "damaged"
        ) from None
    finally:
        process.kill()
        process.join()
    if problem:
        error = UserError(problem)
        raise MemoryError(problem) if faults.is_memory(error) else error


def _wait(path: str, receiver: Connection, process: int | None, free: int | None) -> None:
    """Waits for the process' last words, not for ever, and not at the price of all memory."""
    most = None if free is None else int(_SHARE * free)
    deadline = time.monotonic() + PATIENCE_S
    while not receiver.poll(_LOOK_S):
        taken = memory.resident(process) if process is not None and most is not None else None
        if taken is not None and most is not None and taken > most:
            raise UserError(
                f"{path}: opening this network and showing it one picture takes more than "
                f"{byte_size(most)} of memory, of {byte_size(free or 0)} that are free; its file "
                "is damaged, or it is too large for this machine"
            )
        if time.monotonic() > deadline:
            raise UserError(
                f"{path}: this network had not opened and seen one picture after "
                f"{PATIENCE_S:.0f} s; its file is damaged, or it is too large for this machine"
            )


@contextlib.contextmanager
def _quiet() -> Any:
    """Processes that are started inside say nothing: what matters comes as words."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
