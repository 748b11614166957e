"""Whether the results are what their cards say, and how damaged ones are made again alone."""
