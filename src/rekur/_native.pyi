"""Types of the compiled extension, `native/module.cpp`. Addresses are those of a first element, 0 for none."""

class Tape:
    """What a forward pass keeps for its backward passes; a read-only buffer of bytes."""

    def __buffer__(self, flags: int, /) -> memoryview: ...

def forward(
    cell: int,
    dtype: int,
    B: int,
    T: int,
    I: int,
    H: int,
    reverse: bool,
    lengths: int,
    resets: int,
    resets_batch: int,
    resets_time: int,
    threads: int,
    training: bool,
    x: int,
    x_batch: int,
    x_time: int,
    W: int,
    R: int,
    bW: int,
    bR: int,
    init0: int,
    init1: int,
    y: int,
    y_batch: int,
    y_time: int,
    last0: int,
    last1: int,
    /,
) -> Tape | None: ...
def backward(
    tape: int,
    bytes: int,
    cell: int,
    dtype: int,
    B: int,
    T: int,
    I: int,
    H: int,
    resets: int,
    resets_batch: int,
    resets_time: int,
    threads: int,
    x: int,
    x_batch: int,
    x_time: int,
    W: int,
    R: int,
    dy: int,
    dy_batch: int,
    dy_time: int,
    dlast0: int,
    dlast1: int,
    dx: int,
    dx_batch: int,
    dx_time: int,
    dW: int,
    dR: int,
    dbW: int,
    dbR: int,
    dinit0: int,
    dinit1: int,
    /,
) -> None: ...
def tape_sizes(cell: int, dtype: int, H: int, resets: bool, /) -> tuple[int, int, int, int]: ...
def math(function: str, float64: bool, x: int, y: int, n: int, /) -> None: ...
def cells() -> dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]]: ...
def targets(only_supported: bool = True) -> list[str]: ...
def active() -> str: ...
def select(name: str, /) -> None: ...
def pool_bytes() -> int: ...
def pool_clear() -> None: ...
