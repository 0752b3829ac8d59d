import pytest
import torch
from problems import randn, rng
from torch import distributions
from torch.distributions import Independent, MultivariateNormal, OneHotCategorical
from torch.testing import assert_close

from nglab.errors import InputError
from nglab.likelihoods.bernoulli import Bernoulli
from nglab.likelihoods.categorical import Categorical, CategoricalProbabilities, SoftmaxInNetwork
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.gaussian_mean import GaussianMean
from nglab.likelihoods.gaussian_natural import GaussianNatural
from nglab.likelihoods.likelihood import output_fisher, output_hessian
from nglab.likelihoods.student_t import StudentT

COVARIANCE = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, -0.2], [0.1, -0.2, 0.5]]).double()


def natural(z):
    precision = z[..., 2:].unflatten(-1, (2, 2))
    precision = 0.5 * (precision + precision.mT)
    mean = torch.linalg.solve(precision, z[..., :2, None])[..., 0]
    return MultivariateNormal(mean, precision_matrix=precision)


LIKELIHOODS = {  # ours, torch's distribution of z
    "gaussian": (Gaussian(), lambda z: MultivariateNormal(z, torch.eye(3).double())),
    "gaussian mean": (GaussianMean(COVARIANCE), lambda z: MultivariateNormal(z, COVARIANCE)),
    "gaussian natural": (GaussianNatural(2), natural),
    "categorical": (Categorical(), lambda z: OneHotCategorical(logits=z)),
    "softmax in network": (SoftmaxInNetwork(), lambda z: OneHotCategorical(logits=z)),
    "bernoulli": (Bernoulli(), lambda z: Independent(distributions.Bernoulli(logits=z), 1)),
    "student": (StudentT(5.0, 0.7), lambda z: Independent(distributions.StudentT(5.0, z, 0.7), 1)),
}
every_likelihood = pytest.mark.parametrize("name", LIKELIHOODS)


def outputs(name, *leading, seed=0):
    if name != "gaussian natural":
        return randn(*leading, 3, seed=seed)
    root = randn(*leading, 2, 2, seed=seed + 1)
    precision = root @ root.mT + torch.eye(2)
    return torch.cat([randn(*leading, 2, seed=seed), precision.flatten(-2)], -1)


def targets(name, z, seed=3):
    torch.manual_seed(seed)
    return LIKELIHOODS[name][1](z).sample()


@every_likelihood
def test_losses_are_the_negative_log_density_up_to_a_term_of_y(name):
    ours, torchs = LIKELIHOODS[name]
    z, other = outputs(name, 4, 6), outputs(name, 4, 6, seed=9)
    y = targets(name, z)
    ours_differ = ours.losses(z, y) - ours.losses(other, y)
    assert_close(ours_differ, torchs(other).log_prob(y) - torchs(z).log_prob(y))


@every_likelihood
def test_error_is_minus_the_derivative_of_the_loss(name):
    likelihood = LIKELIHOODS[name][0]
    z = outputs(name, 2, 5).requires_grad_()
    y = targets(name, z.detach())
    (expected,) = torch.autograd.grad(-likelihood.losses(z, y).sum(), z)
    assert_close(likelihood.error(z.detach(), y), expected)
    out = torch.empty_like(expected)
    assert likelihood.error(z.detach(), y, out=out) is out
    assert_close(out, expected)


@every_likelihood
def test_output_hessian_is_the_second_derivative(name):
    if name == "softmax in network":
        pytest.skip("its H_L leaves the softmax's own second derivative out")
    likelihood = LIKELIHOODS[name][0]
    z = outputs(name, 4)
    y = targets(name, z)
    for z_m, y_m, hessian in zip(z, y, output_hessian(likelihood, z, y), strict=True):
        expected = torch.func.hessian(lambda v, y_m=y_m: likelihood.losses(v[None], y_m[None])[0])(
            z_m
        )
        assert_close(hessian, expected)


@every_likelihood
def test_output_fisher_is_the_covariance_of_the_sampled_errors(name):
    """Within five standard deviations of the mean of 40 000 draws, entry by entry."""
    likelihood = LIKELIHOODS[name][0]
    z = outputs(name, 1)
    many = z.expand(40_000, -1)
    error = likelihood.error(many, likelihood.sample(many, [rng(4)]))
    products = error[:, :, None] * error[:, None, :]
    deviation = (products.mean(0) - output_fisher(likelihood, z)[0]).abs()
    assert (deviation <= 5 * products.std(0) / 200 + 1e-12).all()
    assert (error.mean(0).abs() <= 5 * error.std(0) / 200).all()


@every_likelihood
def test_samples_have_the_moments_of_torchs_distribution(name):
    likelihood, torchs = LIKELIHOODS[name]
    z = outputs(name, 1)
    y = likelihood.sample(z.expand(40_000, -1), [rng(5)])
    distribution = torchs(z[0])
    assert y.shape[1:] == distribution.event_shape
    assert ((y.mean(0) - distribution.mean).abs() <= 5 * y.std(0) / 200).all()
    assert_close(y.var(0), distribution.variance, rtol=0.1, atol=0.0)


@every_likelihood
def test_replicas_and_sets_are_computed_as_one_alone(name):
    likelihood = LIKELIHOODS[name][0]
    z = outputs(name, 2, 5)
    together = likelihood.sample(z, [rng(1), rng(2)])
    for r in range(2):
        alone = likelihood.sample(z[r], [rng(1 + r)])
        assert_close(together[r], alone)
        assert_close(likelihood.losses(z, together)[r], likelihood.losses(z[r], alone))
        assert_close(likelihood.error(z, together)[r], likelihood.error(z[r], alone))
        assert_close(output_fisher(likelihood, z)[r], output_fisher(likelihood, z[r]))
        dense = output_hessian(likelihood, z, together)
        assert_close(dense[r], output_hessian(likelihood, z[r], alone))


def test_probabilities_as_outputs():
    likelihood = CategoricalProbabilities()
    p = outputs("categorical", 4).softmax(-1)
    y = likelihood.sample(p, [rng(0)])
    for p_m, y_m, hessian in zip(p, y, output_hessian(likelihood, p, y), strict=True):

        def loss(v, y_m=y_m):
            return likelihood.losses(v[None], y_m[None])[0]

        assert_close(likelihood.error(p_m, y_m), -torch.func.grad(loss)(p_m))
        assert_close(hessian, torch.func.hessian(loss)(p_m))
    scores = likelihood.error(p[:, None], torch.eye(3).double())  # of every class
    expected = torch.einsum("mc,mci,mcj->mij", p, scores, scores)
    assert_close(output_fisher(likelihood, p), expected)


def test_softmax_in_the_network_is_the_gauss_newton_matrix_of_the_probabilities():
    z = outputs("categorical", 4)
    y = targets("categorical", z)
    for z_m, y_m, ours in zip(z, y, output_hessian(SoftmaxInNetwork(), z, y), strict=True):
        s = torch.func.jacrev(lambda v: v.softmax(-1))(z_m)
        h = torch.func.hessian(lambda p, y_m=y_m: -(y_m * p.log()).sum())(z_m.softmax(-1))
        assert_close(ours, s.T @ h @ s)


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
