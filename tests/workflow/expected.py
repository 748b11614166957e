"""What stands below each job of tests/workflow/config.yaml, drawn by hand."""

BELOW = {
    "shards/digits": [
        "encoder/dino",
        "features/dino",
        "autoencoder/vqgan",
        "tokens/semantic",
        "tokens/semantic_16",
        "tokens/codes",
        "extractor/cnn",
        "evaluation/digits/cond_ar",
        "evaluation/digits/vq",
        "neighbours/digits/cond_ar",
        "reconstruction/vqgan",
        "stability/noise",
        "patches/semantic",
        "patches/codes",
    ],
    "shards/shapes": [
        "autoencoder/shapes",
        "tokens/shapes",
        "extractor/shapes",
        "evaluation/shapes/shapes",
    ],
    "encoder/dino": ["features/dino", "tokens/semantic", "tokens/semantic_16", "stability/noise"],
    "features/dino": ["codebook/k8", "codebook/k16"],
    "codebook/k8": ["tokens/semantic", "stability/noise"],
    "codebook/k16": ["tokens/semantic_16"],
    "autoencoder/vqgan": [
        "tokens/codes",
        "sampling/cond_ar",
        "sampling/cond_nar",
        "sampling/vq",
        "reconstruction/vqgan",
        "stability/noise",
    ],
    "autoencoder/shapes": ["tokens/shapes", "sampling/shapes"],
    "tokens/semantic": [
        "stage1/cond",
        "stage1/uncond",
        "stage2/ar",
        "stage2/nar",
        "usage/semantic",
        "patches/semantic",
    ],
    "tokens/semantic_16": ["stage1/wide", "usage/semantic_16"],
    "tokens/codes": ["stage1/vq", "stage2/ar", "stage2/nar", "usage/codes", "patches/codes"],
    "tokens/shapes": ["stage1/shapes", "usage/shapes"],
    "usage/semantic": [],
    "usage/semantic_16": [],
    "usage/codes": [],
    "usage/shapes": [],
    "stage1/cond": ["sampling/cond_ar", "sampling/cond_nar"],
    "stage1/uncond": ["probe/linear/uncond"],
    "stage1/wide": ["probe/linear/wide"],
    "stage1/vq": ["sampling/vq"],
    "stage1/shapes": ["sampling/shapes"],
    "stage2/ar": ["sampling/cond_ar"],
    "stage2/nar": ["sampling/cond_nar"],
    "sampling/cond_ar": ["samples/cond_ar"],
    "sampling/cond_nar": ["samples/cond_nar"],
    "sampling/vq": ["samples/vq"],
    "sampling/shapes": ["samples/shapes"],
    "samples/cond_ar": ["evaluation/digits/cond_ar", "neighbours/digits/cond_ar"],
    "samples/cond_nar": [],
    "samples/vq": ["evaluation/digits/vq"],
    "samples/shapes": ["evaluation/shapes/shapes"],
    "extractor/cnn": [
        "evaluation/digits/cond_ar",
        "evaluation/digits/vq",
        "neighbours/digits/cond_ar",
        "reconstruction/vqgan",
    ],
    "extractor/shapes": ["evaluation/shapes/shapes"],
    "evaluation/digits/cond_ar": [],
    "evaluation/digits/vq": [],
    "evaluation/shapes/shapes": [],
    "neighbours/digits/cond_ar": [],
    "reconstruction/vqgan": [],
    "probe/linear/uncond": [],
    "probe/linear/wide": [],
    "stability/noise": [],
    "projections/toy": [],
    "patches/semantic": [],
    "patches/codes": [],
}

# Tables and figures read the cards of all results, so they run after any other job; the page shows
# what they hold.
PAPER = {"tables", "figures", "index"}

TRAININGS = [f"stage1/{name}" for name in ("cond", "uncond", "wide", "vq", "shapes")]
TOKENS = [f"tokens/{name}" for name in ("semantic", "semantic_16", "codes", "shapes")]
EVALUATIONS = ["evaluation/digits/cond_ar", "evaluation/digits/vq", "evaluation/shapes/shapes"]
DIGITS, SHAPES = "shards/digits", "shards/shapes"
TOY = "projections/toy"  # stands below nothing


def below(*roots: str) -> set[str]:
    """The jobs named, all that stands below them, and what shows them."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        job = waiting.pop()
        if job not in found:
            found.add(job)
            waiting += BELOW.get(job, [])
    return set().union(*map(jobs_of, found), PAPER if roots else set())


def jobs_of(variant: str, parts: int = 2) -> set[str]:
    """A variant's jobs, where its stage is split into several."""
    names = {f"{variant}/{part:04d}-of-{parts:04d}" for part in range(parts)}
    if variant == "tokens/shapes":  # no more parts than shards
        return {f"{variant}/{split}/0000-of-0001" for split in ("train", "validation")}
    if variant.startswith("tokens/"):
        train = {f"{variant}/train/{part:04d}-of-{parts:04d}" for part in range(parts)}
        return train | {f"{variant}/validation/0000-of-0001"}
    if variant.startswith("features/"):
        return {f"{variant}/0000-of-0001"}
    return names if variant.startswith("sampling/") else {variant}
