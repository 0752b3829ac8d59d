import pytest
import torch
from curvature.cases import CASES, jacobian, loss, problem
from dense_reference import network_output
from problems import randn, replicas, rng
from scipy.sparse.linalg import cg, eigsh
from torch.testing import assert_close

from nglab.curvature.empirical_fisher import EmpiricalFisher
from nglab.curvature.fisher import Fisher, MonteCarloFisher
from nglab.curvature.ggn import GGN, LinearisedGGN
from nglab.curvature.hessian import Hessian
from nglab.curvature.operator import BlockDiagonal
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import output_fisher, output_hessian
from nglab.likelihoods.softmax_in_network import SoftmaxInNetwork
from nglab.networks.layers import Layers, from_vector, to_vector
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network
from nglab.networks.passes import forward

every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_fisher_equals_autodiff(name):
    network, params, x, _, likelihood = problem(name)
    j = jacobian(network, params, x)
    inner = output_fisher(likelihood, forward(network, params, x).output)
    expected = torch.einsum("mip,mij,mjq->pq", j, inner, j) / len(x)
    assert_close(Fisher(network, params, x, likelihood).to_dense(), expected)


@every_case
def test_ggn_equals_autodiff(name):
    network, params, x, y, likelihood = problem(name)
    j = jacobian(network, params, x)
    inner = output_hessian(likelihood, forward(network, params, x).output, y)
    expected = torch.einsum("mip,mij,mjq->pq", j, inner, j) / len(x)
    assert_close(GGN(network, params, x, y, likelihood).to_dense(), expected)


@every_case
def test_structural_damping_equals_autodiff(name):
    network, params, x, y, likelihood = problem(name)

    def hidden(theta):
        layers = network_output(network, from_vector(network, theta), x)[1:-1]
        return torch.cat([x.new_zeros(len(x), 0), *layers], 1)

    j = torch.func.jacrev(hidden)(to_vector(params))
    expected = GGN(network, params, x, y, likelihood).to_dense()
    expected += 0.3 * torch.einsum("mip,miq->pq", j, j) / len(x)
    linearised = Linearised.at(network, params, x)
    sigma = torch.tensor(0.3).double()
    assert_close(LinearisedGGN(linearised, y, likelihood, sigma).to_dense(), expected)


@every_case
def test_hessian_equals_autodiff(name):
    network, params, x, y, likelihood = problem(name)
    theta = to_vector(params)
    expected = torch.func.hessian(lambda t: loss(network, t, x, y, likelihood))(theta)
    assert_close(Hessian(network, params, x, y, likelihood).to_dense(), expected)


@every_case
def test_empirical_fisher_equals_autodiff(name):
    network, params, x, y, likelihood = problem(name)
    theta = to_vector(params)
    gradients = torch.stack(
        [
            torch.func.grad(
                lambda t, m=m: loss(network, t, x[m : m + 1], y[m : m + 1], likelihood)
            )(theta)
            for m in range(len(x))
        ]
    )
    expected = gradients.T @ gradients / len(x)
    assert_close(EmpiricalFisher(network, params, x, y, likelihood).to_dense(), expected)


@every_case
def test_monte_carlo_fisher_is_the_mean_of_empirical_fishers_of_sampled_targets(name):
    network, params, x, _, likelihood = problem(name)
    z = forward(network, params, x).output
    targets = likelihood.sample(z.expand(3, *z.shape), [rng(1)])
    expected = (
        sum(EmpiricalFisher(network, params, x, y, likelihood).to_dense() for y in targets) / 3
    )
    ours = MonteCarloFisher(network, params, x, likelihood, 3, [rng(1)])
    assert_close(ours.to_dense(), expected)


def operators(name):
    network, params, x, y, likelihood = problem(name)
    return [
        Fisher(network, params, x, likelihood),
        MonteCarloFisher(network, params, x, likelihood, 2, [rng(1)]),
        GGN(network, params, x, y, likelihood),
        EmpiricalFisher(network, params, x, y, likelihood),
        Hessian(network, params, x, y, likelihood),
    ]


def test_products_with_a_vector_and_with_several():
    for c in operators("tanh with bias"):
        v = randn(c.shape[0], 3, seed=4)
        assert_close(c @ v, c.to_dense() @ v)
        assert_close(c @ v[:, 0], c.to_dense() @ v[:, 0])
        assert_close(BlockDiagonal(c) @ v, BlockDiagonal(c).to_dense() @ v)


def test_a_direction_by_layer_is_multiplied_as_its_vector_is():
    for c in operators("tanh with bias"):
        v = randn(c.shape[0], seed=4)
        layers = Layers.from_vector(c.network, v)
        for given, kind in ((layers, Layers), (list(layers), list)):
            product = c @ given
            assert type(product) is kind
            assert_close(to_vector(product), c @ v)


def test_classes_stand_for_unit_vectors():
    network, params, x, _, likelihood = problem("categorical likelihood")
    classes = torch.arange(len(x)) % network.widths[-1]
    vectors = torch.eye(network.widths[-1], dtype=torch.float64)[classes]
    for kind in (GGN, Hessian, EmpiricalFisher):
        by_number, by_vector = (
            kind(network, params, x, y, likelihood).to_dense() for y in (classes, vectors)
        )
        assert torch.equal(by_number, by_vector)


def test_an_operator_says_what_it_is():
    said = [repr(c) for c in operators("tanh with bias")]
    assert said[0].startswith("Fisher([") and said[0].endswith(", float64)")
    assert [text.partition("(")[0] for text in said] == [
        "Fisher", "MonteCarloFisher", "GGN", "EmpiricalFisher", "Hessian",
    ]  # fmt: skip


def test_block_diagonal_is_the_dense_matrix_without_its_other_blocks():
    for c in operators("sigmoid with bias"):
        sizes = [rows * columns for rows, columns in c.network.shapes]
        mask = torch.block_diag(*(torch.ones(n, n, dtype=torch.float64) for n in sizes))
        assert_close(BlockDiagonal(c).to_dense(), c.to_dense() * mask)


def test_scipy_takes_an_operator():
    for c in operators("tanh with bias"):
        dense, scipys = c.to_dense(), c.as_linear_operator()
        v = randn(c.shape[0], 2, seed=4)
        assert scipys.shape == c.shape
        assert_close(torch.as_tensor(scipys @ v.numpy()), dense @ v)
        assert_close(torch.as_tensor(scipys.T @ v[:, 0].numpy()), dense.T @ v[:, 0])
        largest = eigsh(scipys, k=1, return_eigenvectors=False)[0]
        assert largest == pytest.approx(torch.linalg.eigvalsh(dense).abs().max().item()) or (
            largest == pytest.approx(torch.linalg.eigvalsh(dense).min().item())
        )
    fisher = operators("one layer")[0]
    b = (fisher @ randn(fisher.shape[0], seed=1)).numpy()
    solution, info = cg(fisher.as_linear_operator(), b, rtol=1e-10)
    assert info == 0
    assert_close(fisher @ torch.as_tensor(solution), torch.as_tensor(b))


def test_a_stack_multiplies_as_its_members():
    network = Network((3, 4, 2), "tanh", bias=True)
    singles, stacked = replicas(network, 2)
    x, y = randn(2, 5, 3, seed=1), randn(2, 5, 2, seed=2)
    likelihood = Gaussian()

    def build(params, x, y, generators):
        return [
            Fisher(network, params, x, likelihood),
            MonteCarloFisher(network, params, x, likelihood, 2, generators),
            GGN(network, params, x, y, likelihood),
            EmpiricalFisher(network, params, x, y, likelihood),
            Hessian(network, params, x, y, likelihood),
        ]

    together = build(stacked, x, y, [rng(0), rng(1)])
    v = randn(2, together[0].shape[-1], 3, seed=5)
    for r, params in enumerate(singles):
        for all_c, c in zip(together, build(params, x[r], y[r], [rng(r)]), strict=True):
            assert_close((all_c @ v)[r], c @ v[r])
            assert_close(all_c.to_dense()[r], c.to_dense())
            assert_close((BlockDiagonal(all_c) @ v)[r], BlockDiagonal(c) @ v[r])


def test_where_the_softmax_belongs_changes_the_ggn_alone():
    network, params, x, y, _ = problem("tanh with bias")
    hessians, ggns = (
        [
            curvature(network, params, x, y, r).to_dense()
            for r in (Categorical(), SoftmaxInNetwork())
        ]
        for curvature in (Hessian, GGN)
    )
    assert_close(*hessians)
    assert not torch.allclose(*ggns, rtol=1e-3)
