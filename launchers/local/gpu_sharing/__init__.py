"""Several accuracy runs on one GPU at a time, where that is measured to train more of them an hour."""
