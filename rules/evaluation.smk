# Sample sets, models and tokenizers → numbers, each in a card.


rule extractor:
    input:
        shards=lambda w: PATHS.card("data", variant("extractors", w.extractor).data),
    output:
        card=f"{RESULTS}/extractors/{{extractor}}/card.json",
        model=trained_model("extractors", "extractor"),
    log:
        f"{RESULTS}/logs/extractor/{{extractor}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/extractor/{{extractor}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("extractor").threads
    resources:
        **gpus("extractor"),
        mem_mb=memory("extractor"),
        runtime=runtime("extractor"),
        log_every=CONFIG.log_every,
        checkpoint_every=CONFIG.checkpoint_every,
    params:
        settings=settings("extractors", "extractor"),
    message:
        "extractor {wildcards.extractor}: training the classifier whose features are compared"
    shell:
        "python -m tessera.stages.extractor --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --log-every {resources.log_every}"
        " --checkpoint-every {resources.checkpoint_every}"
        " --shards {input.shards} --card {output.card} 2>&1 | tee {log}"


rule evaluation:
    input:
        samples=lambda w: PATHS.card("samplings", w.sampling),
        arrays=lambda w: f"{PATHS.folder('samplings', w.sampling)}/samples.npz",
        shards=reference_shards,
        extractor=EVALUATION_EXTRACTOR,
    output:
        card=f"{RESULTS}/evaluations/{{evaluation}}/{{sampling}}.json",
    log:
        f"{RESULTS}/logs/evaluation/{{evaluation}}/{{sampling}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{evaluation}}/{{sampling}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("evaluation").threads
    resources:
        **gpus("evaluation"),
        mem_mb=memory("evaluation"),
        runtime=runtime("evaluation"),
        batch=execute("evaluation").batch,
        # No inputs: what these files hold is in the settings, and where they lie may change.
        statistics=reference_statistics,
        weights=EVALUATION_EXTRACTOR_WORD,
    params:
        settings=settings("evaluations", "evaluation", each="sampling"),
    message:
        "evaluation {wildcards.evaluation}: {wildcards.sampling}"
    shell:
        "python -m tessera.stages.evaluation --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --batch {resources.batch}"
        " --samples {input.samples} --shards {input.shards} --statistics {resources.statistics}"
        " --extractor {resources.weights} --card {output.card} 2>&1 | tee {log}"


rule neighbours:
    input:
        samples=lambda w: PATHS.card("samplings", w.sampling),
        arrays=lambda w: f"{PATHS.folder('samplings', w.sampling)}/samples.npz",
        shards=lambda w: PATHS.card("data", view_data("neighbours", w.neighbours)),
        extractor=NEIGHBOURS_EXTRACTOR,
    output:
        card=f"{RESULTS}/neighbours/{{neighbours}}/{{sampling}}.json",
        picture=f"{RESULTS}/neighbours/{{neighbours}}/{{sampling}}.png",
    log:
        f"{RESULTS}/logs/neighbours/{{neighbours}}/{{sampling}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/neighbours/{{neighbours}}/{{sampling}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("neighbours").threads
    resources:
        **gpus("neighbours"),
        mem_mb=memory("neighbours"),
        runtime=runtime("neighbours"),
        batch=execute("neighbours").batch,
        weights=NEIGHBOURS_EXTRACTOR_WORD,
    params:
        settings=settings("neighbours", "neighbours", each="sampling"),
    message:
        "neighbours {wildcards.neighbours}: training images nearest to {wildcards.sampling}"
    shell:
        "python -m tessera.stages.neighbours --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --batch {resources.batch}"
        " --samples {input.samples} --shards {input.shards} --extractor {resources.weights}"
        " --card {output.card} 2>&1 | tee {log}"


rule reconstruction:
    input:
        shards=lambda w: PATHS.card(
            "data", view_data("reconstructions", w.reconstruction)
        ),
        autoencoder=lambda w: PATHS.card(
            "autoencoders", variant("reconstructions", w.reconstruction).autoencoder
        ),
        arrays=lambda w: weights_of(
            "autoencoders", variant("reconstructions", w.reconstruction).autoencoder
        ),
        extractor=RECONSTRUCTION_EXTRACTOR,
    output:
        card=f"{RESULTS}/reconstructions/{{reconstruction}}/card.json",
        grid=f"{RESULTS}/reconstructions/{{reconstruction}}/grid.png",
    log:
        f"{RESULTS}/logs/reconstruction/{{reconstruction}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/reconstruction/{{reconstruction}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("reconstruction").threads
    resources:
        **gpus("reconstruction"),
        mem_mb=memory("reconstruction"),
        runtime=runtime("reconstruction"),
        batch=execute("reconstruction").batch,
        weights=RECONSTRUCTION_EXTRACTOR_WORD,
    params:
        settings=settings("reconstructions", "reconstruction"),
    message:
        "reconstruction {wildcards.reconstruction}: images against their reconstructions"
    shell:
        "python -m tessera.stages.reconstruction --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --batch {resources.batch}"
        " --shards {input.shards} --autoencoder {input.autoencoder} --extractor {resources.weights}"
        " --card {output.card} 2>&1 | tee {log}"


rule probe:
    input:
        model=lambda w: PATHS.card("stage1", w.stage1),
        arrays=probe_arrays,
        tokens=lambda w: probe_tokens(w, "train"),
        validation=lambda w: probe_tokens(w, "validation"),
    output:
        card=f"{RESULTS}/probes/{{probe}}/{{stage1}}.json",
    log:
        f"{RESULTS}/logs/probe/{{probe}}/{{stage1}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/probe/{{probe}}/{{stage1}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("probe").threads
    resources:
        **gpus("probe"),
        **spread("probe"),
        mem_mb=memory("probe"),
        runtime=runtime("probe"),
        batch=execute("probe").batch,
        log_every=CONFIG.log_every,
        checkpoint_every=CONFIG.checkpoint_every,
    params:
        settings=settings("probes", "probe", each="stage1"),
    message:
        "probe {wildcards.probe}: linear classifiers on {wildcards.stage1}"
    shell:
        "python -m tessera.stages.probe --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --nodes {resources.nodes} --log-every {resources.log_every}"
        " --checkpoint-every {resources.checkpoint_every} --batch {resources.batch}"
        " --model {input.model} --tokens {input.tokens} --validation {input.validation}"
        " --card {output.card} 2>&1 | tee {log}"


rule stability:
    input:
        shards=lambda w: PATHS.card("data", view_data("stabilities", w.stability)),
        tokenizers=stability_inputs,
        arrays=stability_arrays,
    output:
        card=f"{RESULTS}/stabilities/{{stability}}/card.json",
    log:
        f"{RESULTS}/logs/stability/{{stability}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/stability/{{stability}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("stability").threads
    resources:
        **gpus("stability"),
        mem_mb=memory("stability"),
        runtime=runtime("stability"),
        batch=execute("stability").batch,
    params:
        settings=settings("stabilities", "stability"),
    message:
        "stability {wildcards.stability}: tokens under noise"
    shell:
        "python -m tessera.stages.stability --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --batch {resources.batch}"
        " --shards {input.shards} --tokenizers {input.tokenizers}"
        " --card {output.card} 2>&1 | tee {log}"


rule projections:
    output:
        card=f"{RESULTS}/projections/{{projections}}/card.json",
        points=f"{RESULTS}/projections/{{projections}}/points.npz",
    log:
        f"{RESULTS}/logs/projections/{{projections}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/projections/{{projections}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("projections").threads
    resources:
        mem_mb=memory("projections"),
        runtime=runtime("projections"),
    params:
        settings=settings("projections", "projections"),
    message:
        "projections {wildcards.projections}: PCA against LDA under noise"
    shell:
        "python -m tessera.stages.projections --settings {params.settings:q} --threads {threads}"
        " --card {output.card} 2>&1 | tee {log}"
