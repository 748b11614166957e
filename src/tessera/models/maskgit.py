"""Non-autoregressive transformer that fills in hidden codes.

Chang et al., "MaskGIT" (arXiv:2202.04200), in the form that DiGIT (arXiv:2410.12490) uses as an
alternative stage 2: full attention over [prefix][start or class, codes with some hidden]; the
output at a position predicts the code of that very position, and only hidden ones count.

Shapes: B batch, P prefix length, L codes of an image, V = vocabulary + 5 symbols.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tessera.models.decoder import Decoder
from tessera.models.decoder_config import MASK, DecoderConfig


@dataclass(frozen=True, kw_only=True)
class MaskGITConfig(DecoderConfig):
    """Sizes of a :class:`MaskGIT`."""


class MaskGIT(Decoder[MaskGITConfig]):
    """Decoder with full attention; see the module's description.

    Labels must be passed to a model with classes and a prefix to one with a prefix, and to no
    other: every method raises UserError otherwise, and for shapes that do not fit. Codes, labels
    and prefix are Long and lie on the model's device.
    """

    def forward(
        self,
        codes: Tensor,
        labels: Tensor | None = None,
        prefix: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """:meth:`loss`, under the name that wrappers for several devices hook into."""
        return self.loss(codes, labels, prefix, label_smoothing)

    def logits(
        self,
        codes: Tensor,
        hidden: Tensor,
        labels: Tensor | None = None,
        prefix: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, L, V] of the code at every position.

        Args:
            codes: [B, L], in 0..vocabulary-1; what stands at hidden positions does not matter.
            hidden: Bool [B, L], the positions the model does not see.
            labels: [B], in 0..classes-1.
            prefix: [B, P], in 0..prefix_vocabulary-1.
        """
        return self.project(self.code_states(codes, hidden, labels, prefix))

    def loss(
        self,
        codes: Tensor,
        labels: Tensor | None = None,
        prefix: Tensor | None = None,
        label_smoothing: float = 0.0,
        hidden: Tensor | None = None,
    ) -> Tensor:
        """Mean cross-entropy in nats over the hidden codes of the batch.

        Args:
            codes: [B, L].
            labels: [B].
            prefix: [B, P].
            label_smoothing: In [0, 1].
            hidden: Bool [B, L]; drawn by :func:`draw_hidden` if absent.
        """
        if hidden is None:
            hidden = draw_hidden(codes.shape[0], self.config.length, codes.device)
        x = self.code_states(codes, hidden, labels, prefix)
        return self.cross_entropy(x, self.ids(codes), label_smoothing, hidden)

    def code_states(
        self, codes: Tensor, hidden: Tensor, labels: Tensor | None, prefix: Tensor | None
    ) -> Tensor:
        """The residual stream [B, L, D] of the codes after the last block."""
        self.check_codes(codes)
        self.check(codes.shape[0], labels, prefix)
        ids = self.ids(codes).masked_fill(hidden, MASK)
        ids = torch.cat((self.start(codes.shape[0], labels), ids), dim=1)
        x = self.embed(ids, prefix).to(self.output.weight.dtype)
        return self.transform(x, causal=False)[:, self.config.prefix_length + 1 :]


def draw_hidden(batch: int, length: int, device: torch.device) -> Tensor:
    """Draw what a training step hides, from torch's global generator.

    An image hides min(L, floor(L cos(pi u / 2)) + 1) codes, u uniform in [0, 1), at uniformly
    random positions: MaskGIT's cosine schedule, never empty.

    Returns:
        Bool [batch, length], at least one True a row.
    """
    u = torch.rand(batch, 1, device=device)
    count = (length * torch.cos(math.pi / 2 * u)).floor().long() + 1  # [B, 1]
    order = torch.rand(batch, length, device=device).argsort(dim=1)
    return order < count  # `order` is a uniform permutation of 0..L-1; also right at count L + 1
