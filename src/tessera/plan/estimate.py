"""Estimates: the cost of a job on the device that it runs on, corrected by finished runs."""

from dataclasses import dataclass

from tessera.config.schema import SPREAD, Config
from tessera.plan import devices
from tessera.plan.corrections import UNCORRECTED, Correction, correction
from tessera.plan.cost import Cost, Task
from tessera.plan.devices import Device
from tessera.plan.stages import cost
from tessera.plan.tasks import tasks


@dataclass(frozen=True)
class Estimate:
    """What a job takes on a device.

    Attributes:
        operations: floating-point operations of its networks.
        seconds: from its start to its end.
        gpu_seconds: the same for each GPU that it holds, together.
        gpu_memory: bytes of each GPU at the peak; 0 on a CPU.
        host_memory: bytes of the host at the peak, on each of its nodes.
        kept: bytes on disk that stay.
        temporary: bytes on disk that go when it is done.
        device: what it runs on.
        correction: of its seconds and its memory, by finished runs.
    """

    operations: float
    seconds: float
    gpu_seconds: float
    gpu_memory: float
    host_memory: float
    kept: float
    temporary: float
    device: Device
    correction: Correction


class Planner:
    """Estimates the jobs of a config; each kind of job once.

    Args:
        config: the validated config.
        device: GPU of all stages that have one; None takes the config's.
        cpu: the CPU of all others.
        corrected: whether the cards of finished runs are looked at.

    Attributes:
        tasks: all jobs with their cards.
    """

    def __init__(
        self,
        config: Config,
        device: str | None = None,
        cpu: Device = devices.CPU,
        corrected: bool = True,
    ) -> None:
        self.config, self.cpu, self.corrected = config, cpu, corrected
        self.gpu = devices.gpu(device or config.device)
        self.tasks = tasks(config)
        self._found: dict[Task, Estimate] = {}
        self._corrections: dict[str, Correction] = {}

    def device(self, stage: str) -> Device:
        """What a stage's jobs run on."""
        return self.gpu if self.config.execute(stage).gpus else self.cpu

    def estimate(self, task: Task) -> Estimate:
        """What one job takes."""
        if task not in self._found:
            self._found[task] = self._estimate(task)
        return self._found[task]

    def _estimate(self, task: Task) -> Estimate:
        execution, device = self.config.execute(task.stage), self.device(task.stage)
        found = self._correction(task.stage)
        asked = cost(self.config, task)
        held = execution.gpus * execution.nodes if device.is_gpu else 0
        working = max(1, held) if task.stage in SPREAD else 1
        seconds = found.seconds * _seconds(asked, device, execution.threads, working)
        processes = execution.gpus if task.stage in SPREAD and device.is_gpu else 1
        host = asked.memory + (devices.CUDA_HOST if device.is_gpu else asked.gpu)
        return Estimate(
            asked.operations,
            seconds,
            seconds * held,
            asked.gpu + devices.CUDA if device.is_gpu else 0.0,
            found.memory * host * processes,
            asked.kept,
            asked.temporary,
            device,
            found,
        )

    def _correction(self, stage: str) -> Correction:
        if not self.corrected:
            return UNCORRECTED
        if stage not in self._corrections:
            jobs = [(task, card) for task, card in self.tasks if task.stage == stage]
            found = correction(self.config, jobs, self.device(stage), self._expected)
            self._corrections[stage] = found
        return self._corrections[stage]

    def _expected(self, task: Task, threads: int, gpus: int) -> tuple[float, float]:
        """Seconds and bytes of the host that a finished job should have taken."""
        device = self.device(task.stage)
        asked = cost(self.config, task)
        host = asked.memory + (devices.CUDA_HOST if device.is_gpu else asked.gpu)
        working = gpus if task.stage in SPREAD else 1
        return _seconds(asked, device, threads, working), host


def _seconds(asked: Cost, device: Device, threads: int, gpus: int) -> float:
    start = asked.start + (devices.CUDA_START if device.is_gpu else 0.0)
    return start + devices.seconds(asked, device, threads, gpus)
