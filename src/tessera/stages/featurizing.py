"""Features and tokens of pixels that are on the device already, by a frozen encoder."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tessera.models.encoders import Encoder, preprocess
from tessera.quantize.assign import nearest
from tessera.quantize.workers import each

Tokenizer = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Images [B, 3, H, W], see `unit`, → tokens Long [B, T] and embeddings [B, T, d]."""


def unit(images: Tensor) -> Tensor:
    """Images in [0, 1]: those of type uint8 are divided by 255, others are so already."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def image_by_image(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The function's result for a batch; on a CPU each thread computes some of the images.

    A ViT-B is so 13 % faster on two cores than with all threads in each product: nobody waits at
    the end of each, and what threads that decode take from one is not lost to all.

    Args:
        function: [B, ...] → [B, ...], of each image by itself, in any thread.
        images: [B, ...].
    """
    threads = torch.get_num_threads()
    if images.is_cuda or threads == 1 or len(images) < 2 * threads:
        return function(images)
    return torch.cat(each(function, images.split(-(-len(images) // threads))))


def products_in_bfloat16(encoder: Encoder) -> None:
    """Keeps the weights of an encoder's products in bfloat16 from now on.

    Autocast would round them to the same numbers for each batch, and on a CPU in each thread.
    """
    assert isinstance(encoder, nn.Module)
    for module in encoder.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.to(torch.bfloat16)


class Featurizer:
    """A frozen encoder, and what is read of it.

    Args:
        encoder: the encoder, on the device.
        device: where it is.
        layer: block whose output is read, counted from the end.
        final_norm: the encoder's last norm follows that block.
        input_size: side that images are resized to, pixels; None leaves them.
        bfloat16: the encoder's products are made in bfloat16, else in float32; faster where
            `products_in_bfloat16` keeps their weights so.

    Attributes:
        width: channels of a feature.
    """

    def __init__(
        self,
        encoder: Encoder,
        device: str,
        *,
        layer: int = 1,
        final_norm: bool = True,
        input_size: int | None = None,
        bfloat16: bool = False,
    ) -> None:
        self.encoder, self.device, self.width = encoder, device, encoder.width
        self._layer, self._final_norm = layer, final_norm
        self._input_size, self._bfloat16 = input_size, bfloat16
        # On the device once: a copy for each batch would make it wait.
        self._mean = torch.tensor(encoder.mean, device=device)
        self._std = torch.tensor(encoder.std, device=device)

    def grid(self, size: int) -> tuple[int, int]:
        """Tokens of a square crop of `size` pixels, down and across."""
        side = self._input_size or size
        return self.encoder.grid(side, side)

    def __call__(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W], see `unit` → float32 features [B, T, width]."""
        return image_by_image(self._features, images.to(self.device))

    @torch.inference_mode()
    def _features(self, images: Tensor) -> Tensor:
        inputs = preprocess(unit(images), self._mean, self._std, self._input_size)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._bfloat16):
            features = self.encoder.features(inputs, self._layer, self._final_norm)
        return features.float()


def codebook_tokenizer(featurizer: Featurizer, centroids: Tensor) -> Tokenizer:
    """Semantic tokens: the nearest centroid of each patch feature.

    Args:
        featurizer: what makes the features.
        centroids: float32 [K, width], on its device.
    """

    @torch.inference_mode()
    def tokenize(images: Tensor) -> tuple[Tensor, Tensor]:
        features = featurizer(images)  # [B, T, d]
        return nearest(features.flatten(0, 1), centroids).view(features.shape[:2]), features

    return tokenize
