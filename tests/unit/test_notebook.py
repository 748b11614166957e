"""The notebook of the docs runs, cell by cell, on the results of a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from tessera.io.images import write_adm

TABLE = """\
stage,variant,metric,value,unit,card,base,samplings.semantic.top_k,samplings.seed
probe,linear/gpt,layer 0 top1,0.25,1,probes/linear/gpt.json,,,
probe,linear/gpt,layer 1 top1,0.75,1,probes/linear/gpt.json,,,
probe,linear/gpt,layer 1 top5,0.875,1,probes/linear/gpt.json,,,
probe,linear/gpt,top1,0.75,1,probes/linear/gpt.json,,,
evaluation,digits/a,FD (cnn),5,1,evaluations/digits/a.json,,,
evaluation,digits/ar_5_0,FD (cnn),1,1,evaluations/digits/ar_5_0.json,ar,5,0
evaluation,digits/ar_5_1,FD (cnn),3,1,evaluations/digits/ar_5_1.json,ar,5,1
evaluation,digits/ar_10_0,FD (cnn),4,1,evaluations/digits/ar_10_0.json,ar,10,0
evaluation,digits/ar_off_0,FD (cnn),7,1,evaluations/digits/ar_off_0.json,ar,none,0
evaluation,digits/ar_5_0,Precision (cnn),0.5,1,evaluations/digits/ar_5_0.json,ar,5,0
"""

ASK = """
import json
print("ASKED", json.dumps({
    "generation": generation.loc[("digits", "ar_5_0")].to_dict(),
    "over_seeds": over_seeds[over_seeds["metric"] == "FD (cnn)"][["mean", "std", "count"]]
        .sort_values("mean").fillna(0).values.tolist(),
    "drawings": {name: [line.get_xydata().tolist() for line in drawn.lines[:1]]
        for name, drawn in drawings.items()},
    "by_layer": by_layer.to_dict(),
    "best": best["variant"],
    "images": list(images.shape),
}))
"""


@pytest.fixture(scope="module")
def book(repo) -> nbformat.NotebookNode:
    """The notebook."""
    return nbformat.read(repo / "docs" / "results.ipynb", as_version=4)


def test_it_is_a_notebook_without_outputs(repo, book):
    """Valid, and with nothing of the machine that it was written on."""
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    text = (repo / "docs" / "results.ipynb").read_text()
    assert not [word for word in ("/home", "/root", "/tmp", "/Users", str(repo)) if word in text]


def finished_run(folder: Path, table: str) -> Path:
    """What the notebook reads of a run, below a checkout; returns the folder to start it in."""
    results = folder / "results"
    (results / "tables").mkdir(parents=True)
    (results / "tables" / "results.csv").write_text(table)
    card = {
        "node": {"inputs": {"samplings": {"settings": {"count": 40}}}},
        "run": {"seconds": 1.5, "device": "cpu"},
    }
    for name in ("a", "ar_5_0"):
        file = results / "evaluations" / "digits" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(card))
        images = np.zeros((40, 8, 8, 3), np.uint8)
        samples = results / "samplings" / name / "samples.npz"
        samples.parent.mkdir(parents=True)
        write_adm(samples, [images], images.shape, None)
    (folder / "config.yaml").touch()
    (folder / "docs").mkdir()
    return folder / "docs"


def run_cells(book, folder: Path, repo: Path) -> dict:
    """Runs the cells one after the other in a process of their own; what it was asked then."""
    sources = [cell.source for cell in book.cells if cell.cell_type == "code"]
    program = f"import json\nfor cell in json.loads({json.dumps(json.dumps([*sources, ASK]))}):\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{program}    exec(compile(cell, 'cell', 'exec'))"],
        cwd=folder,
        env=os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(repo / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (answer,) = (line for line in done.stdout.splitlines() if line.startswith("ASKED "))
    return json.loads(answer.removeprefix("ASKED "))


def test_its_cells_give_the_numbers_of_a_run(repo, book, tmp_path):
    """Pivot, seeds, sweep, layers, card and samples, by hand from the rows above."""
    assert run_cells(book, finished_run(tmp_path, TABLE), repo) == {
        "generation": {"FD (cnn)": 1.0, "Precision (cnn)": 0.5},
        "over_seeds": [[2.0, pytest.approx(2**0.5), 2.0], [4.0, 0.0, 1.0], [7.0, 0.0, 1.0]],
        "drawings": {"samplings.semantic.top_k": [[[5.0, 2.0], [10.0, 4.0]]]},
        "by_layer": {"linear/gpt": {"0": 25.0, "1": 75.0}},
        "best": "digits/ar_5_0",
        "images": [40, 8, 8, 3],
    }


def test_a_run_without_sweeps(repo, book, tmp_path):
    """There is nothing to draw over, and no cell fails."""
    rows = [line.rsplit(",", 3)[0] for line in TABLE.splitlines()]
    table = "\n".join([f"{rows[0]},base", *(f"{row}," for row in rows[1:])])
    found = run_cells(book, finished_run(tmp_path, table), repo)
    assert (found["drawings"], found["over_seeds"]) == ({}, [])
