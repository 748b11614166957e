"""The processes of one training: who does what, and what they tell each other.

They are started by `tessera.launch` or by torchrun and find each other by its environment
variables. Gradients travel by NCCL where there are GPUs; what the hosts have to agree on always
travels by gloo, so that no host waits for a GPU to learn it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tessera import launch
from tessera.errors import SharedError, UserError

PATIENCE = timedelta(hours=2)
"""How long the others wait for one that saves or writes. A process that dies is noticed at once."""

S = TypeVar("S")


class LostError(SharedError):
    """Another process of this training has ended."""


@dataclass(frozen=True)
class Processes:
    """One of the processes of a training, as it sees them. By default it is the only one.

    Every method but `share` waits until all processes have called it.

    Attributes:
        rank: this process, 0 <= rank < count.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def share(self, items: Sequence[S]) -> Sequence[S]:
        """This process's part: every `count`-th, beginning with its own number."""
        return items[self.rank :: self.count]

    def total(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes, in float64; whole numbers below 2^53 are exact."""
        if self.count == 1:
            return [float(value) for value in values]
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return [float(value) for value in sums]

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """The means over all processes of numbers that each of them has under the same names."""
        sums = self.total(list(values.values()))
        return {name: value / self.count for name, value in zip(values, sums, strict=True)}

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return self.total([flag])[0] > 0

    def gather(self, value: float) -> list[float]:
        """The value of each process, by rank."""
        return self.total([value if rank == self.rank else 0.0 for rank in range(self.count)])

    def barrier(self) -> None:
        """Waits for all."""
        self.total([0.0])

    def join_columns(self, part: Tensor, places: Tensor, columns: int) -> Tensor:
        """Puts together a tensor of which each process has computed some columns.

        Args:
            part: floats [R, C', D], this process's columns.
            places: long [C'], where they stand.
            columns: columns C of the whole, each computed by one process.

        Returns:
            [R, C, D], the same in all processes.
        """
        if self.count == 1:
            return part
        whole = part.new_zeros(part.shape[0], columns, part.shape[2])
        whole[:, places] = part
        dist.all_reduce(whole)  # x + 0 is x
        return whole

    def synchronized(self, model: nn.Module) -> nn.Module:
        """The model in a wrapper whose gradients are the means over all processes."""
        if self.count == 1:
            return model
        # Gradients may as well live where they are sent from: that spares a copy of the weights.
        return DistributedDataParallel(model, gradient_as_bucket_view=True)


ALONE = Processes()
"""A training in one process."""


def unsynchronized(network: nn.Module) -> AbstractContextManager[Any]:
    """A context in which a wrapped network's gradients add up in this process alone."""
    if isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return nullcontext()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Joins the other processes of this training, where there are any, until the block ends.

    Args:
        device: "cpu" or "cuda", which then stands for this process's own GPU.

    Raises:
        UserError: the node has fewer GPUs than processes.
        LostError: another process has ended.
    """
    if not launch.is_worker():
        yield ALONE
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        _choose_gpu(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)
    processes = Processes(dist.get_rank(), dist.get_world_size())
    try:
        yield processes
        processes.barrier()  # none leaves before the results are written
    except RuntimeError as error:
        # gloo's errors have no type of their own.
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise LostError(
                "another process of this training has ended: see its message, then run again to "
                "go on from the last checkpoint"
            ) from error
        raise
    dist.destroy_process_group()


def _choose_gpu(place: int) -> None:
    found = torch.cuda.device_count()
    if place >= found:
        raise UserError(
            f"{place + 1} or more processes on this node, and {found} GPUs: give each its own, or "
            "lower `gpus`"
        )
    torch.cuda.set_device(place)
