"""Cards → tables, figures and grids of samples."""
