from itertools import pairwise

import pytest
import torch
from dense_reference import autograd_gradient
from problems import randn
from torch import Tensor
from torch.testing import assert_close

from nglab.curvature.deep_linear import (
    FORMS,
    Flags,
    Whitened,
    eq10,
    eq16,
    flag,
    gram_solve,
    products,
    projection,
    second_moment_root,
    shells,
    tikhonov,
    whiten,
)
from nglab.networks.network import Network

EVERY_INVERSE_EXISTS = {  # rank W_L⋯W_2 = n_L and rank W_{L-1}⋯W_1 = n_0
    "one layer": (4, 3),
    "square": (4, 4, 4, 4),
    "expanding": (3, 5, 7, 5, 3),
    "wider than both unequal ends": (3, 6, 5, 4),
}
ELSEWHERE = {
    "contracting": (6, 5, 4, 3),
    "expanding to the end": (3, 4, 6),
    "bottleneck": (6, 4, 2, 4, 6),
    "two bottlenecks": (6, 3, 5, 2, 4, 6),
    "unequal ends": (5, 3, 4, 2),
}
SHAPES = EVERY_INVERSE_EXISTS | ELSEWHERE


def random_spd(n: int, seed: int) -> Tensor:
    a = randn(n, n, seed=seed)
    return a @ a.T / n + 0.1 * torch.eye(n, dtype=a.dtype)


def random_problem(widths, seed: int, rank_deficient: bool = False):
    """Weights, W* − W, Σ and Σ̃; on request a weight matrix of rank one less, and Σ of rank n_0 − 1."""
    weights = [
        randn(n, n_in, seed=seed + i) / n_in**0.5 for i, (n_in, n) in enumerate(pairwise(widths))
    ]
    sigma = random_spd(widths[0], seed + 50)
    if rank_deficient:
        middle = len(weights) // 2
        weights[middle][-1] = weights[middle][:-1].sum(0)
        hole = randn(widths[0], 1, seed=seed + 60)
        out = torch.eye(widths[0], dtype=hole.dtype) - hole @ hole.T / (hole.T @ hole)
        sigma = out @ sigma @ out
    return (
        weights,
        randn(widths[-1], widths[0], seed=seed + 51),
        sigma,
        random_spd(widths[-1], seed + 52),
    )


def random_whitened(widths, seed: int, rank_deficient: bool = False) -> Whitened:
    weights, residual, sigma, noise = random_problem(widths, seed, rank_deficient)
    return whiten(weights, residual, second_moment_root(sigma)[0], torch.linalg.cholesky(noise))


def norm(step) -> float:
    return float(torch.cat([d.flatten() for d in step]).norm())


def mismatch(network: Whitened, step) -> float:
    """‖Fδ + ∇h‖ / ‖∇h‖."""
    difference = [f - g for f, g in zip(network.fisher(step), network.descent, strict=True)]
    return norm(difference) / norm(network.descent)


def dense_fisher(weights, sigma, noise) -> Tensor:
    """F = ⟨Jᵀ Σ̃⁻¹ J⟩ over x with ⟨x xᵀ⟩ = Σ, J of W_L⋯W_1 x by autodiff: no algebra of nglab."""
    sizes = [w.numel() for w in weights]

    def total(flat: Tensor) -> Tensor:
        product = torch.eye(weights[0].shape[1], dtype=flat.dtype)
        for w, part in zip(weights, flat.split(sizes), strict=True):
            product = part.view_as(w) @ product
        return product

    flat = torch.cat([w.flatten() for w in weights])
    jacobian = torch.autograd.functional.jacobian(total, flat)  # [n_L, n_0, P]
    return torch.einsum("iap,ij,ab,jbq->pq", jacobian, torch.linalg.inv(noise), sigma, jacobian)


@pytest.mark.parametrize("widths", SHAPES.values(), ids=SHAPES)
def test_products_are_what_the_layers_multiply_to(widths):
    weights, *_ = random_problem(widths, 0)
    total = weights[0]
    for w in weights[1:]:
        total = w @ total
    for b, w, a in zip(products(weights)[0], weights, products(weights)[1], strict=True):
        assert_close(b @ w @ a, total)


@pytest.mark.parametrize("widths", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("rank_deficient", [False, True])
def test_gradient_and_fisher_are_those_of_autodiff(widths, rank_deficient):
    weights, residual, sigma, noise = random_problem(widths, 1, rank_deficient)
    root, root_pinv = second_moment_root(sigma)
    whitened = whiten(weights, residual, root, torch.linalg.cholesky(noise))
    # h over n_0 "examples", the columns of √n_0 K (so that ⟨x xᵀ⟩ = Σ), errors whitened by S⁻¹
    x = root.T * root.shape[1] ** 0.5
    total = residual + products(weights)[0][0] @ weights[0]
    s_inv = torch.linalg.inv(torch.linalg.cholesky(noise))
    network = Network(widths)
    descent = autograd_gradient(
        network, [*weights[:-1], s_inv @ weights[-1]], x, x @ total.T @ s_inv.T
    )
    descent[-1] = s_inv.T @ descent[-1]
    for ours, theirs in zip(whitened.descent, descent, strict=True):
        assert_close(ours, -theirs)
    step = [randn(*w.shape, seed=3) for w in weights]
    dense = dense_fisher(weights, sigma, noise) @ torch.cat([d.flatten() for d in step])
    assert_close(torch.cat([f.flatten() for f in whitened.fisher(step)]), dense)
    assert_close(root @ root.T, sigma)
    assert_close(root_pinv @ root, torch.eye(root.shape[1], dtype=root.dtype))


@pytest.mark.parametrize("unit", [1e-14, 1.0, 1e14])
def test_what_counts_as_zero_in_a_moment_does_not_depend_on_its_unit(unit):
    sigma = unit * torch.diag(torch.tensor([1.0, 1e-4, 1e-9, 0.0], dtype=torch.float64))
    root, root_pinv = second_moment_root(sigma, cutoff=1e-6)
    assert root.shape == (4, 2)
    assert_close(root @ root.T / unit, torch.diag(torch.tensor([1.0, 1e-4, 0, 0])).double())
    assert_close(root_pinv @ root, torch.eye(2, dtype=torch.float64))


def random_widths(seed: int) -> tuple[int, ...]:
    depth = int(torch.randint(1, 6, (1,), generator=torch.Generator().manual_seed(seed)))
    widths = torch.randint(2, 8, (depth + 1,), generator=torch.Generator().manual_seed(seed + 1))
    return tuple(widths.tolist())


CASES = [(random_widths(s), s, s % 2 == 1) for s in range(32)]
CASES += [(widths, s, s == 1) for widths in SHAPES.values() for s in (0, 1)]


@pytest.mark.parametrize(("widths", "seed", "rank_deficient"), CASES)
def test_shells_is_a_natural_gradient_of_any_shape(widths, seed, rank_deficient):
    network = random_whitened(widths, seed, rank_deficient)
    assert mismatch(network, shells(network)) < 1e-10


@pytest.mark.parametrize("widths", EVERY_INVERSE_EXISTS.values(), ids=EVERY_INVERSE_EXISTS)
@pytest.mark.parametrize("seed", range(5))
def test_eq16_is_one_where_the_ends_pass_whole(widths, seed):
    network = random_whitened(widths, seed)
    assert mismatch(network, eq16(network)) < 1e-10
    assert_close(eq16(network), shells(network))


@pytest.mark.parametrize("widths", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("seed", range(5))
def test_eq16_is_none_elsewhere(widths, seed):
    network = random_whitened(widths, seed)
    assert mismatch(network, eq16(network)) > 1e-2


@pytest.mark.parametrize("widths", EVERY_INVERSE_EXISTS.values(), ids=EVERY_INVERSE_EXISTS)
def test_eq16_is_none_where_a_weight_has_lost_rank(widths):
    network = random_whitened(widths, 0, rank_deficient=True)
    lost = len(widths) > 2 and min(widths[1:-1]) - 1 < max(widths[0], widths[-1])
    assert (mismatch(network, eq16(network)) > 1e-2) == lost


@pytest.mark.parametrize("widths", SHAPES.values(), ids=SHAPES)
def test_eq10_is_eq16(widths):
    network = random_whitened(widths, 2)
    assert_close(eq10(network), eq16(network))


@pytest.mark.parametrize("widths", EVERY_INVERSE_EXISTS.values(), ids=EVERY_INVERSE_EXISTS)
@pytest.mark.parametrize("least", [1e-4, 1e-7])
def test_eq10_keeps_its_digits_where_a_weight_is_badly_conditioned(widths, least):
    """To eps times the condition number, where the covariances' own would be its square."""
    weights, residual, sigma, noise = random_problem(widths, 2)
    middle = len(weights) // 2
    u, s, vh = torch.linalg.svd(weights[middle], full_matrices=False)
    s[-1] = least
    weights[middle] = u * s @ vh
    network = whiten(weights, residual, second_moment_root(sigma)[0], torch.linalg.cholesky(noise))
    assert mismatch(network, eq10(network)) < 1e-13 / least


def test_singular_values_below_the_cutoff_are_left_out_of_eq10():
    narrow = torch.diag(torch.tensor([1.0, 1e-4, 0.0], dtype=torch.float64))
    right = torch.ones(3, 1, dtype=torch.float64)
    assert_close(gram_solve(narrow, right, 1e-3)[:, 0], torch.tensor([1.0, 0, 0]).double())
    assert_close(gram_solve(narrow, right, 1e-5)[:, 0], torch.tensor([1.0, 1e8, 0]).double())


@pytest.mark.parametrize("widths", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("rank_deficient", [False, True])
def test_tikhonov_is_the_dense_damped_solution(widths, rank_deficient):
    weights, residual, sigma, noise = random_problem(widths, 3, rank_deficient)
    network = whiten(weights, residual, second_moment_root(sigma)[0], torch.linalg.cholesky(noise))
    fisher = dense_fisher(weights, sigma, noise)
    descent = torch.cat([g.flatten() for g in network.descent])
    step = tikhonov(network, damping=0.1)
    expected = torch.linalg.solve(fisher + 0.1 * torch.eye(len(fisher)), descent)
    assert_close(torch.cat([d.flatten() for d in step]), expected)


@pytest.mark.parametrize("widths", SHAPES.values(), ids=SHAPES)
def test_every_natural_gradient_moves_the_function_by_the_projection(widths):
    network = random_whitened(widths, 4)
    assert_close(network.push(shells(network)), projection(network))
    assert_close(
        network.push(tikhonov(network, damping=1e-11)), projection(network), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("form", FORMS)
def test_damping_tends_to_none(form):
    network = random_whitened((3, 4, 4, 3), 5)
    assert mismatch(network, FORMS[form](network, damping=1e-18)) < 1e-5
    assert mismatch(network, FORMS[form](network, damping=1.0)) > 1e-2


def test_flags_fit_every_layer():
    network = random_whitened((6, 4, 2, 4, 6), 6, rank_deficient=True)
    flags = Flags.of(network)
    for rows, columns, b, a in zip(*flags.of_layers(), network.back, network.forth, strict=True):
        assert_close(rows @ (rows.T @ b), b)
        assert_close((a @ columns) @ columns.T, a)
        assert rows.shape[1] == torch.linalg.matrix_rank(b, rtol=1e-10)
        assert columns.shape[1] == torch.linalg.matrix_rank(a, rtol=1e-10)
    assert_close(flags.rows.T @ flags.rows, torch.eye(6, dtype=torch.float64))


def test_a_flag_takes_a_direction_below_the_cutoff_for_none():
    narrow = torch.diag(torch.tensor([1.0, 1e-4, 0.0], dtype=torch.float64))
    whole = torch.eye(3, dtype=torch.float64)
    assert flag([narrow, whole], cutoff=1e-3)[1] == [1, 3]
    assert flag([narrow, whole], cutoff=1e-5)[1] == [2, 3]
