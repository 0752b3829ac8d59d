"""A notebook's ten lines, with one import."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

PROGRAM = """
import nglab as ng
network = ng.Network([6, 4, 6])
data = ng.dataset(network, ng.Teacher(train_examples=500, test_examples=50), seed=0)
params, metrics = ng.train(network, data, ng.NGD(batch_size=100), passes=3, seed=0)
fisher = ng.Fisher(network, params, data.test_x)
step = ng.natural_gradient(network, params, data.train_x, data.train_y)
image = fisher @ step
record = ng.run("arch.widths=[6,4,6] data.train_examples=500 optimizer.batch_size=100 out=runs/ngd")
table = ng.read_runs("runs")
figure = ng.plot_runs("runs")
"""


@pytest.mark.usefixtures("in_process")
def test_ten_lines_with_one_import() -> None:
    made: dict[str, object] = {}
    exec(PROGRAM, made)
    loss = made["metrics"].test_loss
    assert loss.iloc[-1] < 0.1 * loss.iloc[0]
    assert repr(made["fisher"]) == "Fisher([48, 48], float64)"
    assert (
        repr(made["image"]) == repr(made["step"]) == "Layers([4, 6], [6, 4]; 48 numbers, float64)"
    )
    assert made["record"].summary["status"] == "finished"
    assert made["table"].shape[0] == 1
    assert isinstance(made["figure"], Figure)
    assert made["figure"]._repr_png_().startswith(b"\x89PNG")
    made["figure"].savefig("picture.pdf")
    assert Path("picture.pdf").exists()
