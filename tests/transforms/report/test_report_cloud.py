"""The report on gs://, by the real client library against an emulator."""

from __future__ import annotations

from fgbg.pipeline.__main__ import main
from tests.helpers.gcs import put


def test_report_and_show_on_cloud_storage(bucket, small_data_set, tmp_path, capsys):
    from fgbg.files import storage
    from fgbg.files.cloud_storage import CloudStorage

    there = f"{bucket}/reported"
    put(small_data_set, there)
    store = storage.storage_for(there)
    store.delete_files([f"{there}/index.html"])
    assert main(["report", there]) == 0
    assert capsys.readouterr().out == f"Open {there}/index.html\n"
    assert store.read(f"{there}/index.html") == (small_data_set / "index.html").read_bytes()
    # A browser shows it, it does not save it.
    assert isinstance(store, CloudStorage)
    blob = store._find(f"{there}/index.html")
    assert blob.content_type.startswith("text/html")
    sample = ("--key", "bg1/fg_1/2", "--output")
    assert main(["show", there, *sample, f"{there}/one.png"]) == 0
    here = tmp_path / "one.png"
    assert main(["show", str(small_data_set), *sample, str(here)]) == 0
    assert store.read(f"{there}/one.png") == here.read_bytes()
