"""All sources of quantities, in the order in which they are printed."""

from importlib import import_module

MODULES = (
    "files", "transforms", "tokenizers", "kmeans", "vqgan", "checkpoints", "transformers", "masked",
    "sampling", "eps", "training",
)  # fmt: skip
for name in MODULES:
    import_module(f"tests.parity.checks_{name}")
