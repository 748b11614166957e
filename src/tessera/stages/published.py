"""Adopts published weights: afterwards they lie there as if a training had left them.

What `tessera import` wrote is copied and its digests are checked; the weights of a timm model are
read from their file, or fetched from the hub, and saved in this project's form.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tessera.config.canonical import sha256_json
from tessera.config.published import RECORD
from tessera.config.tokenizers import TimmEncoder
from tessera.errors import UserError
from tessera.io.files import read_json, sha256_file, whole_file
from tessera.stages.job import Job, log, parser, run

STAGE = "published"


def work(job: Job) -> None:
    """Adopts the weights of one variant."""
    files: list[Path] = job.arguments.files
    if job.node["settings"]["kind"] == "timm":
        outputs, facts = _from_timm(job, files)
    else:
        outputs, facts = _from_folder(job, files)
    job.finish(job.arguments.card, outputs, facts)


def _from_folder(job: Job, files: list[Path]) -> tuple[list[Path], dict[str, Any]]:
    if len(files) != 1 or files[0].name != RECORD:
        raise UserError(f"--files must be one {RECORD} of a folder that `tessera import` wrote")
    record = read_json(files[0])
    found = {"section": record["section"], "files": record["files"]}
    if sha256_json(found) != job.node["inputs"]["files"]:
        raise UserError(f"{files[0]} changed since the workflow was launched: launch it again")
    target = job.arguments.card.parent
    outputs = []
    for name, digest in record["files"].items():
        source = files[0].with_name(Path(name).name)  # a record cannot name files elsewhere
        if not source.is_file() or sha256_file(source) != digest:
            raise UserError(
                f"{source} is absent or not what `tessera import` wrote (its SHA-256 differs): "
                "import the weights again"
            )
        with whole_file(target / source.name) as temporary:
            shutil.copyfile(source, temporary)
        outputs.append(target / source.name)
    _require_declared(job.node["settings"], target)
    log.info("%s of %s", record["section"], record["source"]["file"])
    return outputs, {"source": record["source"], **record["facts"]}


def _require_declared(settings: dict[str, Any], folder: Path) -> None:
    """Checks what the config says of a model against the model.

    Raises:
        UserError: they contradict each other.
    """
    if "class_conditional" in settings:
        classes = read_json(folder / "model.json")["config"]["classes"]
        if bool(classes) != settings["class_conditional"]:
            raise UserError(
                f"the published stage 1 has {classes} classes, but the config says "
                f"class_conditional: {str(settings['class_conditional']).lower()}: correct it"
            )
    if "decoder" in settings:
        model = read_json(folder / "model.json")["model"]
        if (model == "MaskGIT") != (settings["decoder"] == "masked"):
            raise UserError(
                f"the published stage 2 was imported as {model}, but the config says decoder: "
                f"{settings['decoder']}: correct it, or import it with --decoder"
            )


def _from_timm(job: Job, files: list[Path]) -> tuple[list[Path], dict[str, Any]]:
    from tessera.io.published import require_digest
    from tessera.io.weights import save_model
    from tessera.stages.loading import load_timm

    settings = job.settings(TimmEncoder)
    file = files[0] if files else None
    if file is not None:
        require_digest(file, job.node["inputs"]["files"])
    encoder = load_timm(settings.model, file, settings.position_resampling)
    outputs = save_model(job.arguments.card.parent, encoder, encoder.config)
    # Under the name by which it is loaded again.
    source = {"file": file.name if file else "hub", "model": settings.model}
    parameters = sum(p.numel() for p in encoder.parameters())
    return outputs, {"source": source, "parameters": parameters}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__)
    arguments.add_argument(
        "--files",
        type=Path,
        nargs="*",
        default=[],
        help=f"the {RECORD} of an imported folder, or timm's file of weights; none for the hub",
    )
    return run(STAGE, arguments.parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
