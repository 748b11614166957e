"""Points of a sweep: what each one sets, and what it is called."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Axis = tuple[str, ...]
"""A swept setting as the words that tell it from others: its dotted path, such as ("semantic",
"top_k"), after section and name of the variant where that is another one."""

SHOWN = {"top_k": "top-k", "top_p": "top-p"}
"""Words of settings as labels write them, where that is not the word itself; null of these keeps
all codes."""


@dataclass(frozen=True)
class Point:
    """One variant of those that a sweep makes.

    Attributes:
        base: the variant that the config file holds.
        settings: swept setting → its value here: "semantic.top_k" where the variant is swept
            itself, "codebooks.k.clusters" where it is made once for each point of another one.
        label: the name to show for the base, for reports.
    """

    base: str
    settings: Mapping[str, Any]
    label: str = field(default="", compare=False)  # as all labels, it makes no difference

    @property
    def sets_seeds_alone(self) -> bool:
        """Whether it differs from the other points in seeds and nothing else."""
        return all(is_seed(setting) for setting in self.settings)


Points = Mapping[str, Mapping[str, Point]]
"""Section → variant → the point that it is; a variant that no sweep made is absent."""


def is_seed(setting: str) -> bool:
    """Whether a swept setting, such as "stage1.gpt.training.seed", is a seed."""
    return setting.split(".")[-1] == "seed"


NAMED = 5
"""Points that a sentence lists; the rest is a number."""


def points_of(points: Points, section: str, base: str) -> list[str]:
    """The points of a swept variant; none where it is not swept."""
    return [name for name, point in points.get(section, {}).items() if point.base == base]


def name_one(names: Sequence[str]) -> str:
    """The cure where a swept variant is named and only one of its points can be meant."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"name one of its points: {', '.join(names[:NAMED])}{more}"


def short_words(axes: Sequence[Axis]) -> dict[Axis, str]:
    """The name of each axis: its last word, or more of them where another axis ends alike.

    Args:
        axes: different ones.
    """
    found = {}
    for axis in axes:
        others = [other for other in axes if other != axis]
        tails = (axis[-length:] for length in range(1, len(axis)))
        unique = (t for t in tails if not any(other[-len(t) :] == t for other in others))
        found[axis] = "_".join(next(unique, axis))
    return found


def value_word(value: Any) -> str:
    """A value as a part of a variant's name: 0.8 → "0p8", null → "none", [1, 2] → "1_2"."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "_".join(map(value_word, value))
    value = number(value)
    if isinstance(value, int | float):
        text = repr(value).removesuffix(".0")
        return text.replace("+", "").replace("-", "m").replace(".", "p")
    return re.sub(r"[^a-z0-9]+", "_", str(value).lower()).strip("_")


def number(value: Any) -> Any:
    """Text that is a number as the number: YAML reads 1e-4 as text; all else as it is."""
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def point_name(base: str, words: Mapping[Axis, str], values: Mapping[Axis, Any]) -> str:
    """The name of a point: other points matter to its words alone, see `short_words`."""
    parts = [f"{words[axis]}_{value_word(value)}" for axis, value in values.items()]
    return "_".join([base, *parts])


def point_text(words: Mapping[Axis, str], values: Mapping[Axis, Any]) -> str:
    """What a point sets, as people read it: "top-k 5, seed 1"."""
    return ", ".join(
        f"{said(words[axis])} {'all' if value is None and axis[-1] in SHOWN else _shown(value)}"
        for axis, value in values.items()
    )


def said(word: str) -> str:
    """The name of an axis as people read it: "learning_rate" → "learning rate"."""
    for written, shown in SHOWN.items():
        word = word.replace(written, shown)
    return word.replace("_", " ")


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(map(_shown, value))
    found = number(value)
    return f"{found:,}" if isinstance(found, int) else str(found)
