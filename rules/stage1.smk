# Tokens → a GPT over them.


rule stage1:
    input:
        tokens=lambda w: PATHS.cards("tokens", variant("stage1", w.stage1).tokens),
        validation=lambda w: PATHS.cards(
            "tokens", variant("stage1", w.stage1).tokens, "validation"
        ),
        arrays=lambda w: [
            file
            for split in SPLITS
            for file in part_files(
                PATHS.cards("tokens", variant("stage1", w.stage1).tokens, split)
            )
        ],
    output:
        card=f"{RESULTS}/stage1/{{stage1}}/card.json",
        model=trained_model("stage1", "stage1"),
    log:
        f"{RESULTS}/logs/stage1/{{stage1}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/stage1/{{stage1}}.tsv"
    wildcard_constraints:
        stage1=names("stage1", published=False),
    priority: 20
    conda:
        "../envs/tessera.yaml"
    threads: execute("stage1").threads
    resources:
        **gpus("stage1"),
        **spread("stage1"),
        mem_mb=memory("stage1"),
        runtime=runtime("stage1"),
        log_every=CONFIG.log_every,
        checkpoint_every=CONFIG.checkpoint_every,
        micro_batch=execute("stage1").micro_batch or 0,
        compile=execute("stage1").compiling,
        pictures_every=CONFIG.pictures_every,
        # For pictures alone. It is made before the tokens, and as a resource it reruns nothing.
        tokenizer=lambda w: PATHS.card(*lineage.tokenizer_of_stage1(CONFIG, w.stage1)),
    params:
        settings=settings("stage1", "stage1"),
    message:
        "stage1 {wildcards.stage1}: training the GPT"
    shell:
        "python -m tessera.stages.stage1 --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --nodes {resources.nodes} --log-every {resources.log_every}"
        " --checkpoint-every {resources.checkpoint_every}"
        " --pictures-every {resources.pictures_every} --tokenizer {resources.tokenizer:q}"
        " --micro-batch {resources.micro_batch} --compile {resources.compile} --tokens {input.tokens}"
        " --validation {input.validation} --card {output.card} 2>&1 | tee {log}"
