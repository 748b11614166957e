"""Devices, and how long a job's work takes on one.

Peaks are those of the vendors' data sheets for dense matrices (no sparsity): NVIDIA A100 80GB SXM
(2021), H100 SXM (2023), H200 SXM (2024), and the Ada architecture's white paper for the RTX 4090,
bfloat16 with sums in float32. float32 is float32: the project turns TF32 off.

No GPU was measured for this table. What the stages reach of a peak is assumed: `BFLOAT16` 32 %,
which is 40 % of what large products alone reach on an H200, a usual share in published trainings
of this size; `FLOAT32` 52 %, convolutions and products without tensor cores; `BANDWIDTH` 60 %.

The CPU was measured: one thread of a 2.8 GHz Xeon (Ice Lake). Its products come from a short
measurement where the command `tessera plan` runs, all else is that machine's.
"""

from dataclasses import dataclass, replace

from tessera.errors import UserError
from tessera.plan.cost import Cost

BFLOAT16, FLOAT32, BANDWIDTH = 0.32, 0.52, 0.6
"""Shares of a GPU's peaks that stages are assumed to sustain."""
LAUNCH = 8e-6
"""Seconds a call into a GPU takes: a bound where the work of a call is small."""
CUDA, CUDA_HOST, CUDA_START = 1.0e9, 2.5e9, 15.0
"""What CUDA takes before any work: bytes of the GPU, bytes of the host, seconds."""
THREADS = 0.8
"""k threads do the work of k^0.8."""
PROCESSES = 0.9
"""Each doubling of a training's GPUs keeps this share of its speed: gradients are exchanged."""


@dataclass(frozen=True)
class Device:
    """What jobs run on.

    Attributes:
        name: in configs and on the command line.
        title: for people.
        marks: words of which one is in the name that the device gives itself on cards.
        bfloat16: operations a second, at the peak of a GPU, as measured of one thread of a CPU.
        float32: the same in float32.
        memory: bytes; 0 for a CPU, which has the host's.
        bandwidth: bytes a second between it and its memory.
        value: seconds of a CPU's thread for each activation; a GPU's are in its share of the peak.
        kernel: seconds a call.
    """

    name: str
    title: str
    marks: tuple[str, ...]
    bfloat16: float
    float32: float
    memory: float = 0.0
    bandwidth: float = 1e10
    value: float = 0.0
    kernel: float = LAUNCH

    @property
    def is_gpu(self) -> bool:
        """Whether it has memory of its own."""
        return self.memory > 0


CPU = Device("cpu", "this CPU", ("cpu",), 117e9, 117e9, value=5e-9, kernel=30e-6)
GPUS = {
    device.name: device
    for device in (
        Device("a100", "A100 80 GB", ("A100",), 312e12, 19.5e12, 80e9, 2.04e12),
        Device("h100", "H100 80 GB", ("H100",), 989e12, 67e12, 80e9, 3.35e12),
        Device("h200", "H200 141 GB", ("H200",), 989e12, 67e12, 141e9, 4.8e12),
        Device("rtx4090", "RTX 4090", ("RTX 4090",), 165e12, 82.6e12, 24e9, 1.01e12),
    )
}
DEFAULT_GPU = "a100"
"""Where the config names none: the slowest of those that have room for the recipes."""


def gpu(name: str | None) -> Device:
    """A GPU by its name; None stands for the default one.

    Raises:
        UserError: no such device.
    """
    found = GPUS.get(name or DEFAULT_GPU)
    if found is None:
        raise UserError(
            f"{name!r} is no device of the table: choose one of {', '.join(GPUS)}, or leave it out"
        )
    return found


def cpu(rate: float | None = None) -> Device:
    """This CPU, at a measured rate of one thread's products in operations a second."""
    return CPU if rate is None else replace(CPU, float32=rate, bfloat16=rate)


def seconds(cost: Cost, device: Device, threads: int, gpus: int = 1) -> float:
    """How long a job takes after its start.

    Args:
        cost: its work.
        device: what its networks run on.
        threads: CPU threads that it has.
        gpus: GPUs that share its work.
    """
    speed = max(1, threads) ** THREADS
    host = cost.host / speed
    if not device.is_gpu:
        products = cost.float32 / device.float32 + cost.bfloat16 / device.bfloat16
        work = (products + cost.values * device.value) / speed
        return host + work + cost.moved / device.bandwidth + cost.kernels * device.kernel
    products = cost.float32 / (FLOAT32 * device.float32)
    products += cost.bfloat16 / (BFLOAT16 * device.bfloat16)
    moved = cost.moved / (BANDWIDTH * device.bandwidth)
    # Calls are made ahead of the work, so the longest of the three counts.
    work = max(products, moved, cost.kernels * device.kernel)
    return host + work / (gpus * PROCESSES ** (gpus.bit_length() - 1))
