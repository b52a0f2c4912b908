"""Kernels are what their formulas say, with their derivatives, and alone decide on layouts."""

import ast
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from jaxopt_edu.nn import models
from jaxopt_edu.nn.models import kernels
from jaxopt_edu.nn.models.kernels import conv2d, flatten, matmul, max_pool

pytestmark = pytest.mark.usefixtures("compiled_quickly")
TOLERANCES = {"bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-12}
every_dtype = pytest.mark.parametrize("dtype", TOLERANCES)
every_size = pytest.mark.parametrize("size", [1, 2, 3, 5])


def arrays(*shapes, dtype="float64"):
    draw = np.random.default_rng(0)
    return [jnp.asarray(draw.normal(size=shape), dtype) for shape in shapes]


def same(got, want, dtype="float64"):
    assert got.dtype == want.dtype == dtype
    assert got.shape == want.shape
    got, want = np.asarray(got, float), np.asarray(want, float)
    tolerance = TOLERANCES[dtype]
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max())


def product(x, w):
    return jnp.einsum("ni,oi->no", x, w)


def convolution(images, w):
    before = (w.shape[1] - 1) // 2
    margin = (before, w.shape[1] - 1 - before)
    layout = ("NHWC", "OHWI", "NHWC")
    return lax.conv_general_dilated(images, w, (1, 1), (margin, margin), dimension_numbers=layout)


def pooled(images, size):
    window = (1, size, size, 1)
    return lax.reduce_window(images, -np.inf, lax.max, window, window, "VALID")


CASES = {  # kernel, formula, shapes of its arguments
    "matmul": (matmul, product, (5, 4), (3, 4)),
    "conv2d": (conv2d, convolution, (2, 5, 4, 3), (2, 3, 3, 3)),
    "max_pool": (
        functools.partial(max_pool, size=2),
        functools.partial(pooled, size=2),
        (2, 5, 4, 3),
    ),
}
every_kernel = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


# ------------------------------------------------------------------------------------- formulas


@every_dtype
@every_kernel
def test_a_kernel_is_its_formula_and_keeps_the_dtype(case, dtype):
    kernel, formula, *shapes = case
    with jax.enable_x64(dtype == "float64"):
        args = arrays(*shapes, dtype=dtype)
        same(jax.jit(kernel)(*args), formula(*args), dtype)
        slopes = jax.grad(lambda *args: jnp.sum(kernel(*args)), tuple(range(len(args))))
        assert {g.dtype for g in jax.eval_shape(slopes, *args)} == {jnp.dtype(dtype)}


@every_size
def test_filters_of_any_size_see_zeros_outside(size):
    with jax.enable_x64(True):
        images, w = arrays((2, 4, 6, 3), (2, size, size, 3))
        same(conv2d(images, w), convolution(images, w))


@every_size
def test_blocks_of_any_size_leave_out_what_fills_none(size):
    with jax.enable_x64(True):
        (images,) = arrays((2, 7, 5, 3))
        same(max_pool(images, size), pooled(images, size))


def test_a_convolution_is_its_sum():
    """h_{i + a - r, j + b - r, c} w_{o a b c}, in plain Python."""
    with jax.enable_x64(True):
        images, w = arrays((1, 3, 4, 2), (1, 2, 2, 2))
        want = np.zeros((1, 3, 4, 1))
        for i, j, a, b, c in np.ndindex(3, 4, 2, 2, 2):
            if i + a < 3 and j + b < 4:  # r = 0
                want[0, i, j, 0] += images[0, i + a, j + b, c] * w[0, a, b, c]
        same(conv2d(images, w), want)


def test_an_image_is_flattened_channel_by_channel():
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    want = [[image[i, j, c] for c, i, j in np.ndindex(5, 3, 4)] for image in images]
    np.testing.assert_array_equal(flatten(jnp.asarray(images)), want)


def test_integers_become_the_floats_of_the_weights():
    x, (w,) = jnp.arange(6).reshape(2, 3), arrays((2, 3), dtype="float32")
    same(matmul(x, w), product(x.astype("float32"), w), "float32")
    images, (w,) = jnp.arange(9).reshape(1, 3, 3, 1), arrays((2, 2, 2, 1), dtype="float32")
    same(conv2d(images, w), convolution(images.astype("float32"), w), "float32")


# ---------------------------------------------------------------------------------- derivatives


@every_kernel
def test_first_and_second_derivatives_are_those_of_differences(case):
    kernel, _, *shapes = case
    with jax.enable_x64(True):
        check_grads(kernel, arrays(*shapes), order=2, modes=("fwd", "rev"), atol=1e-6, rtol=1e-6)


@every_kernel
def test_derivatives_are_those_of_the_formula(case):
    """Of a function that bends: tangents where one input moves, gradients, second derivatives."""
    kernel, formula, *shapes = case
    places = tuple(range(len(shapes)))

    def derivatives(f, *args):
        def bent(*args):
            return jnp.sum(jnp.sin(f(*args)))

        def tangent(i):
            return jax.jvp(
                lambda a: f(*args[:i], a, *args[i + 1 :]), args[i : i + 1], args[i : i + 1]
            )

        return (
            [tangent(i) for i in places],
            jax.grad(bent, places)(*args),
            jax.hessian(bent, places)(*args),
        )

    with jax.enable_x64(True):
        args = arrays(*shapes)
        found = (
            jax.tree.leaves(jax.jit(derivatives, static_argnums=0)(f, *args))
            for f in (kernel, formula)
        )
        for got, want in zip(*found, strict=True):
            same(got, want)


def test_equal_largest_pixels_share_the_gradient():
    slopes = jax.grad(lambda images: max_pool(images, 2)[0, 0, 0, 0])(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(slopes, np.full((1, 2, 2, 1), 0.25))


# ----------------------------------------------------------------------------------------- vmap


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        (name, axes)
        for name in ("matmul", "conv2d")
        for axes in [(0, 0), (0, None), (None, 0), (1, 2)]
    ]
    + [("max_pool", (0,)), ("max_pool", (3,))],
)
def test_vmap_is_a_loop(name, axes):
    kernel, _, *shapes = CASES[name]

    def outcome(*args):
        places = tuple(range(len(args)))
        slopes = jax.grad(lambda *args: jnp.sum(jnp.sin(kernel(*args))), places)
        return kernel(*args), slopes(*args)

    with jax.enable_x64(True):
        many = [
            arrays((*s[:i], 3, *s[i:]) if i is not None else s)[0]
            for s, i in zip(shapes, axes, strict=True)
        ]
        together = jax.jit(jax.vmap(outcome, axes))(*many)
        for lane in range(3):
            own = [a if i is None else a.take(lane, i) for a, i in zip(many, axes, strict=True)]
            for got, want in zip(*map(jax.tree.leaves, (together, outcome(*own))), strict=True):
                same(got[lane], want)


@pytest.mark.parametrize("outputs", [2, kernels.SMALL // 4 + 1])
def test_small_and_large_weights_have_the_same_gradients(outputs):
    with jax.enable_x64(True):
        x, w = arrays((3, 4), (outputs, 4))
        found = jax.grad(lambda w: jnp.sum(jnp.sin(matmul(x, w))))(w)
        same(found, jax.grad(lambda w: jnp.sum(jnp.sin(product(x, w))))(w))


@every_dtype
def test_a_bias_is_added_to_each_row_and_pixel(dtype):
    with jax.enable_x64(True):
        for kernel, *shapes in (
            (matmul, (3, 4), (5, 4), (5,)),
            (conv2d, (2, 5, 4, 3), (6, 3, 3, 3), (6,)),
        ):
            x, w, b = arrays(*shapes, dtype=dtype)
            same(kernel(x, w, b), kernel(x, w) + b, dtype)
            found = jax.grad(lambda b, k=kernel, x=x, w=w: jnp.sum(jnp.sin(k(x, w, b))))(b)
            want = jax.grad(lambda b, k=kernel, x=x, w=w: jnp.sum(jnp.sin(k(x, w) + b)))(b)
            same(found, want, dtype)


# -------------------------------------------------------------------------------------- layouts

MOVES = {"T", "mT", "transpose", "swapaxes", "moveaxis", "rollaxis", "permute_dims"}
DRAWN = ("layers.py", "layer_init")  # weights are drawn with the outputs last, whatever the layout


def moves(path):
    """Names of transposes in a file, by function of its top level."""
    for part in ast.parse(path.read_text()).body:
        inner = list(ast.walk(part))
        names = {n.attr for n in inner if isinstance(n, ast.Attribute)}
        names |= {n.name for n in inner if isinstance(n, ast.alias)}
        if names & MOVES:
            yield path.name, getattr(part, "name", None)


def test_no_other_file_of_models_transposes():
    files = Path(models.__file__).parent.rglob("*.py")
    found = {place for path in files for place in moves(path)}
    assert {file for file, _ in found - {DRAWN}} == {"kernels.py"}
