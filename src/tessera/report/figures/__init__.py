"""Cards → figures; `draw` makes all of them."""
