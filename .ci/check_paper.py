"""Is everything there that the default experiment promises to a paper, and is none of it empty?"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tessera.config.load import load
from tessera.report.outputs import figure_files, figure_names, table_files, table_names
from tessera.report.pictures.catalogue import pictures


def main() -> int:
    """Prints every file; 1 if one is missing, empty, or a picture of one colour."""
    config = load(["config.yaml"])
    root = Path(config.results)
    files = [root / "tables" / file for name in table_names(config) for file in table_files(name)]
    files += [root / "figures" / file for one in figure_names(config) for file in figure_files(one)]
    files += [root / picture.file for picture in pictures(config)]
    failed = False
    for file in [*files, root / "index.html", root / "report.html"]:
        what = fault(file)
        failed = failed or bool(what)
        print(file, what)
    return int(failed)


def fault(file: Path) -> str:
    """What is wrong with a file; nothing if it is well."""
    if not file.is_file() or not file.stat().st_size:
        return "(missing or empty)"
    if file.suffix == ".csv" and len(file.read_text().splitlines()) < 2:
        return "(without rows)"
    if file.suffix == ".png" and np.ptp(np.asarray(Image.open(file).convert("L"))) == 0:
        return "(of one colour)"
    return ""


if __name__ == "__main__":
    sys.exit(main())
