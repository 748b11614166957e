"""The whole config: sections of named variants."""

from typing import Any, Literal

from pydantic import Field, PrivateAttr

from tessera.config.base import Name, Settings, Variant
from tessera.config.computing import Dask
from tessera.config.data import Data, Views
from tessera.config.illustrations import Patches, Projections
from tessera.config.neighbours import Neighbours
from tessera.config.paper import Paper
from tessera.config.points import Points
from tessera.config.results import (
    Evaluation,
    Extractor,
    Probe,
    Reconstruction,
    Sampling,
    Stability,
)
from tessera.config.tokenizers import Autoencoder, Codebook, Encoder, Features, Tokens
from tessera.config.training import Stage1, Stage2


class Execution(Settings):
    """What a stage's jobs may use: no setting of a result, so it never reruns a finished stage.

    Numbers stay the same up to rounding, but for trainings with another `micro_batch` or `compile`,
    whose dropout is drawn anew.
    """

    threads: int = Field(1, ge=1, le=1024, description="CPU threads a job")
    memory_mb: int | None = Field(
        None, ge=100, description="memory a job, MB; null: what `tessera plan` computes"
    )
    runtime_minutes: int | None = Field(
        None, ge=1, description="time limit a job, minutes; null: from what `tessera plan` computes"
    )
    max_runtime_minutes: int | None = Field(
        None,
        ge=1,
        description="most that a computed time limit may be, such as a partition's; null: a week",
    )
    gpus: int = Field(0, ge=0, le=64, description="GPUs a job, on each of its nodes")
    gres: str | None = Field(
        None,
        pattern=r"^gpu(:[A-Za-z0-9_.]+)?$",
        description="ask SLURM for them by --gres under this name, such as `gpu` or `gpu:a100`; "
        "null: by --gpus",
    )
    nodes: int = Field(1, ge=1, le=64, description="nodes a training runs on; other stages take 1")
    parts: int = Field(1, ge=1, le=1000, description="jobs the stage is split into, where it is")
    batch: int = Field(256, ge=1, description="images at once in inference and sampling")
    micro_batch: int | None = Field(
        None,
        ge=1,
        description="images at once in each process of a training; null: its whole share of the "
        "batch",
    )
    compile: bool | None = Field(
        None,
        description="compile the blocks of a transformer before its training, where there is a "
        "compiler; null: on a GPU",
    )

    @property
    def compiling(self) -> str:
        """`compile` as a word of the command line."""
        return {None: "auto", True: "yes", False: "no"}[self.compile]

    @property
    def processes(self) -> int:
        """Processes of a job that can have several: one for each GPU, at least one a node."""
        return self.nodes * max(1, self.gpus)


class Config(Settings):
    """A validated config."""

    results: str = Field("results", min_length=1, description="folder of all results")
    title: str = Field("", description="title of the report")
    log_every: int = Field(50, ge=1, description="updates between two lines of a training's log")
    checkpoint_every: int = Field(200, ge=1, description="updates between two checkpoints")
    pictures_every: int = Field(
        500,
        ge=0,
        description="updates between two pictures of a training in TensorBoard, beside that of its "
        "end; 0: none",
    )
    data: dict[Name, Data] = Field(min_length=1)
    views: dict[Name, Views] = Field({})
    encoders: dict[Name, Encoder] = Field({})
    features: dict[Name, Features] = Field({})
    codebooks: dict[Name, Codebook] = Field({})
    autoencoders: dict[Name, Autoencoder] = Field({})
    tokens: dict[Name, Tokens] = Field({})
    stage1: dict[Name, Stage1] = Field({})
    stage2: dict[Name, Stage2] = Field({})
    samplings: dict[Name, Sampling] = Field({})
    extractors: dict[Name, Extractor] = Field({})
    evaluations: dict[Name, Evaluation] = Field({})
    neighbours: dict[Name, Neighbours] = Field({})
    reconstructions: dict[Name, Reconstruction] = Field({})
    probes: dict[Name, Probe] = Field({})
    stabilities: dict[Name, Stability] = Field({})
    projections: dict[Name, Projections] = Field({})
    patches: dict[Name, Patches] = Field({})
    execution: dict[str, Execution] = Field(
        {},
        description="stage → what its jobs may use, laid over what `default` says for all stages",
    )
    paper: Paper = Paper()
    dask: Dask = Dask()
    device: Literal["a100", "h100", "h200", "rtx4090"] | None = Field(
        None,
        description="GPU that `tessera plan` and the requests to a scheduler reckon with, where a "
        "stage has `gpus`; null: the slowest one that has 80 GB. It chooses no hardware",
    )

    _points: Points = PrivateAttr(default_factory=dict)

    @property
    def points(self) -> Points:
        """Section → variant → the point that it is, for variants that a sweep made.

        It is known, not set: it stands in no file, no dump, and no node but those of tables and
        figures.
        """
        return self._points

    def execute(self, stage: str) -> Execution:
        """What the jobs of `stage` may use."""
        given: dict[str, Any] = {}
        for name in ("default", stage):
            if name in self.execution:
                given |= self.execution[name].model_dump(exclude_unset=True)
        return Execution(**given)


STAGE_OF = {
    "data": "shards",
    "encoders": "encoder",
    "features": "features",
    "codebooks": "codebook",
    "autoencoders": "autoencoder",
    "tokens": "tokens",
    "stage1": "stage1",
    "stage2": "stage2",
    "samplings": "sampling",
    "extractors": "extractor",
    "evaluations": "evaluation",
    "neighbours": "neighbours",
    "reconstructions": "reconstruction",
    "probes": "probe",
    "stabilities": "stability",
    "projections": "projections",
    "patches": "patches",
}
"""Section → the stage that makes its variants. `views` are only settings: no stage makes them."""

PUBLISHED = "published"
"""The stage that adopts weights that somebody else trained, in whatever section they are named."""

SPREAD = ("stage1", "stage2", "probe")
"""Stages of which one job may be several processes, on several GPUs and nodes."""

EXTRA_STAGES = ("usage", "samples", "tables", "figures", "index")
"""Stages that make no variant of their own: they count, export and report."""


def stages() -> tuple[str, ...]:
    """All stages, in the order in which the data goes."""
    images, *others = STAGE_OF.values()
    return (images, PUBLISHED, *others, *EXTRA_STAGES)


def stage_of(section: str, variant: Variant) -> str:
    """The stage that makes a variant: that of its section, or the one that adopts weights."""
    adopted = getattr(variant, "kind", None) in ("published", "timm")
    return PUBLISHED if adopted else STAGE_OF[section]
