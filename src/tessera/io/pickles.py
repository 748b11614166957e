"""Which globals a pickled file of weights may name, and what stands in for them.

A pickle is a program: it names functions and classes ("globals") and has them called. Published
files name some that are harmless, and that this environment may not even have: the settings of
a run (argparse, omegaconf, fairseq), callbacks (PyTorch Lightning), numpy's numbers. For these,
torch's restricted reader is handed stand-ins that only keep what they are given. No package is
imported because a file names it, and nothing that a file names is called.
"""

import argparse
import pickle
import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

# What torch's restricted reader knows itself.
PLAIN = re.compile(
    r"collections\.(OrderedDict|Counter)|_codecs\.encode|builtins\.(bytearray|set|complex)|"
    r"torch\.(cuda\.|storage\.)?\w*Storage|torch\.(Size|device|Tensor|nn\.parameter\.Parameter)|"
    r"torch\.(bool|u?int\d+|b?float\d+\w*|complex\d+|q\w*int\w+)|"
    r"torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|"
    r"torch\.serialization\._get_layout"
)
# Whatever these modules offer is replaced by a class that keeps its arguments and does nothing.
FAMILIES = {
    "antlr4",
    "fairseq",
    "hydra",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "omegaconf",
    "pathlib",
    "pytorch_lightning",
    "taming",
    "typing",
    "yacs",
}
# Their objects are dicts with other names.
MAPPINGS = {
    "collections.defaultdict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "yacs.config.CfgNode",
}
NUMBERS = {"b": "?", "i": "i", "u": "u", "f": "f", "c": "c"}  # numpy's kinds of plain numbers
StandIn = Callable[..., Any] | tuple[Callable[..., Any], str]
LEGACY_PICKLES = 5  # magic number, version, system, the object, the keys of its storages


class Inert:
    """An object of an unknown class: its name, its arguments and its state, all unused."""

    origin = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        """Takes any arguments."""
        made = super().__new__(cls)
        made.__dict__["arguments"] = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Keeps a state of any form, and calls nothing."""
        self.__dict__["state"] = state

    def __repr__(self) -> str:
        return f"<stand-in for {self.origin}>"


class Mapping:
    """Makes plain ordered dicts in the place of a subclass of dict."""

    def __new__(cls, *args: Any) -> Any:
        """An empty dict; arguments such as the factory of a defaultdict are dropped."""
        return OrderedDict()


class Dtype:
    """The type of a numpy number, of which only the code and the byte order are kept."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.big = str(code), False

    def __setstate__(self, state: Any) -> None:
        """Takes the byte order from numpy's state of a dtype."""
        self.big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"

    def numpy(self) -> np.dtype:
        """The dtype, of a plain number.

        Raises:
            pickle.UnpicklingError: anything else, objects above all.
        """
        if self.code[:1] not in NUMBERS or not self.code[1:].isdigit():
            raise pickle.UnpicklingError(f"an array of type {self.code!r}")
        return np.dtype(self.code).newbyteorder(">" if self.big else "<")


class Array:
    """A numpy array on the way from a file; `plain` turns it into one."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        """Keeps numpy's (version, shape, dtype, column order, bytes)."""
        self.state = state

    def numpy(self) -> np.ndarray:
        """The array.

        Raises:
            pickle.UnpicklingError: not an array of plain numbers.
        """
        if len(self.state) != 5 or not isinstance(self.state[2], Dtype):
            raise pickle.UnpicklingError("a damaged numpy array")
        _, shape, dtype, by_columns, data = self.state
        if not isinstance(data, bytes):
            raise pickle.UnpicklingError("a numpy array that holds more than numbers")
        flat = np.frombuffer(data, dtype.numpy()).copy()
        return flat.reshape(shape, order="F" if by_columns else "C")


def scalar(dtype: Any, data: Any = b"") -> Any:
    """A numpy number from its bytes, as a number of Python."""
    if not isinstance(dtype, Dtype) or not isinstance(data, bytes):
        raise pickle.UnpicklingError("a numpy scalar that is no number")
    return np.frombuffer(data, dtype.numpy())[0].item()


def empty_bytes() -> bytes:
    """What protocol 2 writes for b""; other bytes come as `_codecs.encode`."""
    return b""


STAND_INS: dict[str, Any] = {
    "argparse.Namespace": argparse.Namespace,
    "numpy.dtype": Dtype,
    "numpy.ndarray": Inert,
    "builtins.bool": bool,
    "builtins.bytes": empty_bytes,
    "builtins.dict": dict,
    "builtins.float": float,
    "builtins.frozenset": frozenset,
    "builtins.int": int,
    "builtins.list": list,
    "builtins.str": str,
    "builtins.tuple": tuple,
} | {
    f"numpy.{core}.multiarray.{name}": made
    for core in ("core", "_core")
    for name, made in (("scalar", scalar), ("_reconstruct", Array))
}


def plain(value: Any) -> Any:
    """The value with numpy arrays in the place of the stand-ins, in dicts, lists and tuples.

    Each object is looked at once, however often it is referred to, and stays one object.

    Raises:
        pickle.UnpicklingError: an array that holds no plain numbers, or a tuple that holds itself.
    """
    return _plain(value, {})


_OPEN = object()


def _plain(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """`plain` of a part; `done` has the objects seen by their ids, and what they became."""
    if not isinstance(value, (Array, dict)) and type(value) not in (list, tuple):
        return value
    if id(value) in done:
        made = done[id(value)][1]
        if made is _OPEN:
            raise pickle.UnpicklingError("a tuple that holds itself")
        return made
    # Dicts and lists keep their identity, so one that holds itself may be met again before its
    # end; a tuple is made anew. `done` holds the object too, or its id might be given away.
    made = _OPEN if type(value) is tuple else value
    done[id(value)] = (value, made)
    if isinstance(value, Array):
        made = value.numpy()
    elif isinstance(value, dict):
        for key in value:
            value[key] = _plain(value[key], done)
    elif type(value) is list:
        value[:] = [_plain(entry, done) for entry in value]
    else:
        made = tuple(_plain(entry, done) for entry in value)
    done[id(value)] = (value, made)
    return made


def stand_ins(names: set[str]) -> tuple[list[StandIn], list[str]]:
    """What stands in for the globals of a file.

    Args:
        names: the globals, see `named_globals`.

    Returns:
        Pairs of a stand-in and the global that it replaces, as `torch.serialization.safe_globals`
        takes them; and the globals that are to be refused, sorted.
    """
    found: list[StandIn] = []
    refused: list[str] = []
    for name in sorted(names):
        if name in STAND_INS:
            found.append((STAND_INS[name], name))
        elif name in MAPPINGS:
            found.append((type("Mapping", (Mapping,), {}), name))
        elif name.split(".")[0] in FAMILIES:
            found.append((type("Inert", (Inert,), {"origin": name}), name))
        elif not PLAIN.fullmatch(name):
            refused.append(name)
    return found, refused


def is_zip(path: Path) -> bool:
    """Whether torch reads a file as an archive: by its first bytes, whatever stands at its end."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def named_globals(path: Path) -> set[str]:
    """The globals that a file of torch.save or pickle names, read without executing anything.

    Raises:
        Exception: the file is no pickle; of many types.
    """
    names: set[str] = set()
    if is_zip(path):
        with zipfile.ZipFile(path) as archive:
            for record in archive.namelist():
                if record.endswith("data.pkl"):
                    with archive.open(record) as file:
                        names.update(globals_of_pickle(file))
        return names
    with path.open("rb") as file:
        for index in range(LEGACY_PICKLES):
            try:
                names.update(globals_of_pickle(file))
            except ValueError:
                if index == 0:
                    raise
                break  # what follows the pickle is for the reader to judge
    return names


def globals_of_pickle(file: IO[bytes]) -> Iterator[str]:
    """The globals of one pickle, `module.name` in the names of Python 3; stops at its end."""
    texts: list[str] = []  # in the order of the stack, as far as globals need it
    memo: dict[Any, str] = {}
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("GLOBAL", "INST"):
            yield in_python_3(*str(argument).split(" ", 1))
        elif operation.name == "STACK_GLOBAL":
            yield in_python_3(*(["?", "?", *texts])[-2:])
        elif operation.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else "?"
        elif operation.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = texts[-1] if texts else "?"
        elif operation.name in ("GET", "BINGET", "LONG_BINGET"):
            texts.append(memo.get(argument, "?"))
        elif isinstance(argument, str):
            texts.append(argument)


def in_python_3(module: str, name: str) -> str:
    """The full name of a global, also of a pickle that Python 2 wrote."""
    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[(module, name)]
    elif module in IMPORT_MAPPING:
        module = IMPORT_MAPPING[module]
    return f"{module}.{name}"
