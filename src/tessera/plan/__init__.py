"""What a run costs, by arithmetic, before it starts."""
