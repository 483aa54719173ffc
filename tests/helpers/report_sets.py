"""Data sets for the report: one with much to say about it, and its page taken apart."""

from __future__ import annotations

import csv
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.data_sets import make_in_process
from tests.helpers.pictures import disc, photo, sieve
from tests.helpers.small_networks import keras_file

HOSTILE = "<img src=x onerror=alert(1)>&'\".png"
AUTHOR = "<script>document.title='taken'</script>"
SPLITS = "train=0.5,validation=0.25,test=0.25"


def conspicuous_inputs(folder: Path) -> Path:
    """Inputs with something wrong with most of them."""
    (folder / "bg").mkdir(parents=True)
    (folder / "fg").mkdir()
    pictures = folder / "bg"
    for i, name in enumerate(("hall.png", "room.png", HOSTILE)):
        Image.fromarray(photo(i)).save(pictures / name)
    shutil.copy(pictures / "hall.png", pictures / "same_hall.png")
    Image.fromarray(photo(1)).resize((192, 160)).save(pictures / "room_large.png")
    Image.fromarray(np.full((80, 96, 3), 200, np.uint8)).save(pictures / "wall.png")
    with open(pictures / "sources.csv", "w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("file", "author", "licence", "page"))
        writer.writerow(("hall.png", AUTHOR, "CC BY 4.0", "https://example.org/a?b=1&c=<d>"))
        writer.writerow(("room.png", "Bo", "CC BY-ND 4.0", "javascript:alert(2)"))
    Image.fromarray(disc(0)).save(folder / "fg" / "ball.png")
    Image.fromarray(sieve(1)).save(folder / "fg" / "faint.png")
    plain = disc(2, soft=0.1)
    plain[..., :3] = (90, 140, 60)
    Image.fromarray(plain).save(folder / "fg" / "plain.png")
    speck = np.zeros((200, 200, 4), np.uint8)
    speck[:60, :60] = disc(3, 60, 60)
    speck[190:, 190:] = 255
    Image.fromarray(speck).save(folder / "fg" / "speck.png")
    return folder


def make_conspicuous(folder: Path, *more: str) -> Path:
    """6 backgrounds x 4 foregrounds x 2 x 3 samples with depth."""
    inputs = conspicuous_inputs(folder / "inputs")
    network = str(keras_file(folder / "network.keras"))
    options = ("--depth_model", network, "--splits", SPLITS, "--size", "64", *more)
    return make_in_process(inputs, folder / "set", *options)


class Page(HTMLParser):
    """What a page holds.

    Args:
        path: Of the page.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.text = path.read_text()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, str] = {}
        self.by_tag: dict[str, list[str]] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(self.text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self.by_tag.setdefault(tag, [])
        if tag not in ("img", "meta", "link", "br"):
            self._open.append((tag, attributes.get("id")))
            self.by_tag[tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag

    def handle_data(self, data: str) -> None:
        for tag, name in self._open:
            if name:
                self.content[name] = self.content.get(name, "") + data
            self.by_tag[tag][-1] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]
