"""Input from disk within one rank: pixels against Pillow's, shards of every replica count, and nothing that grows."""

from __future__ import annotations

import gc
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from batchscale.benchmarks import data
from batchscale.benchmarks.data import epoch_order
from batchscale.benchmarks.data.disk import augmentation, write_images
from batchscale.benchmarks.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

    from batchscale.benchmarks.rank.feeds.disk import DiskFeed
    from batchscale.benchmarks.rank.feeds.image_decoding import central_window, decoder, random_window
    from batchscale.benchmarks.rank.feeds.image_pipeline import DecodedInputs, ImagePipeline
    from batchscale.benchmarks.rank.strategies.base import Strategy

pytestmark = pytest.mark.launched
EXAMPLES, BATCH = 400, 48
STEPS = EXAMPLES // BATCH


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """TensorFlow is imported when the first test of this file runs, not when any test is collected."""
    global tf, DiskFeed, central_window, decoder, random_window, DecodedInputs, ImagePipeline, Strategy
    import tensorflow as tf

    from batchscale.benchmarks.rank.feeds.disk import DiskFeed
    from batchscale.benchmarks.rank.feeds.image_decoding import central_window, decoder, random_window
    from batchscale.benchmarks.rank.feeds.image_pipeline import DecodedInputs, ImagePipeline
    from batchscale.benchmarks.rank.strategies.base import Strategy


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATCHSCALE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def pixels() -> npt.NDArray[np.uint8]:
    return np.asarray(np.round(data.load("digits").train_x[:EXAMPLES] * 255), np.uint8)


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data") / "records"
    return write_images.write(folder, data.load("digits"), EXAMPLES, "tfrecord", "png", files=3)


def one_of(rank: int, size: int) -> Strategy:
    """Rank `rank` of `size`, without the others."""
    strategy = Strategy()
    strategy.rank, strategy.size, strategy.replicas = rank, size, size
    return strategy


def feed(name: str, strategy: Strategy | None = None) -> DiskFeed:
    loaded: Any = data.load(name)
    return DiskFeed(loaded.train_x, loaded.train_y, strategy or Strategy(), "float32")


def epoch(own: DiskFeed, number: int, seed: int = 7, base: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """x [steps, share, ...] and y of one epoch."""
    own.set_order(epoch_order(seed, number, EXAMPLES), base, (seed, number))
    x, y = zip(*((x.numpy(), y.numpy()) for x, y, *_ in own.parts(base, base + STEPS, BATCH)))
    return np.stack(x), np.stack(y)


def encoded(image: npt.NDArray[np.uint8], kind: str) -> bytes:
    written = io.BytesIO()
    Image.fromarray(image).save(written, kind)
    return written.getvalue()


# Pixels

def test_an_image_of_the_size_is_what_pillow_decodes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    decode = decoder((20, 30, 3), (), "float64")
    found = decode(encoded(image, "PNG"), tf.zeros(augmentation.DRAWS)).numpy()
    assert found.dtype == np.float64
    assert np.array_equal(found, np.divide(image, np.float32(255), dtype=np.float32))
    jpeg = encoded(image, "JPEG")
    by_pillow = np.asarray(Image.open(io.BytesIO(jpeg)), np.float64) / 255
    assert np.abs(decode(jpeg, tf.zeros(augmentation.DRAWS)).numpy() - by_pillow).mean() < 0.01


def test_grey_images_can_be_asked_for_as_colour_and_the_other_way_round() -> None:
    image = np.arange(100, dtype=np.uint8).reshape(10, 10)
    colour = decoder((10, 10, 3), (), "float32")(encoded(image, "PNG"), tf.zeros(augmentation.DRAWS)).numpy()
    assert np.array_equal(colour, np.repeat((image / np.float32(255))[..., None], 3, axis=2))
    assert decoder((10, 10, 1), (), "float32")(encoded(np.stack([image] * 3, -1), "JPEG"),
                                               tf.zeros(augmentation.DRAWS)).shape == (10, 10, 1)


def test_a_larger_image_is_cut_to_its_middle_and_resized_as_pillow_does() -> None:
    """256 x 512 to 224 x 224: the middle 224 x 224, not resized at all; 512 x 512: the middle 448 x 448, halved."""
    image = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    decode = decoder((224, 224, 3), (), "float32")
    found = decode(encoded(image[:256], "PNG"), tf.zeros(augmentation.DRAWS)).numpy()
    assert np.array_equal(found, image[16:240, 144:368] / np.float32(255))
    halved = Image.fromarray(image[32:480, 32:480]).resize((224, 224), Image.Resampling.BILINEAR)
    found = decode(encoded(image, "PNG"), tf.zeros(augmentation.DRAWS)).numpy()
    assert np.abs(found * 255 - np.asarray(halved, np.float32)).max() <= 1.0  # Pillow rounds to whole numbers


@pytest.mark.parametrize(("sides", "expected"), [
    ((256, 256), (16, 16, 224, 224)), ((256, 512), (16, 144, 224, 224)), ((512, 256), (144, 16, 224, 224)),
    ((100, 100), (6, 6, 88, 88)), ((1, 1), (0, 0, 1, 1)),
])
def test_the_middle_is_224_of_256(sides: tuple[int, int], expected: tuple[int, ...]) -> None:
    assert tuple(central_window(tf.constant(sides), 224, 224).numpy()) == expected


def crop(sides: tuple[int, int], draws: npt.NDArray[np.float32]) -> tuple[int, ...]:
    """A second derivation, in numpy."""
    rows, columns = sides
    for area, aspect in draws[3:].reshape(-1, 2).astype(np.float64):
        area, ratio = (0.08 + 0.92 * area) * rows * columns, 0.75 * (16 / 9) ** aspect
        height, width = round(np.sqrt(area / ratio)), round(np.sqrt(area * ratio))
        if 0 < height <= rows and 0 < width <= columns:
            return (int(draws[1] * (rows - height + 1)), int(draws[2] * (columns - width + 1)), height, width)
    side = min(sides)
    return ((rows - side) // 2, (columns - side) // 2, side, side)


@pytest.mark.parametrize("sides", [(300, 400), (400, 300), (60, 800), (8, 8), (1, 1)])
def test_a_random_crop_is_the_first_try_that_fits(sides: tuple[int, int]) -> None:
    draws = augmentation.draws(1, 0, np.arange(60))
    found = np.array([random_window(tf.constant(sides), draws[i]).numpy() for i in range(len(draws))])
    expected = np.array([crop(sides, draw) for draw in draws])
    assert np.abs(found - expected).max() <= 1 and (found == expected).mean() > 0.98  # float32 against float64
    assert (found[:, :2] >= 0).all() and (found[:, :2] + found[:, 2:] <= sides).all()


def test_half_of_the_images_are_mirrored() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    decode = tf.function(decoder((8, 8, 1), ("flip",), "float32"))
    draws = augmentation.draws(0, 0, np.arange(200))
    found = [decode(encoded(image, "PNG"), draw).numpy()[..., 0] * 255 for draw in draws]
    mirrored = [np.array_equal(np.round(f), image[:, ::-1]) for f in found]
    assert mirrored == [bool(draw[0] < 0.5) for draw in draws] and 70 < sum(mirrored) < 130
    assert all(np.array_equal(np.round(f), image) for f, m in zip(found, mirrored) if not m)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    """A JPEG header that says 65,000 x 65,000."""
    small = encoded(np.zeros((8, 8), np.uint8), "JPEG")
    at = small.index(b"\xff\xc0") + 5
    huge = small[:at] + (65_000).to_bytes(2, "big") * 2 + small[at + 4:]
    with pytest.raises(tf.errors.InvalidArgumentError, match="too many pixels"):
        decoder((8, 8, 1), (), "float32")(huge, tf.zeros(augmentation.DRAWS))


# The law: one order, whoever trains

@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_shards_are_disjoint_and_complete_and_in_the_one_order(name: str, pixels: npt.NDArray[np.uint8],
                                                               ranks: int) -> None:
    shards = [epoch(feed(name, one_of(rank, ranks)), 3)[0] for rank in range(ranks)]
    together = np.concatenate(shards, axis=1).reshape(-1, 8, 8, 1)
    order = epoch_order(7, 3, EXAMPLES)[:STEPS * BATCH]
    assert np.array_equal(together, np.divide(pixels[order], np.float32(255), dtype=np.float32))


def test_an_augmented_example_is_the_same_on_whatever_rank_and_another_in_every_epoch(name: str) -> None:
    name = f"{name},augment=flip,crop"
    alone, labels = epoch(feed(name), 0)
    shards = [epoch(feed(name, one_of(rank, 2)), 0)[0] for rank in range(2)]
    assert np.array_equal(alone, np.concatenate(shards, axis=1))
    plain = data.load(name).train_y[epoch_order(7, 0, EXAMPLES)[:STEPS * BATCH]]
    assert np.array_equal(labels.ravel(), plain)
    again, other = epoch(feed(name), 0)[0], epoch(feed(name), 0, seed=8)[0]
    assert np.array_equal(alone, again) and not np.array_equal(alone, other)
    order, later = (epoch_order(7, number, EXAMPLES) for number in (0, 1))
    second = epoch(feed(name), 1)[0].reshape(-1, 8, 8, 1)
    first = alone.reshape(-1, 8, 8, 1)[np.flatnonzero(order[:STEPS * BATCH] == later[0])]
    assert not len(first) or not np.array_equal(first[0], second[0])


def test_the_split_does_not_change_how_an_example_is_augmented(name: str) -> None:
    name = f"{name},augment=flip,crop"
    split: Any = data.split(data.load(name), 0.25, 10)
    own = DiskFeed(split.train[0], split.train[1], Strategy(), "float32")
    own.set_order(np.arange(300, dtype=np.int32), 0, (7, 0))
    some = next(iter(own.parts(0, 1, BATCH)))[0].numpy()
    whole = feed(name)
    whole.set_order(split.train[0].number[:BATCH], 0, (7, 0))
    assert np.array_equal(some, next(iter(whole.parts(0, 1, BATCH)))[0].numpy())


@pytest.mark.parametrize("ahead", [False, True])
def test_windows_go_on_where_the_last_one_ended_and_round_again(name: str, ahead: bool) -> None:
    own, other = feed(name), feed(name)
    own.ahead = ahead  # as beside GPUs: the next step's examples are sent before a step begins
    expected, _ = epoch(other, 2)
    own.set_order(epoch_order(7, 2, EXAMPLES), 10, (7, 2))
    parts = [part for start, stop in ((10, 13), (13, 14), (14, 30)) for part in own.parts(start, stop, BATCH)]
    found = np.stack([part[0].numpy() for part in parts])
    assert np.array_equal(found, np.concatenate([expected] * 3)[:20])
    assert [(part[3], part[4], part[5]) for part in parts[:2]] == [(10, 11, 10), (11, 12, 11)]
    again = next(iter(own.parts(10, 11, BATCH)))  # not the next one: it begins anew
    assert np.array_equal(again[0].numpy(), expected[0])


def test_a_batch_of_more_than_all_examples_has_some_of_them_again(name: str) -> None:
    own = feed(name)
    for order in (epoch_order(7, 0, EXAMPLES), epoch_order(7, 0, EXAMPLES, 600)):
        own.set_order(order, 0, (7, 0))
        x, y, *_ = next(iter(own.parts(0, 1, 600)))
        assert np.array_equal(y.numpy(), data.load(name).train_y[np.resize(epoch_order(7, 0, EXAMPLES), 600)])


def test_the_same_order_once_more_does_not_begin_anew(name: str) -> None:
    own = feed(name)
    own.set_order(epoch_order(7, 0, EXAMPLES), 0, (7, 0))
    list(own.parts(0, 2, BATCH))
    open_before = own._open
    own.set_order(epoch_order(7, 0, EXAMPLES), 0, (7, 0))
    list(own.parts(2, 3, BATCH))
    assert own._open is open_before
    own.set_order(epoch_order(7, 1, EXAMPLES), 0, (7, 1))
    assert own._open is None


def test_rows_are_decoded_when_they_are_asked_for(name: str, pixels: npt.NDArray[np.uint8]) -> None:
    loaded: Any = data.load(name)
    inputs = DecodedInputs(ImagePipeline(loaded.train_x, loaded.train_y, "float32"))
    rows = np.array([399, 0, 17, 17])
    assert len(inputs) == EXAMPLES
    assert np.array_equal(inputs[rows], np.divide(pixels[rows], np.float32(255), dtype=np.float32))


# What goes wrong, and what must not grow

def test_a_damaged_image_is_named_wherever_it_is_met(tmp_path: Path) -> None:
    made = write_images.write(tmp_path / "images", data.load("digits"), EXAMPLES, "folder", "png")
    loaded: Any = data.load(made)
    damaged = loaded.train_x.path(100)
    content = Path(damaged).read_bytes()
    Path(damaged).write_bytes(content[:len(content) // 2])
    own = DiskFeed(loaded.train_x, loaded.train_y, Strategy(), "float32")
    with pytest.raises(DataError) as raised:
        epoch(own, 0)
    assert damaged in str(raised.value) and "cannot be decoded" in str(raised.value)
    Path(damaged).unlink()
    with pytest.raises(DataError, match="No such file"):
        epoch(own, 1)
    with pytest.raises(DataError, match="No such file"):
        ImagePipeline(loaded.train_x, loaded.train_y, "float32").decoded(np.arange(90, 110))
    Path(damaged).write_bytes(content)
    epoch(own, 2)


def counted() -> tuple[int, int]:
    """Threads and open files of this process, the fewest within two seconds: a pipeline's end a moment after it."""
    gc.collect()
    found = []
    for _ in range(20):
        found.append((len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))))
        time.sleep(0.1)
    return min(threads for threads, _ in found), min(files for _, files in found)


@pytest.mark.slow
def test_threads_files_and_memory_do_not_grow_with_epochs_and_feeds(name: str) -> None:
    for number in range(3):
        epoch(feed(name), number)
    before, resident = counted(), resident_bytes()
    own = feed(name)
    for number in range(20):
        epoch(own, number)
    del own
    for _ in range(5):
        epoch(feed(name), 0)
    threads, files = counted()
    # One left by each of the 25 epochs would be 25; TensorFlow's own pools may grow by a few.
    assert threads < before[0] + 12 and files < before[1] + 12
    assert resident_bytes() - resident < 64 * 1024**2


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
