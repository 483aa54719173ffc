"""A lease on gs://: one holder at a time, dead ones replaced, lost ones noticed."""

from __future__ import annotations

import json
import os
import socket
import time

import pytest

from fgbg.files import lease as leases
from fgbg.files import storage
from fgbg.files.lease import LASTS_S, LeaseError, lease
from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import arguments, make_in_process
from tests.helpers.gcs import BUCKET

PATH = f"gs://{BUCKET}/held/_work/lease.json"


class Objects:
    """As much of Cloud Storage as a lease uses, with the checks of generations that it has."""

    def __init__(self) -> None:
        self.there: dict[str, tuple[bytes, int]] = {}

    def read_generation(self, path: str) -> tuple[bytes, int]:
        if path not in self.there:
            raise FileNotFoundError(path)
        return self.there[path]

    def write_generation(self, path: str, data: bytes, generation: int) -> int:
        current = self.there.get(path, (b"", 0))[1]
        if current != generation:
            raise FileExistsError(path)
        self.there[path] = data, current + 1
        return current + 1

    def delete_files(self, paths: list[str]) -> None:
        for path in paths:
            self.there.pop(path, None)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Objects:
    found = Objects()
    monkeypatch.setattr(leases.storage, "storage_for", lambda path: found)
    return found


def of_another(objects: Objects, age: float, **changes: object) -> None:
    content = {"user": "ann", "host": "elsewhere", "process": 7, "id": "1", "since": 1e9 - 60}
    content |= {"renewed": 1e9 - age, **changes}
    objects.there[PATH] = json.dumps(content).encode(), 4


def at(seconds: float = 1e9):
    return lambda: seconds


def test_it_is_there_while_the_block_runs_and_gone_after_it(objects):
    with lease(PATH):
        assert json.loads(objects.there[PATH][0])["process"] == os.getpid()
    assert not objects.there


def test_a_second_one_is_refused_with_who_holds_it_and_what_to_do(objects):
    of_another(objects, age=20)
    with pytest.raises(LeaseError) as error, lease(PATH, now=at()):
        raise AssertionError("it was given")
    told = str(error.value)
    assert "ann@elsewhere, process 7" in told and "20 s ago" in told
    assert "in 280 s, or delete gs://" in told and PATH in told
    assert objects.there[PATH][1] == 4


def test_one_that_was_not_renewed_for_long_is_replaced(objects):
    of_another(objects, age=LASTS_S + 1)
    with lease(PATH, now=at()):
        assert objects.there[PATH][1] == 5


def test_one_of_a_dead_process_of_this_machine_is_replaced_at_once(objects):
    of_another(objects, age=1, host=socket.gethostname(), process=2**22 + 1)
    with lease(PATH, now=at()):
        assert objects.there[PATH][1] == 5


def test_one_that_cannot_be_read_is_nobodys(objects):
    objects.there[PATH] = b"", 4
    with lease(PATH):
        assert objects.there[PATH][1] == 5


def test_of_two_at_once_one_is_refused(objects, monkeypatch):
    write = objects.write_generation

    def other_first(path: str, data: bytes, generation: int) -> int:
        monkeypatch.setattr(objects, "write_generation", write)
        of_another(objects, age=0, renewed=time.time())
        return write(path, data, generation)

    monkeypatch.setattr(objects, "write_generation", other_first)
    with pytest.raises(LeaseError, match="ann@elsewhere"), lease(PATH):
        raise AssertionError("it was given")


def test_a_repeated_request_of_ones_own_is_no_other_holder(objects, monkeypatch):
    write = objects.write_generation

    def twice(path: str, data: bytes, generation: int) -> int:
        write(path, data, generation)
        return write(path, data, generation)

    monkeypatch.setattr(objects, "write_generation", twice)
    with lease(PATH):
        assert objects.there


def test_a_lost_lease_stops_the_block_and_stays_its_new_holders(objects):
    with pytest.raises(LeaseError, match="was lost"), lease(PATH, renewed_s=0.01):
        of_another(objects, age=0, renewed=time.time())
        time.sleep(20)
    assert json.loads(objects.there[PATH][0])["user"] == "ann"


def test_it_is_renewed(objects):
    with lease(PATH, renewed_s=0.01):
        end = time.monotonic() + 20
        while objects.there[PATH][1] < 3:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_command_says_who_writes_there_and_leaves_no_lease_behind(
    bucket, small_inputs, capsys, in_process
):
    output = f"{bucket}/leased"
    make_in_process(small_inputs, output)
    store = storage.storage_for(output)
    path = f"{output}/_work/lease.json"
    holder = {"user": "ann", "host": "elsewhere", "process": 7, "since": time.time()}
    store.write(path, json.dumps({**holder, "renewed": time.time()}).encode())
    assert main(arguments(small_inputs, output)) == 2  # type: ignore[arg-type]
    assert "another fgbg is writing there: ann@elsewhere" in capsys.readouterr().err
    store.delete_files([path])
    assert main(arguments(small_inputs, output)) == 0  # type: ignore[arg-type]
    assert not store.exists(path)
