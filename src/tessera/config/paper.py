"""Settings of tables and figures that no card tells: what is shown, and in which order."""

from pydantic import Field

from tessera.config.base import Name, Settings


class AblationRow(Settings):
    """One step of the ablation."""

    sampling: Name = Field(
        description="the sample set; one that is swept over seeds stands for all of them"
    )
    label: str = Field("", description="the name of the step; empty: that of the sample set")


class Ablation(Settings):
    """Sample sets in the order in which one thing after the other is changed."""

    evaluation: Name = Field(description="what measures all of them")
    rows: tuple[AblationRow, ...] = Field(min_length=2, description="the steps, the baseline first")


class Paper(Settings):
    """What tables and figures show beyond the results themselves; it reruns nothing else."""

    ablation: Ablation | None = Field(
        None, description="the table and figure `ablation`; null: neither is made"
    )
