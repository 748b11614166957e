# Models → tokens → codes → pixels, in parts; the parts → one file in the ADM layout and a grid.


rule sampling:
    input:
        models=sampling_inputs,
        arrays=sampling_arrays,
    output:
        card=f"{RESULTS}/samplings/{{sampling}}/part-{{part}}-of-{{parts}}.json",
        part=f"{RESULTS}/samplings/{{sampling}}/part-{{part}}-of-{{parts}}.zarr.zip",
    log:
        f"{RESULTS}/logs/sampling/{{sampling}}-{{part}}-of-{{parts}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/sampling/{{sampling}}-{{part}}-of-{{parts}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("sampling").threads
    resources:
        **gpus("sampling"),
        mem_mb=memory("sampling"),
        runtime=runtime("sampling"),
        batch=execute("sampling").batch,
    params:
        settings=settings("samplings", "sampling"),
    message:
        "sampling {wildcards.sampling}: generating images, part {wildcards.part}"
    shell:
        "python -m tessera.stages.sampling --settings {params.settings:q} --threads {threads} --gpus {resources.devices} --batch {resources.batch}"
        " --part {wildcards.part} --parts {wildcards.parts} --models {input.models}"
        " --card {output.card} 2>&1 | tee {log}"


rule samples:
    input:
        parts=lambda w: PATHS.cards("samplings", w.sampling),
        arrays=lambda w: part_files(PATHS.cards("samplings", w.sampling)),
    output:
        card=f"{RESULTS}/samplings/{{sampling}}/card.json",
        samples=f"{RESULTS}/samplings/{{sampling}}/samples.npz",
        grid=f"{RESULTS}/samplings/{{sampling}}/grid.png",
    log:
        f"{RESULTS}/logs/samples/{{sampling}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples/{{sampling}}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("samples").threads
    resources:
        mem_mb=memory("samples"),
        runtime=runtime("samples"),
    params:
        settings=settings("samplings", "sampling", stage="samples"),
    message:
        "samples {wildcards.sampling}: exporting the set"
    shell:
        "python -m tessera.stages.samples --settings {params.settings:q} --threads {threads} --parts {input.parts}"
        " --card {output.card} 2>&1 | tee {log}"
