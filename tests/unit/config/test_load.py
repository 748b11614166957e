"""YAML → config, and the sentence for every mistake."""

import copy
import random

import pytest
from snakemake.utils import update_config

from tessera.config.load import load, read_yaml, validate
from tessera.config.overlays import merge
from tessera.errors import UserError

TRAINING = "stage1.cond.training"
SHAPE = "stage1.cond.model"


def test_the_example_is_valid(changed):
    """What the other tests break is whole."""
    config = changed()
    assert config.stage1["cond"].training.steps == 100
    assert config.samplings["cond_nar"].stage2 == "nar"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        # Keys
        ({"codebook": {}}, r"^config: codebook is no known setting: did you mean 'codebooks'\?$"),
        ({"codebooks.k8.cluster": 3}, r"codebooks\.k8\.cluster is no .*did you mean 'clusters'\?$"),
        ({f"{TRAINING}.lr": 3}, r"stage1\.cond\.training\.lr is no known setting: remove it"),
        ({f"{TRAINING}.step": 3}, r"training\.step is no known setting: did you mean 'steps'"),
        ({"samplings.vq.semantic.topk": 3}, r"semantic\.topk is no .* did you mean 'top_k'"),
        ({"data.digits.imagesize": 3}, r"data\.digits\.imagesize is no .*'image_size'"),
        ({"execution.stage3": {}}, r"execution\.stage3 is no stage: did you mean"),
        ({"execution.tokens.thread": 1}, r"execution\.tokens\.thread is no .*'threads'"),
        (
            {"data.digits.kind": "digit"},
            r"data\.digits\.kind is 'digit', which is not digits, folder, webdataset or parquet: "
            r"did you mean 'digits'\?$",
        ),
        (
            {"encoders.dino.kind": "scratch"},
            r"encoders\.dino\.kind is 'scratch', .*: set it to trained, published or timm$",
        ),
        ({"encoders.x": {}}, r"^config: encoders\.x\.kind is missing: set it to trained, "),
        ({"data.digits.path": "x"}, r"config: data\.digits\.path is no known setting"),
        # Types and ranges
        ({f"{TRAINING}.steps": True}, r"stage1\.cond\.training: steps must be a number, got true"),
        ({f"{TRAINING}.clip": False}, r"training: clip must be a number, got false"),
        ({f"{TRAINING}.steps": "many"}, r"training\.steps: .*valid integer.*\(it is 'many'\)"),
        ({f"{TRAINING}.steps": 1.5}, r"training\.steps: .*integer.*\(it is 1\.5\): correct it"),
        ({f"{TRAINING}.steps": 0}, r"training\.steps: .*greater than or equal to 1 \(it is 0\)"),
        ({f"{TRAINING}.learning_rate": "nan"}, r"learning_rate: .*finite number \(it is 'nan'\)"),
        ({f"{TRAINING}.betas": [0.9]}, r"config: stage1\.cond\.training\.betas\.1 is missing"),
        ({f"{TRAINING}.schedule": "step"}, r"schedule: .*'inverse_sqrt' or 'cosine'.*'step'"),
        ({f"{TRAINING}.warmup": 100}, r"training: warmup \(100\) must be below steps \(100\)"),
        ({f"{SHAPE}.heads": 3}, r"model: width \(16\) must be a multiple of heads \(3\)"),
        ({"stage1.cond.class_conditional": None}, r"class_conditional: .*\(it is None\)"),
        ({"codebooks.k8.clusters": 65536}, r"clusters: .*65535 \(it is 65536\)"),
        ({"samplings.vq.semantic": {"top_p": 1.5}}, r"samplings\.vq\.semantic\.top_p: .*1\.5"),
        ({"stage1.cond": 3}, r"config: stage1\.cond: .*\(it is 3\)"),
        ({"stage1": ["cond"]}, r"config: stage1: "),
        ({"evaluations.digits.metrics": []}, r"evaluations\.digits\.metrics: "),
        # Names
        ({"stage1.Bad-Name": {"extends": "cond"}}, r"stage1\.Bad-Name is no name: use lower-case"),
        ({"stage1.a/b": {"extends": "cond"}}, r"a/b is no name: use lower-case letters, digits"),
        ({"stage1._x": {"extends": "cond"}}, r"_x is no name"),
        ({"tokens.codes.views": "My-Views"}, r"codes\.views \(My-Views\) is no name: use lower"),
        # Text that YAML reads as something else
        (
            {"extractors.i": {"kind": "inception", "weights": "w", "sha256": 67268250}},
            r"extractors\.i\.sha256 must be text, but YAML reads it as a number \(67268250\): ",
        ),
        ({"title": True}, r"title must be text, but YAML reads it as yes or no \(True\): quote it"),
        # Tokens name one tokenizer
        ({"tokens.codes.codebook": "k8"}, r"tokens\.codes: name one tokenizer: either"),
        ({"tokens.none": {"views": "digits"}}, r"tokens\.none: name one tokenizer"),
        # extends
        ({"stage1.a": {"extends": "gpt"}}, r"stage1\.a\.extends names 'gpt', .*not in stage1"),
        (
            {"stage1.a": {"extends": "b"}, "stage1.b": {"extends": "a"}},
            r"stage1\.a extends itself in a cycle \(a → b → a\): remove one `extends`",
        ),
        ({"stage1.a": {"extends": "a"}}, r"stage1\.a extends itself in a cycle \(a → a\)"),
        ({"stage1.a": {"extends": ["cond"]}}, r"stage1\.a\.extends must name one variant$"),
        (
            {"stage1.cond": None},
            r"stage1\.uncond\.extends names 'cond', which is switched off \(null\): switch uncond",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_place(changed, values, sentence):
    """What is wrong, where, and what to do, on one line."""
    with pytest.raises(UserError, match=sentence) as caught:
        changed(values)
    assert "\n" not in str(caught.value)


def test_a_missing_setting_is_named(raw):
    """Settings without a default must be given."""
    del raw["codebooks"]["k8"]["clusters"]
    with pytest.raises(UserError, match=r"^config: codebooks\.k8\.clusters is missing: set it$"):
        validate(raw)


def test_the_typo_is_said_before_the_setting_that_it_leaves_missing(raw):
    """`cluster: 8` makes `clusters` missing; the cause comes first, the rest is counted."""
    raw["codebooks"]["k8"]["cluster"] = raw["codebooks"]["k8"].pop("clusters")
    with pytest.raises(UserError, match=r"k8\.cluster is no .* \(1 more problem after this one\)$"):
        validate(raw)


@pytest.mark.parametrize(
    ("written", "number"), [("1e-4", 1e-4), ("3e-4", 3e-4), ("0.5", 0.5), (1, 1.0)]
)
def test_numbers_may_be_written_as_text(changed, written, number):
    """YAML reads 1e-4 as a string."""
    config = changed({f"{TRAINING}.learning_rate": written})
    assert config.stage1["cond"].training.learning_rate == number


def test_whole_numbers_may_be_written_as_text(changed):
    """`--config` values arrive as strings."""
    assert changed({f"{TRAINING}.steps": "250"}).stage1["cond"].training.steps == 250


def test_no_number_is_optional_where_null_is_allowed(changed):
    """`clip: null` means none."""
    assert changed({f"{TRAINING}.clip": None}).stage1["cond"].training.clip is None


def test_extends_lays_a_variant_over_another(changed):
    """Maps merge, the rest replaces, over any number of steps."""
    config = changed(
        {
            "stage1.a": {"extends": "cond", "training": {"steps": 7, "warmup": 1}},
            "stage1.b": {"extends": "a", "norm": "pre", "label": "B"},
            "stage1.c": {"extends": "b"},
        }
    )
    b = config.stage1["b"]
    assert (b.training.steps, b.training.batch, b.norm, b.label) == (7, 8, "pre", "B")
    assert config.stage1["c"].label == ""  # a label names one variant
    assert config.stage1["c"].norm == "pre"


def test_null_switches_a_variant_off(changed):
    """An overlay can remove what config.yaml has."""
    config = changed({"samplings.cond_nar": None, "stage2.nar": None})
    assert "cond_nar" not in config.samplings
    assert list(config.stage2) == ["ar"]


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\na: 2\n", r"bad\.yaml, line 2: the key 'a' stands here twice"),
        ("x:\n  b: 1\n  c: 1\n  b: 2\n", r"bad\.yaml, line 4: the key 'b' stands here twice"),
        ("a: [1, 2\nb: 3\n", r"bad\.yaml, line 2: "),
        ("a: b: c\n", r"bad\.yaml, line 1: mapping values are not allowed"),
        ("a:\n\t- 1\n", r"bad\.yaml, line 2: "),
        ("- a\n- b\n", r"bad\.yaml holds no map of settings: begin from config\.yaml"),
        ("", r"bad\.yaml holds no map of settings"),
        ("a: !!python/object/apply:os.system ['true']\n", r"bad\.yaml, line 1: "),
        ("? [a, b]\n: 1\n", r"bad\.yaml"),
    ],
    ids=["twice", "twice below", "list", "map", "tab", "no map", "empty", "code", "odd key"],
)
def test_a_broken_file_is_one_sentence(tmp_path, text, sentence):
    """With its name and the line."""
    with pytest.raises(UserError, match=sentence) as caught:
        read_yaml(write(tmp_path, "bad.yaml", text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_missing_file_is_said(tmp_path, name):
    """A folder is no file either."""
    with pytest.raises(UserError, match="does not exist: check the path"):
        read_yaml(tmp_path / name)


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    """Here: a file is taken for a folder."""
    (tmp_path / "a.yaml").touch()
    with pytest.raises(UserError, match=r"a\.yaml/b cannot be read \(Not a directory\): check"):
        read_yaml(tmp_path / "a.yaml" / "b")


def test_a_file_of_another_encoding_is_said(tmp_path):
    """Latin-1 is no UTF-8."""
    (tmp_path / "bad.yaml").write_bytes("title: Größe\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        read_yaml(tmp_path / "bad.yaml")


def test_merge_keys_of_yaml_work(tmp_path):
    """`<<: *base` is no key of its own, so two of them are not refused by name."""
    text = "a: &a {x: 1}\nb: {<<: *a, y: 2}\n"
    assert read_yaml(write(tmp_path, "m.yaml", text))["b"] == {"x": 1, "y": 2}


def test_files_are_merged_in_order(tmp_path, text):
    """The later file wins; lists are replaced."""
    base = write(tmp_path, "config.yaml", text)
    over = write(tmp_path, "over.yaml", "codebooks: {k8: {clusters: 6}}\ndata: {shapes: null}\n")
    last = write(tmp_path, "last.yaml", "evaluations: {digits: {samplings: [vq]}}\n")
    off = write(tmp_path, "off.yaml", "".join(
        f"{section}: {{shapes: null}}\n"
        for section in ("views", "autoencoders", "tokens", "stage1", "samplings", "extractors",
                        "evaluations")
    ).replace("evaluations: {shapes: null}\n", "evaluations: {shapes: null}\n"))  # fmt: skip
    config = load([base, over, off, last])
    assert config.codebooks["k8"].clusters == 6
    assert config.codebooks["k8"].seed == 4
    assert config.evaluations["digits"].samplings == ("vq",)
    assert list(config.data) == ["digits"]


def random_map(generator: random.Random, depth: int) -> dict:
    """A random tree over few keys, so that two of them meet in every way."""
    made = {}
    for key in generator.sample("abcd", generator.randint(0, 4)):
        kind = generator.random()
        if kind < 0.5 and depth:
            made[key] = random_map(generator, depth - 1)
        else:
            made[key] = generator.choice([None, 1, "x", [1, 2], [], {}])
    return made


def test_merge_is_snakemakes_own():
    """Both must read the same config, or a guard compares what nobody runs."""
    generator = random.Random(0)
    for _ in range(500):
        base, over = random_map(generator, 3), random_map(generator, 3)
        expected = copy.deepcopy(base)
        update_config(expected, copy.deepcopy(over))
        before = copy.deepcopy((base, over))
        assert merge(base, over) == expected
        assert (base, over) == before
