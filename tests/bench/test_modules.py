"""Steps on any nn.Module: who takes part does what its name says."""

import pytest
import torch

from nglab.bench import models, step_tables
from nglab.bench.models import MODELS, ModelPlan
from nglab.bench.module_steps import AUTOGRAD, MODULE_STEPS
from nglab.bench.timing import describe

EACH_MODEL = pytest.mark.parametrize("model", MODELS)


def plan(model, batches):
    return ModelPlan(model, 100, batches, torch.float64)


@EACH_MODEL
@pytest.mark.parametrize("name", [name for name in MODULE_STEPS if name != AUTOGRAD])
def test_a_contender_lowers_the_loss_of_its_batch(name, model):
    """Ours and whatever library is there; one that breaks is for `nglab bench` to report."""
    case = plan(model, batches=1).case()
    for numbers in (case.x, case.y):
        if numbers.is_floating_point():
            numbers *= 0.1  # white noise of variance 1 is far from any quadratic model

    def loss():
        with torch.no_grad():
            return float(case.loss(case.x[0], case.y[0]))

    before = loss()
    try:
        step = MODULE_STEPS[name](case)
    except ModuleNotFoundError as error:
        pytest.skip(describe(error))
    step()
    assert loss() < before


@EACH_MODEL
def test_forward_and_backward_moves_nothing(model):
    case = plan(model, batches=2).case()
    before = [w.detach().clone() for w in case.model.parameters()]
    for w, old in zip(MODULE_STEPS[AUTOGRAD](case)(), before, strict=True):
        assert torch.equal(w, old) and w.grad is not None


@EACH_MODEL
def test_a_plan_makes_the_same_case_each_time(model):
    first, second = (plan(model, batches=2).case() for _ in range(2))
    assert first.steps == 2
    assert torch.equal(first.x, second.x) and torch.equal(first.y, second.y)
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("likelihood", models.LOSSES)
def test_the_loss_is_that_of_the_likelihood(likelihood):
    from nglab.likelihoods.categorical import Categorical
    from nglab.likelihoods.gaussian import Gaussian

    z = torch.randn(5, 3, dtype=torch.float64)
    classes = torch.tensor([0, 2, 1, 1, 0])
    y = {"gaussian": z.flip(0), "categorical": classes}[likelihood]
    rows = torch.nn.functional.one_hot(classes).double() if likelihood == "categorical" else y
    density = {"gaussian": Gaussian(), "categorical": Categorical()}[likelihood]
    torch.testing.assert_close(models.LOSSES[likelihood](z, y), density.loss(z, rows))


def test_a_models_table_has_a_batch_for_every_model():
    assert set(step_tables.MODEL_BATCHES) == set(MODELS)
