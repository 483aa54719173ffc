"""Networks on gs:// and on web servers: on every machine's own disk, once, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from fgbg.files import storage
from fgbg.files.fetch import FetchError
from fgbg.models import network_files, presets
from fgbg.models.depth import depth_card
from fgbg.models.depth.depth_card import DepthModelError
from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import ROOT, make_in_process, tree
from tests.helpers.faulty_proxy import FaultyProxy
from tests.helpers.fetch_server import Server, serve
from tests.helpers.gcs import BUCKET, upload
from tests.helpers.pictures import photo
from tests.helpers.small_networks import densedepth_h5, keras_file, saved_model, tflite_file

CANVAS = (64, 64)


pytestmark = pytest.mark.usefixtures("cache")


def test_a_network_is_copied_once(proxy: FaultyProxy, tmp_path):
    path = upload(tflite_file(tmp_path / "net.tflite", CANVAS), f"gs://{BUCKET}/once/net.tflite")
    first = network_files.local_copy(path)
    proxy.seen.clear()
    assert network_files.local_copy(path) == first
    assert {seen.kind for seen in proxy.seen} == {"list"}
    assert Path(first).read_bytes() == (tmp_path / "net.tflite").read_bytes()


def test_another_version_is_not_mistaken_for_it(proxy, tmp_path):
    path = f"gs://{BUCKET}/versions/net.tflite"
    store = storage.storage_for(path)
    store.write(path, b"one")
    first = Path(network_files.local_copy(path))
    store.write(path, b"two")
    assert Path(network_files.local_copy(path)).read_bytes() == b"two"
    assert first.read_bytes() == b"one"  # a process that uses it is not disturbed


def test_its_card_comes_with_it(proxy, tmp_path):
    path = upload(tflite_file(tmp_path / "net.tflite", CANVAS), f"gs://{BUCKET}/card/net.tflite")
    card = f"gs://{BUCKET}/card/net.json"
    storage.storage_for(card).write(card, json.dumps({"max_depth_m": 7.0}).encode())
    assert depth_card.inspect(network_files.local_copy(path)).card.max_depth_m == 7.0


def test_of_a_trained_folder_only_the_network_is_copied(proxy, tmp_path):
    path = f"gs://{BUCKET}/trained"
    for name in ("card.json", "model.keras", "_work/checkpoint", "saved_model/saved_model.pb"):
        storage.storage_for(path).write(f"{path}/{name}", name.encode())
    assert sorted(os.listdir(network_files.local_copy(path))) == ["card.json", "model.keras"]


def test_a_copy_that_broke_off_is_not_used(proxy, cache, monkeypatch):
    path = f"gs://{BUCKET}/broken/net"
    store = storage.storage_for(path)
    store.write_many((f"{path}/{i}", b"%d" % i) for i in range(3))
    whole = type(store).download

    def breaks(self, source, target, version=None):
        whole(self, source, target, version)
        if source.endswith("/1"):
            raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "download", breaks)
        with pytest.raises(FetchError, match="the disk is full"):
            network_files.local_copy(path)
    assert sorted(os.listdir(network_files.local_copy(path))) == ["0", "1", "2"]


def test_processes_copy_it_once_together(proxy, cache, tmp_path):
    path = f"gs://{BUCKET}/together/net.h5"
    storage.storage_for(path).write(path, os.urandom(200_000))
    proxy.seen.clear()
    code = f"from fgbg.models import network_files as n; print(n.local_copy({path!r}))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    copies = {process.communicate(timeout=100)[0] for process in started}
    assert len(copies) == 1 and Path(copies.pop().strip()).stat().st_size == 200_000
    assert proxy.count("read") == {"together/net.h5": 1}


@pytest.mark.parametrize("name", ["../net", "a//b"])
def test_an_object_that_would_leave_its_folder_is_refused(name, proxy, monkeypatch):
    store = storage.storage_for(f"gs://{BUCKET}")  # the emulator takes no such names
    monkeypatch.setattr(type(store), "versions", lambda self, path: {"fine": "1", name: "2"})
    with pytest.raises(FetchError, match="no name that a file could have"):
        network_files.local_copy(f"gs://{BUCKET}/escape")


@pytest.mark.parametrize("kind", ["tflite", "saved_model", "keras"])
def test_depth_by_a_network_on_cloud_storage_is_the_same(
    kind, proxy, small_inputs, tmp_path
):  # fmt: skip
    if kind == "tflite":
        local = tflite_file(tmp_path / "net.tflite", CANVAS)
    elif kind == "keras":
        local = keras_file(tmp_path / "net.keras")
    else:
        local = saved_model(tmp_path / "net", size=CANVAS)
    path = upload(local, f"gs://{BUCKET}/nets/{local.name}")
    wanted = make_in_process(small_inputs, tmp_path / "a", "--depth_model", str(local))
    found = make_in_process(small_inputs, tmp_path / "b", "--depth_model", path)
    assert tree(found) == tree(wanted)


def test_a_worker_that_lacks_a_published_network_downloads_it(tmp_path, monkeypatch):
    weights = densedepth_h5(tmp_path / "random.h5").read_bytes()
    with_server = Server()
    with_server.script = [serve(weights)]
    import threading

    threading.Thread(target=with_server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv("FGBG_NYU_URL", with_server.url)
        launcher = presets.obtain("nyu", progress=False)[1]
        model = depth_card.inspect(str(launcher), published="nyu", address=with_server.url)
        # A worker on another machine: neither the launcher's cache nor its environment.
        monkeypatch.delenv("FGBG_NYU_URL")
        monkeypatch.setenv("FGBG_CACHE", str(tmp_path / "worker"))
        shutil.rmtree(launcher.parent)
        for _ in range(2):
            path = Path(network_files.on_this_machine(with_server.url, model))
            assert path.read_bytes() == weights
        assert len(with_server.requests) == 2  # the launcher's and the worker's
    finally:
        with_server.shutdown()
        with_server.server_close()


def test_a_published_network_may_be_given_from_cloud_storage(proxy, tmp_path):
    from fgbg.pipeline.options import depth_model
    from fgbg.pipeline.options import parser as options

    path = upload(densedepth_h5(tmp_path / "w.h5"), f"gs://{BUCKET}/published/nyu.h5")
    given = ["--backgrounds", "b", "--foregrounds", "f", "--output", "o"]
    given += ["--depth_model", "nyu", "--depth_model_url", path]
    asked, _ = options.parse(options.generate_parser(), given)
    model, source = depth_model.choose(asked)
    assert (source, model.address, model.file) == (path, path, "nyu.h5")
    worker = Path(network_files.on_this_machine(source, model))
    assert worker.read_bytes() == (tmp_path / "w.h5").read_bytes()


def test_a_network_replaced_since_the_launch_is_refused(proxy, tmp_path):
    path = upload(tflite_file(tmp_path / "net.tflite", CANVAS), f"gs://{BUCKET}/new/net.tflite")
    model = depth_card.inspect(network_files.local_copy(path))
    storage.storage_for(path).write(path, b"another")
    with pytest.raises(DepthModelError, match="replaced since the job was launched"):
        network_files.on_this_machine(path, model)


def test_a_path_of_another_machine_says_what_to_give(tmp_path):
    model = depth_card.inspect(str(tflite_file(tmp_path / "net.tflite", CANVAS)))
    with pytest.raises(DepthModelError, match=r"not on this machine.*gs://"):
        network_files.on_this_machine("/launcher/net.tflite", model)


def test_fgbg_depth_reads_and_writes_cloud_storage(proxy, tmp_path):
    network = tflite_file(tmp_path / "net.tflite", CANVAS)
    cv2.imwrite(str(tmp_path / "room.png"), photo(1))
    there = f"gs://{BUCKET}/depth"
    upload(tmp_path / "room.png", f"{there}/in/room.png")
    command = ["--depth_model", upload(network, f"{there}/net.tflite"), "--output", f"{there}/out"]
    assert main(["depth", f"{there}/in/room.png", *command]) == 0
    here = ["--depth_model", str(network), "--output", str(tmp_path / "out")]
    assert main(["depth", str(tmp_path / "room.png"), *here]) == 0
    store = storage.storage_for(there)
    assert {name: store.read(f"{there}/out/{name}") for name in store.files(f"{there}/out")} == {
        file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()
    }
