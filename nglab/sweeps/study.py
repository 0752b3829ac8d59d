"""A study of Optuna's, which is not installed with nglab: its sampler, where it is kept, its trials by their state."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from warnings import catch_warnings, filterwarnings

from annotated_types import Ge
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.settings.building import value_of
from nglab.settings.messages import demand

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

SAMPLER = "hydra.sweeper.sampler"
Seed = Annotated[int, Ge(0)] | None


def demand_optuna() -> None:
    """InputError where it is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        right = 'pip install "nglab[tuning]"'
        raise InputError(f"hydra/sweeper=optuna: Optuna is not installed: {right}") from error


def sampler_of(settings: DictConfig, known: int = 0) -> "BaseSampler":
    """The object that `settings` describe; to go on with a study that has `known` trials, one that draws others."""
    right = "a class of optuna.samplers, such as that of hydra/sweeper/sampler=tpe"
    demand(OmegaConf.is_dict(settings) and "_target_" in settings, SAMPLER, settings, right)
    values: Any = OmegaConf.to_container(settings, resolve=True)
    value_of(Seed, values.get("seed"), f"{SAMPLER}.seed")
    if values.get("seed") is not None:
        values["seed"] += known
    try:
        with quiet():
            sampler: BaseSampler = instantiate(values)
    except HydraException as error:
        why = str(error.__cause__ or error).partition("\n")[0]
        raise InputError(f"{SAMPLER}: {values['_target_']}: {why}") from error
    return sampler


def open_study(
    storage: str | None, name: str, sweep: Sequence[str], settings: DictConfig
) -> "Study":
    """A new study, or the one of this name in the storage.

    `sweep`: the words of which the study is. Raises InputError where the storage cannot be opened, or what it holds
    under this name is of other words.
    """
    try:
        study = made_or_found(storage, name)
    except Exception as error:  # of whatever database
        why = str(error).partition("\n")[0]
        raise InputError(
            f"hydra.sweeper.storage={storage}: {why}; such as sqlite:///study.db"
        ) from error
    if (other := study.user_attrs.get("sweep", list(sweep))) != list(sweep):
        what = f"holds a study of another sweep ({' '.join(other)}): choose another name"
        raise InputError(f"hydra.sweeper.study_name={name}: {storage} {what}")
    study.set_user_attr("sweep", list(sweep))
    study.sampler = sampler_of(settings, len(study.trials))
    return study


def made_or_found(storage: str | None, name: str) -> "Study":
    """Of two processes that make one database at the same time, one has to come again."""
    import optuna
    from sqlalchemy.exc import IntegrityError, OperationalError

    for pause in (0.5, 1.5):
        with suppress(IntegrityError, OperationalError):
            return optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
        time.sleep(pause)
    return optuna.create_study(storage=storage, study_name=name, load_if_exists=True)


def complete(study: "Study") -> "list[FrozenTrial]":
    """The trials whose outcome has been told, in their order."""
    from optuna.trial import TrialState

    return study.get_trials(states=(TrialState.COMPLETE,))


def left_in(study: "Study", place: Path) -> "list[FrozenTrial]":
    """The trials that were asked for, and not told, by a command that trained below `place`."""
    from optuna.trial import TrialState

    running = study.get_trials(states=(TrialState.RUNNING,))
    return [one for one in running if Path(one.user_attrs.get(FOLDER, "")).is_relative_to(place)]


FOLDER = "folder"
"""Where a trial's run is, among what the study knows of it."""


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's report of each trial, and its warnings: of what may change in it, of infinite outcomes."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with catch_warnings():
            filterwarnings("ignore", module="optuna")
            filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
