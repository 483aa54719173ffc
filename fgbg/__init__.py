"""Large labelled data sets for monocular depth and segmentation."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"

# In a checkout, the packages lie beside this folder instead of inside it (see setup.py).
_HERE = Path(__file__).resolve().parent
if not (_HERE / "pipeline").is_dir():
    __path__.append(str(_HERE.parent))
