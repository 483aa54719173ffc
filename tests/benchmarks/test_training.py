"""The pictures of the reference training: the same views again, and none of what is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import reference_training
from tests.helpers.pictures import photo


def test_views_are_square_parts_and_the_same_again(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(photo(1, 160, 120)).save(path)
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        reference_training.make_views([path], folder, 4)
        made.append({p.name: p.read_bytes() for p in sorted(folder.iterdir())})
    assert made[0] == made[1] and list(made[0]) == [f"a_0{i}.jpg" for i in range(4)]
    views = [np.asarray(Image.open(tmp_path / "one" / name)) for name in made[0]]
    assert {view.shape for view in views} == {(448, 448, 3)}
    assert all(np.abs(a.astype(int) - views[0]).mean() > 1 for a in views[1:])


def test_every_tenth_picture_is_held_out(tmp_path):
    for i in range(20):
        Path(tmp_path, f"{i:02}.jpg").touch()
    taken, held = reference_training.split(tmp_path)
    assert [p.stem for p in held] == ["09", "19"] and len(taken) == 18
    assert not set(taken) & set(held)
