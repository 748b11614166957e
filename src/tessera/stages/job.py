"""What all stages do around their work: arguments, seeds, errors, the card.

A stage is called as `python -m tessera.stages.<stage> --settings JSON --<input> CARD… --output …`.
Its inputs are cards; the files that they tell of lie beside them.
"""

import argparse
import atexit
import gc
import json
import logging
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from tessera import devices, launch
from tessera.config.canonical import canonical_json, sha256_json
from tessera.config.computing import Dask
from tessera.config.guard import check as check_config
from tessera.config.lock import stage_versions
from tessera.config.paths import part_name
from tessera.errors import SharedError, StoppedError, UserError
from tessera.io.cards import open_card, read_card, write_card
from tessera.io.files import is_disk_full, read_json, write_json
from tessera.io.states import OWNER
from tessera.io.turns import turn
from tessera.requeue import requeue

log = logging.getLogger("tessera")
S = TypeVar("S", bound=BaseModel)


class Job:
    """One run of a stage.

    Attributes:
        stage: the stage's name.
        node: the variant's settings down to the images.
        arguments: the parsed command line.
        gpus: the devices that this job has for itself on its (first) machine.
    """

    gpus: Sequence[str] = ()

    def __init__(self, stage: str, arguments: argparse.Namespace) -> None:
        self.stage, self.arguments = stage, arguments
        self.node = _parse_node(stage, arguments.settings)
        self._digests: dict[str, str] = {}
        self._start = time.monotonic()

    def claim_gpus(self) -> None:
        """Takes this machine's share of `--gpus`; its seconds count from when it has them."""
        nodes = max(1, getattr(self.arguments, "nodes", 1))
        self.gpus = devices.claim(self.arguments.gpus // nodes)
        self._start = time.monotonic()

    def settings(self, model: type[S]) -> S:
        """The variant's settings as `model`, its references left out."""
        return parse_settings(model, self.node)

    def input(self, name: str, path: Path | str, stage: str | None = None) -> dict[str, Any]:
        """Reads and checks an input's card, and records its digest under `name`.

        Raises:
            UserError: it is damaged, of another stage, or of a variant that the settings do not
                name, such as tokens of other crops.
        """
        card = read_card(path, stage)
        if not self._names(card["node"]):
            raise UserError(
                f"{path} was made with other settings than those that {self.stage} is given: "
                "name the card of the right variant, or run its stage again"
            )
        self._digests[name] = card["digest"]
        return card

    def _names(self, node: dict[str, Any]) -> bool:
        """Whether a node is part of this job's."""
        # No variant names the export of a sample set: there the sampling counts.
        wanted = [*node["inputs"].values()] if node["stage"] == "samples" else [node]
        whole = canonical_json(self.node)  # of which the text of each part is a part
        return all(canonical_json(part) in whole for part in wanted)

    def inputs(self, name: str, paths: Sequence[Path], stage: str) -> list[dict[str, Any]]:
        """Reads and checks the cards of all parts of an input.

        Raises:
            UserError: a part is missing or given twice.
        """
        cards = [self.input(f"{name}/{Path(path).name}", path, stage) for path in paths]
        given = sorted(Path(path).stem for path in paths)
        if given != [part_name(part, len(given)) for part in range(len(given))]:
            raise UserError(
                f"{', '.join(given)} are not all parts of one set: give the card of each part once"
            )
        return cards

    def record(self, digests: Mapping[str, str]) -> None:
        """Records inputs of which the cards alone are read: their files are not checked."""
        self._digests.update(digests)

    def digest(self, name: str) -> str:
        """The digest of an input that was read."""
        return self._digests[name]

    def resume_folder(self, results: Path, micro_batch: int = 0, compiled: bool = False) -> Path:
        """Folder of the unfinished training of exactly these settings and inputs, cut so.

        Raises:
            UserError: there is a state of compiled blocks, they were not switched off, and cannot
                be compiled here: another machine can, and beginning anew would lose what there is.
        """
        folder, other = (
            self._resume_folder(results, micro_batch, which) for which in (compiled, not compiled)
        )
        if other.exists() and not compiled and getattr(self.arguments, "compile", "no") != "no":
            raise UserError(
                f"{other} holds a state of this training with compiled blocks, and here torch does "
                "not compile: run it where it does (the log says why not), or set "
                f"execution.{self.stage}.compile to false to begin anew"
            )
        if not launch.rank():
            # For whoever tidies up: what goes on from here.
            owner = {
                "card": self.arguments.card.relative_to(results).as_posix(),
                "node": self.node,
            }
            for other in sorted(folder.parent.glob(f"*/{OWNER}")):
                with suppress(UserError):  # its training may end just now
                    if other.parent == folder or read_json(other) != owner:
                        continue
                    log.warning(
                        "%s holds a state of this training with another micro-batch, with compiled "
                        "blocks or without, or from other inputs: it begins anew. To go on from "
                        "there, stop it and put execution.%s.micro_batch (or, where that is null, "
                        "gpus) and compile back",
                        other.parent, self.stage,
                    )  # fmt: skip
            write_json(folder / OWNER, owner)
        return folder

    def _resume_folder(self, results: Path, micro_batch: int, compiled: bool) -> Path:
        whole = {"node": self.node, "inputs": self._digests, "micro_batch": micro_batch}
        key = sha256_json(whole | ({"compiled": True} if compiled else {}))
        return results / "resume" / self.stage / key[:20]

    def is_made(self) -> bool:
        """Whether the result is there already, of these settings and of the inputs given."""
        given = set()
        for path in _paths(self.arguments):
            with suppress(UserError):  # some are no cards
                given.add(open_card(path)["digest"])
        try:
            card = read_card(self.arguments.card, self.stage)
        except UserError:
            return False
        return card["node"] == self.node and given.issuperset(card["inputs"].values())

    def finish(
        self,
        card: Path,
        outputs: Sequence[Path],
        results: dict[str, Any],
        run: dict[str, Any] | None = None,
    ) -> None:
        """Writes the card; the job is done.

        Args:
            card: the card's file.
            outputs: files whose bytes are the result.
            results: numbers and facts that two equal runs share.
            run: facts of this run alone, beside seconds, memory, threads and where it ran.
        """
        seconds = time.monotonic() - self._start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        facts = (run or {}) | {
            "seconds": round(seconds, 3),
            "peak_memory_mb": round(peak, 1),
            "device": device_name(self.arguments.device),
            "machine": devices.machine(),
            "gpus": list(self.gpus),
            "threads": self.arguments.threads,
        }
        write_card(card, self.node, self._digests, outputs, results, facts)
        log.info("done in %.1f s, %.0f MB: %s", seconds, peak, card)


def _paths(arguments: argparse.Namespace) -> Iterator[Path]:
    """The JSON files that a command line names as inputs."""
    for name, value in vars(arguments).items():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path) and path.suffix == ".json" and name != "card":
                yield path


def parse_settings(model: type[S], node: dict[str, Any]) -> S:
    """A node's settings as a settings class, without its references."""
    try:
        # References are names, which a node does not hold: their place is in `inputs`.
        return model.model_construct(**_coerced(model, node["settings"]))
    except (KeyError, TypeError) as error:
        raise UserError(f"--settings do not fit {model.__name__}: {error}") from error


def _coerced(model: type[BaseModel], settings: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for name, value in settings.items():
        field = model.model_fields[name]
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        values[name] = adapter.validate_python(value)
    return values


def _parse_node(stage: str, text: str) -> dict[str, Any]:
    try:
        node = json.loads(text)
        fits = node["stage"] == stage and {"settings", "inputs", "version"} <= node.keys()
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(
            "--settings is not the JSON of a variant: print it with `tessera settings`"
        ) from error
    if not fits:
        raise UserError(f"--settings is for the stage {node['stage']!r}, this is {stage!r}")
    if node["version"] != stage_versions()[stage]:
        raise UserError(
            f"--settings are of version {node['version']} of {stage}, the code is of version "
            f"{stage_versions()[stage]}: launch the workflow again"
        )
    return dict(node)


def part_file(card: Path) -> Path:
    """The zarr part beside its card."""
    return card.with_suffix(".zarr.zip")


def parser(stage: str, description: str | None, parts: bool = False) -> argparse.ArgumentParser:
    """A parser with the arguments that all stages share; `parts` adds those of split stages."""
    made = argparse.ArgumentParser(
        prog=f"python -m tessera.stages.{stage}",
        description=(description or "").split("\n\n")[0],
    )
    made.add_argument("--settings", required=True, metavar="JSON", help="the variant's node")
    made.add_argument("--card", type=Path, required=True, help="card to write, last")
    made.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    made.add_argument(
        "--device", default="auto", help="cpu, cuda, or auto: a GPU where there is one"
    )
    made.add_argument("--gpus", type=int, default=0, help="GPUs of this job (default 0)")
    if parts:
        made.add_argument("--part", type=int, default=0, help="this job's part, from 0")
        made.add_argument("--parts", type=int, default=1, help="jobs the stage is split into")
        made.add_argument("--batch", type=int, default=256, help="images at once")
    return made


def add_training(made: argparse.ArgumentParser) -> None:
    """Adds the arguments of trainings; none of them changes the result."""
    made.add_argument("--log-every", type=int, default=50, help="updates between log lines")
    made.add_argument("--checkpoint-every", type=int, default=200, help="updates between states")


def add_processes(made: argparse.ArgumentParser) -> None:
    """Adds the argument of stages that may run in several processes; `--gpus` counts all GPUs."""
    made.add_argument(
        "--nodes", type=int, default=1, help="nodes of the SLURM job to run on (default 1)"
    )


def add_dask(made: argparse.ArgumentParser) -> None:
    """Adds the argument of stages that compute with dask; it changes no result."""
    made.add_argument(
        "--dask", type=_dask, default=Dask(), metavar="JSON",
        help="what computes, as in the config's section `dask` (default: threads)",
    )  # fmt: skip


def _dask(text: str) -> Dask:
    try:
        return Dask.model_validate_json(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(error.errors()[0]["msg"]) from error


def run(
    stage: str,
    arguments: argparse.Namespace,
    work: Callable[[Job], None],
    computes: bool = True,
    again: Sequence[str] | None = None,
) -> int:
    """Runs a stage's work; prints a user's mistake as one sentence.

    Args:
        stage: the stage's name.
        arguments: the parsed command line.
        work: does it.
        computes: whether the stage uses torch; the others are spared the seconds of its import.
        again: the command line, for a stage that may run in several processes.

    Returns:
        The exit status: 0, or 1 where the user has to mend something.
    """
    card: Path = arguments.card
    name = card.parent.name if card.name == "card.json" else f"{card.parent.name}/{card.stem}"
    rank = launch.rank()
    logging.basicConfig(
        level=logging.ERROR if rank else logging.INFO,
        stream=sys.stderr,
        format=f"[{stage} {name}{f' process {rank}' if rank else ''}] %(message)s",
        force=True,
    )
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        # The rules' shell ignores it (rules/common.smk), and hands that down; a stage does not.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    atexit.register(_end_at_once)
    ending = ExitStack()
    try:
        check_config()
        job = Job(stage, arguments)
        if not launch.is_worker() and ending.enter_context(turn(card)) and job.is_made():
            log.info("%s is made already: nothing to do", card)
            return 0
        job.claim_gpus()
        if again is not None:
            wanted = launch.layout(arguments.gpus, arguments.nodes)
            if wanted.count > 1 and not launch.is_worker():
                status = launch.launch(wanted, stage, again, arguments.threads)
                if status == launch.STOPPED or (status == 0 and not card.is_file()):
                    requeue()  # here, where nothing waits for an end of this process
                    return 1
                return status
        if launch.is_worker():
            if again is None:
                raise UserError(f"{stage} runs in one process: start it without torchrun or mpirun")
            launch.end_with_parent()
        if computes:
            threads = max(1, arguments.threads // launch.processes_here())
            arguments.device = prepare(threads, arguments.device)
        else:
            arguments.device = "cpu"
        work(job)
    except UserError as error:
        if not (rank and isinstance(error, SharedError)):
            log.error("error: %s", error)
        if isinstance(error, StoppedError):
            if launch.is_launched():
                return launch.STOPPED
            if not rank:
                requeue()
        return 1
    except Exception as error:
        if not is_disk_full(error):
            if launch.is_worker():
                log.error("an error in process %d, whose traceback follows", rank)
            raise
        log.error("error: no space is left on the disk: free some and run again (%s)", error)
        return 1
    finally:
        ending.close()
    return 0


def _end_at_once() -> None:
    """Spares Python's end a search through all objects of torch, of half a second."""
    if "triton" not in sys.modules:  # which would complain of what is left
        gc.freeze()


def prepare(threads: int, device: str) -> str:
    """Fixes threads and determinism; returns the device that `auto` stands for."""
    import torch

    from tessera.reproducible import compute_reproducibly

    compute_reproducibly(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("--device cuda was asked for but no GPU is usable: use --device cpu")
    return device


def device_name(device: str) -> str:
    """The device's name for cards, such as "NVIDIA H200" or "cpu"."""
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device)
