"""From YAML files to a validated config, or one sentence that says what is wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tessera.config.checks import check
from tessera.config.kinds import SECTIONS
from tessera.config.overlays import extend, lay
from tessera.config.schema import Config, stages
from tessera.config.sentences import sentence, suggest
from tessera.config.sweeps import expand
from tessera.errors import UserError


class _UniqueKeys(yaml.CSafeLoader):
    """A loader that refuses a key given twice: YAML would silently keep the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is no plain word", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Reads one YAML file as a map.

    Raises:
        UserError: the file is absent, no YAML, or no map.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f"the config file {path} does not exist: check the path") from error
    except OSError as error:
        raise UserError(
            f"the config file {path} cannot be read ({error.strerror}): check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text: save it as such") from error
    try:
        value = yaml.load(text, _UniqueKeys)  # a safe loader
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "no valid YAML"
        raise UserError(f"{path}{line}: {problem}: mend the file") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no map of settings: begin from config.yaml")
    return value


def chain(files: Sequence[Path | str], above: Sequence[Path] = ()) -> list[Path]:
    """The files that make up a config, in the order in which they are laid over each other.

    A file with `base: FILE` (relative to its own folder) is laid over that file and nothing else;
    with `base: null` it stands alone. With a list it is laid over these files and what each of them
    is based on, one over the other; what several are based on is there once, below all of them.
    Without `base` it is laid over the files before it.

    Args:
        files: the files as given, config.yaml first.
        above: the files that led here by their `base`.

    Raises:
        UserError: a file is absent or no map, `base` is no file name, or files are based on each
            other in a circle.
    """
    found: list[Path] = []
    for file in map(Path, files):
        if file.resolve() in above:
            raise UserError(f"{file} is based on itself in a circle: remove one `base`")
        settings = read_yaml(file)
        if "base" in settings:
            found = []
            for base in _bases(file, settings["base"]):
                below = chain([file.parent / base], [*above, file.resolve()])
                there = {other.resolve() for other in found}
                found += [other for other in below if other.resolve() not in there]
        found.append(file)
    return found


def _bases(file: Path, base: Any) -> list[str]:
    """The names of the files that a file says it is based on."""
    names = base if isinstance(base, list) else [] if base is None else [base]
    if not all(isinstance(name, str) for name in names):
        raise UserError(f"{file}: base must be the name of a config file, a list of them, or null")
    return names


def load(files: Sequence[Path | str], overrides: Mapping[str, Any] | None = None) -> Config:
    """Reads, merges and validates config files, the later over the earlier; see `chain`.

    Args:
        files: the files.
        overrides: settings laid over all files, such as those of the command line.

    Raises:
        UserError: what is wrong, where, and what to do.
    """
    raw: dict[str, Any] = {}
    for file in chain(files):
        raw = lay(raw, read_yaml(file))
    raw.pop("base", None)
    return validate(lay(raw, overrides or {}))


def validate(raw: Mapping[str, Any]) -> Config:
    """Turns raw settings into a config whose references all hold.

    Raises:
        UserError: what is wrong, where, and what to do.
    """
    sections: dict[str, dict[str, Any]] = {}
    off: dict[str, list[str]] = {}
    for section in SECTIONS:
        variants = raw.get(section)
        if isinstance(variants, Mapping):
            # A map laid over an earlier file switches a variant off with `name: null`.
            off[section] = [name for name, entry in variants.items() if entry is None]
            sections[section] = {
                name: extend(section, name, variants)
                for name in variants
                if name not in off[section]
            }
    expanded, points, off = expand(sections, off)
    try:
        config = Config.model_validate({**raw, **expanded})
    except ValidationError as error:
        raise UserError(sentence(error, points)) from error
    config._points = points
    unknown = set(config.execution) - {*stages(), "default"}
    if unknown:
        name = sorted(unknown)[0]
        raise UserError(f"config: execution.{name} is no stage{suggest(name, stages())}")
    check(config, off)
    return config
