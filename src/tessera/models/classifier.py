"""A small convolutional classifier whose penultimate features stand in for Inception's.

Data sets of little images (digits) have no published feature extractor. This one is trained on
the data set's own training images; numbers computed over it carry its name (see
`tessera.metrics.names`). Four strided 3x3 convolutions, global average pooling, one linear map:
the same shape as the end of Inception-v3 (pool, then logits), so that the Fréchet distance reads
non-negative, spatially pooled features there as well.

Shapes: B batch, C image channels, H height, W width, D = `width`, K = `classes`.
"""

from dataclasses import dataclass

from torch import Tensor, nn

GROUPS = 4  # of every GroupNorm; no running statistics, so training and evaluation are one function


@dataclass(frozen=True)
class ClassifierConfig:
    """The size of a `Classifier`.

    Attributes:
        classes: number of classes K.
        channels: channels C of the images.
        width: dimension D of the features, a multiple of 16.
        image_size: height and width of the images in pixels, at least 16.
    """

    classes: int = 10
    channels: int = 3
    width: int = 64
    image_size: int = 32

    def __post_init__(self) -> None:
        """Refuses sizes that the network cannot have."""
        if self.width % 16 or self.width < 16:
            raise ValueError(f"width must be a positive multiple of 16, not {self.width}")
        if self.image_size < 16:
            raise ValueError(f"image_size must be at least 16, not {self.image_size}")
        if self.classes < 2 or self.channels < 1:
            raise ValueError("a classifier needs at least 2 classes and 1 channel")


class Classifier(nn.Module):
    """Images to features to logits."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.blocks = nn.Sequential(  # each halves the resolution
            _block(config.channels, width // 4),
            _block(width // 4, width // 2),
            _block(width // 2, width),
            _block(width, width),
        )
        self.head = nn.Linear(width, config.classes)

    def features(self, images_BCHW: Tensor) -> Tensor:
        """Penultimate features.

        Args:
            images_BCHW: float images in [0, 1], of the configured channels and size.

        Returns:
            Non-negative features [B, D].

        Raises:
            ValueError: the images have another shape.
        """
        config = self.config
        expected = (config.channels, config.image_size, config.image_size)
        if images_BCHW.ndim != 4 or tuple(images_BCHW.shape[1:]) != expected:
            raise ValueError(f"expected images [B, {expected}], got {tuple(images_BCHW.shape)}")
        return self.blocks(2 * images_BCHW - 1).mean(dim=(2, 3))  # [B, D]

    def logits(self, images_BCHW: Tensor) -> Tensor:
        """Class scores before the softmax, [B, K], for float images in [0, 1]."""
        return self.head(self.features(images_BCHW))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """The same as `logits`."""
        return self.logits(images_BCHW)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """A strided 3x3 convolution, group normalisation and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, stride=2, padding=1, bias=False),
        nn.GroupNorm(GROUPS, outputs),
        nn.ReLU(),
    )
