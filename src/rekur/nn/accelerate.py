"""Acceleration of existing models: `accelerate` replaces recurrent layers in place, `accelerated` while building.

A layer is replaced by changing its class: it stays the same object with the same parameters and hooks, so that
optimizers, checkpoints and references to it stay valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import Any, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from rekur.cells import LSTM as LSTM_CELL
from rekur.core import OptionError, Weights
from rekur.kernels import unsupported_reason
from rekur.nn.cells import GRUCell, LSTMCell, RNNCell
from rekur.nn.recurrent import GRU, LSTM, RNN

__all__ = ["Accelerated", "Layer", "accelerate", "accelerated", "restore"]

Class: TypeAlias = type[nn.Module]

_REKUR_CLASS: dict[Class, Class] = {
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}
_TORCH_CLASS = {ours: theirs for theirs, ours in _REKUR_CLASS.items()}
_REKUR_CLASSES = tuple(_TORCH_CLASS)
_NAMES = {theirs.__name__ for theirs in _REKUR_CLASS}
_LSTM = LSTM_CELL()
_FORWARD_METHODS = (  # forward and the methods that it calls in torch
    "forward",
    "check_forward_args",
    "check_input",
    "check_hidden_size",
    "get_expected_cell_size",
    "get_expected_hidden_size",
    "permute_hidden",
)
_BASES: tuple[Any, Any] = (nn.RNNBase, nn.RNNCellBase)


class Layer(NamedTuple):
    """A recurrent layer in the report of `accelerate` or `accelerated`.

    Attributes
    ----------
    name : str
        Name in the model, "(itself)" for the model; "#1", "#2", … in the order of building in a context.
    kind : str
        Class and sizes.
    status : {"replaced", "already", "left"}
        Run by rekur from now on, run by rekur before, or run by torch as before.
    reason : str, default ""
        Why the layer was left, or why torch still runs a replaced one.

    Examples
    --------
    >>> import torch, rekur
    >>> rekur.accelerate(torch.nn.GRU(8, 16)).layers[0]
    Layer(name='(itself)', kind='GRU(8, 16)', status='replaced', reason='')
    """

    name: str
    kind: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Accelerated:
    """Report of `accelerate` and `accelerated`; prints one line a layer.

    Attributes
    ----------
    layers : sequence of Layer
        All recurrent layers in model order; in a context the sequence grows until the context ends.
    replaced, already, left : tuple of Layer
        The layers run by rekur from now on, run by rekur before, and run by torch as before.

    Examples
    --------
    >>> import torch, rekur
    >>> report = rekur.accelerate(torch.nn.Sequential(torch.nn.LSTM(8, 16), torch.nn.ReLU()))
    >>> [layer.name for layer in report.replaced], report.left
    (['0'], ())
    """

    layers: Sequence[Layer] = ()

    @property
    def replaced(self) -> tuple[Layer, ...]:
        """The layers that rekur's kernels run from now on."""
        return self._with("replaced")

    @property
    def already(self) -> tuple[Layer, ...]:
        """The layers that were rekur's before."""
        return self._with("already")

    @property
    def left(self) -> tuple[Layer, ...]:
        """The layers that stay as they were, each with the reason."""
        return self._with("left")

    def _with(self, status: str) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.status == status)

    def __str__(self) -> str:
        if not self.layers:
            return "no recurrent layer found"
        counts = ((status, len(self._with(status))) for status in ("replaced", "already", "left"))
        lines = [", ".join(f"{status} {count}" for status, count in counts if count)]
        name_width = max(len(layer.name) for layer in self.layers)
        kind_width = max(len(layer.kind) for layer in self.layers)
        for name, kind, status, reason in self.layers:
            lines.append(f"  {name:{name_width}}  {kind:{kind_width}}  {status}{reason and ': ' + reason}")
        return "\n".join(lines)


def accelerate(module: nn.Module) -> Accelerated:
    """Replace every recurrent layer and cell of a model by rekur's, in place.

    The classes RNN, LSTM, GRU, RNNCell, LSTMCell and GRUCell of torch.nn are replaced, also where a subclass keeps
    their forward pass, and where weights are parametrized, normed or pruned. Left as they are: subclasses and objects
    with a forward pass of their own, compiled (torch.jit) and quantized layers, and all if the extension is not built.
    Results, parameters, state_dict and hooks are the same; a second call has no effect. A pickled model then needs
    rekur where it is loaded, a state_dict does not. `restore` undoes it, for instance before torch.jit.script.

    Parameters
    ----------
    module : torch.nn.Module
        A model, or a recurrent layer itself.

    Returns
    -------
    report : Accelerated
        The layers that were replaced, and those that were not with the reasons.

    Raises
    ------
    OptionError
        `module` is not a torch.nn.Module.

    Examples
    --------
    >>> import torch, rekur
    >>> model = torch.nn.ModuleDict({"past": torch.nn.GRU(8, 16), "head": torch.nn.Linear(16, 1)})
    >>> print(rekur.accelerate(model))
    replaced 1
      past  GRU(8, 16)  replaced
    """
    layers = []
    for name, layer in _modules(module, "accelerate"):
        result = _replace(layer)
        if result is not None:
            layers.append(Layer(name or "(itself)", _describe(layer), *result))
    return Accelerated(tuple(layers))


def restore(module: nn.Module) -> tuple[str, ...]:
    """Return every recurrent layer of a model to torch.nn, in place.

    Parameters
    ----------
    module : torch.nn.Module
        A model, or a recurrent layer itself.

    Returns
    -------
    names : tuple of str
        Names of the layers that were changed.

    Raises
    ------
    OptionError
        `module` is not a torch.nn.Module.

    Examples
    --------
    >>> import torch, rekur.nn
    >>> model = torch.nn.Sequential(rekur.nn.GRU(8, 16))
    >>> rekur.nn.restore(model), type(model[0]) is torch.nn.GRU
    (('0',), True)
    """
    names = []
    for name, layer in _modules(module, "restore"):
        kind = type_before_parametrizations(layer)
        if kind in _TORCH_CLASS:
            _set_class(layer, _TORCH_CLASS[kind])
            names.append(name or "(itself)")
    return tuple(names)


def _modules(module: nn.Module, caller: str) -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(module, nn.Module):  # a forecaster of some library that holds one, say
        cure = "pass the module it holds, or build it inside `with rekur.accelerated():`"
        raise OptionError(f"{caller} needs a torch.nn.Module, not {type(module).__name__}; {cure}")
    modules: Iterator[tuple[str, nn.Module]] = module.named_modules()
    return modules


def _describe(layer: nn.Module) -> str:
    """Class and sizes, also of a layer whose subclass is not built to its end."""
    base = next((base for base in _BASES if isinstance(layer, base)), type(layer))
    return f"{type(layer).__name__}({base.extra_repr(layer)})"


def _replace(layer: nn.Module) -> tuple[str, str] | None:
    """Replace one layer if possible; return its status and the reason, or None if it is not a recurrent layer."""
    if isinstance(layer, torch.jit.ScriptModule):
        return ("left", "compiled by torch.jit") if layer.original_name in _NAMES else None
    if type(layer).__name__ in _NAMES and type(layer).__module__.startswith("torch.ao."):
        return "left", "quantized"
    if not isinstance(layer, _BASES):
        return None
    if isinstance(layer, _REKUR_CLASSES):
        return "already", ""
    reason = _irreplaceable_reason(layer)
    if reason is not None:
        return "left", reason
    try:
        _set_class(layer, _rekur_class(type_before_parametrizations(layer)))
    except TypeError as error:  # Python cannot derive such a class, for instance because of its metaclass
        return "left", str(error)
    reason = next((reason for reason in map(_weight_reason, layer.parameters()) if reason), None)
    return "replaced", f"torch still runs it ({reason})" if reason else ""


def _irreplaceable_reason(layer: nn.Module) -> str | None:
    """Return why a layer of torch cannot become rekur's, or None if it can."""
    kind = type(layer)
    base = next((base for base in kind.__mro__ if base in _REKUR_CLASS), None)
    if base is None:
        return f"{kind.__name__} has a recurrence of its own"
    for method in _FORWARD_METHODS:
        if method in vars(layer):
            return f"this object has {method}() of its own"
        if getattr(kind, method, None) is not getattr(base, method, None):
            return f"{kind.__name__} has {method}() of its own"
    return _weight_reason(torch.empty(1, 1, dtype=torch.float32, device="cpu"))  # whether the kernels run at all


def _weight_reason(weight: Tensor) -> str | None:
    """Return why the kernels cannot run with such a weight, or None; the reason is the same for every cell."""
    return unsupported_reason(_LSTM, weight, Weights(weight, weight))


def _set_class(layer: nn.Module, kind: Class) -> None:
    """Change the class of a layer, below the class that torch derived for it alone if its weights are parametrized."""
    if is_parametrized(layer):
        derived = type(layer)
        metaclass: Callable[..., Class] = type(derived)
        kind = metaclass(derived.__name__, (kind,), dict(vars(derived)))
    layer.__class__ = kind


def _rekur_class(original: Class) -> Class:
    """Return rekur's class for a class of torch.nn; for a subclass derive one with rekur's forward pass."""
    if original not in _REKUR_CLASS:
        base = next(base for base in original.__mro__ if base in _REKUR_CLASS)
        same = {name: getattr(original, name) for name in ("__module__", "__qualname__", "__doc__")}
        bases = (original, _REKUR_CLASS[base])
        metaclass: Callable[..., Class] = type(original)
        derived = metaclass(original.__name__, bases, {**same, "__reduce_ex__": _reduce})
        _REKUR_CLASS[original], _TORCH_CLASS[derived] = derived, original
    return _REKUR_CLASS[original]


def _reduce(self: nn.Module, protocol: int) -> tuple[object, ...]:
    """Copy and pickle a layer of a derived class by way of its original class, which can be imported."""
    derived = next(kind for kind in type(self).__mro__ if kind in _TORCH_CLASS)
    build, args, *rest = cast("tuple[Any, ...]", super(derived, self).__reduce_ex__(protocol))
    if args[:1] == (derived,):
        build, args = _revive, (_TORCH_CLASS[derived],)
    return build, args, *rest


def _revive(original: Class) -> nn.Module:
    """Return an empty layer of the class derived from this one."""
    kind = _rekur_class(original)
    return kind.__new__(kind)


class _Patch:
    """The constructors of torch, wrapped while any context is open."""

    def __init__(self) -> None:
        self.lock, self.users, self.inits = Lock(), 0, {base: base.__init__ for base in _BASES}

    def __enter__(self) -> None:
        with self.lock:
            self.users += 1
            if self.users == 1:
                self.inits = {base: base.__init__ for base in _BASES}
                for base, init in self.inits.items():
                    base.__init__ = _wrap(init)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                for base, init in self.inits.items():
                    base.__init__ = init


def _wrap(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap a constructor of torch: afterwards the layer is replaced for the open contexts."""

    @wraps(init)
    def build(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        reports = _OPEN.get()
        result = _replace(self) if reports else None
        if result is not None:
            for layers in reports:
                layers.append(Layer(f"#{len(layers) + 1}", _describe(self), *result))

    return build


_PATCH = _Patch()
_OPEN: ContextVar[tuple[list[Layer], ...]] = ContextVar("reports of the open contexts", default=())


@contextmanager
def accelerated() -> Iterator[Accelerated]:
    """Replace every recurrent layer built inside the context, by whatever code, by rekur's.

    For libraries that build their model themselves. Layers are replaced as `accelerate` does it, at the moment they
    are built, and stay replaced afterwards; those that are unpickled or copied are not built. Contexts may be nested,
    then each reports. A context counts for the thread (or asynchronous task) that opened it; other threads, and
    processes started inside, need one of their own, also at the same time.

    Yields
    ------
    report : Accelerated
        The layers replaced so far, and those that were not with the reasons.

    Examples
    --------
    >>> import torch, rekur
    >>> with rekur.accelerated() as report:
    ...     model = torch.nn.LSTM(8, 16)
    >>> print(report)
    replaced 1
      #1  LSTM(8, 16)  replaced
    """
    layers: list[Layer] = []
    with _PATCH:
        token = _OPEN.set((*_OPEN.get(), layers))
        try:
            yield Accelerated(layers)
        finally:
            _OPEN.reset(token)
