"""Images beside each other as one picture, and which pictures a report shows."""
