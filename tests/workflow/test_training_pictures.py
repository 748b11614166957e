"""What the rules give a training for its pictures: the tokenizer of the codes that it draws."""

import re

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.filterwarnings("default")]

TOKENIZERS = {
    ("stage1", "cond"): "codebooks/k8",
    ("stage1", "uncond"): "codebooks/k8",
    ("stage1", "wide"): "codebooks/k16",
    ("stage1", "vq"): "autoencoders/vqgan",
    ("stage1", "shapes"): "autoencoders/shapes",
    ("stage2", "ar"): "autoencoders/vqgan",
    ("stage2", "nar"): "autoencoders/vqgan",
}


def test_each_training_is_given_its_tokenizer(fresh):
    """By the card, which is no input: another one reruns nothing by itself."""
    targets = [f"results/{section}/{name}/card.json" for section, name in TOKENIZERS]
    done = fresh.run(*targets, "--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stdout
    found = {
        (command[1], re.search(rf"--card results/{command[1]}/(\w+)/", command[0])[1]): re.search(
            r"--pictures-every 500 --tokenizer results/(\S+)/card\.json", command[0]
        )[1]
        for command in re.finditer(r"^.*tessera\.stages\.(stage[12]) .*$", done.stdout, re.M)
    }
    assert found == TOKENIZERS
