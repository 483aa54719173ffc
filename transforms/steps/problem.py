"""What verify finds wrong, and what would mend it."""

from __future__ import annotations

from typing import NamedTuple

# What mends a problem.
UNIT = "unit"  # the unit is made again
MISSING = "missing units"  # they are made
SHARD = "shard"  # the units of the shard are made again, and joined
PLAN = "plan"  # the plan of the shards is drawn up again
SUMMARY = "summary"  # what stands beside the samples is written again
DRAWINGS = "drawings"  # sheets and report are drawn again
JOB = "job"  # the job is copied from its other file
INPUT_SUMS = "input sums"  # the checksums of the inputs are recorded, once samples prove them
# What no repair mends.
ORIGINALS = "originals"  # the pictures that the data set was made of are needed
OTHER_JOB = "other job"  # a person has to say which job is meant
FOREIGN = "foreign"  # not ours, left alone


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        file: A file, relative to the data set, or a folder.
        problem: What is wrong with it, in words.
        cure: What mends it: one of the above; "" where nothing but a person can.
        of: The unit or the shard to make again, by name.
    """

    file: str
    problem: str
    cure: str = ""
    of: str = ""
