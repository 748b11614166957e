"""Mean-pooled hidden states of a frozen model: what linear probes read.

At full size (17 layers, 1.28 million images, width 1,024) they are 89 GB a view: too many to keep.
So they are kept where they are few, and made anew for each batch where they are many.

Shapes: L layers + 1 states, N images, V views, B batch, D width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from tessera.data.tokens import TokenSet
from tessera.models.gpt import GPT
from tessera.train.distributed import ALONE, Processes


def pooled_bytes(model: GPT, tokens: TokenSet, views: int | None = None) -> int:
    """Bytes of the float32 states of all images and views [L + 1, N, V, D].

    Args:
        model: the model.
        tokens: the images.
        views: views of each that count; None takes all.
    """
    views = tokens.codes.shape[1] if views is None else views
    return 4 * (model.config.layers + 1) * len(tokens) * views * model.config.width


class PooledStates:
    """States of the images of one token set, by image and view.

    Args:
        model: frozen, in evaluation mode; probes read it without the class.
        tokens: on the model's device.
        chunk: images that pass through the model at once; changes results by rounding alone.
        autocast: arithmetic of the model; None is that of its weights.
        keep: compute all states of all views now and keep them beside the tokens.
        views: views of each image that are read, the first ones; None takes all.
        processes: those that share the model's work; each of them gets all states that it asks for,
            and they ask together.
    """

    def __init__(
        self,
        model: GPT,
        tokens: TokenSet,
        chunk: int,
        autocast: torch.dtype | None = None,
        keep: bool = False,
        views: int | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.model, self.tokens, self.chunk, self.autocast = model, tokens, chunk, autocast
        self.processes = processes
        self.kept_LNVD: Tensor | None = None
        if keep:
            views = tokens.codes.shape[1] if views is None else views
            shape = (model.config.layers + 1, len(tokens), views, model.config.width)
            kept_LNVD = torch.empty(shape, device=tokens.codes.device)
            for images in torch.arange(len(tokens)).split(chunk):
                for view in range(views):
                    kept_LNVD[:, images, view] = self(images, torch.full_like(images, view))
            self.kept_LNVD = kept_LNVD

    @torch.no_grad()  # not inference mode: the probes differentiate through products with them
    def __call__(self, images: Tensor, views: Tensor) -> Tensor:
        """The states of some images.

        Args:
            images: long [B], their places in the set.
            views: long [B], the view of each.

        Returns:
            float32 [L + 1, B, D], on the tokens' device: the embedding, then each block's output.
        """
        device = self.tokens.codes.device
        images, views = images.to(device), views.to(device)
        if self.kept_LNVD is not None:
            return self.kept_LNVD[:, images, views]
        config, count = self.model.config, len(images)
        mine = torch.tensor(self.processes.share(range(count)), device=device, dtype=torch.long)
        pieces = [torch.empty(config.layers + 1, 0, config.width, device=device)]
        for places in mine.split(self.chunk) if len(mine) else ():  # fewer images than processes
            with torch.autocast(device.type, self.autocast, enabled=self.autocast is not None):
                codes = self.tokens.codes[images[places], views[places]].long()
                pieces.append(self.model.hidden_states(codes).float())
        return self.processes.join_columns(torch.cat(pieces, dim=1), mine, count)

    def batches(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The first view of every image: states [L + 1, B, D] and labels [B], in order."""
        for images in torch.arange(len(self.tokens)).split(batch):
            yield self(images, torch.zeros_like(images)), self.tokens.labels[images]
