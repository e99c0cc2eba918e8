"""The audit of a user's own training: it is started alone and together, and what both did is judged."""
