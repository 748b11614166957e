# Tokens → how often each code comes.


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
