# Images → an index, and tar shards or lists of files where the data set needs them. A rule a data
# set, because the number of its files is in the config.

for data in CONFIG.data:

    rule:
        name:
            f"shards_{data}"
        output:
            card=PATHS.card("data", data),
            index=f"{PATHS.folder('data', data)}/index.json",
            train=PATHS.shards(data, "train"),
            validation=PATHS.shards(data, "validation"),
        log:
            f"{RESULTS}/logs/shards/{data}.log",
        benchmark:
            f"{RESULTS}/benchmarks/shards/{data}.tsv"
        conda:
            "../envs/tessera.yaml"
        threads: execute("shards").threads
        resources:
            mem_mb=memory("shards", data=data),
            runtime=runtime("shards", data=data),
            corrupt=f"{getattr(CONFIG.data[data], 'max_corrupt_share', 0)}",
            # How many files a split: their names would make a command of hundreds of words.
            train_files=len(PATHS.shards(data, "train")),
            validation_files=len(PATHS.shards(data, "validation")),
        params:
            settings=settings_text(CONFIG, "data", data),
        message:
            f"shards {data}: finding the images"
        shell:
            "python -m tessera.stages.shards --settings {params.settings:q}"
            " --threads {threads} --shards {resources.train_files}"
            " {resources.validation_files}"
            " --max-corrupt-share {resources.corrupt} --card {output.card}"
            " --index {output.index} 2>&1 | tee {log}"
