"""Exports and conversions on gs://, by the real client library against an emulator."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import fgbg, make_in_process, tree
from test_cloud_storage import bucket, download, emulator  # noqa: F401 - fixtures
from test_convert import ASKED, FORMS

from pipeline.__main__ import main


def put(folder: Path, target: str) -> None:
    from transforms import storage

    store = storage.storage_for(target)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store.write(f"{target}/{path.relative_to(folder).as_posix()}", path.read_bytes())


@pytest.mark.parametrize("form", ["jpg", "tfrecord"])
def test_on_cloud_storage_it_is_the_same_to_the_byte(
    form,
    bucket,  # noqa: F811
    small_inputs,
    tmp_path,
):
    other = "tfrecord" if form == "jpg" else "jpg"
    here = make_in_process(small_inputs, tmp_path / "here", *FORMS[form])
    there = f"{bucket}/{form}"
    put(here, f"{there}/set")
    for what in ("coco", "webdataset"):
        assert main(["export", what, str(here), "--output", str(tmp_path / what)]) == 0
        assert main(["export", what, f"{there}/set"]) == 0
        found = download(f"{there}/set/{what}", tmp_path / f"cloud_{what}")
        assert tree(found) == tree(tmp_path / what)
    made = fgbg("convert", f"{there}/set", "--output", f"{there}/new", *ASKED[other],
                env={**os.environ})  # fmt: skip
    assert made.returncode == 0, made.stderr
    direct = make_in_process(small_inputs, tmp_path / "direct", *FORMS[other])
    assert tree(download(f"{there}/new", tmp_path / "new")) == tree(direct)
