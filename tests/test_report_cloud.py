"""The report on gs://, by the real client library against an emulator."""

from __future__ import annotations

import os

from conftest import fgbg
from test_cloud_storage import bucket, emulator  # noqa: F401 - fixtures
from test_export_cloud import put


def test_report_and_show_on_cloud_storage(bucket, small_data_set, tmp_path):  # noqa: F811
    from transforms import storage

    there = f"{bucket}/reported"
    put(small_data_set, there)
    store = storage.storage_for(there)
    store.delete_files([f"{there}/index.html"])
    environment = {**os.environ}
    made = fgbg("report", there, env=environment)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"Open {there}/index.html\n"
    assert store.read(f"{there}/index.html") == (small_data_set / "index.html").read_bytes()
    # A browser shows it, it does not save it.
    blob = store._find(f"{there}/index.html")
    assert blob.content_type.startswith("text/html")
    shown = fgbg("show", there, "--key", "bg1/fg_1/2", "--output", f"{there}/one.png",
                 env=environment)  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    here = tmp_path / "one.png"
    fgbg("show", str(small_data_set), "--key", "bg1/fg_1/2", "--output", str(here))
    assert store.read(f"{there}/one.png") == here.read_bytes()
