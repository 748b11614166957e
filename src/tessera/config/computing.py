"""Settings of dask: what counts and samples arrays that are larger than one job's memory."""

from pydantic import Field

from tessera.config.base import Settings


class SlurmWorkers(Settings):
    """Workers that a stage starts as SLURM jobs of their own and ends with itself."""

    workers: int = Field(2, ge=1, le=1000, description="SLURM jobs, one worker each")
    cores: int = Field(1, ge=1, le=1024, description="CPU cores a worker, a task on each")
    memory_mb: int = Field(4000, ge=500, description="memory a worker, MB")
    runtime_minutes: int = Field(60, ge=1, description="time limit of a worker, minutes")
    partition: str | None = Field(None, min_length=1, description="null: the cluster's default")
    account: str | None = Field(None, min_length=1, description="null: the user's default")
    directives: tuple[str, ...] = Field(
        (), description="further options of sbatch, such as `--qos=short`"
    )
    interface: str | None = Field(
        None,
        min_length=1,
        description="network that workers and scheduler talk over, such as `ib0`; null: the one "
        "that leads to the internet",
    )
    wait_minutes: int = Field(
        30, ge=1, description="minutes to wait for the first worker before the stage gives up"
    )


class Dask(Settings):
    """What computes codebook statistics and feature samples; changes no number, reruns nothing."""

    scheduler: str = Field(
        "threads",
        pattern=r"^(threads|slurm|(tcp|tls|ws|wss|ucx)://[^\s]+)$",
        description="`threads` of the job itself; the address of a scheduler that runs, such as "
        "`tcp://host:8786`; or `slurm`: workers that the stage starts",
    )
    slurm: SlurmWorkers = SlurmWorkers()
