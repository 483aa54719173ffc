"""What a file is that was given for HDF5 weights and is none."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path


def what_instead(path: Path, head: bytes) -> str:
    """What a file that is not HDF5 looks like.

    Args:
      path: the file.
      head: its first bytes.
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "empty (0 bytes): the download did not begin; delete it and try again"
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page, not weights: a download saved the server's error page; try again"
    if text.startswith((b"<?xml", b"<error")):
        return "an XML answer, not weights: a download saved the server's error; try again"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights it stands for: run git lfs pull"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model, not HDF5: it needs the name ending .tflite"
    if head.startswith(b"PK"):
        return _what_zip(path)
    if re.match(rb"\x80[\x02-\x05]", head):
        return "a pickle, as PyTorch wrote its files: not read, as that would run what it holds"
    return f"not an HDF5 file: it begins with {head[:8]!r}"


def _what_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "a damaged zip archive (a PyTorch or .keras file cut short?), not HDF5"
    if any(name.split("/")[-1] == "data.pkl" for name in names):
        return "a PyTorch file: only the HDF5 files that Keras wrote are read"
    if "model.weights.h5" in names:
        return "a Keras 3 archive, not HDF5: it needs the name ending .keras"
    return "a zip archive, not an HDF5 file"
