"""Whether there is the memory that a K-Means takes, asked before anything is read."""

import psutil
import torch

from tessera.errors import UserError
from tessera.quantize.cgroups import free_in_groups
from tessera.quantize.sizes import gpu_memory, host_memory


def require_memory(
    points: int, width: int, clusters: int, itemsize: int, threads: int, device: str
) -> None:
    """Refuses a K-Means for which there is not enough memory now.

    On the host that is the least of what the machine has free and what the job may still take.

    Args:
        points: points, N.
        width: channels, d.
        clusters: centroids, K.
        itemsize: bytes of a number of the points.
        threads: threads of the CPU.
        device: "cpu", or the GPU that does the work.

    Raises:
        UserError: says what is needed, what is free and what to do.
    """
    on_gpu = torch.device(device).type != "cpu"
    host = host_memory(points, width, clusters, itemsize, threads, on_gpu)
    what = f"K-Means of {points} points of {width} channels into {clusters} clusters"
    free = min(float(psutil.virtual_memory().available), free_in_groups())
    if host > free:
        raise UserError(
            f"{what} takes {host / 1e9:.2f} GB of memory and {free / 1e9:.2f} GB are free: lower "
            "`points` of the features, or run it where there is more or the job is given more"
        )
    gpu = gpu_memory(width, clusters)
    if on_gpu and gpu > (free := torch.cuda.mem_get_info(device)[0]):
        raise UserError(
            f"{what} takes {gpu / 1e9:.2f} GB of the GPU and {free / 1e9:.2f} GB are free: "
            "end what else runs there, or run it with --device cpu"
        )


def has_room(points: int, width: int, clusters: int, itemsize: int, device: str) -> bool:
    """Whether a GPU can hold the points, too; False on the CPU, whose memory they are in."""
    if torch.device(device).type == "cpu":
        return False
    held = itemsize * width * points
    return bool(held + gpu_memory(width, clusters) <= torch.cuda.mem_get_info(device)[0])
