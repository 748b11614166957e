"""Tables hold the numbers of the cards."""

import csv
import io
import math
import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest
from tests.unit.report.conftest import SWEPT, FakeRun

from tessera.errors import UserError
from tessera.metrics.names import metric_names
from tessera.report.collection import collect, labels_of, seeds
from tessera.report.outputs import table_files
from tessera.report.render import to_csv, to_latex, to_markdown
from tessera.report.tables import generation
from tessera.report.tables.build import BUILD, build_tables
from tessera.report.tables.generation import draws
from tessera.report.tables.tokenizers import entropy_bits


def rows_of(run, name: str) -> list[dict[str, str]]:
    """A table's CSV file, read back."""
    table = BUILD[name](run.collection())
    assert table is not None
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def markdown_rows(table) -> list[dict[str, str]]:
    """A table's Markdown, read back: heading → cell."""
    lines = [line for line in to_markdown(table).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], line, strict=True)) for line in cells[2:] if "---" not in line[0]]


def latex_rows(table) -> list[list[str]]:
    """A table's LaTeX, read back: the cells between the rules."""
    body = to_latex(table).split(r"\midrule")[1].split(r"\bottomrule")[0]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)&", line.rstrip().removesuffix(r"\\"))]
        for line in body.strip().splitlines()
    ]


def number(text: str) -> float:
    """The number of a cell, without marks and without its deviation."""
    bare = re.sub(r"\*\*|\\textbf\{|\}|,", "", text).split("±")[0].split(r"$\pm$")[0]
    return float(bare)


METRICS = {
    "fid": "FD (cnn)",
    "is": "classifier score (cnn)",
    "kid": "KD (cnn)",
    "precision": "Precision (cnn)",
    "recall": "Recall (cnn)",
}


def test_generation_csv_equals_the_cards(finished):
    """Every metric of every set, bit for bit, with what it depends on."""
    import json

    for row in rows_of(finished, "generation"):
        card = json.loads((finished.results / row["card"]).read_text())
        for key, name in METRICS.items():
            assert float(row[name]) == card["results"]["metrics"][key]
        assert float(row["KD (cnn) std"]) == card["results"]["metrics"]["kid_std"]
        assert row["reference_digest"] == "r" * 64
        assert row["extractor"] == "cnn"
        assert row["extractor_digest"] == "e" * 64
        assert (row["count"], row["weights"]) == ("1000", "raw")


def test_generation_names_its_models(finished):
    """Kind, parameters and updates come from the cards of the models that drew the set."""
    ar, nar, vq = rows_of(finished, "generation")
    assert [row["variant"] for row in (ar, nar, vq)] == ["cond_ar", "cond_nar", "vq"]
    assert [row["stage2_kind"] for row in (ar, nar, vq)] == [
        "autoregressive",
        "masked",
        "none (VQ only)",
    ]
    assert (ar["stage1_parameters"], ar["stage2_parameters"]) == ("11111", "22222")
    assert (nar["stage1_parameters"], nar["stage2_parameters"]) == ("11111", "33333")
    assert (vq["stage1_parameters"], vq["stage2_parameters"]) == ("12345", "")
    assert (ar["stage1_steps"], ar["stage2_steps"], vq["stage2_steps"]) == ("100", "200", "")
    assert [row["conditional"] for row in (ar, nar, vq)] == ["true", "true", "false"]
    assert ar["filters"] == "T 1, top-k 100; T 1, top-p 0.8"
    assert nar["filters"] == "T 1, top-k 100; 8 steps, T 1, choice T 4.5"
    assert {"sampling=9", "stage1=5", "codebook=77"} <= set(ar["seeds"].split())


def test_generation_bold_is_the_best(finished):
    """The lowest distances and the highest of the others are bold, in Markdown and in LaTeX."""
    table = BUILD["generation"](finished.collection())
    best = {
        "FD (cnn)": ["cond_nar"],
        "classifier score (cnn)": [],  # 8.5 ± 0.25 and 8 ± 0.5
        "KD (cnn)": ["cond_nar"],
        "Precision (cnn)": ["50 % noise_1 & more"],
        "Recall (cnn)": ["cond_nar"],
    }
    titles = [column.title.replace("\n", " ") for column in table.visible]
    for name, sets in best.items():
        heading = f"{name} {'↓' if name[:2] in ('FD', 'KD') else '↑'}"
        marked = [
            row["Sample set"] for row in markdown_rows(table) if row[heading].startswith("**")
        ]
        assert marked == sets
        place = titles.index(name)
        tex = [row[0] for row in latex_rows(table) if row[place].startswith(r"\textbf{")]
        assert [re.sub(r"\\([%_&])", r"\1", cell) for cell in tex] == sets


def test_sets_compete_with_those_of_their_kind(tmp_path):
    """With a class or without; points of a sweep over filters stand in `sweeps`, not here."""
    run = FakeRun(tmp_path, SWEPT)
    run.evaluation("digits", "cond_ar")  # FD 3.0625
    run.evaluation("digits", "cond_nar")  # 2.03125
    run.evaluation("digits", "vq")  # 9.12
    swept = [name for name, point in run.config.points["samplings"].items()
             if "semantic" in str(point.settings)]  # fmt: skip
    assert swept
    for name in swept:
        run.evaluation("digits", name)
    table = BUILD["generation"](run.collection())
    assert {row["variant"] for row in table.rows} == {"cond_ar", "cond_nar", "vq"}
    assert {table.rows[row]["variant"] for row, key in table.best if key == "FD (cnn)"} == {
        "cond_nar"
    }
    assert not [row for row, _ in table.best if table.rows[row]["variant"] == "vq"]  # the only one
    alone = FakeRun(tmp_path / "alone", SWEPT)
    for name in swept:
        alone.evaluation("digits", name)
    rows = BUILD["generation"](alone.collection()).rows
    assert {row["variant"] for row in rows} == set(swept)


def test_what_all_sets_share_is_told_once(fake_run):
    """A column of equal cells is a clause of the caption, and stays in the CSV file."""
    fake_run.evaluation("digits", "cond_ar")
    fake_run.evaluation("digits", "cond_nar")
    table = BUILD["generation"](fake_run.collection())
    assert "images 1,000; weights raw; reference train, 1,437." in table.caption
    assert not {"Images", "Weights", "Reference"} & {column.title for column in table.visible}
    fake_run.evaluation("digits", "vq", count=500)
    table = BUILD["generation"](fake_run.collection())
    assert "Images" in {column.title for column in table.visible}
    assert "images 1,000" not in table.caption


def test_generation_markdown_and_latex_equal_the_cards(finished):
    """The rounded numbers are the cards' numbers."""
    table = BUILD["generation"](finished.collection())
    exact = rows_of(finished, "generation")
    titles = [column.title.replace("\n", " ") for column in table.visible]
    for row, markdown, latex in zip(exact, markdown_rows(table), latex_rows(table), strict=True):
        for name in METRICS.values():
            arrow = "↓" if name[:2] in ("FD", "KD") else "↑"
            # Two digits of the deviation, or four of the number itself.
            std = float(row.get(f"{name} std") or 0)
            expected = pytest.approx(float(row[name]), rel=1e-3, abs=std / 10)
            assert number(markdown[f"{name} {arrow}"]) == expected
            assert number(latex[titles.index(name)]) == expected


def test_labels_are_escaped(finished):
    """A label with special signs is escaped in LaTeX and whole in the others."""
    table = BUILD["generation"](finished.collection())
    assert latex_rows(table)[0][0] == r"50 \% noise\_1 \& more"
    assert rows_of(finished, "generation")[0]["set"] == "50 % noise_1 & more"


def test_other_extractors_have_columns_of_their_own(fake_run):
    """Inception's FID and another network's distance never share a column."""
    fake_run.evaluation("digits", "cond_ar")
    inception = {"name": "inception-v3-compat", "kind": "inception", "digest": "i" * 64}
    names = {"fid": "FID", "is": "IS", "kid": "KID", "precision": "Precision", "recall": "Recall"}
    fake_run.evaluation("other", "cond_nar", extractor=inception, names=names)
    first, second = rows_of(fake_run, "generation")
    assert first["FD (cnn)"] == "3.0625"
    assert first["FID"] == ""
    assert second["FID"] == "2.03125"
    assert second["FD (cnn)"] == ""
    table = BUILD["generation"](fake_run.collection())
    assert table.best == set()  # nothing to compare with


def test_other_references_have_columns_of_their_own(fake_run):
    """One extractor with two reference sets makes two columns, told apart by the evaluation."""
    fake_run.evaluation("digits", "cond_ar")
    reference = {"split": "validation", "count": 360, "digest": "r" * 64}
    fake_run.evaluation("other", "cond_nar", reference=reference)
    first, second = rows_of(fake_run, "generation")
    assert first["FD (cnn), digits"] == "3.0625"
    assert first["FD (cnn), other"] == ""
    assert second["FD (cnn), other"] == "2.03125"
    assert second["FD (cnn), digits"] == ""
    assert "FD (cnn)" not in first


def test_a_retrained_extractor_is_another_one(fake_run):
    """Equal names with different weights are different extractors."""
    fake_run.evaluation("digits", "cond_ar")
    fake_run.evaluation(
        "other", "cond_nar", extractor={"name": "cnn", "kind": "classifier", "digest": "f" * 64}
    )
    assert "FD (cnn)" not in rows_of(fake_run, "generation")[0]


@pytest.mark.parametrize("names", [{}, {"fid": "FID", "is": "IS", "kid": "KID"}])
def test_fid_is_never_said_of_another_extractor(fake_run, names):
    """Even a card that calls its distance FID, or names nothing, is printed under its extractor."""
    fake_run.evaluation("digits", "cond_ar", names=names)
    for name in ("generation", "results"):
        text = to_csv(BUILD[name](fake_run.collection()))
        assert "FD (cnn)" in text
        assert not re.search(r"\b(FID|IS|KID)\b", text)


def test_sets_of_other_counts_are_not_ranked(fake_run):
    """Distances fall with the number of images, so nothing is bold."""
    fake_run.evaluation("digits", "cond_ar")
    fake_run.evaluation("digits", "vq", count=500)
    assert BUILD["generation"](fake_run.collection()).best == set()


INCEPTION = {"name": "inception-v3-compat", "kind": "inception", "digest": "i" * 64}
OVER_STATISTICS = {
    "extractor": INCEPTION,
    "reference": {"kind": "statistics", "digest": "s" * 64},
    "metrics": {"fid": 1.5, "is": 7.0, "is_std": 0.25},
    "names": {"fid": "FID (ADM statistics)", "is": "IS"},
}


@pytest.mark.parametrize("names", [{"fid": "FID", "is": "IS"}, {}, OVER_STATISTICS["names"]])
def test_images_and_statistics_never_merge(fake_run, names):
    """Both FIDs of one set stand in columns of their own, whatever the cards call them."""
    images = {"kind": "images", "split": "validation", "count": 50_000, "digest": "r" * 64}
    for sampling, value in (("cond_ar", 3.0), ("cond_nar", 2.0)):
        over_images = {"metrics": {"fid": value, "is": 7.0, "is_std": 0.25}, "names": names}
        fake_run.evaluation(
            "digits", sampling, extractor=INCEPTION, reference=images, **over_images
        )
        over = OVER_STATISTICS | {"names": names}
        over["metrics"] = over["metrics"] | {"fid": value / 2}
        fake_run.evaluation("adm", sampling, **over)
    rows = rows_of(fake_run, "generation")
    assert [(row["variant"], row["FID"], row["FID (ADM statistics)"]) for row in rows] == [
        ("cond_ar", "3.0", ""),
        ("cond_ar", "", "1.5"),
        ("cond_nar", "2.0", ""),
        ("cond_nar", "", "1.0"),
    ]
    assert [row["reference"] for row in rows[:2]] == ["validation, 50,000", "ADM statistics"]
    assert rows[1]["reference_digest"] == "s" * 64
    best = BUILD["generation"](fake_run.collection()).best
    # The lowest of each column, although 1.0 and 1.5 are below 2.0.
    assert {cell for cell in best if cell[1].startswith("FID")} == {
        (2, "FID"),
        (3, "FID (ADM statistics)"),
    }
    found = {(row["variant"], row["metric"]) for row in rows_of(fake_run, "results")}
    assert {("digits/cond_ar", "FID"), ("adm/cond_ar", "FID (ADM statistics)")} <= found
    assert ("adm/cond_ar", "FID") not in found


@pytest.mark.parametrize("kind", ["inception", "classifier"])
@pytest.mark.parametrize("reference", ["images", "statistics"])
def test_cards_without_names_are_given_those_of_the_metrics(kind, reference):
    """What an evaluation would have written beside its numbers."""
    name = "inception-v3-compat" if kind == "inception" else "cnn"
    results = {"extractor": {"name": name, "kind": kind}, "reference": {"kind": reference}}
    names = metric_names(name, statistics=reference == "statistics")
    for key, metric in {
        "frechet_distance": "fid",
        "classifier_score": "is",
        "kernel_distance": "kid",
        "precision": "precision",
        "recall": "recall",
    }.items():
        assert generation.metric_name(SimpleNamespace(results=results), metric) == names[key]


def test_two_files_of_statistics_have_columns_of_their_own(fake_run):
    """They are told apart by their digests, and by the evaluations' names."""
    fake_run.evaluation("adm", "cond_ar", **OVER_STATISTICS)
    other = OVER_STATISTICS | {"reference": {"kind": "statistics", "digest": "t" * 64}}
    fake_run.evaluation("other", "cond_ar", **other)
    first, second = rows_of(fake_run, "generation")
    assert first["FID (ADM statistics), adm"] == second["FID (ADM statistics), other"] == "1.5"
    assert "FID (ADM statistics)" not in first


def test_reconstructions(finished):
    """Distance and PSNR of the card, with the tokenizer that they are of."""
    (row,) = rows_of(finished, "reconstructions")
    assert (row["rFD (cnn)"], row["PSNR (dB)"]) == ("0.5625", "21.125")
    assert (row["autoencoder"], row["count"]) == ("vqgan", "360")
    assert row["reference"] == "validation, 360"
    assert row["card"] == "reconstructions/vqgan/card.json"
    (shown,) = markdown_rows(BUILD["reconstructions"](finished.collection()))
    assert shown["Tokenizer"] == "VQGAN"
    assert shown["PSNR (dB) ↑"] == "21.12"
    assert shown["rFD (cnn) ↓"] == "0.5625"
    values = {
        (row["variant"], row["metric"]): (row["value"], row["unit"])
        for row in rows_of(finished, "results")
        if row["stage"] == "reconstruction"
    }
    assert values["vqgan", "rFD (cnn)"] == ("0.5625", "1")
    assert values["vqgan", "PSNR (dB)"] == ("21.125", "dB")


def test_other_reconstructions_are_not_compared(fake_run):
    """Another extractor or other images: columns of their own, and nothing is the best."""
    fake_run.reconstruction()
    names = {"fid": "rFID", "psnr_db": "PSNR"}
    fake_run.reconstruction("inception", extractor=INCEPTION, names=names)
    reference = {"kind": "images", "split": "train", "count": 360, "digest": "r" * 64}
    fake_run.reconstruction("training", extractor=INCEPTION, names=names, reference=reference)
    table = BUILD["reconstructions"](fake_run.collection())
    first, second, third = rows_of(fake_run, "reconstructions")
    assert first["rFD (cnn)"] == second["rFID, inception"] == third["rFID, training"] == "0.5625"
    # The first two saw the same images, so their PSNRs stand in one column.
    assert first["PSNR, vqgan / inception (dB)"] == second["PSNR, vqgan / inception (dB)"]
    assert third["PSNR, training (dB)"] == "21.125"
    assert {key for _, key in table.best} == {"PSNR, vqgan / inception (dB)"}


def test_a_classifier_gives_no_rfid(fake_run):
    """Whatever its card says."""
    fake_run.reconstruction(names={"fid": "rFID", "psnr_db": "PSNR"})
    for name in ("reconstructions", "results"):
        text = to_csv(BUILD[name](fake_run.collection()))
        assert "rFD (cnn)" in text
        assert "rFID" not in text


def test_linear_probe(finished):
    """The best layer's accuracy of each model, and every layer in the long table."""
    free, vq, _ = [row for row in rows_of(finished, "linear_probe") if row["ours"] == "true"]
    assert (free["variant"], free["best_layer"], free["top1"]) == ("free", "1", "0.875")
    assert (vq["tokens"], vq["best_layer"], vq["top1"]) == ("VQ codes", "2", "0.75")
    assert (free["parameters"], free["card"]) == ("11100", "probes/linear/free.json")
    layers = [
        (row["variant"], int(row["layer"]), float(row["top1"]))
        for row in rows_of(finished, "linear_probe_layers")
    ]
    assert layers == [
        ("free", 0, 0.25),
        ("free", 1, 0.875),
        ("free", 2, 0.5),
        ("vq", 0, 0.125),
        ("vq", 1, 0.375),
        ("vq", 2, 0.75),
        ("free8", 0, 0.25),
        ("free8", 1, 0.5),
        ("free8", 2, 0.625),
    ]


def test_stability(finished):
    """A row a level, mean and deviation of each tokenizer beside each other."""
    rows = rows_of(finished, "stability")
    assert [float(row["snr_db"]) for row in rows] == [30.0, 10.0, 0.01]
    assert [float(row["codebook k4 changed_mean"]) for row in rows] == [0.0625, 0.25, 0.3125]
    assert [float(row["autoencoder vqgan changed_mean"]) for row in rows] == [0.1875, 0.75, 0.9375]
    assert float(rows[1]["autoencoder vqgan cosine_mean"]) == 0.625
    assert markdown_rows(BUILD["stability"](finished.collection()))[1] == {
        "SNR (dB)": "10",
        "k4: tokens changed": "0.250 ± 0.031",
        "VQGAN: tokens changed": "0.750 ± 0.031",
        "k4: cosine": "0.875 ± 0.016",
        "VQGAN: cosine": "0.625 ± 0.016",
    }


def test_tokenizers(finished):
    """The codebook's own facts; the autoencoder's codes counted over all parts of the tokens."""
    codebook, _, autoencoder = rows_of(finished, "tokenizers")
    expected = {
        "vocabulary": "4", "points": "1000", "objective": "1400.125", "empty": "1", "tiny": "2",
        "used": "3", "entropy_bits": "1.375",
    }  # fmt: skip
    assert {key: codebook[key] for key in expected} == expected
    # Two parts with counts 2, 0, 1, 1 each: shares 1/2, 1/4, 1/4.
    assert (autoencoder["vocabulary"], autoencoder["used"]) == ("4", "3")
    assert float(autoencoder["entropy_bits"]) == 1.5
    assert float(autoencoder["validation psnr"]) == 21.5


def test_usage(finished):
    """A row a token set, with the largest possible entropy beside its own."""
    rows = rows_of(finished, "usage")
    assert [(row["variant"], row["kind"]) for row in rows] == [
        ("semantic", "codebook"), ("codes", "autoencoder"), ("semantic8", "codebook"),
    ]  # fmt: skip
    assert (rows[0]["used"], rows[0]["dead"], float(rows[0]["max_bits"])) == ("3", "1", 2.0)
    shown = markdown_rows(BUILD["usage"](finished.collection()))[0]
    assert shown["Entropy (bits)"] == "1.50"
    assert shown["At most (bits)"] == "2.00"
    assert shown["Perplexity"] == "3"
    assert shown["Of the class (bits)"] == "0.38"


def test_trainings(finished):
    """Every training is in the table, in the order of the data's way."""
    rows = rows_of(finished, "trainings")
    assert [row["variant"] for row in rows] == [
        "dino", "vqgan", "cnn", "gpt", "vq", "free", "free8", "ar", "nar",
    ]  # fmt: skip
    ar = rows[7]
    assert (ar["parameters"], ar["steps"], ar["images_seen"]) == ("22222", "200", "1600")
    assert (ar["final_loss"], ar["validation_loss"]) == ("1.5", "1.25")
    assert (ar["seconds"], ar["peak_memory_mb"], ar["device"]) == ("2.0", "512.5", "cpu")


def test_results_are_tidy(finished):
    """One number a row, no number twice, and every one of the tables' numbers among them."""
    rows = rows_of(finished, "results")
    assert list(rows[0]) == ["stage", "variant", "metric", "value", "unit", "card", "base"]
    keys = [(row["stage"], row["variant"], row["metric"]) for row in rows]
    assert len(keys) == len(set(keys))
    assert all(math.isfinite(float(row["value"])) and row["unit"] for row in rows)
    values = {(row["variant"], row["metric"]): (float(row["value"]), row["unit"]) for row in rows}
    assert values["digits/cond_ar", "FD (cnn)"] == (3.0625, "1")
    assert values["linear/free", "layer 1 top1"] == (0.875, "1")
    assert values["noise", "codebook k4 at 10 dB changed_mean"] == (0.25, "1")
    assert values["k4", "entropy_bits"] == (1.375, "bit")
    assert values["gpt", "validation loss"] == (1.25, "nat/token")
    assert values["gpt", "seconds"] == (2.0, "s")
    assert values["codes/train/part-0001-of-0002", "seconds"] == (0.5, "s")


def test_every_dimension_has_its_unit(finished):
    """No level, entropy or loss is a bare number."""
    finished.training("autoencoders", "vqgan", validation={"psnr_db": 21.5, "entropy_bits": 5.5},
                      final={"generator_loss": 1.0, "loss": 2.0})  # fmt: skip
    finished.training("encoders", "dino", validation={}, final={"class_loss": 1.0, "loss": 2.0})
    finished.training("extractors", "cnn", validation={"loss": 0.5})
    rows = rows_of(finished, "results")
    units = {(row["stage"], row["metric"]): row["unit"] for row in rows}
    for ending in ("_db", "_bits", "loss"):
        found = {unit for (_, metric), unit in units.items() if metric.endswith(ending)}
        assert found, ending
        assert "1" not in found, ending
    assert units["autoencoder", "validation psnr_db"] == "dB"
    assert units["autoencoder", "final loss"] == "a.u."
    assert units["encoder", "final class_loss"] == "nat"
    assert units["extractor", "validation loss"] == "nat"
    assert units["stage1", "validation loss"] == "nat/token"


def test_readers_see_no_keys(fake_run):
    """What a training validates is told in words."""
    measured = {"psnr_db": 23.14, "code_entropy_bits": 5.678, "used_codes": 64}
    fake_run.training("autoencoders", "vqgan", validation=measured)
    (row,) = markdown_rows(BUILD["trainings"](fake_run.collection()))
    assert row["Further validation"] == "entropy 5.678 bits, PSNR 23.14 dB"
    (row,) = markdown_rows(BUILD["tokenizers"](fake_run.collection()))
    assert row["PSNR (dB)"] == "23.14"
    for name in ("trainings", "tokenizers"):
        assert not re.search(r"\b(psnr|used)_|_(db|bits|codes)\b",
                             to_markdown(BUILD[name](fake_run.collection())), re.I)  # fmt: skip


@pytest.mark.slow
def test_latex_sets_all_tables(figured, tmp_path):
    """By the two packages that the files name, without an error or a line that is too wide."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    made = build_tables(figured.collection())
    shown = [table for table in made if f"{table.name}.tex" in table_files(table.name)]
    for table in shown:
        (tmp_path / f"{table.name}.tex").write_text(to_latex(table))
    body = "".join(f"\\input{{{table.name}}}\\clearpage\n" for table in shown)
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs,graphicx}\n"
        f"\\begin{{document}}\n{body}\\end{{document}}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert f"({len(shown)} pages" in done.stdout


def test_missing_sections_give_no_table(fake_run):
    """With the cards of trainings alone there are their table and the long one, nothing empty."""
    fake_run.training("stage1", "gpt")
    assert [table.name for table in build_tables(fake_run.collection())] == ["trainings", "results"]
    assert build_tables(collect([], fake_run.results)) == []


def test_the_first_part_stands_for_all(finished):
    """Named the first part of a split stage, all its parts are read."""
    (path, other) = finished.paths.cards("tokens", "codes")
    cards = collect([finished.folder / path], finished.results)
    assert [card.path for card in cards.cards] == [
        "tokens/codes/train/part-0000-of-0002.json",
        "tokens/codes/train/part-0001-of-0002.json",
    ]
    (finished.folder / other).unlink()
    with pytest.raises(UserError, match="part-0001-of-0002"):
        collect([finished.folder / path], finished.results)


def test_an_altered_card_is_refused(fake_run):
    """A flipped bit in a number would stand in the paper."""
    fake_run.training("stage1", "gpt")
    (card,) = fake_run.files
    card.write_text(card.read_text().replace('"loss": 1.25', '"loss": 1.35'))
    with pytest.raises(UserError, match=r"gpt/card\.json is damaged .*: run `tessera repair`"):
        collect([card], fake_run.results)


def test_a_card_from_elsewhere_is_refused(finished, tmp_path):
    """Variants are told by their folder, so all cards must lie in one."""
    with pytest.raises(UserError, match="lies outside"):
        collect(finished.files[:1], tmp_path / "elsewhere")


def test_labels(finished):
    """A label is shown for its variant; without one, or where it is not unique, the name is."""
    cards = finished.collection()
    assert cards.label("stage1", "gpt") == "100 % A_B & C"
    assert cards.label("stage1", "free") == "free"
    twice = collect([], finished.results, {"stage1": {"a": "GPT", "b": "GPT"}})
    assert twice.label("stage1", "b") == "GPT (b)"
    assert labels_of(finished.config)["autoencoders"] == {"vqgan": "VQGAN"}


def test_seeds_of_a_node():
    """All seeds down to the images; two of one stage stand together."""
    images = {"stage": "shards", "settings": {"seed": 3}, "inputs": {}}
    views = {"settings": {"seed": 4}, "inputs": {"data": images}}
    books = {
        name: {"stage": "codebook", "settings": {"seed": seed}, "inputs": {"views": views}}
        for name, seed in (("a", 7), ("b", 8))
    }
    training = {"stage": "stage1", "settings": {"training": {"seed": 5}}, "inputs": {}}
    made = {
        "stage": "stability",
        "settings": {"seeds": [0, 1]},
        "inputs": {"codebooks": books, "model": training},
    }
    assert seeds(made) == "codebook=7,8 shards=3 stability=0,1 stage1=5 views=4"


@pytest.mark.parametrize(
    ("semantic", "text"),
    [
        ({"temperature": 0, "top_k": 5, "top_p": None}, "greedy"),
        ({"temperature": 0.5, "top_k": None, "top_p": None}, "T 0.5"),
        ({"temperature": 1.0, "top_k": 5, "top_p": 0.9}, "T 1, top-p 0.9"),
    ],
)
def test_draws(semantic, text):
    """Top-p wins over top-k; temperature 0 takes the likeliest."""
    assert draws({"settings": {"semantic": semantic}, "inputs": {}}) == text


@pytest.mark.parametrize(
    ("counts", "bits"), [([1] * 8, 3), ([5, 0], 0), ([2, 1, 1], 1.5), ([0], 0)]
)
def test_entropy(counts, bits):
    """log2 of the count where all are equal, 0 where one takes all."""
    assert entropy_bits(counts) == bits
