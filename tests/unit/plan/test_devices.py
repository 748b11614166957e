"""Seconds of work on a device."""

from typing import get_args

import pytest

from tessera.config.schema import Config
from tessera.errors import UserError
from tessera.plan.cost import Cost
from tessera.plan.devices import CPU, GPUS, cpu, gpu, seconds

H100 = GPUS["h100"]


def test_the_config_names_the_same_devices():
    """As the table has."""
    names, _ = get_args(Config.model_fields["device"].annotation)
    assert set(get_args(names)) == set(GPUS)
    with pytest.raises(UserError, match="'h1000' is no device of the table: choose one of a100"):
        gpu("h1000")


def test_products_on_a_gpu():
    """An hour of what is sustained, in either arithmetic."""
    assert seconds(Cost(bfloat16=0.32 * 989e12 * 3600), H100, 8) == pytest.approx(3600)
    assert seconds(Cost(float32=0.52 * 67e12 * 3600), H100, 8) == pytest.approx(3600)


def test_the_slowest_of_three_counts():
    """Products, memory, calls: they overlap on a GPU."""
    cost = Cost(bfloat16=0.32 * 989e12, moved=0.6 * 3.35e12 * 5, kernels=1)
    assert seconds(cost, H100, 1) == pytest.approx(5)
    assert seconds(Cost(kernels=1e6), H100, 1) == pytest.approx(8)


def test_several_gpus():
    """Each doubling keeps nine tenths; the host's work is not shared."""
    cost = Cost(bfloat16=0.32 * 989e12 * 1000, host=7)
    assert seconds(cost, H100, 1, 4) == pytest.approx(7 + 1000 / (4 * 0.81))


def test_a_cpu_does_all_of_it():
    """Products at the measured rate, activations, calls and images."""
    cost = Cost(float32=2e9, bfloat16=1e9, values=1e8, kernels=1000, host=2)
    expected = 3 + 1e8 * CPU.value + 1000 * CPU.kernel + 2
    assert seconds(cost, cpu(1e9), 1) == pytest.approx(expected)
    shared = (expected - 1000 * CPU.kernel) / 4**0.8
    assert seconds(cost, cpu(1e9), 4) == pytest.approx(shared + 1000 * CPU.kernel)
