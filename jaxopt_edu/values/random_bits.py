"""Random bits of JAX's default keys, drawn by one loop over the array on a CPU.

XLA:CPU is given the rounds of Threefry as a loop that copies the whole array at each turn, so that
it compiles less; written out they are one kernel, which draws nine times as fast and compiles no
longer. The bits are the same.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
PARITY = 0x1BD11BDA
add, xor = lax.add, lax.bitwise_xor  # traced twice as fast as + and ^
FEW = 16  # random numbers that are cheap to draw several times


def written_out(key: Array) -> Array:
    """The same key, whose bits a CPU draws faster: of Threefry, and on other backends as it is.

    >>> import jax
    >>> from jaxopt_edu.values.random_bits import written_out
    >>> key = jax.random.key(0)
    >>> bool(jax.random.normal(key) == jax.random.normal(written_out(key)))
    True
    """
    if jax.default_backend() != "cpu" or not jax.threefry_partitionable.value:
        return key
    if str(jax.random.key_impl(key)) != "threefry2x32":
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_implementation())


def fold_in(key: Array, *data: Any) -> Array:
    """jax.random.fold_in of the key and each of these numbers in turn: the same keys."""
    fast = written_out(key)
    for number in data:
        fast = jax.random.fold_in(fast, number)
    return jax.random.wrap_key_data(jax.random.key_data(fast), impl=jax.random.key_impl(key))


@functools.cache
def _implementation() -> Any:
    from jax.extend.random import define_prng_impl  # imported late
    from jax.extend.random import threefry_prng_impl as theirs

    def fold(key: Array, data: Any) -> Array:
        return jnp.stack(threefry(key, jnp.uint32(0), data.astype(jnp.uint32)))

    def split(key: Array, shape: tuple[int, ...]) -> Array:
        counter = lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
        return jnp.stack(threefry(key, jnp.zeros_like(counter), counter), axis=-1)

    def random_bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
        few = math.prod(shape) < 2**32
        return (_random_bits if few else theirs.random_bits)(key, width, tuple(shape))

    return define_prng_impl(
        key_shape=theirs.key_shape, seed=theirs.seed, split=split, fold_in=fold,
        random_bits=random_bits, name="threefry2x32_written_out", tag="fry",
    )  # fmt: skip


@functools.partial(jax.jit, static_argnums=(1, 2))
def _random_bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    """Entry i of the flat array is drawn from the counter i.

    Many in two turns of a loop, into which XLA does not look: else it would draw them anew for each
    lane that shares them, and again for the way back.
    """
    size = math.prod(shape)
    dtype = jnp.dtype(f"uint{width}")

    def draw(first: Array, count: int) -> Array:
        high, low = threefry(key, jnp.zeros(count, jnp.uint32), first + lax.iota(jnp.uint32, count))
        if width == 64:
            return high.astype(dtype) << 32 | low.astype(dtype)
        return (high ^ low).astype(dtype)

    if size <= FEW:
        return draw(jnp.uint32(0), size).reshape(shape)
    half = -(-size // 2)
    firsts = jnp.array([0, half], jnp.uint32)
    return lax.map(lambda first: draw(first, half), firsts).reshape(-1)[:size].reshape(shape)


@jax.jit
def threefry(key: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Threefry-2x32 of the counters (x, y), in 20 rounds.

    Formula: with the key's words k_0, k_1 and k_2 = k_0 xor k_1 xor 0x1BD11BDA,
        x <- x + k_0;  y <- y + k_1;  in round r = 1, ..., 20
            x <- x + y;  y <- rotate(y, R_r) xor x
        and after round 4 i    x <- x + k_{i mod 3};  y <- y + k_{(i + 1) mod 3} + i
    Source: Salmon, Moraes, Dror & Shaw 2011 (SC), Parallel random numbers: as easy as 1, 2, 3.
    """
    k = key[0], key[1], key[0] ^ key[1] ^ np.uint32(PARITY)
    x, y = add(x, k[0]), add(y, k[1])
    for i in range(1, 6):
        for r in ROTATIONS[(i - 1) % 2]:
            x = add(x, y)
            y = xor(rotate(y, r), x)
        x, y = add(x, k[i % 3]), add(add(y, k[(i + 1) % 3]), np.uint32(i))
    return x, y


def rotate(y: Array, r: int) -> Array:
    """The bits of each y by r places to the left, those that fall out on the right."""
    left, right = lax.shift_left(y, np.uint32(r)), lax.shift_right_logical(y, np.uint32(32 - r))
    return lax.bitwise_or(left, right)
