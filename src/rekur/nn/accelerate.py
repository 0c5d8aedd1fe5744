"""One line that makes the recurrent layers of an existing model fast, and a context for code that builds its own.

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
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from rekur.cells import cell
from rekur.core import OptionError, Weights
from rekur.kernels import why_not
from rekur.nn.cells import GRUCell, LSTMCell, RNNCell
from rekur.nn.recurrent import GRU, LSTM, RNN

__all__ = ["Accelerated", "Layer", "accelerate", "accelerated", "restore"]

_FAST: dict[type[Any], type[Any]] = {
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}
_SLOW = {fast: slow for slow, fast in _FAST.items()}
_OURS = tuple(_SLOW)
_NAMES = {slow.__name__ for slow in _FAST}
_FORWARD = (  # and what it asks of the layer in torch
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
    """A recurrent layer and what became of it."""

    name: str  # in the model, "(itself)" for the model; "#1", "#2", … in the order of building in a context
    kind: str  # its class and sizes
    fate: str  # "replaced", "already" or "left"
    why: str = ""  # the reason why it was left, or when a replaced one still runs torch's kernel


@dataclass(frozen=True)
class Accelerated:
    """What became of each recurrent layer; printed, one line for each.

    Attributes
    ----------
    layers : the layers in the order they were found; that of a context grows until the context ends
    replaced, already, left : those that rekur runs now, those that it ran before, those that torch runs as before
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

    def _with(self, fate: str) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.fate == fate)

    def __str__(self) -> str:
        if not self.layers:
            return "no recurrent layer found"
        counts = ((fate, len(self._with(fate))) for fate in ("replaced", "already", "left"))
        lines = [", ".join(f"{fate} {count}" for fate, count in counts if count)]
        wide, wider = (max(len(layer[k]) for layer in self.layers) for k in (0, 1))
        for name, kind, fate, why in self.layers:
            lines.append(f"  {name:{wide}}  {kind:{wider}}  {fate}{why and ': ' + why}")
        return "\n".join(lines)


def accelerate(module: nn.Module) -> Accelerated:
    """Let rekur's kernels run every recurrent layer and cell of a model, in place.

    The classes RNN, LSTM, GRU, RNNCell, LSTMCell and GRUCell of torch.nn are replaced, also where a subclass keeps
    their forward pass, and where weights are parametrized, normed or pruned. Left as they are: subclasses and objects
    with a forward pass of their own, compiled (torch.jit) and quantized layers, and all if the extension is not built.
    Results, parameters, state_dict and hooks are the same; a second call changes nothing. A pickled model then needs
    rekur where it is loaded, a state_dict does not. `restore` undoes it, for instance before torch.jit.script.

    Parameters
    ----------
    module : a model, or such a layer itself

    Returns
    -------
    report : what was replaced, and what not and why

    Raises
    ------
    OptionError : `module` is no torch.nn.Module

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
    """Give every recurrent layer of a model back to torch.nn, in place, and return their names.

    >>> import torch, rekur.nn
    >>> model = torch.nn.Sequential(rekur.nn.GRU(8, 16))
    >>> rekur.nn.restore(model), type(model[0]) is torch.nn.GRU
    (('0',), True)
    """
    names = []
    for name, layer in _modules(module, "restore"):
        kind = type_before_parametrizations(layer)
        if kind in _SLOW:
            _become(layer, _SLOW[kind])
            names.append(name or "(itself)")
    return tuple(names)


def _modules(module: nn.Module, caller: str) -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(module, nn.Module):  # a forecaster of some library that holds one, say
        cure = "pass the module it holds, or build it inside `with rekur.accelerated():`"
        raise OptionError(f"{caller} needs a torch.nn.Module, not {type(module).__name__}; {cure}")
    found: Iterator[tuple[str, nn.Module]] = module.named_modules()
    return found


def _describe(layer: nn.Module) -> str:
    """Class and sizes, also of a layer whose subclass is not built to its end."""
    base = next((base for base in _BASES if isinstance(layer, base)), type(layer))
    return f"{type(layer).__name__}({base.extra_repr(layer)})"


def _replace(layer: nn.Module) -> tuple[str, str] | None:
    """Replace one layer if it can be; return its fate and why, or None if it is no recurrent layer."""
    if isinstance(layer, torch.jit.ScriptModule):
        return ("left", "compiled by torch.jit") if layer.original_name in _NAMES else None
    if type(layer).__name__ in _NAMES and type(layer).__module__.startswith("torch.ao."):
        return "left", "quantized"
    if not isinstance(layer, _BASES):
        return None
    if isinstance(layer, _OURS):
        return "already", ""
    reason = _obstacle(layer)
    if reason is not None:
        return "left", reason
    try:
        _become(layer, _twin(type_before_parametrizations(layer)))
    except TypeError as error:  # Python has no such class for it, for instance because of a metaclass of its own
        return "left", str(error)
    reason = next((reason for reason in map(_refusal, layer.parameters()) if reason), None)
    return "replaced", f"torch still runs it ({reason})" if reason else ""


def _obstacle(layer: nn.Module) -> str | None:
    """Why a layer of torch cannot become rekur's, if it cannot."""
    kind = type(layer)
    base = next((base for base in kind.__mro__ if base in _FAST), None)
    if base is None:
        return f"{kind.__name__} has a recurrence of its own"
    for part in _FORWARD:
        if part in vars(layer):
            return f"this object has {part}() of its own"
        if getattr(kind, part, None) is not getattr(base, part, None):
            return f"{kind.__name__} has {part}() of its own"
    return _refusal(torch.empty(1, 1, dtype=torch.float32, device="cpu"))  # whether the kernels run at all


def _refusal(weight: Tensor) -> str | None:
    """Why the kernels cannot run with such a weight, if they cannot; all of them take the same."""
    return why_not(cell("lstm"), weight, Weights(weight, weight))


def _become(layer: nn.Module, kind: type[Any]) -> None:
    """Give a layer its new class, under the one that torch made for it alone if its weights are parametrized."""
    if is_parametrized(layer):
        own: Any = type(layer)
        kind = type(own)(own.__name__, (kind,), dict(vars(own)))
    layer.__class__ = kind


def _twin(original: Any) -> type[Any]:
    """rekur's class for a class of torch.nn; for a subclass one is made, in which rekur's stands before torch's."""
    if original not in _FAST:
        base = next(base for base in original.__mro__ if base in _FAST)
        same = {name: getattr(original, name) for name in ("__module__", "__qualname__", "__doc__")}
        made = type(original)(original.__name__, (original, _FAST[base]), {**same, "__reduce_ex__": _reduce})
        _FAST[original], _SLOW[made] = made, original
    return _FAST[original]


def _reduce(self: Any, protocol: Any) -> Any:
    """Copy and pickle a layer of a class made here by way of the class it was made for, which can be imported."""
    made: Any = next(kind for kind in type(self).__mro__ if kind in _SLOW)
    build, args, *rest = super(made, self).__reduce_ex__(protocol)
    if args[:1] == (made,):
        build, args = _revive, (_SLOW[made],)
    return build, args, *rest


def _revive(original: type) -> Any:
    """An empty layer of the class made for this one."""
    kind: Any = _twin(original)
    return kind.__new__(kind)


class _Patch:
    """torch's constructors, wrapped as long as any context needs it."""

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
    """A constructor of torch, after which the layer is replaced for the contexts open here."""

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
    """Let rekur's kernels run every recurrent layer that is built inside the context, by whatever code.

    For libraries that build their model themselves. Layers are replaced as `accelerate` does it, at the moment they
    are built, and stay replaced afterwards; those that are unpickled or copied are not built. Contexts may be nested,
    then each reports. A context counts for the thread (or asynchronous task) that opened it; other threads, and
    processes started inside, need one of their own, also at the same time.

    Yields
    ------
    report : what was replaced so far, and what not and why

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
