"""Twenty mistakes as students make them, written by hand before the checker was tuned.

Each is (recipe, rule, what is wrong: the left side of the line that is to be named).
"""

import numpy as np


def adam_forgets_the_square(t, g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g
    return -learning_rate * m / (1 - b1**t) / (np.sqrt(abs(v) / (1 - b2**t)) + eps), m, v


def adam_keeps_the_corrected_moment(t, g, m, v, learning_rate, b1, b2, eps):
    m = (b1 * m + (1 - b1) * g) / (1 - b1**t)
    v = b2 * v + (1 - b2) * g**2
    return -learning_rate * m / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def adam_without_any_correction(g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return -learning_rate * m / (np.sqrt(v) + eps), m, v


def adam_counts_from_zero(t, g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_hat = m / (1 - b1 ** (t + 1))
    return -learning_rate * m_hat / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def adam_with_eps_in_the_root(t, g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return -learning_rate * m / (1 - b1**t) / np.sqrt(v / (1 - b2**t) + eps), m, v


def adam_goes_uphill(t, g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return learning_rate * m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def adam_squares_the_moment(t, g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * m**2
    return -learning_rate * m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def adam_without_the_root(t, g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return -learning_rate * m / (1 - b1**t) / (v / (1 - b2**t) + eps), m, v


def adam_by_the_gradient(t, g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return -learning_rate * g / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def adam_weights_exchanged(t, g, m, v, learning_rate, b1, b2, eps):
    m = (1 - b1) * m + b1 * g
    v = b2 * v + (1 - b2) * g**2
    return -learning_rate * m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def momentum_of_a_mean(g, c, learning_rate, momentum):
    c = momentum * c + (1 - momentum) * g
    return -learning_rate * c, c


def momentum_with_the_old_trace(g, c, learning_rate, momentum):
    return -learning_rate * (g + momentum * c) - 0 * g, c + g


def momentum_that_keeps_the_rate(g, c, learning_rate, momentum):
    c = momentum * c + learning_rate * g
    return -c, c


def adagrad_that_forgets(g, G, learning_rate, eps):
    G = g**2
    return -learning_rate * g / np.sqrt(G + eps), G


def rmsprop_that_adds_up(g, v, learning_rate, decay, eps):
    v = decay * v + g**2
    return -learning_rate * g / np.sqrt(v + eps), v


def rmsprop_with_eps_outside(g, v, learning_rate, decay, eps):
    v = decay * v + (1 - decay) * g**2
    return -learning_rate * g / (np.sqrt(v) + eps), v


def lion_signs_the_moment(g, m, p, learning_rate, b1, b2, weight_decay):
    m = b2 * m + (1 - b2) * g
    return -learning_rate * (np.sign(m) + weight_decay * p), m


def signum_without_a_sign(g, m, learning_rate, beta):
    m = beta * m + (1 - beta) * g
    return -learning_rate * m, m


def adamw_decays_by_itself(t, g, m, v, p, learning_rate, b1, b2, eps, weight_decay):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    u = -learning_rate * m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
    return u - weight_decay * p, m, v


def adamax_with_a_sum(t, g, m, v, learning_rate, b1, b2, eps):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + abs(g) + eps
    return -learning_rate * m / (1 - b1**t) / v, m, v


MISTAKES = [
    ("adam", adam_forgets_the_square, "v_t"),
    ("adam", adam_keeps_the_corrected_moment, "m_t"),
    ("adam", adam_without_any_correction, "m^_t"),
    ("adam", adam_counts_from_zero, "m^_t"),
    ("adam", adam_with_eps_in_the_root, "u_t"),
    ("adam", adam_goes_uphill, "u_t"),
    ("adam", adam_squares_the_moment, "v_t"),
    ("adam", adam_without_the_root, "u_t"),
    ("adam", adam_by_the_gradient, "u_t"),
    ("adam", adam_weights_exchanged, "m_t"),
    ("sgd", momentum_of_a_mean, "c_t"),
    ("sgd", momentum_with_the_old_trace, "c_t"),
    ("sgd", momentum_that_keeps_the_rate, "c_t"),
    ("adagrad", adagrad_that_forgets, "G_t"),
    ("rmsprop", rmsprop_that_adds_up, "v_t"),
    ("rmsprop", rmsprop_with_eps_outside, "d_t"),
    ("lion", lion_signs_the_moment, "u_t"),
    ("signum", signum_without_a_sign, "u_t"),
    ("adamw", adamw_decays_by_itself, "u_t"),
    ("adamax", adamax_with_a_sum, "v_t"),
]
