"""Floating-point operations of one forward pass, counted from the static shapes of the graph.

TensorFlow's own profiler skips Einsum, and with it attention. Here matrix products, convolutions and Einsum count 2 per
multiply-add and other arithmetic 1 per element, whatever a transcendental function costs. What is neither counted nor
known to do no arithmetic is named, so that a figure which misses something says so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from ...data.arrays import Arrays, each

FREE = frozenset((
    "Placeholder", "Const", "Identity", "IdentityN", "NoOp", "ReadVariableOp", "StopGradient", "Cast", "Shape", "Rank",
    "Size", "Reshape", "Squeeze", "ExpandDims", "Transpose", "Pack", "Unpack", "Concat", "ConcatV2", "Split", "SplitV",
    "Slice", "StridedSlice", "Pad", "PadV2", "MirrorPad", "Tile", "BroadcastTo", "Fill", "ZerosLike", "OnesLike",
    "Range", "Gather", "GatherV2", "GatherNd", "ResourceGather", "OneHot", "ReverseV2", "SpaceToBatchND",
    "BatchToSpaceND", "SpaceToDepth", "DepthToSpace", "ResizeNearestNeighbor", "MatrixBandPart", "Assert",
    "BroadcastArgs", "PreventGradient", "Snapshot", "EnsureShape"))
PER_ELEMENT = frozenset((
    "Add", "AddV2", "AddN", "Sub", "Mul", "Div", "RealDiv", "DivNoNan", "FloorDiv", "FloorMod", "Maximum", "Minimum",
    "Pow", "SquaredDifference", "BiasAdd", "Neg", "Abs", "Sign", "Square", "Sqrt", "Rsqrt", "Reciprocal", "Inv", "Exp",
    "Expm1", "Log", "Log1p", "Erf", "Erfc", "Tanh", "Sin", "Cos", "Sigmoid", "Relu", "Relu6", "LeakyRelu", "Elu",
    "Selu", "Softplus", "Softsign", "Floor", "Round", "Select", "SelectV2", "Equal", "NotEqual", "Less", "LessEqual",
    "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr", "LogicalNot", "ClipByValue"))
REDUCTIONS = frozenset(("Sum", "Mean", "Max", "Min", "Prod", "All", "Any", "ArgMax", "Cumsum"))
CALLS = ("PartitionedCall", "StatefulPartitionedCall")

Shape = tuple[int, ...]


def forward_flops(model: Any, example: Arrays) -> tuple[int | None, list[str]]:
    """Return the operations on one example, None where none was counted, and the kinds that were not counted.

    Each kind of operation comes with how often it occurs. `example`: a batch of at least 1.
    """
    total, missed = count(forward(model, example).graph)
    return total or None, missed


def forward(model: Any, example: Arrays) -> Any:
    """Return the model's inference on one example as a concrete function. `example`: a batch of at least 1."""
    import tensorflow as tf
    spec = each(lambda values: tf.TensorSpec((1, *values.shape[1:]), values.dtype), example)
    return tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(spec)


def count(graph: Any) -> tuple[int, list[str]]:
    """Return the operations of the whole graph, and the kinds that were not counted with how often each occurs."""
    total, missed = 0, Counter[str]()
    for operation in operations(graph):
        found = operation_flops(operation)
        if found is None:
            missed[operation.type] += 1
        else:
            total += found
    return total, [f"{kind} ({times})" for kind, times in sorted(missed.items())]


def operations(graph: Any) -> Iterator[Any]:
    """Yield the operations of the graph and of the functions that it calls, without the calls."""
    for operation in graph.get_operations():
        if operation.type in CALLS:
            yield from operations(graph._get_function(operation.get_attr("f").name).graph)
        else:
            yield operation


def operation_flops(operation: Any) -> int | None:
    """Return the floating-point operations of one operation; None where its kind is not known, or a shape is not
    static."""
    kind = operation.type
    if kind in FREE:
        return 0
    shapes = [tensor.shape for tensor in (*operation.inputs, *operation.outputs)]
    if not all(shape.is_fully_defined() for shape in shapes):
        return None
    if kind in PER_ELEMENT:
        return _size(operation.outputs[0])
    if kind in REDUCTIONS:
        return _size(operation.inputs[0])
    return FORMULAS[kind](operation) if kind in FORMULAS else None


def _size(tensor: Any) -> int:
    return math.prod(tensor.shape)


def _matrix_product(operation: Any) -> int:
    """2 x outputs x the length that is summed over."""
    transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
    return 2 * _size(operation.outputs[0]) * int(operation.inputs[0].shape[-2 if transposed else -1])


def _einsum(operation: Any) -> int:
    """2 x the product of all labels' lengths; 1 x where a single operand is summed or reordered."""
    equation = operation.get_attr("equation").decode()
    lengths: dict[str, int] = {}
    for labels, tensor in zip(equation.split("->")[0].split(","), operation.inputs):
        lengths.update(_labelled(labels, tuple(tensor.shape)))
    return min(len(operation.inputs), 2) * math.prod(lengths.values())


def _labelled(labels: str, shape: Shape) -> Iterator[tuple[str, int]]:
    """Label and length of each dimension; those under an ellipsis are named by their distance from its right end."""
    before, dots, after = labels.replace(" ", "").partition("...")
    hidden = len(shape) - len(before) - len(after) if dots else 0
    names = [*before, *(f"...{hidden - place}" for place in range(hidden)), *after]
    return zip(names, shape)


def _convolution(operation: Any) -> int:
    """2 x outputs x the kernel's height, width and input channels (those of one group)."""
    return 2 * _size(operation.outputs[0]) * math.prod(operation.inputs[1].shape[:-1])


def _depthwise(operation: Any) -> int:
    return 2 * _size(operation.outputs[0]) * math.prod(operation.inputs[1].shape[:2])


def _transposed_convolution(operation: Any) -> int:
    """Each of its inputs meets the whole kernel, for all output channels."""
    return 2 * _size(operation.inputs[2]) * math.prod(operation.inputs[1].shape[:-1])


def _pooling(operation: Any) -> int:
    return _size(operation.outputs[0]) * math.prod(operation.get_attr("ksize"))


FORMULAS: dict[str, Callable[[Any], int]] = {
    "MatMul": _matrix_product, "BatchMatMul": _matrix_product, "BatchMatMulV2": _matrix_product,
    "BatchMatMulV3": _matrix_product, "Einsum": _einsum, "Conv2D": _convolution, "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise, "Conv2DBackpropInput": _transposed_convolution,
    "MaxPool": _pooling, "AvgPool": _pooling, "MaxPool3D": _pooling, "AvgPool3D": _pooling,
    "FusedBatchNormV3": lambda operation: 2 * _size(operation.inputs[0]),  # a scale and a shift, in inference
    "Softmax": lambda operation: 5 * _size(operation.inputs[0]),  # largest, difference, exp, sum, quotient
    "LogSoftmax": lambda operation: 5 * _size(operation.inputs[0]),
}
