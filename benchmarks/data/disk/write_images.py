"""Writes the examples of a data set as JPEG or PNG files, to try input from disk without a download.

    python -m batchscale.benchmarks.data.disk.write_images --to /tmp/glyphs --from glyphs --examples 2000 \\
        --format tfrecord
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...errors import EXIT_OK, BatchscaleError, DataError
from ..dataset import Dataset
from ..registry import load
from .tfrecord_format import IMAGE, LABEL, TEXT, framed, message

FORMATS = ("tfrecord", "folder")
ENCODINGS = ("jpeg", "png")
TEST_SHARE = 4  # one test image to every four for training

Encoded = Iterator[tuple[bytes, int]]
Encode = Callable[[npt.NDArray[np.float32]], bytes]


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m batchscale.benchmarks.data.disk.write_images", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="a folder that is not there yet, or is empty")
    parser.add_argument("--from", dest="dataset", default="glyphs", help="a data set of images (default: glyphs)")
    parser.add_argument("--examples", type=int, default=2000, help="training images; a quarter as many for testing")
    parser.add_argument("--format", choices=FORMATS, default="tfrecord")
    parser.add_argument("--encoding", choices=ENCODINGS, default="jpeg", help="png keeps every pixel as it is")
    parser.add_argument("--size", default="", help="enlarge the images, as in 256x256")
    parser.add_argument("--files", type=int, default=4, help="training files of the format tfrecord")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Write the image files that the command line asks for; return the exit status."""
    given = arguments(words)
    try:
        name = write(given.to, load(given.dataset), given.examples, given.format, given.encoding, given.size,
                     given.files)
    except BatchscaleError as error:
        print(f"write_images: {error}", file=sys.stderr)
        return error.exit_code
    print(f"written; in a plan: dataset = \"{name}\"")
    return EXIT_OK


def write(folder: Path, dataset: Dataset, examples: int, layout: str = "tfrecord", encoding: str = "jpeg",
          size: str = "", files: int = 4) -> str:
    """Write the first `examples` training images and a quarter as many test images; return the name for a plan.

    Raises DataError.
    """
    height, width, channels = _shape(dataset, size)
    if not 1 <= files <= examples <= len(dataset.train_y):
        raise DataError(f"--examples {examples} must be from the number of files, {files}, to the "
                        f"{len(dataset.train_y):,} training examples of {dataset.name}.")
    tested = min(len(dataset.test_y), max(1, examples // TEST_SHARE))
    if missing := set(dataset.train_y[:examples].tolist()) ^ set(dataset.test_y[:tested].tolist()):
        raise DataError(f"--examples {examples}: the class {min(missing)} is not among both the first {examples:,} "
                        f"training and the first {tested:,} test examples of {dataset.name}; take more.")
    encode = _encoder(encoding, (width, height))
    train = ((encode(x), int(y)) for x, y in zip(dataset.train_x[:examples], dataset.train_y))
    test = ((encode(x), int(y)) for x, y in zip(dataset.test_x[:tested], dataset.test_y))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DataError(f"{folder} is not empty; choose another folder, or empty it.")
        if layout == "tfrecord":
            _write_records(folder, "train", train, examples, files)
            _write_records(folder, "validation", test, tested, 1)
        else:
            _write_folder(folder / "train", train, encoding)
            _write_folder(folder / "test", test, encoding)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror}.") from None
    scheme = "tfrecord" if layout == "tfrecord" else "images"
    return f"{scheme}:{folder},size={height}x{width}" + ("x1" if channels == 1 else "")


def _shape(dataset: Dataset, size: str) -> tuple[int, int, int]:
    shape = dataset.input_shape
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise DataError(f"{dataset.name} has examples of shape {shape}; only images of 1 or 3 channels can be written.")
    sides = size.split("x") if size else [str(side) for side in shape[:2]]
    if len(sides) != 2 or not all(side.isdecimal() and 0 < int(side[:6]) <= 4096 for side in sides):
        raise DataError(f"--size {size} must be HEIGHTxWIDTH, at most 4096 each, as in 256x256.")
    return int(sides[0]), int(sides[1]), int(shape[2])


def _encoder(encoding: str, size: tuple[int, int]) -> Encode:
    def encode(x: npt.NDArray[np.float32]) -> bytes:
        pixels = np.round(np.clip(x, 0, 1) * 255).astype(np.uint8)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        image = image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
        written = io.BytesIO()
        image.save(written, encoding.upper(), **({"quality": 92} if encoding == "jpeg" else {}))
        return written.getvalue()
    return encode


def _write_records(folder: Path, part: str, images: Encoded, count: int, files: int) -> None:
    """Write TFRecord files whose labels begin at 1, as ImageNet's do."""
    bounds = [count * number // files for number in range(files + 1)]
    for number, (first, last) in enumerate(zip(bounds, bounds[1:])):
        with (folder / f"{part}-{number:05}-of-{files:05}").open("wb") as file:
            for _ in range(first, last):
                encoded, label = next(images)
                file.write(framed(message({IMAGE: encoded, LABEL: label + 1, TEXT: f"class {label}".encode()})))


def _write_folder(folder: Path, images: Encoded, encoding: str) -> None:
    for number, (encoded, label) in enumerate(images):
        own = folder / f"class_{label:04}"
        own.mkdir(parents=True, exist_ok=True)
        (own / f"{number:07}.{'jpg' if encoding == 'jpeg' else 'png'}").write_bytes(encoded)


if __name__ == "__main__":
    sys.exit(main())
