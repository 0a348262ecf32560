"""Two processor instructions that numba has no name for: asking for memory ahead, and finding the lowest set bit.

The training kernel waits for memory: a batch of random rays touches megabytes once. Asking for the lines of a sample
while the ray still marches halves the time of a step.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic


@intrinsic
def prefetch(typing_context: Any, array: Any, row: Any) -> Any:
    """``prefetch(array, row)`` inside a kernel: bring the cache line where ``array[row]`` starts."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i64, i32, pointer = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = builder.extract_value(view.strides, 0)
        index = context.cast(builder, arguments[1], signature.args[1], types.int64)
        address = builder.add(builder.ptrtoint(view.data, i64), builder.mul(index, stride))
        kind = ir.FunctionType(ir.VoidType(), [pointer, i32, i32, i32])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        to_read, everywhere, data = i32(0), i32(3), i32(1)
        builder.call(hint, [builder.inttoptr(address, pointer), to_read, everywhere, data])
        return context.get_dummy_value()

    return types.void(array, row), generate


@intrinsic
def lowest_bit(typing_context: Any, mask: Any) -> Any:
    """Position of the lowest set bit of a 64-bit mask that is not 0."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), generate
