"""The whole graph of collecting, on one page."""

from __future__ import annotations

import dataclasses

import apache_beam as beam

from fgbg.transforms.collect.candidate import Found, Query, Settings
from fgbg.transforms.collect.publish import publish
from fgbg.transforms.collect.steps import Check, Download, DropBySize, Search, Write, first_found


@dataclasses.dataclass(frozen=True)
class Round:
    """One round of collecting: the launcher asks for rounds until there are enough pictures.

    Attributes:
        queries: Searches to be carried on.
        needs: How many pictures each of them is to give.
    """

    queries: tuple[Query, ...]
    needs: tuple[int, ...]


def collect(root: beam.Pipeline, settings: Settings, asked: Round) -> beam.PCollection:
    """Queries -> pages -> addresses -> download -> check -> write -> choose. Gives one Chosen.

    Only addresses cross a shuffle; a picture lives in one fused stage, from Download to Write.
    """
    return (
        root
        | "Queries" >> beam.Create(asked.queries, reshuffle=False)  # Query
        | "Search" >> beam.ParDo(Search(settings))  # Found: no record of it yet
        | "ByAddress" >> beam.Map(_with_key)  # (key, Found)
        | "OnePerAddress" >> beam.GroupByKey()  # (key, [Found]): the only shuffle
        | "FirstFound" >> beam.Map(first_found)  # Found
        | "DropBySize" >> beam.ParDo(DropBySize(settings))  # Found
        | "Download" >> beam.ParDo(Download(settings.downloads))  # Downloaded
        | "Check" >> beam.ParDo(Check(settings.checks))  # (Record, picture)
        | "Write" >> beam.ParDo(Write(settings.output))  # state
        | "AllDone" >> beam.combiners.Count.Globally()  # int, once, when all is written
        | "Publish" >> beam.Map(_publish, settings, asked)  # Chosen
    )


def _with_key(found: Found) -> tuple[str, Found]:
    return found.candidate.key, found


def _publish(written: int, settings: Settings, asked: Round) -> object:
    return publish(settings.output, asked.queries, asked.needs)
