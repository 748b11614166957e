# Images → features → codebook; images → autoencoder; both → tokens.


rule encoder:
    input:
        shards=lambda w: PATHS.card("data", variant("encoders", w.encoder).data),
    output:
        card=f"{RESULTS}/encoders/{{encoder}}/card.json",
        model=trained_model("encoders", "encoder"),
    log:
        f"{RESULTS}/logs/encoder/{{encoder}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/encoder/{{encoder}}.tsv"
    wildcard_constraints:
        encoder=names("encoders", published=False),
    # The longest chains of the experiment begin with encoder and autoencoder, so they go first.
    priority: 30
    conda:
        "../envs/tessera.yaml"
    threads: execute("encoder").threads
    resources:
        **gpus("encoder"),
        mem_mb=memory("encoder"),
        runtime=runtime("encoder"),
        log_every=CONFIG.log_every,
        checkpoint_every=CONFIG.checkpoint_every,
    params:
        settings=settings("encoders", "encoder"),
    message:
        "encoder {wildcards.encoder}: self-supervised training"
    shell:
        "python -m tessera.stages.encoder --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --log-every {resources.log_every}"
        " --checkpoint-every {resources.checkpoint_every}"
        " --shards {input.shards} --card {output.card} 2>&1 | tee {log}"


rule features:
    input:
        shards=lambda w: PATHS.card("data", view_data("features", w.features)),
        encoder=lambda w: PATHS.card(
            "encoders", variant("features", w.features).encoder
        ),
        arrays=lambda w: weights_of("encoders", variant("features", w.features).encoder),
    output:
        card=f"{RESULTS}/features/{{features}}/part-{{part}}-of-{{parts}}.json",
        part=f"{RESULTS}/features/{{features}}/part-{{part}}-of-{{parts}}.zarr.zip",
    log:
        f"{RESULTS}/logs/features/{{features}}-{{part}}-of-{{parts}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/features/{{features}}-{{part}}-of-{{parts}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("features").threads
    resources:
        **gpus("features"),
        mem_mb=memory("features"),
        runtime=runtime("features"),
        batch=execute("features").batch,
    params:
        settings=settings("features", "features"),
    message:
        "features {wildcards.features}: sampling patch features, part {wildcards.part}"
    shell:
        "python -m tessera.stages.features --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --batch {resources.batch}"
        " --part {wildcards.part} --parts {wildcards.parts} --encoder {input.encoder}"
        " --shards {input.shards} --card {output.card} 2>&1 | tee {log}"


rule codebook:
    input:
        features=lambda w: PATHS.cards(
            "features", variant("codebooks", w.codebook).features
        ),
        arrays=lambda w: part_files(
            PATHS.cards("features", variant("codebooks", w.codebook).features)
        ),
    output:
        card=f"{RESULTS}/codebooks/{{codebook}}/card.json",
        centroids=f"{RESULTS}/codebooks/{{codebook}}/centroids.npy",
    log:
        f"{RESULTS}/logs/codebook/{{codebook}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/codebook/{{codebook}}.tsv"
    wildcard_constraints:
        codebook=names("codebooks", published=False),
    conda:
        "../envs/tessera.yaml"
    threads: execute("codebook").threads
    resources:
        **gpus("codebook"),
        mem_mb=memory("codebook"),
        runtime=runtime("codebook"),
        dask=DASK,
    params:
        settings=settings("codebooks", "codebook"),
    message:
        "codebook {wildcards.codebook}: K-Means over the sampled features"
    shell:
        "python -m tessera.stages.codebook --settings {params.settings:q} --threads {threads} --gpus {resources.devices}"
        " --dask {resources.dask:q} --features {input.features} --card {output.card} 2>&1 | tee {log}"


rule autoencoder:
    input:
        shards=lambda w: PATHS.card("data", view_data("autoencoders", w.autoencoder)),
    output:
        card=f"{RESULTS}/autoencoders/{{autoencoder}}/card.json",
        model=trained_model("autoencoders", "autoencoder"),
    log:
        f"{RESULTS}/logs/autoencoder/{{autoencoder}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/autoencoder/{{autoencoder}}.tsv"
    wildcard_constraints:
        autoencoder=names("autoencoders", published=False),
    priority: 40
    conda:
        "../envs/tessera.yaml"
    threads: execute("autoencoder").threads
    resources:
        **gpus("autoencoder"),
        mem_mb=memory("autoencoder"),
        runtime=runtime("autoencoder"),
        log_every=CONFIG.log_every,
        checkpoint_every=CONFIG.checkpoint_every,
        pictures_every=CONFIG.pictures_every,
    params:
        settings=settings("autoencoders", "autoencoder"),
    message:
        "autoencoder {wildcards.autoencoder}: training the VQGAN"
    shell:
        "python -m tessera.stages.autoencoder --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --log-every {resources.log_every}"
        " --checkpoint-every {resources.checkpoint_every} --pictures-every {resources.pictures_every}"
        " --shards {input.shards} --card {output.card} 2>&1 | tee {log}"


rule tokens:
    input:
        tokenizer=tokenizer_files,
        arrays=tokenizer_arrays,
        shards=lambda w: PATHS.card("data", view_data("tokens", w.tokens)),
    output:
        card=f"{RESULTS}/tokens/{{tokens}}/{{split}}/part-{{part}}-of-{{parts}}.json",
        part=f"{RESULTS}/tokens/{{tokens}}/{{split}}/part-{{part}}-of-{{parts}}.zarr.zip",
    log:
        f"{RESULTS}/logs/tokens/{{tokens}}/{{split}}-{{part}}-of-{{parts}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokens/{{tokens}}/{{split}}-{{part}}-of-{{parts}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("tokens").threads
    resources:
        **gpus("tokens"),
        mem_mb=memory("tokens"),
        runtime=runtime("tokens"),
        batch=execute("tokens").batch,
    params:
        settings=settings("tokens", "tokens"),
    message:
        "tokens {wildcards.tokens}: {wildcards.split} split, part {wildcards.part}"
    shell:
        "python -m tessera.stages.tokens --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --batch {resources.batch}"
        " --part {wildcards.part} --parts {wildcards.parts} --split {wildcards.split}"
        " --tokenizer {input.tokenizer} --shards {input.shards} --card {output.card}"
        " 2>&1 | tee {log}"
