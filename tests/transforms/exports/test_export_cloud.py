"""Exports and conversions on gs://, by the real client library against an emulator."""

from __future__ import annotations

import os

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import fgbg, make_in_process, tree
from tests.helpers.gcs import download, put
from tests.helpers.licensed_inputs import ASKED, FORMS


@pytest.mark.parametrize("form", ["jpg", "tfrecord"])
def test_on_cloud_storage_it_is_the_same_to_the_byte(
    form,
    bucket,
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
