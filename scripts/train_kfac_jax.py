"""Train a problem of the race by kfac-jax, measured as nglab measures its own methods.

    python scripts/train_kfac_jax.py A B C D --passes 10 --seeds 3 --out kfac_jax.csv      # as its example has it
    python scripts/train_kfac_jax.py D --batch-size 250 initial_damping=0.1 min_damping=1e-4 num_burnin_steps=1
    OMP_NUM_THREADS=1 taskset -c 0 python scripts/train_kfac_jax.py D learning_rate=0.125 momentum=0.0

A `key=value` is an argument of `kfac_jax.Optimizer`; `learning_rate` and `momentum` are fixed instead of adaptive. What
is not set is as in kfac-jax's own examples/autoencoder_mnist/pipeline.py, but for two things: that example takes all
60 000 images as one batch, which leaves two steps in two passes, so M is 125 here, the nearest to its README's 128 that
divides a pass; and it adds 1e-5 of weight decay to its loss, which is none of nglab's losses.
Network, first parameters, data, order of the batches, loss, precision and the rows of the curve are those of
`nglab run arch=… seed=…`; rows have the columns of the race's `curves.csv`. Batches that burn-in takes count as seen,
and its seconds as optimisation; what is compiled is so off the clock.
Needs nglab and kfac-jax in one environment: its repository's head (github.com/google-deepmind/kfac-jax), or its
release 0.0.8 with jax < 0.9.
"""

import os
import warnings

from beside_the_race import add, arguments, as_text, problem, table, told

from nglab.bench.kfac_jax_optimizer import RULES
from nglab.bench.kfac_jax_training import kfac_jax_optimizer, train_one

EXAMPLE = {f"use_adaptive_{name}": True for name in RULES} | {
    "inverse_update_period": 5,
    "damping_adaptation_interval": 5,
    "num_burnin_steps": 5,
    "curvature_ema": 0.95,
    "damping_adaptation_decay": 0.95,
    "initial_damping": 150.0,
    "min_damping": 1e-5,
    "max_damping": 1000.0,
}


def main() -> None:
    run, letters, settings = arguments(__doc__, {}, 125)
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    warnings.filterwarnings("ignore", "Some donated buffers")
    setting = as_text({"batch_size": run.batch_size} | settings)
    for letter in letters:
        optimizer = kfac_jax_optimizer(problem(letter, 0), EXAMPLE | settings)
        for seed in range(run.seeds):
            config = problem(letter, seed)
            rows = train_one(optimizer, config, run.batch_size, run.passes)
            curve = told(rows, f"{letter} seed {seed}:")
            add(table(letter, config, "kfac-jax", setting, curve), run.out)


if __name__ == "__main__":
    main()
