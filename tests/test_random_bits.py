"""Random bits that a CPU draws in one loop: the very bits of jax.random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.values.random_bits import FEW, fold_in, threefry, written_out

KEY = jax.random.key(5)
SHAPES = [(), (0,), (3,), (FEW,), (FEW + 1,), (32, 64), (5, 7, 3)]


def same(x, y):
    np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@pytest.mark.parametrize("shape", SHAPES)
def test_bits_and_what_is_drawn_from_them_are_those_of_jax(shape):
    fast = written_out(KEY)
    for width in (8, 16, 32):
        dtype = jnp.dtype(f"uint{width}")
        same(jax.random.bits(KEY, shape, dtype), jax.random.bits(fast, shape, dtype))
    for draw in (jax.random.normal, jax.random.uniform):
        same(draw(KEY, shape), draw(fast, shape))


def test_wide_bits_are_those_of_jax():
    with jax.enable_x64(True):
        fast = jax.random.bits(written_out(KEY), (33,), "uint64")
        same(jax.random.bits(KEY, (33,), "uint64"), fast)


def test_keys_drawn_from_a_key_are_those_of_jax():
    data, fast = jax.random.key_data, written_out(KEY)
    for shape in (2, 5, (3, 2)):
        same(data(jax.random.split(KEY, shape)), data(jax.random.split(fast, shape)))
    for number in (0, 1, 2**32 - 1):
        assert fold_in(KEY, number) == jax.random.fold_in(KEY, number)
    twice = jax.random.fold_in(jax.random.fold_in(KEY, 3), 4)
    assert fold_in(KEY, 3, 4) == jax.jit(fold_in)(KEY, 3, 4) == twice
    many = jax.random.split(KEY, 4)
    each = [jax.random.permutation(key, 20) for key in many]
    same(jax.vmap(lambda key: jax.random.permutation(written_out(key), 20))(many), each)


def test_the_rounds_are_those_of_the_paper():
    """The known answers that are published with the code of Salmon et al. (Random123)."""
    ones = np.uint32(0xFFFFFFFF)
    for key, counter, wanted in (
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((ones, ones), (ones, ones), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ):
        found = threefry(jnp.array(key, jnp.uint32), *map(jnp.uint32, counter))
        assert tuple(map(int, found)) == wanted


def test_other_keys_and_backends_stay_as_they_are(monkeypatch):
    other = jax.random.key(0, impl="rbg")
    assert written_out(other) is other
    assert fold_in(other, 1) == jax.random.fold_in(other, 1)
    assert fold_in(other, 1).dtype == other.dtype
    assert fold_in(KEY, 1).dtype == KEY.dtype  # and so do the keys that others are given
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert written_out(KEY) is KEY


def test_what_lanes_share_is_drawn_once():
    """Not once for each lane: as many rounds in the program of 8 lanes as in that of one."""

    def dropped(rate, x):
        return jnp.where(jax.random.uniform(written_out(KEY), x.shape) < rate, 0, x)

    def rounds(lanes):
        given = jnp.zeros(lanes), jnp.ones((lanes, 32, 64))
        text = jax.jit(jax.vmap(dropped)).lower(*given).compile().as_text()
        return [line.split("[")[1].split("]")[0] for line in text.splitlines() if " xor(" in line]

    assert set(rounds(8)) == set(rounds(1)) >= {"1024"}
