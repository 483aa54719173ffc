"""What the Flex Template's launcher runs: `fgbg generate`, with the image's own name filled in.

The launcher calls it with `--name=value` for every parameter that was given, and with Beam's
options for the job: the project, and where to write the job's graph.
"""

from __future__ import annotations

import os
import sys

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.options.beam import beam_option_names
from fgbg.pipeline.options.parser import generate_parser
from fgbg.pipeline.options.template_metadata import SWITCHES

# Set by the Dockerfile: launcher and workers are the same image.
IMAGE = "FGBG_IMAGE"


def arguments(given: list[str], image: str | None) -> list[str]:
    """The command line of fgbg.

    A switch of Beam takes no value: true is its name, and false is nothing.

    A parameter with a wrong name does not come this far: Dataflow compares them with the metadata.
    What is unknown here is the launcher's, and no reason to refuse a job.

    Args:
        given: The launcher's arguments.
        image: The image that this runs in, or None where that is not known.
    """
    known = set(generate_parser()._option_string_actions) | beam_option_names()
    kept = []
    for argument in given:
        name, _, value = argument.partition("=")
        if name.removeprefix("--") in SWITCHES and value in ("true", "false"):
            kept += [name] if value == "true" else []
        elif name.startswith("--") and name not in known:
            print(f"Left out, for neither fgbg nor Beam knows it: {name}", file=sys.stderr)
        else:
            kept.append(argument)
    names = {argument.partition("=")[0] for argument in kept}
    if image and "--sdk_container_image" not in names:
        kept.append(f"--sdk_container_image={image}")
    if "--runner" not in names:
        kept.append("--runner=DataflowRunner")
    return ["generate", *kept]


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:], os.environ.get(IMAGE))))
