"""The samples of a data set of image files."""

from __future__ import annotations

import dataclasses
from typing import Any

from fgbg.files import storage
from fgbg.transforms.dataset import manifest
from fgbg.transforms.dataset.sample import Sample, SampleError, SampleReader
from fgbg.transforms.job.commit import Commit


class FileReader(SampleReader):
    """Finds samples of an image tree."""

    def sample(self, row: dict[str, Any]) -> FileSample:
        return FileSample(row, self.job.configuration, self.output)

    def unit(self, record: Commit) -> list[Sample]:
        return [self.sample(row) for row in manifest.table(self.job, [record]).to_pylist()]


@dataclasses.dataclass(frozen=True)
class FileSample(Sample):
    """A sample of an image tree; files are read each time they are asked for.

    Attributes:
        output: The data set.
    """

    output: str

    def coded(self, kind: str) -> bytes:
        name = self.row[kind]
        path = storage.join(self.output, name)
        try:
            return storage.storage_for(path).read(path)
        except FileNotFoundError as error:
            raise SampleError(f"{name}: missing") from error
