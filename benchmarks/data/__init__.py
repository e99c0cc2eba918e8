"""Data sets, their split and their order, in numpy alone."""

from .dataset import Dataset, DataSize
from .order import epoch_order, replica_examples, replica_slice
from .registry import absent, describe_size, is_users_code, load, train_examples
from .splitting import Split, split, split_sizes
from .user_function import from_function, import_function

__all__ = ["DataSize", "Dataset", "Split", "absent", "describe_size", "epoch_order", "from_function",
           "import_function", "is_users_code", "load", "replica_examples", "replica_slice", "split", "split_sizes",
           "train_examples"]
