"""Settings of the toy and of what a code sees: what they refuse, and in which words."""

import pytest

from tessera.config.load import validate
from tessera.errors import UserError

RAW = {
    "data": {"digits": {"kind": "digits"}},
    "views": {"digits": {"data": "digits", "crop": 32}},
    "autoencoders": {"vq": {"kind": "published", "path": "vq"}},
    "tokens": {"codes": {"views": "digits", "autoencoder": "vq"}},
}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"samples": 2}, r"projections\.toy.*samples \(2\) must be more than the dimensions \(2"),
        ({"variances": [1.0]}, r"projections\.toy\.variances"),
        ({"variances": [1.0, 0.0]}, r"projections\.toy\.variances"),
        ({"angle": 91}, r"projections\.toy\.angle"),
        ({"noise": [-1]}, r"projections\.toy\.noise"),
        ({"seeds": []}, r"projections\.toy\.seeds"),
    ],
)
def test_a_toy_that_cannot_be(settings, sentence):
    """Before anything is drawn."""
    with pytest.raises(UserError, match=sentence):
        validate(RAW | {"projections": {"toy": settings}})


def test_patches_of_tokens_that_are_not_there():
    """The nearest name is offered."""
    with pytest.raises(
        UserError, match=r"patches\.seen\.tokens names 'code'.*did you mean 'codes'"
    ):
        validate(RAW | {"patches": {"seen": {"tokens": "code"}}})


def test_both_are_read():
    """A toy has defaults alone, patches need a token set."""
    config = validate(RAW | {"projections": {"toy": {}}, "patches": {"seen": {"tokens": "codes"}}})
    assert len(config.projections["toy"].variances) == 2
    assert config.patches["seen"].context is None
