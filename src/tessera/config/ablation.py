"""What must hold between the ablation and the results that it shows, checked before any compute."""

from tessera.config.points import name_one, points_of
from tessera.config.schema import Config
from tessera.config.sentences import nearest
from tessera.errors import UserError

PLACE = "config: paper.ablation"
OFF = "`paper: {ablation: null}`"


def check(config: Config) -> None:
    """Checks that each step names a sample set that the evaluation measures.

    Where the evaluation is swept over seeds, each of its points must measure a member of each step:
    what is swept along with it stands on the same seeds, and so is measured by one point alone.

    Raises:
        UserError: an evaluation or a sample set is not there, or not measured.
    """
    ablation = config.paper.ablation
    if ablation is None:
        return
    evaluations = _members(config, f"{PLACE}.evaluation", "evaluations", ablation.evaluation)
    for number, row in enumerate(ablation.rows):
        place = f"{PLACE}.rows.{number}.sampling"
        members = _members(config, place, "samplings", row.sampling)
        for name in evaluations:
            if set(members).isdisjoint(config.evaluations[name].samplings):
                raise UserError(
                    f"{place} names {row.sampling!r}, which evaluations.{name} does not measure: "
                    f"add it to its samplings, or make no ablation with {OFF}"
                )


def _members(config: Config, place: str, section: str, name: str) -> list[str]:
    """The variants that a name stands for: the one, or one for each seed of a swept one.

    Raises:
        UserError: it is the name of nothing, or of a sweep over more than seeds.
    """
    known = {variant: [variant] for variant in getattr(config, section)}
    known |= _swept_over_seeds(config, section)
    swept = points_of(config.points, section, name)
    if name not in known and swept:
        raise UserError(
            f"{place} names {name!r}, which is swept over more than seeds: {name_one(swept)}; or "
            f"make no ablation with {OFF}"
        )
    if name not in known:
        close = nearest(name, known)
        cure = f"name {close!r}" if close else f"choose one of {sorted(known)}"
        raise UserError(
            f"{place} names {name!r}, which is not in {section}: {cure}; without it, {OFF} makes "
            "no ablation"
        )
    return known[name]


def _swept_over_seeds(config: Config, section: str) -> dict[str, list[str]]:
    """Swept variant → its points, where these differ in seeds alone."""
    found: dict[str, list[str]] = {}
    others = set()
    for name, point in config.points.get(section, {}).items():
        found.setdefault(point.base, []).append(name)
        if not point.sets_seeds_alone:
            others.add(point.base)
    return {base: names for base, names in found.items() if base not in others}
