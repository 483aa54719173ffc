"""`fgbg collect --output gs://`: the same files as in a local folder, and nothing fetched twice."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from fgbg.files import storage
from fgbg.pipeline.__main__ import main
from tests.helpers.collect_runs import command, contents, pictures, rows, search_command
from tests.helpers.data_sets import ROOT
from tests.helpers.faulty_proxy import FaultyProxy
from tests.helpers.gcs import BUCKET, download
from tests.helpers.picture_service import Service, openverse
from tests.helpers.pictures import photo


@pytest.fixture
def service():
    made = Service()
    made.paths["/v1/images/"] = openverse(made.url, 60)
    yield made
    made.shutdown()
    made.server_close()


def remote(asked: list[str], folder: str) -> list[str]:
    """The same command with its output on gs://."""
    at = asked.index("--output")
    return [*asked[: at + 1], folder, *asked[at + 2 :]]


def records(folder: str) -> list[dict]:
    store = storage.storage_for(folder)
    names = store.files(f"{folder}/_work/fetched")
    return [json.loads(store.read(f"{folder}/_work/fetched/{name}")) for name in names]


def test_killed_and_run_again_on_another_machine(
    service, proxy: FaultyProxy, emulator, tmp_path, monkeypatch
):  # fmt: skip
    local, folder = tmp_path / "local", f"gs://{BUCKET}/collected"
    asked = search_command(service, local, "kitchen", "garden", "--count", "12")
    assert main(asked) == 0
    service.asked.clear()
    proxy.hold_after(b"_work/fetched/", 5)
    process = subprocess.Popen(
        [sys.executable, "-m", "fgbg", *remote(asked, folder)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert proxy.holding.wait(100)
    process.kill()
    process.wait(20)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    storage.forget_client()
    finished = {record["found"]["candidate"]["image_url"] for record in records(folder)}
    assert len(finished) == 5
    before = len(service.asked)
    assert main(remote(asked, folder)) == 0
    again = {f"{service.url}{path}" for path in service.asked[before:]}
    assert again and not again & finished
    assert service.counts()["/v1/images/"] == 2  # one page of each topic, asked for once
    made = download(folder, tmp_path / "made")
    assert contents(made) == contents(local)
    work = {p.relative_to(local).as_posix() for p in local.rglob("*") if p.is_file()}
    assert {p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file()} == work - {
        "_work/lock"
    }


def test_requests_and_what_a_person_changed(service, proxy: FaultyProxy, tmp_path):
    folder = f"gs://{BUCKET}/looked_through"
    asked = remote(search_command(service, tmp_path, "kitchen", "--count", "6"), folder)
    assert main(asked) == 0
    for kind in ("/_work/fetched/", "/_work/staged/", "/_work/searches/", "/kitchen_"):
        assert {n for name, n in proxy.count("write").items() if kind in name} == {1}, kind
    # What this process wrote it does not read back.
    read = proxy.count("read")
    assert not any("/_work/fetched/" in name or "/_work/searches/" in name for name in read)
    proxy.seen.clear()
    before = len(service.asked)
    assert main(asked) == 0
    assert len(service.asked) == before
    assert {n for name, n in proxy.count("read").items() if "/_work/fetched/" in name} == {1}
    # One is deleted by hand, one is put there by somebody: near-duplicates of it are left out.
    store = storage.storage_for(folder)
    store.delete(f"{folder}/kitchen_0002.jpg")
    Image.fromarray(photo(7)).save(tmp_path / "own.png")
    store.upload(str(tmp_path / "own.png"), f"{folder}/own.png")
    assert main(asked) == 0
    made = download(folder, tmp_path / "made")
    assert pictures(made) == [*(f"kitchen_000{i}.jpg" for i in (1, 3, 4, 5, 6, 7)), "own.png"]
    reasons = [row["reason"] for row in rows(made / "rejected.csv")]
    assert reasons == ["removed by hand: kitchen_0002.jpg"]


def test_a_list_of_addresses_on_gs(service, bucket, tmp_path):
    store = storage.storage_for(bucket)
    listed, folder = f"{bucket}/lists/street.txt", f"{bucket}/listed"
    store.write(listed, "\n".join(f"{service.url}/photo/{i}.jpg" for i in (1, 2)).encode())
    asked = command(service, tmp_path, listed, "--provider", "urls")
    assert main(remote(asked, folder)) == 0
    assert pictures(download(folder, tmp_path / "made")) == ["street_0001.jpg", "street_0002.jpg"]


def test_folders_that_cannot_be_used_are_told_at_once(service, bucket, tmp_path, capsys):
    storage.storage_for(bucket).write(f"{bucket}/set/_work/job.json", b"{}")
    for folder, words in (
        (f"{bucket}/set", "holds a data set of fgbg"),
        (f"{bucket}/set/_work/job.json", "a file, not a folder"),
        ("gs://nobodys-bucket/out", "cannot be written: no such object or bucket"),
    ):
        assert main(remote(search_command(service, tmp_path, "kitchen"), folder)) == 2
        assert words in capsys.readouterr().err
    assert not service.asked


def test_a_failure_of_cloud_storage_is_no_wrong_use(service, bucket, tmp_path, monkeypatch, capsys):
    from fgbg.transforms.collect import state

    def fail(*_: object) -> None:
        raise OSError(5, "Cloud Storage: 503 for ten minutes", f"{bucket}/down/x")

    asked = remote(search_command(service, tmp_path, "kitchen", "--count", "2"), f"{bucket}/down")
    with monkeypatch.context() as patch:
        patch.setattr(state, "write_record", fail)
        assert main(asked) == 1
    assert f"{bucket}/down" in (error := capsys.readouterr().err) and "503 for ten" in error
    assert main(asked) == 0
