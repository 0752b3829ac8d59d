"""The scripts that kill nglab and that start several at once on one folder, in a short form."""

import sys

import pytest

from nglab.settings.composing import conf_dir

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(conf_dir().parent / "scripts")


@pytest.mark.parametrize("way", ["run", "stacked"])
def test_killed_and_started_again_nothing_is_lost(way, tmp_path):
    import kill

    kill.load()
    counts = kill.kill(4, [way], tmp_path, seed=1)
    assert counts["kills"] == 4 and counts["went on from a checkpoint"]


def test_of_several_at_once_one_has_the_folder(tmp_path):
    import contend
    import kill

    kill.load()
    assert contend.contend(4, tmp_path) == {"owners": 4, "refused at once": 8, "refused later": 8}
