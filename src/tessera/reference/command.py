"""The command `tessera import`: published weights in, this project's files out.

Only what answers `--help` is imported here; torch takes seconds.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.config.published import IMPORTS
from tessera.errors import UserError

if TYPE_CHECKING:
    from tessera.reference.reading import Found

MODELS = (
    "dinov2_small", "dinov2_base", "dinov2_large", "ibot_base", "mae_base", "mocov3_base",
)  # fmt: skip

OPTIONS = {
    "heads": ("stage1", "stage2", "encoder"),
    "length": ("stage1", "stage2"),
    "prefix_length": ("stage2",),
    "decoder": ("stage2",),
    "resolution": ("autoencoder",),
    "model": ("encoder",),
    "position_resampling": ("encoder",),
    "key": ("autoencoder", "encoder"),
    "prefix": ("autoencoder", "encoder"),
}
"""Options, and the sections that they are for."""

HINTS = {
    "codebook": "the codebook whose tokens it knows",
    "autoencoder": "the autoencoder whose codes it knows",
    "encoder": "the encoder whose features the centroids are made of",
    "layer": "the block whose output they are made of, counted from the end; 3 for DiGIT's own",
    "input_size": "the side that images are resized to before the encoder; 224 for DiGIT's own",
}

UNKNOWN = "FILL_IN"
"""Stands for what the file does not tell. No setting takes it, so that it cannot be overlooked."""


def main(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: the words behind `tessera import`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: what is wrong with the file, the folder or the options.
    """
    arguments = parser().parse_args(argv)
    section, source, out = arguments.section, Path(arguments.file), Path(arguments.out)
    options = given(arguments)
    from tessera.io.files import sha256_file
    from tessera.reference.reading import require_file
    from tessera.reference.writing import require_free, write_import

    require_file(source)
    digest = sha256_file(source)
    require_free(out, source, IMPORTS[section], digest)
    found = read(section, source, options)
    print(f"{source.name}: {found.description}")
    write_import(out, found, source, digest)
    unknown = (
        f" ({UNKNOWN}: what the file does not tell)" if None in found.settings.values() else ""
    )
    print(f"written to {out}; for the config{unknown}:\n")
    print(variant(found.section, out, found.settings))
    return 0


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that were given.

    Raises:
        UserError: one is not for this section.
    """
    options = {name: getattr(arguments, name) for name in OPTIONS}
    options = {name: value for name, value in options.items() if value is not None}
    for name in options:
        if arguments.section not in OPTIONS[name]:
            raise UserError(
                f"--{name.replace('_', '-')} is for {' and '.join(OPTIONS[name])}: leave it out"
            )
    return options


def read(section: str, source: Path, options: dict[str, Any]) -> "Found":
    """Reads a published file as a section.

    Raises:
        UserError: it holds no such thing.
    """
    if section in ("stage1", "stage2"):
        from tessera.reference.decoders import read_decoder

        return read_decoder(source, section, **options)
    if section == "codebook":
        from tessera.reference.codebooks import read_published_codebook

        return read_published_codebook(source)
    if section == "autoencoder":
        from tessera.reference.autoencoders import read_autoencoder

        return read_autoencoder(source, **options)
    from tessera.reference.encoders import read_encoder

    if "model" in options:
        options = options | {"name": options["model"]}
        del options["model"]
    return read_encoder(source, **options)


def variant(section: str, out: Path, settings: Mapping[str, Any]) -> str:
    """The lines of YAML that make a variant of the folder, with its name."""
    from json import dumps

    name = re.sub("[^a-z0-9]+", "_", out.resolve().name.lower()).strip("_") or "published"
    lines = [f"{section}:", f"  {name}:", "    kind: published", f"    path: {dumps(str(out))}"]
    for setting, value in settings.items():
        text = UNKNOWN if value is None else dumps(value).strip('"')
        hint = f"  # {HINTS[setting]}" if setting in HINTS else ""
        lines.append(f"    {setting}: {text}{hint}")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The parser of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="tessera import",
        description="Turns published weights into a folder that a variant of `kind: published` "
        "names. Nothing in FILE is executed.",
    )
    made.add_argument("system", choices=["digit"], help="whose files they are")
    made.add_argument("section", choices=list(IMPORTS), help="what is read from FILE")
    made.add_argument("file", metavar="FILE", help="the published file")
    made.add_argument("--out", required=True, metavar="FOLDER", help="a new or empty folder")
    for_decoders = made.add_argument_group("stage1 and stage2")
    for_decoders.add_argument(
        "--heads", type=positive, metavar="N",
        help="attention heads, where FILE does not say them (also for encoder)",
    )  # fmt: skip
    for_decoders.add_argument(
        "--length", type=positive, metavar="N", help="codes of an image; default 256"
    )
    for_decoders.add_argument(
        "--prefix-length", type=positive, metavar="N",
        help="semantic codes of an image, for stage2; default 256",
    )  # fmt: skip
    for_decoders.add_argument(
        "--decoder", choices=["autoregressive", "masked"],
        help="how a stage2 decodes, where FILE does not say it",
    )  # fmt: skip
    for_encoders = made.add_argument_group("encoder and autoencoder")
    for_encoders.add_argument(
        "--model", choices=MODELS, help="the published encoder; default: by FILE's shapes"
    )
    for_encoders.add_argument(
        "--position-resampling", choices=["dinov2", "timm"],
        help="how an encoder's positions are resized to other grids: as DINOv2's own code and "
        "DiGIT do it (default), or as timm does it, which gives other tokens",
    )  # fmt: skip
    for_encoders.add_argument(
        "--resolution", type=positive, metavar="PIXELS",
        help="side of an autoencoder's images; default 256",
    )  # fmt: skip
    for_encoders.add_argument("--key", help="entry of FILE that holds the weights")
    for_encoders.add_argument("--prefix", help="beginning of their names, cut off")
    return made


def positive(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        ValueError: it is none; argparse says which option it was.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
