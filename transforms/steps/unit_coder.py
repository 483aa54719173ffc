"""How a work unit crosses the shuffle: as its name, never as a pickle."""

from __future__ import annotations

from apache_beam import coders

from fgbg.transforms.job.work_unit import WorkUnit


class WorkUnitCoder(coders.Coder):
    """WorkUnit <-> its name in ASCII.

    Beam's row coder would do, but in another process it decodes to a class of its own making.
    """

    def encode(self, value: WorkUnit) -> bytes:
        return value.name.encode("ascii")

    def decode(self, encoded: bytes) -> WorkUnit:
        return WorkUnit.parse(encoded.decode("ascii"))

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return WorkUnit


coders.registry.register_coder(WorkUnit, WorkUnitCoder)
