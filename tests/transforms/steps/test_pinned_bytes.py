"""A small job's bytes, written down: whoever changes them changes every data set that people have.

The inputs are drawn with integers and stored without any library's compression, foregrounds are as
high as they are placed, and reducing by two is exact, so that no processor's floats matter. Of
JPEGs the files are pinned, which the pin of opencv-python-headless may change (its libjpeg-turbo),
and so may all that is decoded from backgrounds/bgN.jpg: overlays and record checksums. Of PNGs the
pixels are pinned: their bytes are those of Python's or OpenCV's zlib. A change of NumPy, Beam or
TensorFlow may change nothing here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.transforms.records import example as tf_example
from fgbg.transforms.records.file import read_frames
from tests.helpers.drawn_jobs import drawn_inputs, make_units

FORMS = {
    "files": [],
    "png": ["--mask_format", "png", "--depth_format", "png16", "--truncation", "0.5"],
    "records": ["--format", "tfrecord"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[dict]]]:
    """By form: the data set and the rows of its manifest."""
    inputs = drawn_inputs(tmp_path_factory.mktemp("drawn"))
    folder = tmp_path_factory.mktemp("made")
    found = {}
    for form, more in FORMS.items():
        groups = make_units(inputs, folder / form, "--placements", "1", *more)
        found[form] = (folder / form, [row for rows in groups for row in rows])
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pinned(data: bytes) -> str:
    """Of a JPEG its bytes, of a PNG its pixels."""
    if not data.startswith(b"\x89PNG"):
        return sha256(data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return sha256(f"{image.dtype} {image.shape} ".encode() + image.tobytes())


@pytest.mark.parametrize("form", ["files", "png"])
def test_the_files_of_a_small_job_are_those_that_were_written_down(form, made):
    output, _ = made[form]
    found = {
        path.relative_to(output).as_posix().replace("/fg_1/", " "): pinned(path.read_bytes())
        for path in output.glob("bg*/fg_1/*/*")
    }
    assert found == PICTURES[form]


@pytest.mark.parametrize("form", FORMS)
def test_the_names_of_commit_records_are_those_that_were_written_down(form, made):
    # They end with the identity of all that a unit depends on: an interrupted run goes by them.
    folder = made[form][0] / "_work/commits"
    names = [path.relative_to(folder).as_posix() for path in folder.glob("**/*.json")]
    assert sorted(names) == COMMITS[form]


@pytest.mark.parametrize("form", FORMS)
def test_the_job_and_its_inputs_are_those_that_were_written_down(form, made):
    output, _ = made[form]
    assert sha256((output / "_work/job.json").read_bytes()) == JOBS[form]
    names = ("backgrounds/bg1.jpg", "backgrounds/bg2.jpg", "foregrounds/fg_1.png")
    assert {name: pinned((output / name).read_bytes()) for name in names} == STORED


@pytest.mark.parametrize("form", ["files", "png"])
def test_the_rows_of_a_small_job_are_those_that_were_written_down(form, made):
    _, rows = made[form]
    of_pngs = {f"{kind}_crc32" for kind in ("mask", "depth") if rows[0][kind].endswith(".png")}
    rows = [{name: row[name] for name in row if name not in of_pngs} for row in rows]
    boxes = [tuple(row[name] for name in BOXES) for row in rows]
    assert boxes == ROWS[form][0]
    assert sha256(json.dumps(rows, sort_keys=True).encode()) == ROWS[form][1], rows


def test_the_records_of_a_small_job_are_those_that_were_written_down(made):
    output, _ = made["records"]
    found = {}
    for path in sorted((output / "_work/blocks").glob("**/*.tfrecord")):
        with path.open("rb") as file:
            ((_, payload),) = read_frames(file)
        features = sorted(tf_example.decode(payload).items())
        values = [
            (name, [pinned(v) if isinstance(v, bytes) else v for v in of_name])
            for name, of_name in features
        ]
        name = path.relative_to(output / "_work/blocks").as_posix().partition(".")[0]
        found[name] = sha256(json.dumps(values).encode())
    assert found == RECORDS


BOXES = ("canvas_x", "canvas_y", "x", "y", "width", "height", "mask_area")
STORED = {
    "backgrounds/bg1.jpg": "cc8bacd895e290878c4db90ee8f04409fe9db77a6590fbe142cc504774cbca3d",
    "backgrounds/bg2.jpg": "075f1e0fa5934a53c4916bfd7cf3d966b27af072475b3395c56e8b99c61dd92d",
    "foregrounds/fg_1.png": "7bc6c36bf1b9e8361ce04a918270404a7e768231346017f03cac256adf411e4c",
}
JOBS = {
    "files": "3c77d86bace10345ef45bff80a6b56d2e107cee767b4986a6d3d8f858c492486",
    "png": "2fcee8c9f590525898ed998eb317a8bb622bbced906fe8cc816c1691ee6e1109",
    "records": "88fc2cbdf5adb469294ed89adae2040154d9750f6c96a8ba522809804caaef62",
}
COMMITS = {
    "files": [
        "bg1/fg_1/as_given_0.2a2d331bb812.json",
        "bg1/fg_1/mirrored_0.877de87a72e3.json",
        "bg2/fg_1/as_given_0.fbfa78ebfc71.json",
        "bg2/fg_1/mirrored_0.4e36dc167f17.json",
    ],
    "png": [
        "bg1/fg_1/as_given_0.9db0c8002b1a.json",
        "bg1/fg_1/mirrored_0.39307be6135e.json",
        "bg2/fg_1/as_given_0.8de3184fa57b.json",
        "bg2/fg_1/mirrored_0.b14eb2d6cca8.json",
    ],
    "records": [
        "bg1/fg_1/as_given_0.1961b0864720.json",
        "bg1/fg_1/mirrored_0.4ab06846e96d.json",
        "bg2/fg_1/as_given_0.f7c08b757fc0.json",
        "bg2/fg_1/mirrored_0.56bd5e2c030e.json",
    ],
}
PICTURES = {
    "files": {
        "bg1 depth/1.jpg": "d03f938778040081f519d6ab95d07814887481650783977abfbc256a33c2854a",
        "bg1 depth/2.jpg": "e2b3cce9fddb64988308aa23fde8bc85aa798ab18d6103ba7db810877fdc95ab",
        "bg1 mask/1.jpg": "3db4cea75820afaf6c08b8325a6b1be145e0bdf84b4200a3ad42339e42e8fede",
        "bg1 mask/2.jpg": "f37ef77822652ad119e0b202a654588e25eff59395f75e579d186907895c9f94",
        "bg1 overlay/1.jpg": "44ad8fbec3730b5a52eda280227db50b7d7c990945d804a2f9b4a0521a8555a1",
        "bg1 overlay/2.jpg": "685d6dfcaf2d164f4d3fd0e7f2ed9830a3f00e0536545acfa8969eb79565240d",
        "bg2 depth/1.jpg": "c9aaf2650dfaa151e8b5cbab872ca841b36a9f3f81d749e3e0097e1bfe6c91fd",
        "bg2 depth/2.jpg": "e2a3e20d0fd5040ca91fc1161c98da4882337fbf72a4fbd4c82e7924832f8b1e",
        "bg2 mask/1.jpg": "7bb617db21b6c45a03fa15d60584c76d5ad67482e7564237c572830b55c795e6",
        "bg2 mask/2.jpg": "18a51e899c7819a82433a0ea2f7fe9f37e9a4357a7494fa3879f071ed382c4dc",
        "bg2 overlay/1.jpg": "212da5d4b0fc5608ca583621051a6e9861510758be0604fa107bd21a9505be14",
        "bg2 overlay/2.jpg": "e8287ad0e2348730866552e0569995e7f2f6ec12c1aff1871cc73007c4a2d99b",
    },
    "png": {
        "bg1 depth/1.png": "1501e6cfb8b26e874d1429480fc2778adcfedae71d78aac7a6300904b1bb3dd7",
        "bg1 depth/2.png": "82ea82a33ef088a464082634fc688d0165900dbbfb2133b5dfb7ab851f8dce2a",
        "bg1 mask/1.png": "32bd39b432e53361ed4e643aeb19e1f98a3db8b3dc5bf5ea70c2d64b7b99f937",
        "bg1 mask/2.png": "184d38a9b7731aad5bcab0ca565bd34b1b551b9239458f9baa7ba807a6941507",
        "bg1 overlay/1.jpg": "dfa68ce854dad56daaf2c9fdb3becd34903c05dba90c876fd11afe685fea6f97",
        "bg1 overlay/2.jpg": "685d6dfcaf2d164f4d3fd0e7f2ed9830a3f00e0536545acfa8969eb79565240d",
        "bg2 depth/1.png": "413ba12c874d91087313f71218b0e86e015dff670e322a73292081b229a49298",
        "bg2 depth/2.png": "f5328b19f89b60b4f1b0db7cd6bc40f232b20fdd994e81bdd6bf9b7e19c97d36",
        "bg2 mask/1.png": "0fd2ef7d5e500c36f7b9cf5e02175b031c0d82691f71f7091ce4795ebb9dd68b",
        "bg2 mask/2.png": "a86a432767db8714a4ec78304a4476600bc9e679e1e381dd4450e4eeaec841a2",
        "bg2 overlay/1.jpg": "6e0f671cb8f7b8fb6f0b7ecbf4a34d9e01425883363401afc9d74f40adaf0ef2",
        "bg2 overlay/2.jpg": "2c1de340d513df3ae879f8b3a1ae92fd6663790773d3d6879f80b320249d95a9",
    },
}
ROWS = {
    "files": (
        [
            (40, 27, 20, 14, 12, 15, 140),
            (21, 15, 11, 8, 11, 15, 137),
            (34, 19, 17, 10, 12, 15, 140),
            (16, 29, 8, 15, 12, 15, 140),
        ],
        "8eeb73b9f7ed8aa3d74238bf1d10b771d3bb32eb40fbfd1f9496510d28237434",
    ),
    "png": (
        [
            (52, 6, 26, 3, 6, 16, 70),
            (21, 15, 11, 8, 11, 15, 137),
            (42, 22, 21, 11, 11, 16, 136),
            (14, 41, 7, 21, 12, 11, 110),
        ],
        "8472a263c82530b8c59216b82bc92960b2d1bcddf7d5f2c2d536a632465f4e69",
    ),
}
RECORDS = {
    "bg1/fg_1/as_given_0": "66a2780e388ac8f12ab50830c92c8fbf7d7b037ad451fd63a35af793e3b2eb49",
    "bg1/fg_1/mirrored_0": "fdc40152fc2b324bd8543a285b6d3f8784a5c88942710fbf71151cee367ff42f",
    "bg2/fg_1/as_given_0": "cdab3652dda4a30f8f88cbfc9b72769f3eee463c1b03169d526403ce405f2077",
    "bg2/fg_1/mirrored_0": "cc2e3db204ad2622ed2baf227aab585def2583f982adc71fb7822ecc7f0396ad",
}
