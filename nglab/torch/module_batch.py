"""The passes of one step over the batch of an `nn.Module`, made by its own forward and by autograd."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from nglab.curvature.batch import Batch
from nglab.errors import InputError
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.passes import add_outer_
from nglab.torch.module_layers import ModuleLayer
from nglab.torch.module_linearised import ModuleLinearised
from nglab.torch.targets import rows_of

Closure = Callable[[], tuple[Tensor, Tensor]]
"""() → the model's output and the targets of one batch."""


class ModuleBatch(Batch):
    """As `Batch`, of a model: the closure is what x stands for there, and y is its own.

    A step calls `gradient_`, then what it likes of the rest. The closure is called again for the loss after the step,
    with the random numbers of the first call, so that dropout drops the same units. `loss_before` is h as the step
    found it. The gradients of parameters `beside` the layers are left in their `grad`. `keep_graph`: for `linearised`.
    """

    def __init__(
        self,
        layers: Sequence[ModuleLayer],
        likelihood: Likelihood,
        params: Layers,
        samples: int,
        beside: Sequence[nn.Parameter],
        keep_graph: bool,
    ) -> None:
        self.layers, self.likelihood, self.params = layers, likelihood, params
        self.samples, self.beside = samples, list(beside)
        self.gradient = params.map(torch.empty_like)
        self.rows: list[Tensor] = []
        self.sampled: list[list[Tensor]] = []  # of each layer, those of each set of targets
        self.keep_graph, self.checked = keep_graph, False
        self.given: Any = None  # the output, and with it the graph of the pass
        self.seen, self.edges = Seen(), list[GradientEdge]()

    def gradient_(
        self, params: Layers, x: Any, y: Any, generators: Sequence[torch.Generator] = ()
    ) -> Tensor:
        self.closure, self.random_states = x, random_states()
        with torch.enable_grad(), self.watching() as seen:
            given, target = x()
        self.given, self.seen = given, seen
        self.z, rows = rows_of(self.likelihood, given, target)
        self.examples = len(self.z)
        error = self.likelihood.error(self.z, rows)
        self.loss_before = self.likelihood.loss(self.z, rows, error)
        self.edges = seen.edges(self.layers)
        error = error.view_as(given)
        if not self.checked:
            weights = [p for layer in self.layers for p in layer.parameters]
            own = torch.autograd.grad(given, weights, error, retain_graph=True)
        more = bool(self.samples and generators)
        wanted: Any = [*self.edges, *self.beside]
        found = torch.autograd.grad(
            given, wanted, error, retain_graph=more or self.keep_graph, allow_unused=True
        )
        self._take_gradients(found)
        if not self.checked:
            self._demand_gradients(own)
        if more:
            self._sample_(generators)
        return self.loss_before

    def _take_gradients(self, found: Sequence[Tensor]) -> None:
        """G_i = ⟨e_i x_{i-1}ᵀ⟩ (Eq. 7), and ∂h/∂p in `grad` of the parameters beside."""
        count, scale = len(self.layers), 1 / self.examples
        inputs = self.seen.inputs
        self.rows = [layer.input_rows(x) for layer, x in zip(self.layers, inputs, strict=True)]
        for layer, g, e, x in zip(
            self.layers, self.gradient.batched, found[:count], self.rows, strict=True
        ):
            add_outer_(g, layer.error_rows(e), x, scale=scale, keep=0)
        for parameter, ascent in zip(self.beside, found[count:], strict=True):
            parameter.grad = None if ascent is None else ascent.mul_(-scale)

    def _demand_gradients(self, own: Sequence[Tensor]) -> None:
        """InputError where autograd finds others at the first step: a weight is used beside its layer."""
        left = iter(own)
        for layer, g in zip(self.layers, self.gradient.views, strict=True):
            for part in layer.parts(g)[: len(layer.parameters)]:
                right = next(left) / self.examples
                near = 1e-3 * float(right.abs().max())
                if not torch.allclose(part, right, rtol=1e-2, atol=near, equal_nan=True):  # type: ignore[arg-type]
                    raise InputError(
                        f"{layer.name}: its weights are used elsewhere too, so that their gradient is not that of"
                        " the layer alone: must be used once (freeze them with requires_grad_(False))"
                    )
        self.checked = True

    def _sample_(self, generators: Sequence[torch.Generator]) -> None:
        """e_i of K targets an example drawn from the model."""
        self.sampled = [[] for _ in self.layers]
        errors = self.z.new_empty(self.samples, *self.z.shape)
        self.likelihood.sample_error(self.z, generators, out=errors)
        for left, error in enumerate(errors.view(-1, *self.given.shape), 1 - self.samples):
            keep = left < 0 or self.keep_graph
            found = torch.autograd.grad(self.given, self.edges, error, retain_graph=keep)
            for rows, layer, e in zip(self.sampled, self.layers, found, strict=True):
                rows.append(layer.error_rows(e))

    def input_rows(self) -> list[Tensor]:
        return self.rows

    def error_rows(self) -> list[Tensor]:
        return [rows[0] if len(rows) == 1 else torch.cat(rows) for rows in self.sampled]

    def trial_loss(self, params: Layers, x: Any, y: Any) -> Tensor:
        """h `[]` at `params`, which the model has from here on."""
        self.write(params)
        with torch.no_grad():
            given, target = self.again()
        z, y_rows = rows_of(self.likelihood, given, target)
        return self.likelihood.loss(z, y_rows)

    def linearised(self, params: Layers, examples: int | None) -> Any:
        """The model near W; once in a step."""
        return ModuleLinearised(self.layers, self.seen.inputs, self.given, self.edges)

    def forget(self) -> None:
        """The graph of the last pass, and with it its activations."""
        self.given, self.seen, self.edges = None, Seen(), []

    def again(self) -> tuple[Tensor, Tensor]:
        """What the closure gives with the random numbers of its first call."""
        after = random_states()
        set_random_states(self.random_states)
        try:
            return self.closure()
        finally:
            set_random_states(after)

    def read_(self, params: Layers) -> None:
        """W ← the model's weights."""
        for layer, w in zip(self.layers, params.views, strict=True):
            layer.read_(w)

    def write(self, params: Layers) -> None:
        """The model's weights ← W."""
        for layer, w in zip(self.layers, params.views, strict=True):
            layer.write(w)

    @contextmanager
    def watching(self) -> Iterator["Seen"]:
        seen = Seen()
        with ExitStack() as hooks:
            for layer in self.layers:
                hook = layer.module.register_forward_hook(seen.note)
                hooks.callback(hook.remove)
            yield seen


class Seen:
    """What the layers were given in one forward pass, and where their outputs stand in its graph."""

    def __init__(self) -> None:
        self.of: dict[nn.Module, list[tuple[Tensor, GradientEdge]]] = {}
        self.inputs: list[Tensor] = []

    def note(self, module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        """The edge of the output as it is now: what is done to it in place comes after."""
        x = given[0].detach()
        self.of.setdefault(module, []).append((x, get_gradient_edge(output)))

    def edges(self, layers: Sequence[ModuleLayer]) -> list[GradientEdge]:
        """InputError where a layer was called another number of times than once."""
        for layer in layers:
            times = len(self.of.get(layer.module, []))
            if times != 1:
                raise InputError(
                    f"{layer.name}: is called {times} times in one pass, must be once"
                    " (freeze it with requires_grad_(False), or train it by others)"
                )
        self.inputs = [self.of[layer.module][0][0] for layer in layers]
        return [self.of[layer.module][0][1] for layer in layers]


def random_states() -> tuple[Tensor, list[Tensor]]:
    """Of torch's own generators, the processor's and the GPUs'."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), gpus


def set_random_states(states: tuple[Tensor, list[Tensor]]) -> None:
    cpu, gpus = states
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)
