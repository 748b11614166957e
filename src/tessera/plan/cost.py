"""What one job costs: work to do and room to do it in, on no device in particular."""

from dataclasses import dataclass, fields

from tessera.plan.passes import Pass

RUNTIME = {"torch": 0.75e9, "light": 0.12e9}
"""Memory of a process that has imported what it needs and done nothing yet, bytes: measured by the
cards of stages on next to no data."""

COPY = 4e-9
"""Seconds of one thread for a byte of a file that is written and hashed, or read and checked."""


@dataclass(frozen=True)
class Task:
    """What tells one job's cost from another's. Parts of one variant cost the same.

    Attributes:
        stage: the job's stage.
        section: the section of its variant; empty for tables and figures.
        name: the variant.
        each: the entry of the variant's list, where it makes a job an entry.
        split: the split, where each has jobs of its own.
        parts: jobs that share the work.
    """

    stage: str
    section: str
    name: str
    each: str | None = None
    split: str | None = None
    parts: int = 1


@dataclass(frozen=True)
class Cost:
    """What a job takes.

    Attributes:
        float32: operations on the job's device in float32.
        bfloat16: operations in bfloat16.
        values: activations that it computes.
        kernels: calls into the device.
        moved: bytes that decoding reads of the device's memory, weights and caches again and again.
        host: seconds of one thread of the CPU that `tessera.plan.devices` describes: images,
            statistics.
        start: seconds before the first of the work.
        gpu: bytes on the device at the peak.
        memory: bytes of the host at the peak.
        kept: bytes on disk that stay.
        temporary: bytes on disk that go when the job is done.
    """

    float32: float = 0.0
    bfloat16: float = 0.0
    values: float = 0.0
    kernels: float = 0.0
    moved: float = 0.0
    host: float = 0.0
    start: float = 0.0
    gpu: float = 0.0
    memory: float = 0.0
    kept: float = 0.0
    temporary: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        """Both in one job: work and room add up."""
        return Cost(
            **{
                field.name: getattr(self, field.name) + getattr(other, field.name)
                for field in fields(self)
            }
        )

    @property
    def operations(self) -> float:
        """Floating-point operations of the networks."""
        return self.float32 + self.bfloat16


def passes(
    network: Pass, images: float, batch: int, times: float = 1.0, bfloat16: bool = False
) -> Cost:
    """The work of passing images through a network.

    Args:
        network: one forward pass.
        images: images in all.
        batch: images at once.
        times: forward passes that the work on a batch is worth.
        bfloat16: its arithmetic; otherwise float32.
    """
    operations = network.operations * images * times
    return Cost(
        float32=0.0 if bfloat16 else operations,
        bfloat16=operations if bfloat16 else 0.0,
        values=network.values * images * times,
        kernels=network.kernels * max(1.0, images / batch) * times,
    )
