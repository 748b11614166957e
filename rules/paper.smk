# Cards → tables and figures.
