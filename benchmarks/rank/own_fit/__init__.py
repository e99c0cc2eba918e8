"""People's own `fit`, under whichever strategy: what beside it is recorded."""
