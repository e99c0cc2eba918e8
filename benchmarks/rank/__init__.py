"""One rank of a run: the only code here that imports TensorFlow."""
