"""The folder of a training: what it holds, what began it, and whether it may go on."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from fgbg.files import storage
from fgbg.models.trained import trained_card
from fgbg.models.training.samples import Settings
from fgbg.pipeline.exit_codes import UserError

WORK = "_work"
CHECKPOINT = f"{WORK}/checkpoint.npz"
_RUN = f"{WORK}/run.json"
LOGS = "logs"
HISTORY_JSON, HISTORY_CSV = "history.json", "history.csv"
METRICS, CURVE, PREDICTIONS = "metrics.json", "curve.png", "predictions.png"
# All that --overwrite deletes: the card first, for a folder with it counts as whole, and last what
# tells that the rest is ours. A killed run leaves names with "part".
_OURS = (
    trained_card.CARD,
    trained_card.KERAS_FILE,
    "model.part.keras",
    trained_card.SAVED_MODEL,
    f"{trained_card.SAVED_MODEL}.part",
    LOGS,
    HISTORY_JSON,
    HISTORY_CSV,
    METRICS,
    CURVE,
    f"{CURVE}.part",
    PREDICTIONS,
    f"{PREDICTIONS}.part",
    CHECKPOINT,
    f"{CHECKPOINT}.part",
    f"{_RUN}.part",
    _RUN,
)
AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Run:
    """What began a training.

    Attributes:
        settings: Its settings; the precision is no longer "auto".
        data_sha256: Of its data set.
        threads: CPU threads that it began with.
        test_sha256: Of the --test_set; None without one.
    """

    settings: Settings
    data_sha256: str
    threads: int
    test_sha256: str | None = None

    def write(self, folder: str) -> None:
        """Stores it, before any training."""
        put_json(folder, _RUN, dataclasses.asdict(self))


def stored_run(folder: str) -> Run | None:
    """What began the training in a folder, or None where there is none.

    Raises:
        UserError: The folder holds something else.
    """
    path = storage.join(folder, _RUN)
    if not has_run(folder):
        if _names(folder) - {WORK}:
            raise UserError(
                f"--model_dir {folder}: the folder is not empty and holds no training of fgbg; "
                "give an empty or a new one (--overwrite deletes trainings of fgbg, nothing else)"
            )
        return None
    try:
        content = json.loads(storage.storage_for(path).read(path))
        fields = content["settings"]
        for name in ("size", "widths", "blocks", "encoder_range"):
            if fields.get(name) is not None:
                fields[name] = tuple(fields[name])
        return Run(
            Settings(**fields),
            content["data_sha256"],
            content["threads"],
            content.get("test_sha256"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        if storage.is_gcs(path) and isinstance(error, OSError):
            raise  # Cloud Storage cannot be reached: nothing is wrong with the training
        raise UserError(
            f"{path}: not the settings of a training of this version: {error!r}; --overwrite "
            "starts anew"
        ) from error


def check_ours(folder: str) -> None:
    """Raises UserError for a folder that --overwrite must not touch."""
    if _names(folder) - {WORK} and not has_run(folder):
        raise UserError(
            f"--model_dir {folder}: the folder is not empty and holds no training of fgbg; "
            "--overwrite deletes trainings of fgbg, nothing else"
        )


def _names(folder: str) -> set[str]:
    """What is in a folder; nothing if there is none."""
    store = storage.storage_for(folder)
    if store.size(folder) is not None:
        raise UserError(f"--model_dir {folder}: a file, not a folder")
    return set(store.children(folder))


def check_apart(folder: str, option: str, path: str) -> None:
    """Raises UserError for a network that --overwrite would delete before it is trained from."""
    if os.path.exists(path) and (os.path.realpath(path) + "/").startswith(
        os.path.realpath(folder) + "/"
    ):
        raise UserError(
            f"--overwrite: --{option} {path} lies in --model_dir {folder} and would be deleted; "
            "copy it elsewhere, or give another --model_dir"
        )


def has_run(folder: str) -> bool:
    """Whether a training of ours has begun in a folder."""
    path = storage.join(folder, _RUN)
    return storage.storage_for(path).size(path) is not None


def is_finished(folder: str) -> bool:
    """Whether a folder holds a whole trained network: its card is put last."""
    path = storage.join(folder, trained_card.CARD)
    return storage.storage_for(path).size(path) is not None


def check_same(
    folder: str, stored: Run, asked: Settings, data_sha256: str, test_sha256: str | None
) -> None:
    """Raises UserError naming every difference between a stored training and the one asked for."""
    differences = []
    for field in dataclasses.fields(Settings):
        was, wanted = getattr(stored.settings, field.name), getattr(asked, field.name)
        if was != wanted and not (field.name == "precision" and wanted == AUTO):
            differences.append(f"  --{field.name}: {_shown(was)} there, {_shown(wanted)} asked for")
    if stored.data_sha256 != data_sha256:
        differences.append(
            f"  the data set: {stored.data_sha256[:16]} there, {data_sha256[:16]} asked for "
            "(another one, or it was extended)"
        )
    if stored.test_sha256 != test_sha256:
        were = (sha256[:16] if sha256 else "none" for sha256 in (stored.test_sha256, test_sha256))
        differences.append("  --test_set: {} there, {} asked for".format(*were))
    if differences:
        listing = "\n".join(differences)
        raise UserError(
            f"--model_dir {folder} holds another training:\n{listing}\nGive the same options to go "
            "on, another --model_dir, or --overwrite to start anew"
        )


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def delete(folder: str) -> None:
    """Deletes a training of ours and nothing else."""
    store = storage.storage_for(folder)
    for name in _OURS:
        store.delete(storage.join(folder, name))


def put_json(folder: str, name: str, content: Any) -> None:
    """Writes a JSON file, whole or not at all."""
    data = (json.dumps(content, indent=1) + "\n").encode()
    path = os.path.join(folder, name)
    storage.storage_for(path).write_atomically(path, data)


def put_text(folder: str, name: str, text: str) -> None:
    """Writes a text file, whole or not at all."""
    path = os.path.join(folder, name)
    storage.storage_for(path).write_atomically(path, text.encode())
