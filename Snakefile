"""From images to tables: one rule a stage, one job a variant."""

from snakemake.utils import min_version

from tessera.reruns.launch import attend

min_version("9.27")


configfile: "config.yaml"


report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/published.smk"
include: "rules/tokenizers.smk"
include: "rules/usage.smk"
include: "rules/stage1.smk"
include: "rules/stage2.smk"
include: "rules/sampling.smk"
include: "rules/evaluation.smk"
include: "rules/paper.smk"


# One run at a time over a folder of results, whose cards say what is made again.
attend(workflow, CONFIG)


# Every target is asked for by its cards; what stands between follows from the references.
rule all:
    default_target: True
    input:
        result_cards(),
        expand(rules.samples.output.samples, sampling=CONFIG.samplings),
        expand(rules.samples.output.grid, sampling=CONFIG.samplings),
        rules.paper.input,
