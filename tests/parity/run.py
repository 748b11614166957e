"""Compares this project with a folder of vectors that the original DiGIT code computed.

    python -m tests.parity.run FOLDER

prints a line for each quantity: its error, its bound, and ok, FAIL or absent. The exit status is 1
where one fails, 2 where there is no folder, and 0 otherwise. All sizes are read from the folder.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.parity import checks  # noqa: F401  (registers the quantities)
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import Result, judge, quantities

INFORMATION = {"transforms.npz:versions"}  # says what the vectors were made with


def results(reference: ReferenceSet) -> Iterator[Result]:
    """Measures all quantities of a folder, one after the other."""
    for quantity in quantities(reference):
        yield judge(reference, quantity)


def unused(reference: ReferenceSet) -> list[str]:
    """Arrays of the folder that no quantity read."""
    known = reference.used | INFORMATION
    return [name for name in reference.stored_arrays() if name not in known]


def line(result: Result) -> str:
    """What is printed of a result."""
    word = {True: "ok", False: "FAIL", None: "absent"}[result.passed]
    text = result.text.removeprefix("absent ") if result.passed is None else result.text
    return f"{word:6}  {result.name}: {text}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the comparison from the command line."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m tests.parity.run FOLDER (a folder of reference vectors)")
        return 2
    reference = ReferenceSet(arguments[0])
    found = []
    for result in results(reference):
        print(line(result), flush=True)
        found.append(result)
    left = unused(reference)
    if left:
        print(f"arrays that nothing was compared with: {', '.join(left)}")
    failed = sum(result.passed is False for result in found)
    absent = sum(result.passed is None for result in found)
    print(f"{len(found)} quantities: {len(found) - failed - absent} ok, {failed} failed, "
          f"{absent} absent; {len(left)} arrays unused")  # fmt: skip
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
