"""The answer of `tessera explain`: causes first, then what follows from them."""

from collections.abc import Iterator, Mapping, Sequence

from tessera.config.jobs import Planned
from tessera.reruns.causes import Reason


def answer(count: int, planned: Sequence[Planned], reasons: Sequence[Reason]) -> str:
    """What would run and why.

    Args:
        count: jobs of the targets, those that are up to date too.
        planned: all jobs of the config.
        reasons: of the jobs that would run.
    """
    if not reasons:
        return f"Nothing would run: {_jobs(count)} up to date."
    parts = {job.card: job.parts for job in planned}
    names = {job.card: _name(job) for job in planned}
    roots = [reason for reason in reasons if reason.causes]
    lines = [f"{len(reasons)} of {_jobs(count)} would run."]
    by_cause: dict[tuple[str, ...], list[Reason]] = {}
    for reason in roots:
        by_cause.setdefault(reason.causes, []).append(reason)
    for causes, caused in by_cause.items():
        lines += ["", *causes, *(f"    {text}" for text, _ in _grouped(caused, parts))]
    followers = [reason for reason in reasons if not reason.causes]
    if followers:
        lines += ["", f"because of {_these(len(roots))}, {_jobs(len(followers))} below:"]
        grouped = list(_grouped(followers, parts))
        width = max(len(text) for text, _ in grouped)
        for text, reason in grouped:
            after = list(dict.fromkeys(names[card] for card in reason.due.after))
            more = f" and {len(after) - 1} more" if len(after) > 1 else ""
            lines.append(f"    {text:<{width}}  after {after[0]}{more}")
    return "\n".join(lines)


def _grouped(reasons: Sequence[Reason], parts: Mapping[str, int]) -> Iterator[tuple[str, Reason]]:
    """Jobs by name, the parts of one variant together, each with its first job's reason."""
    groups: dict[str, list[Reason]] = {}
    for reason in reasons:
        groups.setdefault(_name(reason.due.job), []).append(reason)
    for name, group in groups.items():
        total = parts[group[0].due.job.card]
        if total == 1:
            yield name, group[0]
        elif len(group) == total:
            yield f"{name} ({total} parts)", group[0]
        else:
            numbers = ", ".join(str(reason.due.job.part) for reason in group)
            yield f"{name} (part {numbers} of {total})", group[0]


def _name(job: Planned) -> str:
    """The job's label without its part."""
    return job.label.removesuffix(f"/{job.part:04d}-of-{job.parts:04d}")


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _these(count: int) -> str:
    return "this" if count == 1 else "these"
