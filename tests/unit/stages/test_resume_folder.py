"""Where an unfinished training lies, and what is said when it cannot go on from there."""

import argparse
import json
import logging
from pathlib import Path

import pytest

from tessera.config.lock import stage_versions
from tessera.errors import UserError
from tessera.stages.job import Job

VERSION = stage_versions()["stage1"]
NODE = {"stage": "stage1", "version": VERSION, "settings": {}, "inputs": {}}


def job(results: Path, compile_: str = "auto") -> Job:
    """A job of stage 1."""
    card = results / "stage1" / "a" / "card.json"
    words = argparse.Namespace(settings=json.dumps(NODE), card=card, compile=compile_)
    return Job("stage1", words)


def test_compiled_blocks_have_a_state_of_their_own(tmp_path):
    """They draw dropout of their own; the same again goes on."""
    first = job(tmp_path).resume_folder(tmp_path, compiled=False)
    assert job(tmp_path).resume_folder(tmp_path, compiled=False) == first
    assert job(tmp_path).resume_folder(tmp_path, compiled=True) != first


def test_a_machine_that_cannot_compile_begins_nothing_anew(tmp_path):
    """What compiled blocks have trained would be lost; who switches them off means it."""
    compiled = job(tmp_path).resume_folder(tmp_path, compiled=True)
    with pytest.raises(UserError, match=r"does not compile.* execution\.stage1\.compile to false"):
        job(tmp_path).resume_folder(tmp_path, compiled=False)
    assert job(tmp_path, "no").resume_folder(tmp_path, compiled=False) != compiled


def test_beginning_anew_is_said(tmp_path, caplog):
    """With the folder of the other state."""
    first = job(tmp_path).resume_folder(tmp_path, micro_batch=4)
    with caplog.at_level(logging.WARNING, "tessera"):
        job(tmp_path).resume_folder(tmp_path, micro_batch=4)
        assert not caplog.messages
        job(tmp_path).resume_folder(tmp_path, micro_batch=2)
    assert [str(first) in message for message in caplog.messages] == [True]
