"""What the binaries share: one-sentence errors, names with a did-you-mean, data and environment, the run's table."""

import contextlib
import dataclasses
import difflib
import errno
import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import settings
from marl_offline.datasets import feeding, normalization, storage, transitions
from marl_offline.environments.api import HostEnvironment, PureEnvironment
from marl_offline.evaluation import scores, statistics
from marl_offline.evaluation.statistics import Named
from marl_offline.training import memory
from marl_offline.types import Normalizer, Spec


class UserError(ValueError):
  """What the user gave cannot be done; one sentence says why and what can."""


class Ended(Exception):
  """A signal came, and all is saved; says how to go on."""


def choose(flag: str, value: str, known: Iterable[str], more: str = "") -> str:
  """`value` if it is known. more: what ends the sentence if not.

  Raises:
    UserError: names the flag, the value, the nearest name and all that are known.
  """
  known = list(known)
  if value in known:
    return value
  near = difflib.get_close_matches(value.lower(), known, n=1)
  hint = f" (did you mean {near[0]}?)" if near else ""
  raise UserError(f"--{flag}={value} is not known{hint}; known: {', '.join(known)}{more}")


@contextlib.contextmanager
def writing(path: pathlib.Path | None, kept: str):
  """What fails inside on the disk becomes one sentence: the file, the reason, and `kept`, what there is all the same.

  path None: the error knows which file it was.

  Raises:
    UserError: instead of an OSError.
  """
  try:
    yield
  except OSError as error:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "no space left on device" if full else error.strerror or error
    raise UserError(f"{path or error.filename} cannot be written: {reason}; {kept}") from error


# What the binaries read in config.json, and its kind.
NEEDED = {
  "flags": {
    **dict.fromkeys(("algorithm", "task", "quality", "protocol"), str),
    **{"num_seeds": int, "first_seed": int, "set": list},
  },
  "run": {"config": dict, "gradient_steps": int},
  "dataset": {
    **dict.fromkeys(("name", "task", "quality", "origin", "folder"), str),
    **{"sha256": dict, "mean_return": float | int},
  },
  "seeds": list,
  "versions": dict,
  "device": str,
  "commit": str | None,
}


def check_kinds(value: Any, needed: Any, name: str) -> None:
  """Looks whether `value` has all that is needed, in the right kinds.

  Raises:
    ValueError: names what is missing or of another kind.
  """
  if not isinstance(needed, dict):
    if not isinstance(value, needed):
      raise ValueError(f"{name} is {json.dumps(value)[:60]}")
    return
  if not isinstance(value, dict):
    raise ValueError(f"{name} is no JSON object")
  for key, kind in needed.items():
    if key not in value:
      raise ValueError(f"{name} has no {key}")
    check_kinds(value[key], kind, f"{name}.{key}" if name != "it" else key)


def read_config(folder: pathlib.Path) -> dict[str, Any]:
  """config.json of a run folder.

  Raises:
    UserError: there is none, it is no JSON, or something that the binaries read in it is missing or of another kind.
  """
  try:
    config = json.loads((folder / "config.json").read_text())
    check_kinds(config, NEEDED, "it")
    return config
  except (FileNotFoundError, NotADirectoryError) as error:
    raise UserError(f"{folder} is not a run folder: it has no config.json") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"{folder / 'config.json'} is damaged: {error}") from error


# ---- data ----------------------------------------------------------------------------------------------------------


def data_folder(data_dir: str, task: str, quality: str) -> pathlib.Path | None:
  """The newest version of a data set of ours in data_dir (see storage.find); None where there is none."""
  try:
    return storage.find(data_dir, task, quality)
  except storage.DataError:
    return None


@dataclasses.dataclass(frozen=True)
class Data:
  """A data set, on the device or mapped on the host, and what is said about it."""

  dataset: transitions.Dataset
  spec: Spec
  card: dict[str, Any]
  folder: pathlib.Path
  why_on_host: str = ""  # "": it is on the device

  @property
  def mean_return(self) -> float:
    """Mean return of its episodes."""
    return float(self.card["return"]["mean"])


def open_data(folder: pathlib.Path, environment: PureEnvironment, team_reward: str, copies: int = 1) -> Data:
  """Loads and verifies; puts it on the device unless it would take more than half of what is free there.

  team_reward: see transitions.from_episodes. copies: how many of it one memory will hold, see Layout.copies.

  Raises:
    storage.DataError: it is damaged, or of another task than the environment's.
  """
  require_match(folder, environment)  # before all of it is read
  episodes, card = storage.load(folder)
  episodes = episodes.without_repeated_state()
  device = jax.local_devices()[0]
  size, free = copies * sum(array.nbytes for array in episodes.arrays().values()), memory.free(device)
  why, place = "", jnp.array
  if free is not None and 2 * size > free:
    gib = [f"{number / memory.GIB:.2f} GiB" for number in (size, free)]
    why = f"the data set needs {gib[0]}, more than half of the {gib[1]} free on {device.device_kind}"
    place = np.asarray
    feeding.require_loader()
  dataset = transitions.from_episodes(episodes, team_reward, place)
  return Data(dataset, normalization.spec(dataset), card, folder, why)


def require_data_set(flag: str, folder: pathlib.Path) -> None:
  """A folder that somebody named holds a data set.

  Raises:
    UserError: it does not, or there is none.
  """
  if not (folder / storage.CARD).is_file():
    reason = "is not a data set: it has no card.json" if folder.exists() else "does not exist"
    raise UserError(f"--{flag}={folder} {reason}; ours are made by experiments.collect")


def require_match(folder: pathlib.Path, environment: PureEnvironment | HostEnvironment) -> None:
  """A data set is of the environment.

  Raises:
    DataError: it is not, or its card or an array cannot be read; names its folder.
  """
  _, card = storage.load(folder, verify=False)
  try:
    storage.require_match(card, environment)
  except storage.DataError as error:
    raise storage.DataError(f"{folder}: {error}") from None


def require_same_data(dataset: dict[str, Any], place: pathlib.Path, where: pathlib.Path) -> None:
  """The data set that `where` was trained on is the one that lies in `place` now, if one does.

  dataset: its name and sha256, as config.json and a cell keep them.

  Raises:
    UserError: it is another.
    DataError: it is damaged.
  """
  if not (place / "card.json").is_file():
    return
  _, card = storage.load(place, verify=False)
  if card["sha256"] != dataset["sha256"]:
    told = f"a data set {dataset['name']} of other content than {place} holds"
    raise UserError(f"{where} was trained on {told}; move one of them out of the way")


# ---- the table -----------------------------------------------------------------------------------------------------


def summary(task: str, raw: np.ndarray) -> dict[str, Any]:
  """The scores of the final policies. raw: mean return [seeds] -> the score fields of result.json.

  Raises:
    ValueError: no reference returns are known for the task.
  """
  score = Named(scores.normalized(task, raw), ("seed",))
  return {
    "raw_return": np.asarray(raw).tolist(),
    "normalized_score": score.values.tolist(),
    "mean": float(statistics.mean(score, over="seed").values),
    "std": float(statistics.std(score, over="seed").values),
    "iqm": float(statistics.iqm(score, over="seed").values),
    "iqm_ci95": statistics.iqm_interval(score, over="seed"),
  }


def data_score(task: str, mean_return: float, caveat: str | None) -> float | None:
  """A data set's own normalised score; None where its card says that returns in it do not compare with ours."""
  return None if caveat else float(scores.normalized(task, mean_return))


def table(facts: dict[str, Any]) -> str:
  """A result (result.json's fields) as text: seeds, their mean, the data set's own level, and how to read them."""
  task, dataset_mean = facts["task"], facts["dataset_mean_return"]
  fitting = facts["behavior_updates"]
  own = f" (the first {fitting} fit a model of the behavior)" if fitting else ""
  effort = f"{facts['gradient_steps']} gradient steps{own}, {facts['episodes_per_evaluation']} episodes a seed"
  lines = [f"{facts['algorithm']} on {facts['dataset']} ({facts['origin']}), greedy policy after {effort}"]
  lines.append(f"{'':14}{'return':>10}{'normalised':>14}")
  for seed, raw, score in zip(facts["seeds"], facts["raw_return"], facts["normalized_score"], strict=True):
    lines.append(f"{f'seed {seed}':14}{raw:10.1f}{score:14.1f}")
  spread = f"{facts['mean']:.1f} +- {facts['std']:.1f}" if len(facts["seeds"]) > 1 else f"{facts['mean']:.1f}"
  lines.append(f"{'mean +- std':14}{np.mean(facts['raw_return']):10.1f}{spread:>14}")
  interval = facts["iqm_ci95"]
  told = (
    f"  95 % bootstrap interval [{interval[0]:.1f}, {interval[1]:.1f}]"
    if interval
    else "  fewer than five seeds: no interval"
  )
  lines.append(f"{'IQM':14}{'':10}{facts['iqm']:14.1f}{told}")
  score = data_score(task, dataset_mean, facts.get("caveat"))
  lines.append(f"{'data set':14}{dataset_mean:10.1f}{'-' if score is None else f'{score:.1f}':>14}")
  reference = scores.reference(task)
  lines.append("every seed plays the same episodes; std and interval are over seeds, not over episodes")
  lines.append(f"return: agents' mean of an episode's reward sum; 0 = {reference.random}, 100 = {reference.expert}")
  lines.append(f"({reference.source})")
  if facts["settings_of"] != facts["quality"] and "." not in facts["algorithm"]:  # those have their defaults
    lines.append(f"the data's quality is {facts['quality']!r}; trained with the settings of {facts['settings_of']!r}")
  if facts.get("caveat"):
    lines.append(f"the data set's card says: {facts['caveat']}")
  return "\n".join(lines)


def scale(task: str) -> tuple[Callable, Callable]:
  """return -> normalised score, and back."""
  reference = scores.reference(task)
  width = (reference.expert - reference.random) / 100.0
  return lambda raw: (raw - reference.random) / width, lambda score: reference.random + width * score


def plain_spec(environment: PureEnvironment) -> Spec:
  """The Spec of an environment's sizes, with a Normalizer that changes nothing."""
  sizes = environment.num_agents, environment.obs_size, environment.state_size
  normalizer = Normalizer.identity(*sizes)
  return Spec(environment.num_agents, environment.obs_size, environment.action_size, environment.state_size, normalizer)


def environment_of(task: str) -> PureEnvironment | HostEnvironment:
  """The environment of a task's name.

  Raises:
    UserError: there is no such task, it is no environment, or the packages of its simulator are not installed.
  """
  try:
    environment = settings.load_task(task)()
  except (ImportError, ValueError) as error:
    raise UserError(str(error)) from error
  if not isinstance(environment, (PureEnvironment, HostEnvironment)):
    raise UserError(f"--task={task}: make gave a {type(environment).__name__}, no environment of environments.api")
  return environment
