"""A training whose processes are on two nodes."""

import pytest
import torch
from safetensors.torch import load_file
from tests.cluster.training import CARD, WEIGHTS, Training

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
TOLERANCE = 1e-6
"""Of single weights, the largest of which are about 4, after 40 updates."""


def test_two_nodes_train_as_one_process_and_requeue_themselves(slurm, whole, tmp_path):
    """A process on each, half a batch in each; both are asked to stop as before a time limit."""
    training = Training(slurm, whole, tmp_path)
    training.workflow.overlay({"execution": {"stage1": {"gpus": 1, "nodes": 2}}})
    training.start()
    training.wait_for_updates()
    assert slurm.record(training.job)["NodeList"] == "n[1-2]"
    slurm.ask("scancel", "--signal=TERM", training.job)
    training.wait_for_restart()
    training.finish_apart()
    assert training.resumed_at() >= 4
    assert training.jobs == [training.job]
    assert training.workflow.cards()[CARD]["run"]["processes"] == 2
    ours, theirs = (load_file(run.folder / WEIGHTS) for run in (training.workflow, whole))
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=TOLERANCE)
