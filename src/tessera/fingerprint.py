"""Fingerprints of the code that a stage runs, found by reading source files.

A change in an imported module reruns nothing by itself, because Snakemake sees only the rule. So
each stage has a version among its settings, and the lock file (`tessera.config.lock`) holds the
fingerprint of the source that belongs to that version. A moved fingerprint asks for a decision:
raise the version, or declare the behaviour unchanged.

Nothing is imported or executed: files are parsed, and comments, docstrings and formatting are
dropped before hashing. Imports inside functions count; imports by a computed name
(`importlib.import_module`) are not seen.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

# Modules that can stop a job but never change a number, and so are not followed:
# - config.guard compares the config files with what they were at the launch. It reads the whole
#   schema; were it followed, a new setting of any section would ask about all stages. What the
#   schema does to a stage's numbers is in the stage's settings already, which Snakemake compares.
# - config.lock holds the versions themselves.
# - stages.training_pictures draws what TensorBoard shows of a training; tests hold that its weights
#   are the same with and without. Were it followed, each network that paints would ask about
#   trainings that read none of its numbers.
CANNOT_CHANGE_NUMBERS = frozenset({"config.guard", "config.lock", "stages.training_pictures"})


class Package:
    """A package's source, read from its folder.

    Args:
        root: the package's folder; its name is the package's name.
        cut: modules (relative to the package) that are not followed.
    """

    def __init__(self, root: Path = PACKAGE, cut: frozenset[str] = CANNOT_CHANGE_NUMBERS) -> None:
        self.root, self.name = root, root.name
        self._cut = {f"{root.name}.{module}" for module in cut}
        self._tree = cache(self._parse)
        self.hash = cache(self._hash)
        self._imports = cache(self._find_imports)

    def file(self, module: str) -> Path | None:
        """The file of a dotted module name, or None where there is none."""
        path = self.root.parent.joinpath(*module.split("."))
        for candidate in (path / "__init__.py", path.with_suffix(".py")):
            if candidate.is_file():
                return candidate
        return None

    def modules(self, stage: str) -> dict[str, str]:
        """The modules that a stage runs, itself included, each with the hash of its source.

        Args:
            stage: the stage's name; its module is `stages.<stage>`.

        Raises:
            FileNotFoundError: the stage has no module.
        """
        first = f"{self.name}.stages.{stage}"
        if self.file(first) is None:
            raise FileNotFoundError(f"{first} has no source file below {self.root}")
        found: set[str] = set()
        waiting = [first]
        while waiting:
            module = waiting.pop()
            if module in found or module in self._cut or self.file(module) is None:
                continue
            found.add(module)
            # Importing a.b.c runs the __init__ of a and of a.b first.
            waiting += _parents(module)
            waiting += self._imports(module)
        return {module: self.hash(module) for module in sorted(found)}

    def _parse(self, module: str) -> ast.Module:
        path = self.file(module)
        if path is None:
            raise FileNotFoundError(f"{module} has no source file below {self.root}")
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))

    def _hash(self, module: str) -> str:
        return hashlib.sha256(normalised(self._tree(module)).encode()).hexdigest()

    def _find_imports(self, module: str) -> frozenset[str]:
        path = self.file(module)
        is_package = path is not None and path.name == "__init__.py"
        names = set(_imported(self._tree(module), module, is_package))
        return frozenset(n for n in names if n == self.name or n.startswith(f"{self.name}."))


def fingerprint(modules: dict[str, str]) -> str:
    """The one digest of a stage's modules (SHA-256, hexadecimal)."""
    lines = "".join(f"{module} {digest}\n" for module, digest in sorted(modules.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def normalised(tree: ast.Module) -> str:
    """Source without comments, docstrings and formatting: equal text runs equally.

    `ast.unparse` and `ast.dump` would do, were their texts equal in all versions of Python: 3.12
    writes f-strings and functions in another way than 3.11.
    """
    return _text(tree)


def _text(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = []
    for name, entry in ast.iter_fields(value):
        if name in _SILENT or entry is None or entry == []:
            continue
        if name in _BLOCKS and isinstance(entry, list):
            # A function of a docstring alone does what `pass` does.
            entry = [item for item in entry if not _is_bare_string(item)] or [ast.Pass()]
        if name == "keywords" and _is_field(value):
            entry = [item for item in entry if item.arg != "description"]
        fields.append(f"{name}={_text(entry)}")
    return f"{type(value).__name__}({','.join(fields)})"


_SILENT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_BLOCKS = frozenset({"body", "orelse", "finalbody"})


def _is_field(node: ast.AST) -> bool:
    """Whether this calls pydantic's `Field`, whose description is documentation."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field"


def _is_bare_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _imported(tree: ast.Module, module: str, is_package: bool) -> Iterator[str]:
    """All dotted names that a module imports; a name that is no module is harmless."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                # One dot is the package that holds the module; for an __init__, itself.
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, *([base] if base else [])])
            yield base
            # `from package import name`: the name may be a submodule.
            yield from (f"{base}.{alias.name}" for alias in node.names)
