# Cards → tables and figures, and a page that shows them with the pictures that other stages drew.

from tessera.config.jobs import INDEX
from tessera.report.outputs import (
    figure_names,
    first_cards,
    further_parts,
    table_files,
    table_names,
)
from tessera.report.pictures.catalogue import pictures


rule tables:
    input:
        cards=[*first_cards(PATHS), *result_cards()],
        # Found by the stage through their first part, which is one of the cards.
        parts=further_parts(PATHS),
    output:
        card=f"{RESULTS}/tables/card.json",
        shown=[
            shown("table", name, f"{name}.html", "Table")
            for name in table_names(CONFIG)
            if f"{name}.html" in table_files(name)
        ],
        numbers=[
            shown("table", name, f"{name}.csv", "csv") for name in table_names(CONFIG)
        ],
        texts=[
            f"{RESULTS}/tables/{file}"
            for name in table_names(CONFIG)
            for file in table_files(name)
            if file.endswith((".md", ".tex"))
        ],
    log:
        f"{RESULTS}/logs/tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("tables").threads
    resources:
        mem_mb=memory("tables"),
        runtime=runtime("tables"),
        # For the labels, which change no number: as a resource they rerun nothing.
        config=CONFIG_WORDS,
    params:
        settings=collecting("tables"),
    message:
        "tables: collecting the numbers of all cards"
    shell:
        "python -m tessera.stages.tables --settings {params.settings:q} --threads {threads}"
        " --cards {input.cards} {resources.config} --card {output.card} 2>&1 | tee {log}"


rule figures:
    input:
        cards=[*first_cards(PATHS), *result_cards()],
        # Found by the stage through their first part, which is one of the cards.
        parts=further_parts(PATHS),
    output:
        card=f"{RESULTS}/figures/card.json",
        shown=[
            shown("figure", name, f"{name}.png", "Figure")
            for name in figure_names(CONFIG)
        ],
        printed=[f"{RESULTS}/figures/{name}.pdf" for name in figure_names(CONFIG)],
    log:
        f"{RESULTS}/logs/figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute("figures").threads
    resources:
        mem_mb=memory("figures"),
        runtime=runtime("figures"),
        config=CONFIG_WORDS,
    params:
        settings=collecting("figures"),
    message:
        "figures: drawing the numbers of all cards"
    shell:
        "python -m tessera.stages.figures --settings {params.settings:q} --threads {threads}"
        " --cards {input.cards} {resources.config} --card {output.card} 2>&1 | tee {log}"


rule index:
    input:
        cards=rules.tables.input.cards,
        parts=rules.tables.input.parts,
        table_card=rules.tables.output.card,
        tables=rules.tables.output,
        figure_card=rules.figures.output.card,
        figures=rules.figures.output,
        # Marked here and not where they are drawn: only some variants' pictures are shown.
        pictures=[shown_picture(picture) for picture in pictures(CONFIG)],
    output:
        card=f"{RESULTS}/{INDEX}.json",
        page=f"{RESULTS}/{INDEX}.html",
    log:
        f"{RESULTS}/logs/{INDEX}.log",
    benchmark:
        f"{RESULTS}/benchmarks/{INDEX}.tsv"
    conda:
        "../envs/tessera.yaml"
    threads: execute(INDEX).threads
    resources:
        mem_mb=memory(INDEX),
        runtime=runtime(INDEX),
        # For title and labels.
        config=CONFIG_WORDS,
        captions=f"{workflow.basedir}/rules/captions",
    params:
        settings=collecting(INDEX),
    message:
        "index: showing tables, figures and pictures on one page"
    shell:
        "python -m tessera.stages.index --settings {params.settings:q} --threads {threads}"
        " --cards {input.cards} --tables {input.table_card} --figures {input.figure_card}"
        " --captions {resources.captions:q} {resources.config} --card {output.card} 2>&1 | tee {log}"


# All that a paper shows: `snakemake paper`.
rule paper:
    input:
        rules.tables.output,
        rules.figures.output,
        rules.index.input.pictures,
        rules.index.output,
