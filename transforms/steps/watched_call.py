"""Calls of a network on a GPU that are given up where the device no longer answers.

A hung driver never returns from a call, and would keep its worker, which is paid for, for ever.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

# Seconds that a call may take, for all pictures that are given at once. The first one compiles the
# network's code for the device where the libraries have none: minutes.
FIRST_S, LATER_S = 1800.0, 600.0


class HungError(RuntimeError):
    """A call of the network has not come back, and none can be made any more."""


class _Call:
    """One call, in a thread of its own."""

    def __init__(self, network: Any, pictures: Any, on_batch: Callable[[int], object]) -> None:
        self._given = network, pictures, on_batch
        self._result: Any = None
        self._error: BaseException | None = None
        self.ended = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        network, pictures, on_batch = self._given
        try:
            self._result = network.predict(pictures, on_batch)
        except BaseException as error:
            self._error = error
        finally:
            self.ended.set()

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


# Of each network, a call that has hung, or None after one that has ended.
_last: weakref.WeakKeyDictionary[Any, _Call | None] = weakref.WeakKeyDictionary()


def watched_call(network: Any, pictures: Any, on_batch: Callable[[int], object]) -> Any:
    """Calls network.predict(pictures, on_batch), and waits for it, not for ever.

    Args:
        network: A depth network; what hung once is not called again before that call has ended.
        pictures: What it is given.
        on_batch: As predict takes it; called in another thread.

    Raises:
        HungError: It has not come back in time, now or before.
    """
    hung = _last.get(network)
    if hung is not None and not hung.ended.is_set():
        raise HungError("the GPU has not come back from an earlier call of the depth network")
    patience = LATER_S if network in _last else FIRST_S
    call = _Call(network, pictures, on_batch)
    if not call.ended.wait(patience):
        _last[network] = call
        raise HungError(
            f"the GPU has not come back from a call of the depth network for {patience:.0f} s; its "
            "units are tried again by the same command"
        )
    _last[network] = None
    return call.result()
