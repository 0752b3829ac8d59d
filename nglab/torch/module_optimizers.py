"""Natural gradient descent on any `nn.Module`: `optimizer=ngd` and `optimizer=kfac` as optimizers of torch's kind.

The curvature, its solver, the damping and the step are those of the runs. A module's own are how the passes over a
batch are made (module_batch.py) and which of its layers have factors (module_layers.py).
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.optimizers.schedules.rate import FixedRate
from nglab.randomness import stream
from nglab.torch.method import method
from nglab.torch.module_batch import Closure, ModuleBatch
from nglab.torch.module_layers import ModuleShapes, module_layers
from nglab.torch.parameters import Others, optimizer_of_others, parameters_in, trained
from nglab.torch.targets import likelihood_of
from nglab.training.state import pack, unpack

Params = Iterable[nn.Parameter] | Iterable[dict[str, Any]]


class NGD(torch.optim.Optimizer):
    """ΔW_i = (α/L) (Λ̃_i + √λ I)⁻¹ ⟨e_i x_{i-1}ᵀ⟩ (Λ_i + √λ I)⁻¹ (Bernacchia et al. 2018, Eq. 20), λ by Eq. 21.

    For the weights, with their biases, of every `nn.Linear` and `nn.Conv2d` (of one group, padded with zeros) whose
    weights are trained, in float32 or float64; a convolution's factors are those of Grosse & Martens (2016). W_i is
    `[n_i, n_{i-1} + 1]`, a filter laid out as a row. Frozen parameters stay as they are. All others, such as those of
    norms and embeddings, are trained by `others`, never silently left out.

    - `likelihood`: "gaussian", h = ½ · mean over examples of ‖y − z‖² summed over outputs; "categorical", the mean
      cross entropy of logits z `[M, classes]`, y one-hot or classes `[M]`; or a `Likelihood`. An example is an index of
      the output's first axis.
    - `lr`: α.
    - `damping`: λ₀, or what the rule of λ is to be set to, `{"initial": 1e-2, "min": 1e-8, "interval": 5}`: with an
      interval λ is adapted, and the closure called again, at every fifth step alone.
    - `split`: √λ "equal" on both factors, or by "pi".
    - `samples`: K, the targets sampled from the model an example.
    - `average`: what running means of the factors keep.
    - `refresh_every`: steps from one measuring and inverting of the factors to the next.
    - `step`: how far to go: "paper" α/L, "line" as far as the model falls along D and the last step, "layerwise" with a
      coefficient for each layer.
    - `others`: parameters → the optimizer of those that have no factors.
    - `params`: the parameters to train, or groups of them, as torch's optimizers take them; a group may have its own
      `lr`, at which "layerwise", which finds a coefficient for each layer, does not look. Schedulers of torch set it.
    - `seed`: of the sampled targets.

    What is None is as in conf/optimizer/ngd.yaml.

    Raises InputError, naming the argument or the layer: for a setting out of its range; parameters without an `others`;
    layers that share weights, are called more or less often than once a pass, or whose weights are used elsewhere; and
    targets of another shape than the output.

    >>> import torch
    >>> from torch import nn
    >>> from nglab.torch import NGD
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> optimizer = NGD(model, damping=1e-2)
    >>> x, y = torch.randn(8, 2), torch.randn(8, 1)
    >>> loss = optimizer.step(lambda: (model(x), y))
    """

    option: ClassVar[str] = "ngd"

    def __init__(
        self,
        model: nn.Module,
        likelihood: str | Likelihood = "gaussian",
        lr: float | None = None,
        damping: float | Mapping[str, Any] | None = None,
        split: Literal["equal", "pi"] | None = None,
        samples: int | None = None,
        average: float | None = None,
        refresh_every: int | None = None,
        step: str | None = None,
        others: Others | None = None,
        params: Params | None = None,
        seed: int = 0,
    ) -> None:
        self.method = method(
            self.option, lr=lr, damping=damping, split=split, samples=samples, average=average,
            refresh_every=refresh_every, step=step,
        )  # fmt: skip
        super().__init__(trained(model) if params is None else params, {"lr": self.method.lr})
        chosen = parameters_in(self)
        self.layers = module_layers(model, chosen)
        self.likelihood = likelihood_of(likelihood)
        self.others = optimizer_of_others(model, self.layers, chosen, others)
        beside = [] if self.others is None else parameters_in(self.others)
        like, shapes = self.layers[0].weight.detach(), ModuleShapes(self.layers)
        self._weights = Layers(shapes, [like.new_zeros(1, *shape) for shape in shapes.shapes])
        self._batch = ModuleBatch(
            self.layers, self.likelihood, self._weights, self.method.targets, beside,
            keep_graph=self.method.step_rule.linearises,
        )  # fmt: skip
        self._rate = FixedRate(self._weights.per_replica)  # set before each step
        self._state = self.method.begin(
            self._weights,
            self._batch,
            self._rate,
            lambda purpose: [stream(seed, purpose, like.device)],
        )

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step from the batch whose output and targets `closure()` gives; h `[]` before it.

        Where λ is adapted the closure is called again after the step, for the loss that ρ compares.
        """
        weights = self._weights
        self._batch.read_(weights)
        self._take_rates()
        try:
            self.method.step(weights, self._state, closure, None)  # type: ignore[arg-type]
        finally:  # whatever a trial has left
            self._batch.write(weights)
            self._batch.forget()
        if self.others is not None:
            self.others.step()
        return self._batch.loss_before

    def _take_rates(self) -> None:
        """α and each layer's share of it, from the groups."""
        of = {id(p): group["lr"] for group in self.param_groups for p in group["params"]}
        rates = [float(of[id(layer.weight)]) for layer in self.layers]
        largest = max(rates)
        self._rate.value.fill_(largest)
        self._batch.shares = None if min(rates) == largest else [r / largest for r in rates]

    def diagnostics(self) -> dict[str, float]:
        """λ of the next step, ρ of the last one, and how many steps have not been taken."""
        return {name: float(value) for name, value in self.method.diagnostics(self._state).items()}

    def state_dict(self) -> dict[str, Any]:
        """The groups, λ, the averages, the last step, the random stream; and the state of `others`."""
        others = {} if self.others is None else {"others": self.others.state_dict()}
        return {
            **super().state_dict(),
            **others,
            "natural_gradient": deepcopy(pack(self._state)),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of an optimizer of the same settings on a model of the same layers."""
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        device = self._weights[0].device
        unpack(deepcopy(state_dict["natural_gradient"]), self._state, device)
        if self.others is not None:
            self.others.load_state_dict(state_dict["others"])


class KFAC(NGD):
    """K-FAC (Martens & Grosse 2015; Grosse & Martens 2016 for convolutions): `NGD` with averages, π and `step="line"`.

    What is None is as in conf/optimizer/kfac.yaml; arguments, scale of the loss and errors are those of `NGD`. On small
    batches of a classifier `lr=0.5` is better than 1, and `refresh_every=10` no worse (docs/bench/modules.md).

    >>> import torch
    >>> from torch import nn
    >>> from nglab.torch import KFAC
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    >>> optimizer = KFAC(model, "categorical")
    >>> x, y = torch.randn(8, 1, 4, 4), torch.randint(3, (8,))
    >>> loss = optimizer.step(lambda: (model(x), y))
    """

    option: ClassVar[str] = "kfac"
