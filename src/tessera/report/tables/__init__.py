"""Cards → tables; `build` makes all of them."""
