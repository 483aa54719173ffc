"""`fgbg collect` interrupted in every way: nothing is fetched twice, and names stay the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.collect_runs import contents, pictures, search_command
from tests.helpers.data_sets import ROOT
from tests.helpers.picture_service import Service, drip, hash_of, openverse


@pytest.fixture
def service():
    made = Service()
    yield made
    made.shutdown()
    made.server_close()


def start(asked: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "fgbg", *asked],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def recorded(output: Path) -> int:
    return sum(1 for _ in (output / "_work" / "fetched").glob("*.json"))


def undisturbed(service: Service, output: Path, *more: str) -> dict[str, str]:
    assert main(search_command(service, output, *more)) == 0
    service.asked.clear()
    return contents(output)


@pytest.mark.parametrize("moment", [3, 10])
def test_killed_and_run_again_nothing_is_fetched_twice(service, tmp_path, moment):
    service.paths["/v1/images/"] = openverse(service.url, 60)
    more = ("kitchen", "garden", "--count", "12")
    expected = undisturbed(service, tmp_path / "calm", *more)
    service.photo_delay_s = 0.05
    output = tmp_path / "out"
    asked = search_command(service, output, *more)
    process = start(asked)
    wait_for(lambda: recorded(output) >= moment)
    process.kill()
    process.communicate(timeout=20)
    done = recorded(output)
    assert moment <= done < 16
    finished = {
        json.loads(path.read_text())["found"]["candidate"]["image_url"].rpartition("/")[2]
        for path in (output / "_work" / "fetched").glob("*.json")
    }
    requests = len(service.asked)
    service.photo_delay_s = 0
    assert main(asked) == 0
    later = [path for path in service.asked[requests:]]
    assert not [path for path in later if path.rpartition("/")[2] in finished]
    counts = service.counts()
    assert counts["/v1/images/"] == 2  # searches are not made again either
    # Those under way when it was killed are fetched again; nothing else is.
    assert sum(n - 1 for path, n in counts.items() if path.startswith("/photo/")) <= 8
    assert contents(output) == expected
    assert not list(output.rglob("*.part"))


def test_killed_while_publishing_names_are_kept(service, tmp_path, monkeypatch):
    from fgbg.transforms.collect import publish

    service.paths["/v1/images/"] = openverse(service.url, 60)
    more = ("kitchen", "--count", "8")
    expected = undisturbed(service, tmp_path / "calm", *more)
    output = tmp_path / "out"
    asked = search_command(service, output, *more)

    def killed(*_):
        raise RuntimeError("as if killed: the pictures are there, the choice is not stored")

    with monkeypatch.context() as patch:
        patch.setattr(publish.state, "write_chosen", killed)
        with pytest.raises(RuntimeError):
            main(asked)
    assert len(pictures(output)) == 8
    assert main(asked) == 0
    assert contents(output) == expected
    assert set(service.counts().values()) == {1}


def test_ctrl_c_ends_at_once_and_the_same_command_goes_on(service, tmp_path):
    service.paths["/v1/images/"] = openverse(service.url, 60)
    output = tmp_path / "out"
    asked = search_command(
        service, output, "kitchen", "--count", "20", "--timeout", "25", "--per_host", "8"
    )
    # Some answer at once and some for ever: those are to be broken off.
    first = hash_of("kitchen")
    slow = [f"/photo/{first + i}.jpg" for i in range(0, 27, 9)]
    service.paths.update(dict.fromkeys(slow, drip))
    process = start(asked)
    wait_for(lambda: recorded(output) >= 1 and any(path in slow for path in service.asked))
    process.send_signal(signal.SIGINT)
    interrupted = time.monotonic()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert time.monotonic() - interrupted < 4
    assert "the same command goes on from here" in errors
    assert "Traceback" not in errors and "Stopped" not in errors
    for path in slow:
        del service.paths[path]
    assert main(asked) == 0 and len(pictures(output)) == 20


def test_a_second_run_keeps_away(service, tmp_path):
    service.paths["/v1/images/"] = openverse(service.url, 60)
    service.photo_delay_s = 0.3
    output = tmp_path / "out"
    process = start(search_command(service, output, "kitchen", "--count", "20"))
    wait_for(lambda: recorded(output) >= 1)
    assert main(search_command(service, output, "kitchen", "--count", "20")) == 2
    process.kill()
    process.communicate(timeout=20)
