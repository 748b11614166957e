# Weights that somebody else trained → the files that a training would leave, and a card.

for section, wildcard in (
    ("encoders", "encoder"),
    ("codebooks", "codebook"),
    ("autoencoders", "autoencoder"),
    ("stage1", "stage1"),
    ("stage2", "stage2"),
):

    rule:
        name:
            f"published_{wildcard}"
        output:
            card=f"{RESULTS}/{section}/{{{wildcard}}}/card.json",
            files=[
                f"{RESULTS}/{section}/{{{wildcard}}}/{file}"
                for file in PUBLISHED_FILES.get(section, PUBLISHED_FILES["models"])
            ],
        log:
            f"{RESULTS}/logs/published/{section}-{{{wildcard}}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/published/{section}-{{{wildcard}}}.tsv"
        wildcard_constraints:
            **{wildcard: names(section, published=True)},
        conda:
            "../envs/tessera.yaml"
        threads: execute("published").threads
        resources:
            mem_mb=memory("published"),
            runtime=runtime("published"),
            # No input: what the files hold is in the settings, and where they lie may change.
            files=published_files(section, wildcard),
        params:
            settings=settings(section, wildcard),
        message:
            f"published weights for {section} {{wildcards.{wildcard}}}"
        shell:
            "python -m tessera.stages.published --settings {params.settings:q}"
            " --threads {threads} --files {resources.files} --card {output.card} 2>&1 | tee {log}"
