"""Speed and memory of what tessera does, each beside the limit of the machine it ran on."""
