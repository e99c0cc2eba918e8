"""What a rank asks of GPUs before it trains on them."""
