"""A lease on a folder of Cloud Storage: one writer at a time, where nothing can be locked.

The lease is an object that says who holds it. It is created only where there is none (Cloud Storage
checks the generation, so that of two at once one fails), renewed while its holder lives, and
deleted at the end. One that was not renewed for LASTS_S seconds, or whose holder was a process of
this machine that is no more, is a dead holder's: whoever comes next replaces it.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from fgbg.files import storage

RENEWED_S = 60.0
LASTS_S = 300.0


class LeaseError(RuntimeError):
    """Somebody else holds the lease; the message says who, since when, and what to do."""


@contextlib.contextmanager
def lease(
    path: str, renewed_s: float = RENEWED_S, now: Callable[[], float] = time.time
) -> Iterator[None]:
    """Holds a lease while the block runs.

    A lease that is lost, for this machine was asleep for longer than it lasts, interrupts the block
    as Ctrl-C does.

    Args:
        path: gs:// path of the lease.
        renewed_s: Seconds between renewals.
        now: The time, in seconds since 1970.

    Raises:
        LeaseError: Somebody else holds it, or has taken it over.
    """
    held = _Held(path, now)
    held.take()
    ended = threading.Event()
    renewing = threading.Thread(target=held.renew, args=(ended, renewed_s), daemon=True)
    renewing.start()
    try:
        yield
    except KeyboardInterrupt:
        if held.lost:
            raise LeaseError(held.lost) from None
        raise
    finally:
        ended.set()
        renewing.join()
        if not held.lost:
            storage.storage_for(path).delete_files([path])


def is_held(path: str, now: Callable[[], float] = time.time) -> bool:
    """Whether somebody holds a lease, as far as can be told from another machine."""
    try:
        content = json.loads(storage.storage_for(path).read(path))
        return now() - float(content["renewed"]) < LASTS_S
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False  # there is none, or nobody's


class _Held:
    def __init__(self, path: str, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._store: Any = storage.storage_for(path)
        self._generation = 0
        self._id = uuid.uuid4().hex
        self._who = {
            "user": _user(),
            "host": socket.gethostname(),
            "process": os.getpid(),
            "id": self._id,
            "since": now(),
        }
        self.lost = ""

    def take(self) -> None:
        """Creates the lease, or takes over a dead holder's."""
        generation = 0
        try:
            data, generation = self._store.read_generation(self._path)
        except FileNotFoundError:
            pass
        else:
            self._refuse(data)
        self._write(generation)

    def _refuse(self, data: bytes) -> None:
        """Raises if the holder may be alive."""
        try:
            content = json.loads(data)
            age = self._now() - float(content["renewed"])
            since, host, process = float(content["since"]), content["host"], content["process"]
            holder = f"{content['user']}@{host}, process {process}"
        except (ValueError, KeyError, TypeError):
            return  # nobody's
        if host == socket.gethostname() and not _lives(process):
            return
        if age < LASTS_S:
            raise LeaseError(
                f"another fgbg is writing there: {holder}, since {_clock(since)}, last heard of "
                f"{max(0, round(age))} s ago. If it is dead, run this again in "
                f"{round(LASTS_S - age)} s, or delete {self._path} now"
            )

    def _write(self, generation: int) -> None:
        data = json.dumps({**self._who, "renewed": self._now()}).encode() + b"\n"
        try:
            self._generation = self._store.write_generation(self._path, data, generation)
        except FileExistsError:
            data, self._generation = self._store.read_generation(self._path)
            if self._id.encode() in data:
                return  # a repeated request of our own
            self._refuse(data)
            raise LeaseError(f"another fgbg has just taken {self._path}; run this again") from None

    def renew(self, ended: threading.Event, every_s: float) -> None:
        """Renews the lease until the block has ended."""
        while not ended.wait(every_s):
            try:
                self._write(self._generation)
            except LeaseError as error:
                self.lost = f"the lease on this folder was lost, and the run stopped: {error}"
                os.kill(os.getpid(), signal.SIGINT)
                return
            except OSError:
                continue  # no answer: the next time will do, the lease lasts for several


def _lives(process: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
