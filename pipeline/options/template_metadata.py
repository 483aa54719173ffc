"""`fgbg template-metadata`: what a Flex Template says of its parameters, made from the options.

templates/metadata.json is this command's output. The format is Dataflow's TemplateMetadata:
https://cloud.google.com/dataflow/docs/guides/templates/configuring-flex-templates
"""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from fgbg.pipeline.cloud.dataflow import DISK_GB
from fgbg.pipeline.exit_codes import OK
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.options.types import Number, boolean, pattern

NAME = "fgbg generate"
DESCRIPTION = (
    "Pastes foregrounds at random positions on backgrounds and writes overlay, mask and depth of "
    "every one. Launched again with the same parameters it resumes; with more inputs or "
    "placements it extends."
)
# They are for the machine where the command is typed: a template would launch no job by them.
NOT_IN_TEMPLATE = ("help", "workers", "plan", "price_per_hour", "depth_speed", "no_fsync")
_PATH = r"^gs://[a-z0-9][a-z0-9._-]+[a-z0-9](/.*)?$"
_TEXT = {
    "backgrounds": _PATH,
    "foregrounds": _PATH,
    "output": _PATH,
    "depth_model": r"^(none|builtin|nyu|kitti|gs://.+)$",
    "depth_model_url": r"^(https?|gs)://.+$",
    "accelerator": r"^type:[a-z0-9-]+;count:[0-9]+(;[a-z0-9_:.-]+)*$",
    "min_ram": r"^[0-9]+(\.[0-9]+)?[A-Za-z]{1,3}$",
}
# Options of Beam: those that gcloud has no flag of its own for, and those of networks and bills, so
# that a template can be launched with everything at one place.
_OF_BEAM = (
    (
        "sdk_container_image",
        "Image of the workers",
        "image that the workers run; left out: the template's own",
        r"^[a-z0-9][a-z0-9._/:@-]*$",
    ),
    (
        "dataflow_service_options",
        "Service options",
        "option of the Dataflow service, such as enable_google_cloud_profiler",
        r"^[A-Za-z0-9_.=:;/-]+$",
    ),
    (
        "disk_size_gb",
        "Disk of a worker in GB",
        f"disk of each worker, in GB; left out: {DISK_GB}",
        r"^[0-9]+$",
    ),
    (
        "number_of_worker_harness_threads",
        "Threads of a process",
        "threads of each process of a worker; left out: as fits the GPU, or by Dataflow",
        r"^[0-9]+$",
    ),
    (
        "subnetwork",
        "Subnetwork of the workers",
        "such as regions/us-central1/subnetworks/default; left out: the default network",
        r"^[a-z0-9][a-z0-9./:_-]*$",
    ),
    (
        "no_use_public_ips",
        "Workers without public addresses",
        "true: workers reach Cloud Storage by the subnetwork's Private Google Access",
        r"^(true|false)$",
    ),
    (
        "labels",
        "Label of the job",
        "key=value, for the bill",
        r"^[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}$",
    ),
)
# Of these, Beam knows the name alone: templates/main.py turns true and false into it and nothing.
SWITCHES = frozenset({"no_use_public_ips"})


def main(arguments: list[str]) -> int:
    """Runs `fgbg template-metadata`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    parser = options.Parser(
        prog="fgbg template-metadata",
        description="Prints templates/metadata.json, made from the options of fgbg generate.",
    )
    options.parse_all(parser, arguments)
    print(json.dumps(metadata(), indent=2))
    return OK


def metadata() -> dict[str, Any]:
    """The template's name, description and parameters."""
    parameters = []
    parser = options.generate_parser()
    for group in parser._action_groups:
        for action in group._group_actions:
            if action.dest not in NOT_IN_TEMPLATE:
                parameters.append(_parameter(action, str(group.title)))
    parameters += [
        {
            "name": name,
            "label": label,
            "helpText": text,
            "paramType": _kind_of_beam(name, regex),
            "isOptional": True,
            "regexes": [regex],
            "groupName": "Apache Beam",
        }
        for name, label, text, regex in _OF_BEAM
    ]
    return {"name": NAME, "description": DESCRIPTION, "parameters": parameters}


def _kind_of_beam(name: str, regex: str) -> str:
    if name in SWITCHES:
        return "BOOLEAN"
    return "NUMBER" if regex == r"^[0-9]+$" else "TEXT"


def _parameter(action: argparse.Action, group: str) -> dict[str, Any]:
    """One option as a parameter."""
    name = action.dest
    found: dict[str, Any] = {
        "name": name,
        "label": _label(name),
        "helpText": re.sub(r";? None: ", lambda m: "; left out: ", action.help or ""),
        "paramType": _kind(action),
        "isOptional": not action.required,
        "groupName": re.sub(r" \(.*\)", "", group).capitalize(),
    }
    if action.choices is not None:
        found["enumOptions"] = [{"value": choice, "label": choice} for choice in action.choices]
    else:
        found["regexes"] = [_regex(action)]
    if action.default not in (None, argparse.SUPPRESS):
        value = action.default
        found["defaultValue"] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def _label(name: str) -> str:
    """A label for a form: the option's name in words."""
    words = name.replace("_", " ").replace("fg ", "foreground ")
    words = re.sub(r"\b(gpu|ram|url)\b", lambda m: m[0].upper(), words)
    return words[0].upper() + words[1:]


def _kind(action: argparse.Action) -> str:
    if action.choices is not None:
        return "ENUM"
    if action.type is boolean:
        return "BOOLEAN"
    return "NUMBER" if isinstance(action.type, Number) else "TEXT"


def _regex(action: argparse.Action) -> str:
    found = pattern(action.type) or _TEXT.get(action.dest)
    if found is None:
        raise LookupError(f"--{action.dest}: say in {__name__} what values it takes")
    return found
