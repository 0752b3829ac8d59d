"""A convolution's rows, gradient, factors and tangents, against brute force in float64."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, jvp

from nglab.torch import NGD
from nglab.torch.module_layers import module_layers

SHAPES = [
    {"kernel_size": 3},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2)},
    {"kernel_size": 2, "dilation": (1, 2), "bias": False},
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": (2, 3), "padding": "valid", "stride": 3},
    {"kernel_size": 1},
]
M, CHANNELS, FILTERS = 3, 2, 4


def convolution(options):
    torch.manual_seed(0)
    module = nn.Conv2d(CHANNELS, FILTERS, **options).double()
    (layer,) = module_layers(module, list(module.parameters()))
    return module, layer, torch.randn(M, CHANNELS, 7, 8, dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_w_times_the_rows_is_the_output(options):
    module, layer, x = convolution(options)
    w = torch.empty(layer.shape, dtype=torch.float64)
    layer.read_(w)
    output = module(x)
    for _ in range(2):  # the second time in the memory of the first
        torch.testing.assert_close(layer.input_rows(x) @ w.mT, layer.error_rows(output))
    torch.testing.assert_close(layer.tangent(x, w), output)
    layer.write(2 * w)
    torch.testing.assert_close(module(x), 2 * output)


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_the_gradient_the_factors_and_the_tangent(options):
    module, layer, x = convolution(options)
    count = module(x).shape[2] * module(x).shape[3]
    model = nn.Sequential(module, nn.Tanh(), nn.Flatten(), nn.Linear(FILTERS * count, 3).double())
    y = torch.randn(M, 3, dtype=torch.float64)
    optimizer = NGD(model, seed=4, samples=2, step="line", damping=0.1)
    batch, weights = optimizer._batch, optimizer._weights
    batch.read_(weights)
    generator = torch.Generator().manual_seed(1)
    loss = batch.gradient_(weights, lambda: (model(x), y), None, [generator])

    z = model(x)
    torch.testing.assert_close(loss, 0.5 * (y - z).square().sum(1).mean().detach())
    for parameter, own in zip(
        model.parameters(),
        torch.autograd.grad(0.5 * (y - z).square().sum(1).mean(), list(model.parameters())),
        strict=True,
    ):
        of = next(k for k, one in enumerate(optimizer.layers) if parameter in set(one.parameters))
        weight, bias = optimizer.layers[of].parts(batch.gradient[of])
        torch.testing.assert_close(weight if parameter.dim() > 1 else bias, -own)

    patches = nn.functional.unfold(
        nn.functional.pad(x, layer._padding), module.kernel_size, module.dilation, 0, module.stride
    )  # `[M, entries, positions]`
    if layer.bias is not None:
        patches = torch.cat([patches, torch.ones_like(patches[:, :1])], 1)
    state = optimizer._state.metric
    optimizer.method.metric.update_(state, batch)
    inputs, errors = state.factors.of_layer(0)
    torch.testing.assert_close(inputs, torch.einsum("ait,ajt->ij", patches, patches) / M)
    torch.testing.assert_close(errors, sum(e.mT @ e for e in batch.sampled[0]) / (2 * M * count))

    v = [torch.randn(1, *w.shape, dtype=torch.float64) for w in weights]
    parts = {}
    for one, name, v_i in zip(optimizer.layers, ("0", "3"), v, strict=True):
        weight, bias = one.parts(v_i[0])
        parts[f"{name}.weight"] = weight
        if bias is not None:
            parts[f"{name}.bias"] = bias
    named = {name: p.detach() for name, p in model.named_parameters()}
    _, moved = jvp(lambda p: functional_call(model, p, (x,)), (named,), (parts,))
    linearised = batch.linearised(weights, None)
    torch.testing.assert_close(linearised.forward(v)[0], moved)
    torch.testing.assert_close(linearised.by_layer([v_i[0] for v_i in v]).sum(0), moved)


def test_a_filter_as_large_as_the_image_is_a_linear_layer():
    torch.manual_seed(0)
    convolutions = nn.Sequential(nn.Conv2d(2, 5, (3, 4)), nn.Tanh(), nn.Flatten(), nn.Linear(5, 3))
    linear = nn.Sequential(nn.Flatten(), nn.Linear(24, 5), nn.Tanh(), nn.Linear(5, 3))
    for model in (convolutions, linear):
        model.double()
    for a, b in zip(convolutions.parameters(), linear.parameters(), strict=True):
        b.data.copy_(a.data.flatten(1) if a.dim() > 1 else a.data)
    x, y = torch.randn(30, 2, 3, 4).double(), torch.randint(3, (30,))
    optimizers = [NGD(model, "categorical") for model in (convolutions, linear)]
    for _ in range(5):
        one = optimizers[0].step(lambda: (convolutions(x), y))
        other = optimizers[1].step(lambda: (linear(x), y))
        torch.testing.assert_close(one, other)
    assert one < 0.9
