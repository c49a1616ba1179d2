"""A module whose globals others set."""
