# Cards → tables and figures.

from shlex import join

from tessera.config.canonical import canonical_json
from tessera.config.resolve import stage_node
from tessera.report.outputs import (
    figure_names,
    first_cards,
    further_parts,
    table_files,
    table_names,
)


rule tables:
    input:
        cards=[*first_cards(PATHS), *result_cards()],
        # Found by the stage through their first part, which is one of the cards.
        parts=further_parts(PATHS),
    output:
        card=f"{RESULTS}/tables/card.json",
        shown=[
            report(
                f"{RESULTS}/tables/{name}.html",
                caption=f"captions/table_{name}.rst",
                category="Tables",
                labels={"table": name, "as": "page"},
            )
            for name in table_names(CONFIG)
            if f"{name}.html" in table_files(name)
        ],
        numbers=[
            report(
                f"{RESULTS}/tables/{name}.csv",
                caption=f"captions/table_{name}.rst",
                category="Tables",
                labels={"table": name, "as": "CSV"},
            )
            for name in table_names(CONFIG)
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
        config=join(CONFIG_FILES),
    params:
        settings=canonical_json(stage_node("tables", {})),
    message:
        "tables: collecting the numbers of all cards"
    shell:
        "python -m tessera.stages.tables --settings {params.settings:q} --threads {threads}"
        " --cards {input.cards} --config {resources.config} --card {output.card} 2>&1 | tee {log}"


rule figures:
    input:
        cards=[*first_cards(PATHS), *result_cards()],
        # Found by the stage through their first part, which is one of the cards.
        parts=further_parts(PATHS),
    output:
        card=f"{RESULTS}/figures/card.json",
        shown=[
            report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"captions/figure_{name}.rst",
                category="Figures",
                labels={"figure": name},
            )
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
        config=join(CONFIG_FILES),
    params:
        settings=canonical_json(stage_node("figures", {})),
    message:
        "figures: drawing the numbers of all cards"
    shell:
        "python -m tessera.stages.figures --settings {params.settings:q} --threads {threads}"
        " --cards {input.cards} --config {resources.config} --card {output.card} 2>&1 | tee {log}"
