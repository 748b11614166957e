"""What runs again, and why."""
