"""Large labelled data sets for monocular depth and segmentation."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fgbg.transforms.dataset.loading import load, torch_dataset

__version__ = "0.1.0"
__all__ = ["__version__", "load", "torch_dataset"]

# In a checkout, the packages lie beside this folder instead of inside it (see setup.py).
_HERE = Path(__file__).resolve().parent
if not (_HERE / "pipeline").is_dir():
    __path__.append(str(_HERE.parent))

_LOADED_LATE = {name: "fgbg.transforms.dataset.loading" for name in ("load", "torch_dataset")}


def __getattr__(name: str) -> Any:
    """A part of the public API, imported when it is first used: `import fgbg` stays fast."""
    if name not in _LOADED_LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LOADED_LATE[name]), name)
