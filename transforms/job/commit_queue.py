"""Commit records that wait until the files of their units are on the disk.

A record that outlives a power cut must not speak of files that did not. Waiting for the disk after
each unit would cost more than making it, so records wait in memory while one thread syncs the file
system, again and again, and writes the records of the units whose files were written before it
began. What waits when a process dies is made again; nobody has counted it.

The records themselves need no sync of their own: one that is lost or damaged counts as not done.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from fgbg.files import durable, storage
from fgbg.transforms.job import commit
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import Job


class Settled(NamedTuple):
    """A unit whose record has been written, or could not be.

    Attributes:
        commit: Its record.
        error: Why it is not done; None if it is.
    """

    commit: Commit
    error: Exception | None


class CommitQueue:
    """Commit records on their way to the disk, of one process.

    Args:
        output: The data set.
        job: Its job.
        fsync: Whether records wait for their units' files. Without it, and on gs://, where a
            written object is safe at once, they are written immediately.
    """

    def __init__(self, output: str, job: Job, fsync: bool = True) -> None:
        self._output = output
        self._job = job
        self._waits = fsync and not storage.is_gcs(output)
        self._waiting: list[Commit] = []
        self._sync: Future[list[Settled]] | None = None
        self._thread = ThreadPoolExecutor(1) if self._waits else None

    def put(self, record: Commit) -> list[Settled]:
        """Takes the record of a unit whose files have been written.

        Returns:
            What has been settled since the last call, of earlier units or of this one.
        """
        self._waiting.append(record)
        if self._thread is None:
            return self._write(self._take())
        if self._sync is not None and not self._sync.done():
            return []
        settled = self._settled()
        self._sync = self._thread.submit(self._sync_and_write, self._take())
        return settled

    def drain(self) -> list[Settled]:
        """Waits for all records put so far. Returns what has been settled since the last call."""
        settled = self._settled()
        if self._waiting:
            settled += self._sync_and_write(self._take())
        return settled

    def _take(self) -> list[Commit]:
        taken, self._waiting = self._waiting, []
        return taken

    def _settled(self) -> list[Settled]:
        if self._sync is None:
            return []
        done, self._sync = self._sync.result(), None
        return done

    def _sync_and_write(self, records: list[Commit]) -> list[Settled]:
        try:
            if self._waits:
                durable.sync(self._output)
        except OSError as error:
            return [Settled(record, error) for record in records]
        return self._write(records)

    def _write(self, records: list[Commit]) -> list[Settled]:
        done = []
        for record in records:
            try:
                commit.write(self._output, self._job, record)
            except Exception as error:
                done.append(Settled(record, error))
            else:
                done.append(Settled(record, None))
        return done
