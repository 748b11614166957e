"""The files themselves: digests, and the list of arrays with types and shapes."""

from collections.abc import Iterator

from tessera.io.files import sha256_file
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import EXACT, Measured, Quantity, source


def complaints(wrong: list[str], total: int, what: str) -> Measured:
    """How many are wrong, and which comes first."""
    text = f"{len(wrong)} of {total} {what}, first {wrong[0]}" if wrong else f"all {total} agree"
    return Measured(float(len(wrong)), text)


@source
def file_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """Whether the folder is what its manifest says; files that are not there are passed over."""

    def digests() -> Measured:
        files = {
            name: facts["sha256"]
            for name, facts in reference.fact("files").items()
            if reference.has(name) and "sha256" in facts
        }
        wrong = [name for name, sha in files.items() if sha256_file(reference.folder / name) != sha]
        return complaints(wrong, len(files), "files have another digest")

    def arrays() -> Measured:
        wrong, total = [], 0
        used = set(reference.used)
        for file, listed in reference.fact("npz_arrays").items():
            for key, (kind, shape) in listed.items() if reference.has(file) else ():
                total += 1
                found = reference.numpy(file, key)
                if (str(found.dtype), list(found.shape)) != (kind, list(shape)):
                    wrong.append(f"{file}:{key}")
        reference.used = used  # being listed is not being compared
        return complaints(wrong, total, "arrays have another type or shape")

    yield Quantity("files' digests", ("manifest.json:files",), EXACT, digests)
    yield Quantity("arrays' types and shapes", ("manifest.json:npz_arrays",), EXACT, arrays)
