"""Reads the pickles inside PyTorch checkpoints without running them.

A pickle is a program that may call anything. Here its instructions are walked one by one: those that build
dictionaries, tuples and numbers are followed, the few calls that a checkpoint of tensors needs are recognised by name
and *described*, and everything else is refused. No name is imported and nothing is called, whatever the file says.
"""

from __future__ import annotations

import pickletools
from typing import IO, Any, NamedTuple

from faceforge.errors import first_line

# The globals that a pickle may name; storage classes are represented by their element type.
STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
}
_DICT, _TENSOR, _PARAMETER = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
)
_KNOWN = {*STORAGES, _DICT, _TENSOR, _PARAMETER}
_IGNORED = {"PROTO", "FRAME"}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class PickleError(ValueError):
    """The pickle is damaged, or contains more than a checkpoint of tensors needs; see the message."""


class Name(str):
    """A global that the pickle names, `module name`; never imported."""


class Storage(NamedTuple):
    """A block of numbers in the file: its key, element type and length in elements."""

    key: str
    dtype: str
    length: int


class Tensor(NamedTuple):
    """A view of a storage; offset and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_pickle(stream: IO[bytes]) -> Any:
    """Reads the value of the pickle at the stream's position, and leaves the stream just after it.

    Returns:
        dicts, lists, tuples, numbers, text, None, and `Tensor` where the checkpoint has tensors.

    Raises:
        PickleError: see there.
    """
    walk = _Walk()
    try:
        for operation, argument, _ in pickletools.genops(stream):
            if operation.name == "STOP":
                return walk.stack.pop()
            walk.follow(operation.name, argument)
    except PickleError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise PickleError(f"damaged pickle ({first_line(error) if str(error) else 'ends early'})") from None
    raise PickleError("damaged pickle (ends early)")


class _Walk:
    """The stack machine of the pickle protocol, with its marks and its memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def follow(self, name: str, argument: Any) -> None:
        """Executes one instruction."""
        if name in _IGNORED:
            return
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _TUPLES:
            self.stack.append(tuple(self._top(_TUPLES[name])))
        elif name in {"EMPTY_DICT", "EMPTY_LIST"}:
            self.stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "MARK":
            self._marks.append(len(self.stack))
        elif name in {"TUPLE", "SETITEM", "SETITEMS", "APPEND", "APPENDS"}:
            self._collect(name)
        elif name in {"BINPUT", "LONG_BINPUT", "MEMOIZE"}:
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name in {"BINGET", "LONG_BINGET"}:
            self.stack.append(self._memo[argument])
        else:
            self._call(name, argument)

    def _collect(self, name: str) -> None:
        """Instructions that put the topmost values into a container."""
        items = self._top(2 if name == "SETITEM" else 1) if name in {"SETITEM", "APPEND"} else self._since_mark()
        if name == "TUPLE":
            self.stack.append(tuple(items))
        elif name in {"SETITEM", "SETITEMS"}:
            _of_kind(self.stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))
        else:
            _of_kind(self.stack[-1], list).extend(items)

    def _call(self, name: str, argument: Any) -> None:
        """Instructions that name or call something."""
        if name == "GLOBAL":
            self.stack.append(_named(argument))
        elif name == "STACK_GLOBAL":
            self.stack.append(_named(" ".join(self._top(2))))
        elif name == "BINPERSID":
            self.stack.append(_storage(self.stack.pop()))
        elif name == "REDUCE":
            arguments, function = self.stack.pop(), self.stack.pop()
            self.stack.append(_described(function, arguments))
        elif name == "BUILD":  # attributes of a dictionary (`_metadata`): not needed
            self.stack.pop()
            _of_kind(self.stack[-1], dict)
        else:
            raise PickleError(f"uses the pickle instruction {name}, which no checkpoint of tensors needs")

    def _top(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise PickleError("damaged pickle (the stack runs empty)")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def _since_mark(self) -> list[Any]:
        return self._top(len(self.stack) - self._marks.pop())


def _named(name: str) -> Name:
    if name not in _KNOWN:
        raise PickleError(f"wants to run {name.replace(' ', '.')!r}")
    return Name(name)


def _described(what: Any, arguments: Any) -> Any:
    """The result of a recognised call."""
    if isinstance(what, Name) and isinstance(arguments, tuple):
        if what == _DICT and not arguments:
            return {}
        if what == _PARAMETER and arguments:
            return _of_kind(arguments[0], Tensor)
        if what == _TENSOR and len(arguments) >= 4:
            storage, offset, shape, strides = arguments[:4]
            return Tensor(_of_kind(storage, Storage), int(offset), _whole(shape), _whole(strides))
    raise PickleError(f"calls {what!r} in a way that no checkpoint of tensors does")


def _storage(arguments: Any) -> Storage:
    """From `('storage', class, key, device, element count, ...)`."""
    match arguments:
        case ("storage", Name() as kind, str() as key, str(), int() as count, *_) if kind in STORAGES and count >= 0:
            return Storage(key, STORAGES[kind], count)
    raise PickleError("refers to a storage of an unknown kind")


def _whole(numbers: Any) -> tuple[int, ...]:
    if not all(isinstance(number, int) and number >= 0 for number in _of_kind(numbers, tuple)):
        raise PickleError("has a tensor of impossible shape")
    return tuple(numbers)


def _of_kind(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise PickleError(f"has {type(value).__name__} where a checkpoint has {kind.__name__}")
    return value
