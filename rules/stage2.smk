# Semantic tokens and VQGAN codes of the same views → a decoder from the ones to the others.


rule stage2:
    input:
        semantic=lambda w: PATHS.cards("tokens", variant("stage2", w.stage2).semantic),
        codes=lambda w: PATHS.cards("tokens", variant("stage2", w.stage2).codes),
        validation_semantic=lambda w: PATHS.cards(
            "tokens", variant("stage2", w.stage2).semantic, "validation"
        ),
        validation_codes=lambda w: PATHS.cards(
            "tokens", variant("stage2", w.stage2).codes, "validation"
        ),
        arrays=lambda w: [
            file
            for split in SPLITS
            for field in ("semantic", "codes")
            for file in part_files(
                PATHS.cards(
                    "tokens", getattr(variant("stage2", w.stage2), field), split
                )
            )
        ],
    output:
        card=f"{RESULTS}/stage2/{{stage2}}/card.json",
        model=trained_model("stage2", "stage2"),
    log:
        f"{RESULTS}/logs/stage2/{{stage2}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/stage2/{{stage2}}.tsv"
    wildcard_constraints:
        stage2=names("stage2", published=False),
    priority: 20
    conda:
        "../envs/tessera.yaml"
    threads: execute("stage2").threads
    resources:
        **gpus("stage2"),
        **spread("stage2"),
        mem_mb=memory("stage2"),
        runtime=runtime("stage2"),
        log_every=CONFIG.log_every,
        checkpoint_every=CONFIG.checkpoint_every,
        micro_batch=execute("stage2").micro_batch or 0,
        compile=execute("stage2").compiling,
        pictures_every=CONFIG.pictures_every,
        # For pictures alone. It is made before the tokens, and as a resource it reruns nothing.
        tokenizer=lambda w: PATHS.card(
            *lineage.tokenizers_of_stage2(CONFIG, w.stage2)[1]
        ),
    params:
        settings=settings("stage2", "stage2"),
    message:
        "stage2 {wildcards.stage2}: training the pixel decoder"
    shell:
        "python -m tessera.stages.stage2 --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --nodes {resources.nodes} --log-every {resources.log_every}"
        " --checkpoint-every {resources.checkpoint_every}"
        " --pictures-every {resources.pictures_every} --tokenizer {resources.tokenizer:q}"
        " --micro-batch {resources.micro_batch} --compile {resources.compile} --semantic {input.semantic}"
        " --codes {input.codes} --validation-semantic {input.validation_semantic}"
        " --validation-codes {input.validation_codes} --card {output.card} 2>&1 | tee {log}"
