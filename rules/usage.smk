# Tokens → how often each code comes, and what it sees.


rule usage:
    input:
        tokens=lambda w: PATHS.cards("tokens", w.tokens),
        arrays=lambda w: part_files(PATHS.cards("tokens", w.tokens)),
    output:
        card=f"{RESULTS}/usage/{{tokens}}/card.json",
        histograms=f"{RESULTS}/usage/{{tokens}}/histograms.npz",
    log:
        f"{RESULTS}/logs/usage/{{tokens}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/usage/{{tokens}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("usage").threads
    resources:
        mem_mb=memory("usage"),
        runtime=runtime("usage"),
        dask=DASK,
    params:
        settings=settings("tokens", "tokens", stage="usage"),
    message:
        "usage {wildcards.tokens}: counting the codes of the training split"
    shell:
        "python -m tessera.stages.usage --settings {params.settings:q} --threads {threads}"
        " --dask {resources.dask:q} --tokens {input.tokens} --card {output.card} 2>&1 | tee {log}"


rule patches:
    input:
        shards=lambda w: PATHS.card(
            "data", view_data("tokens", variant("patches", w.patches).tokens)
        ),
        tokens=patch_tokens,
        arrays=lambda w: part_files(patch_tokens(w)),
    output:
        card=f"{RESULTS}/patches/{{patches}}/card.json",
        picture=f"{RESULTS}/patches/{{patches}}/patches.png",
    log:
        f"{RESULTS}/logs/patches/{{patches}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/patches/{{patches}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("patches").threads
    resources:
        mem_mb=memory("patches"),
        runtime=runtime("patches"),
    params:
        settings=settings("patches", "patches"),
    message:
        "patches {wildcards.patches}: what a code sees"
    shell:
        "python -m tessera.stages.patches --settings {params.settings:q} --threads {threads}"
        " --shards {input.shards} --tokens {input.tokens}"
        " --card {output.card} 2>&1 | tee {log}"
