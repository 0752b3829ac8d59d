"""What every likelihood is held to. A new one is a line of CASES."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace

import pytest
import torch
from problems import randn, rng
from torch import Tensor, distributions
from torch.distributions import Independent, MultivariateNormal, OneHotCategorical
from torch.testing import assert_close

from nglab.errors import InputError
from nglab.likelihoods.bernoulli import Bernoulli
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.categorical_probabilities import CategoricalProbabilities
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.gaussian_mean import GaussianMean
from nglab.likelihoods.gaussian_natural import GaussianNatural
from nglab.likelihoods.likelihood import Likelihood, output_fisher, output_hessian
from nglab.likelihoods.softmax_in_network import SoftmaxInNetwork
from nglab.likelihoods.student_t import StudentT

COVARIANCE = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, -0.2], [0.1, -0.2, 0.5]]).double()
DRAWS = 40_000


@dataclass(frozen=True)
class Case:
    """Ours, torch's distribution of z, and outputs z made of six standard normal numbers."""

    ours: Likelihood
    torchs: Callable[[Tensor], distributions.Distribution]
    outputs: Callable[[Tensor], Tensor] = lambda white: white[..., :3]


def near_unit_precision(white: Tensor) -> Tensor:
    root = white[..., 2:].unflatten(-1, (2, 2))
    return torch.cat([white[..., :2], (root @ root.mT + torch.eye(2).to(white)).flatten(-2)], -1)


def natural(z: Tensor) -> MultivariateNormal:
    precision = z[..., 2:].unflatten(-1, (2, 2))
    precision = 0.5 * (precision + precision.mT)
    mean = torch.linalg.solve(precision, z[..., :2, None])[..., 0]
    return MultivariateNormal(mean, precision_matrix=precision)


CASES = {
    "gaussian": Case(Gaussian(), lambda z: MultivariateNormal(z, torch.eye(3).double())),
    "gaussian mean": Case(GaussianMean(COVARIANCE), lambda z: MultivariateNormal(z, COVARIANCE)),
    "gaussian natural": Case(GaussianNatural(2), natural, near_unit_precision),
    "categorical": Case(Categorical(), lambda z: OneHotCategorical(logits=z)),
    "probabilities": Case(CategoricalProbabilities(), OneHotCategorical, lambda w: w.softmax(-1)),
    "softmax in network": Case(SoftmaxInNetwork(), lambda z: OneHotCategorical(logits=z)),
    "bernoulli": Case(Bernoulli(), lambda z: Independent(distributions.Bernoulli(logits=z), 1)),
    "student": Case(
        StudentT(5.0, 0.7), lambda z: Independent(distributions.StudentT(5.0, z, 0.7), 1)
    ),
}
every_likelihood = pytest.mark.parametrize("name", CASES)


def outputs(name: str, *leading: int, seed: int = 0) -> Tensor:
    return CASES[name].outputs(randn(*leading, 6, seed=seed))


def targets(name: str, z: Tensor) -> Tensor:
    torch.manual_seed(3)
    return CASES[name].torchs(z).sample()


def assert_mean(values: Tensor, expected: Tensor) -> None:
    """The mean of DRAWS values is within five of its standard deviations of what is expected."""
    assert ((values.mean(0) - expected).abs() <= 5 * values.std(0) / DRAWS**0.5 + 1e-12).all()


@every_likelihood
def test_losses_are_the_negative_log_density_up_to_a_term_of_y(name):
    ours, torchs = CASES[name].ours, CASES[name].torchs
    z, other = outputs(name, 4, 6), outputs(name, 4, 6, seed=9)
    y = targets(name, z)
    ours_differ = ours.losses(z, y) - ours.losses(other, y)
    assert_close(ours_differ, torchs(other).log_prob(y) - torchs(z).log_prob(y))


@every_likelihood
def test_the_loss_is_the_mean_of_the_losses(name):
    ours, z = CASES[name].ours, outputs(name, 2, 5)
    y = targets(name, z)
    expected = torch.stack([ours.losses(z, y)[r].sum() / 5 for r in range(2)])
    assert_close(ours.loss(z, y), expected)
    assert_close(ours.loss(z, y, ours.error(z, y)), expected)


@every_likelihood
def test_the_error_is_minus_the_derivative_of_the_loss(name):
    ours, z = CASES[name].ours, outputs(name, 2, 5).requires_grad_()
    y = targets(name, z.detach())
    (expected,) = torch.autograd.grad(-ours.losses(z, y).sum(), z)
    assert_close(ours.error(z.detach(), y), expected)


@every_likelihood
def test_the_hessian_is_the_second_derivative(name):
    ours, z = CASES[name].ours, outputs(name, 4)
    y = targets(name, z)
    for z_m, y_m, hessian in zip(z, y, output_hessian(ours, z, y), strict=True):
        expected = torch.func.hessian(lambda v, y_m=y_m: ours.losses(v[None], y_m[None])[0])(z_m)
        assert_close(hessian, expected)


@every_likelihood
def test_samples_have_the_moments_of_torchs_distribution(name):
    ours, torchs = CASES[name].ours, CASES[name].torchs
    z = outputs(name, 1)
    y = ours.sample(z.expand(DRAWS, -1), [rng(5)])
    assert y.shape[1:] == torchs(z[0]).event_shape
    assert_mean(y, torchs(z[0]).mean)
    assert_close(y.var(0), torchs(z[0]).variance, rtol=0.1, atol=0.0)


@every_likelihood
def test_the_fisher_is_the_second_moment_of_the_sampled_errors(name):
    ours, z = CASES[name].ours, outputs(name, 1)
    errors = ours.sample_error(z, [rng(4)], out=z.new_empty(DRAWS, *z.shape))[:, 0]
    assert_mean(errors[:, :, None] * errors[:, None, :], output_fisher(ours, z)[0])


@every_likelihood
def test_the_root_of_the_fisher_has_the_errors_in_its_range(name):
    ours, z = CASES[name].ours, outputs(name, 2, 5)
    error = ours.error(z, targets(name, z))
    columns, w = ours.fisher_root(z, error)
    assert_close(torch.einsum("...jma,...jmb->...mab", columns, columns), output_fisher(ours, z))
    assert_close(torch.einsum("...jma,...jm->...ma", columns, w), error)


@every_likelihood
def test_the_fisher_is_the_mean_of_the_curvature_of_the_loss(name):
    """Where z are natural parameters of an exponential family every y gives one H_L: it is F_R without spread."""
    ours, z = CASES[name].ours, outputs(name, 1)
    many = z.expand(DRAWS, -1)
    y, u = ours.sample(many, [rng(4)]), randn(z.shape[-1], seed=6).expand(many.shape)
    for curvature in (ours.hessian_times, ours.ggn_times):
        assert_mean(curvature(many, y, u), ours.fisher_times(z, u[:1])[0])


@every_likelihood
def test_replicas_and_sets_are_computed_as_one_alone(name):
    ours, z = CASES[name].ours, outputs(name, 2, 5)
    together = ours.sample(z, [rng(1), rng(2)])
    for r in range(2):
        alone = ours.sample(z[r], [rng(1 + r)])
        assert_close(together[r], alone)
        assert_close(ours.losses(z, together)[r], ours.losses(z[r], alone))
        assert_close(ours.error(z, together)[r], ours.error(z[r], alone))
        assert_close(output_fisher(ours, z)[r], output_fisher(ours, z[r]))
        assert_close(output_hessian(ours, z, together)[r], output_hessian(ours, z[r], alone))


def memory(z: Tensor, sets: int) -> dict[str, Tensor]:
    """Places for `sets` errors of z `[..., M, n]`: all of a tensor, some sets of it, one unit after the other."""
    shape = (*z.shape[:-2], sets, *z.shape[-2:])
    more = (*z.shape[:-2], sets + 1, *z.shape[-2:])
    return {
        "whole": z.new_empty(shape),
        "some sets": z.new_empty(more).narrow(-3, 1, sets),
        "by units": z.new_empty(shape).mT.contiguous().mT,
    }


@pytest.mark.parametrize("sets", [1, 3])
@every_likelihood
def test_sampled_errors_are_those_of_samples_wherever_they_are_written(name, sets):
    ours, z = CASES[name].ours, outputs(name, 2, 5)
    for out in memory(z, sets).values():
        assert ours.sample_error(z, [rng(1), rng(2)], out=out) is out
        for r in range(2):
            z_r = z[r].expand(sets, -1, -1)
            assert_close(out[r], ours.error(z_r, ours.sample(z_r, [rng(1 + r)])))
            (alone,) = ours.sample_error(z[r], [rng(1 + r)], out=torch.empty_like(z_r))[None]
            assert torch.equal(out[r], alone)


@every_likelihood
def test_an_error_is_the_same_wherever_it_is_written(name):
    ours, z = CASES[name].ours, outputs(name, 2, 5)
    y = targets(name, z)
    for out in memory(z, 1).values():
        place = out.select(-3, 0)
        assert ours.error(z, y, out=place) is place
        assert torch.equal(place, ours.error(z, y))


@every_likelihood
def test_the_dtype_of_the_outputs_is_that_of_everything(name):
    double, z = CASES[name].ours, outputs(name, 5)
    ours, y = single(double), targets(name, z)
    for of in (
        lambda r, z, y: r.losses(z, y),
        lambda r, z, y: r.loss(z, y),
        lambda r, z, y: r.error(z, y),
        lambda r, z, y: r.fisher_times(z, z),
        lambda r, z, y: r.hessian_times(z, y, z),
    ):
        assert_close(of(ours, z.float(), y.float()), of(double, z, y).float(), rtol=1e-3, atol=1e-4)
    assert ours.sample(z.float(), [rng(0)]).dtype == torch.float32


def single(likelihood: Likelihood) -> Likelihood:
    values = {field.name: getattr(likelihood, field.name) for field in fields(likelihood)}
    return replace(likelihood, **{k: v.float() for k, v in values.items() if isinstance(v, Tensor)})


@every_likelihood
def test_outputs_that_are_not_finite_stop_nothing(name):
    """A run that blows up ends with a row that says so, not in the middle of a step."""
    ours, z = CASES[name].ours, torch.full_like(outputs(name, 5), torch.nan)
    out = ours.sample_error(z, [rng(0)], out=torch.zeros(1, *z.shape, dtype=z.dtype))
    y = ours.sample(z, [rng(0)])
    assert not ours.loss(z, y).isfinite()
    assert out.isnan().any() or name == "gaussian"


@every_likelihood
def test_the_measures_are_the_columns_one_a_replica(name):
    ours, z = CASES[name].ours, outputs(name, 2, 5)
    measures = ours.measures(z, targets(name, z))
    assert measures.keys() == ours.columns.keys()
    assert all(values.shape == (2,) for values in measures.values())


@every_likelihood
def test_only_targets_that_it_is_a_density_of_are_taken(name):
    ours = CASES[name].ours
    for kind in ("real", "unit interval", "classes"):
        run = SimpleNamespace(data=SimpleNamespace(targets=kind))
        if kind in ours.takes:
            ours.check("likelihood", run)
        else:
            with pytest.raises(InputError, match=f'^likelihood=.*must be .*"{kind}"'):
                ours.check("likelihood", run)


@every_likelihood
def test_equal_settings_make_equal_likelihoods(name):
    """What a stack asks; a covariance is not compared."""
    ours = CASES[name].ours
    assert (replace(ours) == ours) is (name != "gaussian mean")
    assert all(ours != other.ours for other in CASES.values() if other.ours is not ours)


def test_softmax_in_the_network_is_the_gauss_newton_matrix_of_the_probabilities():
    z = outputs("categorical", 4)
    y, u = targets("categorical", z), randn(4, 3, seed=5)
    for z_m, y_m, u_m, ours in zip(z, y, u, SoftmaxInNetwork().ggn_times(z, y, u), strict=True):
        s = torch.func.jacrev(lambda v: v.softmax(-1))(z_m)
        h = torch.func.hessian(lambda p, y_m=y_m: -(y_m * p.log()).sum())(z_m.softmax(-1))
        assert_close(ours, s.T @ h @ s @ u_m)


def test_the_error_of_a_classifier_is_in_percent():
    z = torch.tensor([[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [-1.0, 0.0]]).double()
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]).double()
    assert Categorical().measures(z, y)["error"].item() == 25


def test_a_class_without_probability_is_never_drawn():
    z = torch.tensor([-1e4, 0.0, -1e4, 1.0, -1e4]).expand(DRAWS, -1)
    assert (Categorical().sample(z, [rng(0)]).mean(0) > 0).tolist() == [False, True] * 2 + [False]


def test_natural_parameters_outside_the_domain_have_infinite_loss():
    z = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, -1.0]]).double()
    assert GaussianNatural(2).losses(z, torch.zeros(1, 2).double()).item() == torch.inf


@pytest.mark.parametrize("entry", [[[1.0, 0.0], [0.0, -1.0]], [[1.0, 0.5], [0.0, 1.0]]])
def test_a_covariance_that_is_not_spd_is_refused(entry):
    with pytest.raises(InputError, match="covariance"):
        GaussianMean(torch.tensor(entry))


def test_the_loss_of_many_examples_is_not_lost_to_rounding():
    """ρ compares two losses that differ in a small part; a norm of so many entries would be off by 1e-4."""
    error = torch.randn(10_000, 784, generator=torch.Generator().manual_seed(0))

    def loss(error):
        return Gaussian().loss(error, error, error)

    assert_close(loss(error).double(), loss(error.double()), rtol=1e-6, atol=0)
