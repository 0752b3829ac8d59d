"""race methods against each other: tuned alike, then trained on new seeds

What is done is not done again: a stopped race goes on where it was stopped. Methods are options of `optimizer`, whose
YAML says what is tuned (`grid`); hydra/launcher=... tunes by another launcher. The rules: docs/race.

examples:
  nglab race
  nglab race preset=smoke
  nglab race methods=sgd,momentum,adam,ngd,kfac,layerwise problems=A,B,C,D seeds=5 out=outputs/race/mine
  nglab race --config-dir mine methods=ngd,signed problems=A out=outputs/race/signed
  nglab race beside=kfac_jax.csv hydra/launcher=joblib
"""

from nglab.commands._output import as_lists, folder_of, show_log, with_preset
from nglab.settings.dialect import read

KEYS = {
    "preset": "smoke, default or long: how long and how often",
    "methods": "options of optimizer, such as sgd,kfac",
    "problems": "some of A,B,C,D,K",
    "seeds": "how many, instead of the preset's",
    "beside": "CSV files of curves made elsewhere",
    "out": "the folder; default outputs/race/PRESET",
    "config-dir": "where your own methods are",
}


def command(arguments: list[str]) -> None:
    given = read("race", __doc__ or "", arguments, KEYS, more_keys=True)
    config_dir = given.settings.pop("config-dir", None)
    words = [word for word in given.overrides if word.startswith("hydra")]
    rest = [word for word in given.overrides if not word.startswith("hydra")]

    from nglab.sweeps.asked import compose_beside

    lists = as_lists(rest, ["methods", "problems", "beside", "tuned_for"])
    with with_preset(lists, "race") as overrides:
        config = compose_beside(overrides, "race", config_dir, KEYS)

    from nglab.figures.race.compute_race import race  # torch: once this is right

    show_log("nglab.figures")
    for file in race(config, folder_of(config), words, config_dir):
        print(file)
