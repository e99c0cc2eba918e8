"""A user's own training looked at from within: what its `fit` is given, and what a few of its steps do."""
