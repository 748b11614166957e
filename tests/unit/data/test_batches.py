"""Which images an update sees."""

import pytest
import torch

from tessera.data.batches import batch_indices


@pytest.mark.parametrize(("count", "batch"), [(10, 5), (10, 3), (7, 20), (5, 1), (3, 3)])
def test_every_epoch_sees_each_image_once(count, batch):
    """Batches that run across the end of an epoch lose and repeat nothing."""
    steps = 60 * count // batch + 1
    order = torch.cat([batch_indices(count, batch, 1, step) for step in range(steps)])
    for epoch in range(len(order) // count):
        seen = order[epoch * count : (epoch + 1) * count]
        assert sorted(seen.tolist()) == list(range(count))


def test_the_order_is_a_function_of_seed_and_update():
    """A resumed run sees what an undisturbed one sees, in any order of asking."""
    forward = [batch_indices(50, 8, 3, step) for step in range(20)]
    backward = [batch_indices(50, 8, 3, step) for step in reversed(range(20))]
    for one, other in zip(forward, reversed(backward), strict=True):
        assert torch.equal(one, other)


def test_epochs_and_seeds_differ():
    """Each has a permutation of its own."""
    orders = {
        tuple(batch_indices(30, 30, seed, epoch).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_indices_have_the_type_and_shape_asked_for():
    """Long [batch]."""
    indices = batch_indices(4, 6, 0, 0)
    assert (indices.dtype, indices.shape) == (torch.int64, (6,))
