"""Findings about what `compile` and `fit` are given, whatever the number of replicas."""

from __future__ import annotations

from collections.abc import Iterator

from ...benchmarks.text import percent
from .finding import Finding, NOTE, Seen

MOST_DROPPED = 0.05  # of an epoch's examples, before it is a fault
MOST_SHARED = 0.01  # of the validation examples; a few twins are in most data sets


def findings(seen: Seen) -> Iterator[Finding]:
    """Yield what the lone process shows."""
    yield from _numbers(seen)
    yield from _loss(seen)
    yield from _labels(seen)
    yield from _validation(seen)
    yield from _order(seen)
    yield from _last_batch(seen)
    yield from _accumulation(seen)


def _numbers(seen: Seen) -> Iterator[Finding]:
    one = seen.alone
    if one.bad_inputs or one.bad_targets:
        what = " and ".join(f"{count:,} {name}" for count, name in ((one.bad_inputs, "inputs"),
                                                                    (one.bad_targets, "targets")) if count)
        yield Finding("non-finite-data", f"{what} hold values that are no finite numbers",
                      f"all examples were looked at; the first is example {one.first_bad}",
                      "one such example makes loss and all weights NaN, and nothing is learned from then on",
                      "drop or mend these examples before fit, and ask why they are there")
    elif one.bad_step is not None:
        yield Finding("non-finite-step", f"the loss or a weight is no finite number after step {one.bad_step + 1}",
                      f"the first {len(one.losses)} steps were taken on one replica; the losses were "
                      f"{', '.join('NaN' if loss is None else f'{loss:.4g}' for loss in one.losses[:6])}",
                      "nothing is learned from that step on", "lower the learning rate, clip the gradient "
                      "(clipnorm=1.0), and look for log(0) or a division by 0 in the model and its loss")


def _loss(seen: Seen) -> Iterator[Finding]:
    one = seen.alone
    if one.from_logits and one.ending in ("softmax", "sigmoid"):
        yield Finding("softmax-twice", f"the model ends in a {one.ending}, and its loss {one.loss} takes logits",
                      f"a {one.ending} is the last operation, or what the outputs look like, and the loss has "
                      "from_logits=True",
                      "the loss applies softmax once more, so gradients are small and the loss cannot come near 0: the "
                      "model learns slowly, if at all", "take the activation off the last layer, or from_logits=True "
                      "off the loss")
    elif one.from_logits is False and one.probabilities is False:
        yield Finding("logits-as-probabilities", f"the model gives logits, and its loss {one.loss} takes probabilities",
                      "outputs for 8 examples are no probabilities (below 0, above 1, or not adding up to 1), and the "
                      "loss has from_logits=False", "Keras clips what is outside of 0 to 1, whose gradient is 0: many "
                      "examples teach nothing, and the loss has no meaning",
                      f"give the loss from_logits=True, or the last layer activation="
                      f"\"{'sigmoid' if one.classes == 1 else 'softmax'}\"")


def _labels(seen: Seen) -> Iterator[Finding]:
    one = seen.alone
    if one.label_low is None or one.label_high is None or one.classes is None:
        return
    high = one.classes - 1 if one.sparse else 1 if one.loss.lower().replace("_", "") == "binarycrossentropy" else None
    if high is not None and (one.label_low < 0 or one.label_high > high):
        yield Finding("labels-out-of-range", f"labels go from {one.label_low:g} to {one.label_high:g}, and the model "
                      f"has outputs for 0 to {high}", "the least and the greatest label, beside the model's last axis",
                      "on a GPU the loss of such an example is NaN or 0 without an error, on a CPU the step fails: "
                      "classes are never learned", "number the classes from 0, or give the last layer "
                      f"{int(one.label_high) + 1} units")


def _validation(seen: Seen) -> Iterator[Finding]:
    one = seen.alone
    if one.validation_examples and one.shared > MOST_SHARED * one.validation_examples:
        yield Finding("validation-is-trained-on", f"{one.shared:,} of {one.validation_examples:,} validation examples "
                      "are trained on", "the inputs of both were compared byte by byte",
                      "validation accuracy is too high by what was memorized, and chooses the wrong epoch and settings",
                      "split before anything is repeated, augmented or shuffled anew, and keep the parts apart")


def _order(seen: Seen) -> Iterator[Finding]:
    one = seen.alone
    if one.same_order:
        seeded = one.arrays and not one.shuffles_nothing
        fix = ("keras.utils.set_random_seed and tf.random.set_seed fix the order of fit's own shuffling too: seed the "
               "layers' initializers instead, or give fit a tf.data pipeline that shuffles anew") if seeded else (
                   "leave out shuffle=False; of tf.data, shuffle(len, reshuffle_each_iteration=True) after cache() and "
                   "before batch()")
        yield Finding("same-order-every-epoch", "every epoch sees its examples in the same order and batches"
                      + (", that of the arrays" if one.shuffles_nothing else ""),
                      "two epochs were gone through as fit does, and their orders compared",
                      "each batch holds the same examples for ever: its noise repeats, which costs accuracy, "
                      "most with sorted labels and with batch normalization", fix)


def _last_batch(seen: Seen) -> Iterator[Finding]:
    one = seen.alone
    if not one.batch or not one.examples or one.seen is None:
        return
    lost = one.examples - one.seen
    if lost > MOST_DROPPED * one.examples:
        yield Finding("examples-left-out", f"an epoch leaves out {lost:,} of {one.examples:,} examples "
                      f"({percent(lost / one.examples)})", "the examples of an epoch were counted as fit goes through "
                      "them", "the model is trained for fewer steps than its epochs say, and what goes by epochs "
                      "comes early", "give steps_per_epoch the whole number of batches, or leave it out")
    part = one.seen % one.batch
    if part:
        yield Finding("last-batch-smaller", f"the last batch of an epoch has {part:,} examples in place of "
                      f"{one.batch:,}", "examples of an epoch over the batch", "its mean gradient counts as much as a "
                      "whole batch's: its examples weigh more, which is of no account but in small data sets",
                      "drop_remainder=True where exact batches matter, such as for timing", NOTE)


def _accumulation(seen: Seen) -> Iterator[Finding]:
    one = seen.alone
    if one.accumulation > 1 and one.batch and one.seen:
        steps = -(-one.seen // one.batch)
        left = steps % one.accumulation
        if left:
            yield Finding("accumulation-over-the-epoch", f"gradients of {one.accumulation} batches make an update, and "
                          f"an epoch has {steps:,}: the last {left} wait for the next epoch",
                          "gradient_accumulation_steps and the batches of an epoch",
                          "an update then mixes two epochs, and what is left at the very end is never applied",
                          f"choose a batch or steps_per_epoch of which {one.accumulation} is a divisor", NOTE)
