"""Cards → figures, as PNG for the screen and PDF for print.

Reads cards and the logs of trainings beside them. Equal cards give equal bytes.
"""

import logging
import sys
from collections.abc import Sequence

from tessera.report.figures.draw import draw_figures
from tessera.report.outputs import FIGURES, figure_files
from tessera.report.style import save
from tessera.stages.job import Job, log, run
from tessera.stages.tables import card_parser, read_cards, remove_old

STAGE = "figures"


def work(job: Job) -> None:
    """Writes the figures that the cards give."""
    arguments = job.arguments
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every table of a font
    cards = read_cards(job)
    folder = arguments.card.parent
    files = []
    for name, figure in draw_figures(cards):
        png, pdf = (folder / file for file in figure_files(name))
        save(figure, png, pdf)
        files += [png, pdf]
        log.info("%s", name)
    remove_old(folder, [file for name in FIGURES for file in figure_files(name)], files)
    job.finish(arguments.card, files, {"cards": len(cards.cards), "files": len(files)})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    return run(STAGE, card_parser(STAGE, __doc__).parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
