import pytest
import torch
from dense_reference import autograd_gradient, squared_error
from problems import (
    CONSTANT,
    NETWORKS,
    levenberg_marquardt,
    randn,
    random_batch,
    random_params,
    replicas,
    task_of,
)
from torch.testing import assert_close

from nglab.curvature.deep_linear import FORMS
from nglab.errors import InputError
from nglab.networks.network import Network
from nglab.networks.passes import forward
from nglab.optimizers.ngd_exact import NGDExact
from nglab.settings.checked import altered

M = 24
LINEAR = ["square", "expanding", "bottleneck", "unequal ends", "one layer"]


def ngd_exact(form="shells", damping=0.1, lr=0.7, statistics="batch", least=1e-8) -> NGDExact:
    return NGDExact(
        lr=lr,
        batch_size=M,
        schedule=CONSTANT,
        form=form,
        cutoff=1e-6,
        damping=levenberg_marquardt(damping, least),
        statistics=statistics,
    )


def one_step(optimizer, network, params, x, y, moment=None):
    state = optimizer.init(task_of(network, moment), params, lambda purpose: [])
    return optimizer.step(params.map(torch.clone), state, x, y)


@pytest.mark.parametrize("name", LINEAR)
def test_an_eq16_step_is_equation_20_with_the_models_own_covariances(name):
    """Λ̃_i = B_iᵀB_i (Eq. 14 with Σ̃ = I); √λ on each factor."""
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network, M)
    new, _ = one_step(ngd_exact("eq16"), network, params, x, y)
    gradients = autograd_gradient(network, list(params), x, y)
    inputs = forward(network, params, x).inputs
    back = torch.eye(network.widths[-1], dtype=x.dtype)
    for i in reversed(range(network.depth)):
        damped_out = back.T @ back + 0.1**0.5 * torch.eye(back.shape[1])
        damped_in = inputs[i].T @ inputs[i] / M + 0.1**0.5 * torch.eye(inputs[i].shape[1])
        step = -torch.linalg.solve(damped_out, gradients[i]) @ torch.linalg.inv(damped_in)
        assert_close(new[i], params[i] + 0.7 / network.depth * step)
        back = back @ params[i]


@pytest.mark.parametrize("form", FORMS)
def test_an_undamped_step_on_one_layer_is_least_squares(form):
    """L = 1, α = 1, λ = 0: W becomes the batch's ⟨y xᵀ⟩⟨x xᵀ⟩⁻¹."""
    network = NETWORKS["one layer"]
    params, (x, y) = random_params(network), random_batch(network, M)
    new, _ = one_step(ngd_exact(form, 0.0, 1.0, least=0.0), network, params, x, y)
    assert_close(new[0], torch.linalg.lstsq(x, y).solution.T)


@pytest.mark.parametrize("form", FORMS)
def test_a_small_step_moves_the_function_towards_least_squares(form):
    """Square, λ = 0: Ĵδ = R̂, so W moves by α (W* − W) + O(α²)."""
    network = NETWORKS["square"]
    params, (x, y) = random_params(network), random_batch(network, M)
    new, _ = one_step(ngd_exact(form, 0.0, 1e-6, least=0.0), network, params, x, y)
    before, after = (forward(network, p, x).output.clone() for p in (params, new))
    target = x @ torch.linalg.lstsq(x, y).solution
    assert_close((after - before) / 1e-6, target - before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_reduction_ratio_is_actual_over_predicted_decrease(form):
    network = NETWORKS["bottleneck"]
    params, (x, y) = random_params(network), random_batch(network, M)
    new, state = one_step(ngd_exact(form), network, params, x, y)
    actual = squared_error(network, list(params), x, y) - squared_error(network, list(new), x, y)
    gradients = autograd_gradient(network, list(params), x, y)
    inner = sum(
        ((w - old) / 0.7 * -g).sum() for w, old, g in zip(new, params, gradients, strict=True)
    )
    assert_close(state.reduction_ratio, actual / ((0.7 - 0.7**2 / 2) * inner))


def test_a_known_input_moment_takes_the_place_of_the_batchs():
    network = NETWORKS["bottleneck"]
    params, (x, y) = random_params(network), random_batch(network, M)
    batch, _ = one_step(ngd_exact(), network, params, x, y)
    population = ngd_exact(statistics="population")
    same, _ = one_step(population, network, params, x, y, x.T @ x / M)
    other, _ = one_step(population, network, params, x, y, torch.eye(6))
    for ours, alike, different in zip(batch, same, other, strict=True):
        assert_close(ours, alike)
        assert not torch.allclose(ours, different, rtol=1e-2)


@pytest.mark.parametrize("form", FORMS)
def test_it_trains_a_bottleneck_to_the_floor(form):
    network = Network((8, 5, 2, 5, 8))
    params, teacher = random_params(network, 0), random_params(network, 100)
    optimizer = ngd_exact(form, damping=1e-3, lr=1.0)
    state = optimizer.init(task_of(network), params, lambda purpose: [])
    losses = []
    for seed in range(80):
        x = randn(M, 8, seed=seed)
        y = forward(network, teacher, x).output
        losses.append(float(squared_error(network, list(params), x, y)))
        params, state = optimizer.step(params, state, x, y)
    assert losses[-1] < 1e-8 * losses[0]


@pytest.mark.parametrize("form", FORMS)
def test_a_step_that_is_not_finite_is_not_taken_and_raises_the_damping(form):
    network = NETWORKS["square"]
    params, (x, y) = random_params(network), random_batch(network, M)
    new, state = one_step(altered(ngd_exact(form), {"lr": 1e150}), network, params, x, y)
    assert all(torch.equal(w, old) for w, old in zip(new, params, strict=True))
    assert state.skipped_steps == 1
    assert_close(state.damping.value, torch.tensor(0.15, dtype=torch.float64))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dead_inputs_and_dead_weights_give_no_nan(form, dtype):
    """W_2 = 0, a constant-zero input and fewer examples than inputs: Σ, B_1 and A_3 … have lost rank."""
    network = Network((30, 4, 4, 3))
    params, (x, y) = random_params(network).map(lambda w: w.to(dtype)), random_batch(network, M)
    params[1].zero_()
    x[:, 0] = 0
    optimizer = NGDExact(
        statistics="batch",
        lr=1.0,
        batch_size=M,
        schedule=CONSTANT,
        form=form,
        cutoff=1e-3,
        damping=levenberg_marquardt(1e-8),
    )
    state = optimizer.init(task_of(network), params, lambda purpose: [])
    for _ in range(5):
        params, state = optimizer.step(params, state, x.to(dtype), y.to(dtype))
        assert all(w.isfinite().all() for w in params)
        assert state.damping.value.isfinite()


@pytest.mark.parametrize("form", FORMS)
def test_weights_whose_products_overflow_are_left_as_they_are(form):
    network = NETWORKS["square"]
    params, (x, y) = random_params(network).map(lambda w: w * 1e150), random_batch(network, M)
    new, state = one_step(ngd_exact(form), network, params, x, y)
    assert all(torch.equal(w, old) for w, old in zip(new, params, strict=True))
    assert state.skipped_steps == 1
    assert_close(state.damping.value, torch.tensor(0.15, dtype=torch.float64))


@pytest.mark.parametrize("name", ["tanh with bias", "sigmoid"])
def test_other_networks_are_refused(name):
    network = NETWORKS[name]
    with pytest.raises(InputError, match=r"arch\.activation=identity"):
        ngd_exact().init(task_of(network), random_params(network), lambda purpose: [])


def test_a_bias_is_refused():
    network = Network((3, 2), bias=True)
    with pytest.raises(InputError, match="bias"):
        ngd_exact().init(task_of(network), random_params(network), lambda purpose: [])


def test_a_stack_is_refused():
    network = NETWORKS["square"]
    with pytest.raises(InputError, match="stack"):
        ngd_exact().init(task_of(network), replicas(network, 2)[1], lambda purpose: [])
