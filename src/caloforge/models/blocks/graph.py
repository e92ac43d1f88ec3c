"""ONNX graphs written by hand, for networks that repeat themselves too often to be traced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Graph"]

_OPSET = 18
_IR = 10  # of files that ONNX Runtime has read since 2024
_TYPES = {"FP32": TensorProto.FLOAT, "INT64": TensorProto.INT64}


class Graph:
    """Nodes one behind the other; every method but :meth:`model` returns the name of a tensor."""

    def __init__(self) -> None:
        """Begin with none."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._known: dict[tuple[str, bytes], str] = {}
        self._count = 0

    def constant(self, value: ArrayLike | torch.Tensor, dtype: Any = np.float32) -> str:
        """Numbers; the same ones are stored once."""
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().numpy()
        array = np.ascontiguousarray(np.asarray(value, dtype=dtype))
        key = (f"{array.dtype}{array.shape}", array.tobytes())
        if key not in self._known:
            name = self._known[key] = f"c{len(self._known)}"
            self._constants[name] = numpy_helper.from_array(array, name)
        return self._known[key]

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """A node: the name of its output, or of several their list."""
        names = [f"t{self._count + i}" for i in range(outputs)]
        self._count += outputs
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def add(self, a: str, b: str) -> str:
        """The sum of two tensors."""
        return str(self.node("Add", a, b))

    def sub(self, a: str, b: str) -> str:
        """The first tensor less the second."""
        return str(self.node("Sub", a, b))

    def mul(self, a: str, b: str) -> str:
        """The product of two tensors, number by number."""
        return str(self.node("Mul", a, b))

    def div(self, a: str, b: str) -> str:
        """The first tensor over the second."""
        return str(self.node("Div", a, b))

    def matmul(self, a: str, b: str) -> str:
        """The product of matrices."""
        return str(self.node("MatMul", a, b))

    def clip(self, a: str, low: float, high: float | None = None, dtype: Any = np.float32) -> str:
        """Numbers within bounds."""
        bounds = [low] if high is None else [low, high]
        return str(self.node("Clip", a, *(self.constant(bound, dtype) for bound in bounds)))

    def cast(self, a: str, dtype: Any = np.float32) -> str:
        """The same numbers in another type."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return str(self.node("Cast", a, to=to))

    def silu(self, a: str) -> str:
        """The sigmoid linear unit: a / (1 + exp(-a))."""
        return self.mul(a, str(self.node("Sigmoid", a)))

    def gather(self, a: str, rows: ArrayLike | torch.Tensor, axis: int = 0) -> str:
        """Some rows, in the shape of their indices."""
        return str(self.node("Gather", a, self.constant(rows, np.int64), axis=axis))

    def concat(self, parts: Sequence[str], axis: int = 0) -> str:
        """Tensors one behind the other."""
        return parts[0] if len(parts) == 1 else str(self.node("Concat", *parts, axis=axis))

    def split(self, a: str, sizes: Sequence[int], axis: int = 0) -> list[str]:
        """A tensor in parts."""
        if len(sizes) == 1:
            return [a]
        found = self.node("Split", a, self.constant(sizes, np.int64), outputs=len(sizes), axis=axis)
        return list(found)

    def reshape(self, a: str, shape: Sequence[int]) -> str:
        """Another shape; -1 for what is left."""
        return str(self.node("Reshape", a, self.constant(shape, np.int64)))

    def sum(self, a: str, axis: int, *, keep: bool = False) -> str:
        """The sum along an axis."""
        axes = self.constant([axis], np.int64)
        return str(self.node("ReduceSum", a, axes, keepdims=int(keep)))

    def model(
        self,
        inputs: Sequence[tuple[str, str, int]],
        output: tuple[str, str, int],
    ) -> onnx.ModelProto:
        """The model.

        Args:
            inputs: Name, type (``"FP32"`` or ``"INT64"``) and width of each input.
            output: Name, tensor and width of the output, of single precision.
        """
        name, tensor, width = output
        self._nodes.append(helper.make_node("Identity", [tensor], [name]))
        graph = helper.make_graph(
            self._nodes,
            "generator",
            [
                helper.make_tensor_value_info(item, _TYPES[dtype], ["N", size])
                for item, dtype, size in inputs
            ],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])],
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        model.ir_version = _IR
        return model
