"""Makes a data set: plays the policies of one quality and writes every step.

  python -m experiments.collect --task spread --quality medium-replay --data_dir data

writes data/spread-medium-replay-v2 (see marl_offline/datasets/storage.py for the format). The policies ship with the
package; --from_scratch trains them anew first. `--quality all` makes the four of them. --kappa couples the agents:

  python -m experiments.collect --task spread --quality random --kappa 0.25

writes data/spread-random_kappa0.25-v1, a quality of its own (see marl_offline/collection/coupled.py). Robots have
medium-expert too, and decentralized: a data set of each agent, without the others' actions; all makes these as well.
Of a task of your own, by its module's dotted name, uniform play (--quality random) is made: as many episodes as fill
the rows if none ends early.
"""

import os
import pathlib
import tempfile

import jax
from absl import flags

from experiments import behaviors, host_behaviors, launch, locks, recipes, runs, settings
from experiments.recipes import Recipe
from marl_offline.collection import library, matched, policies, record, roles
from marl_offline.datasets import storage
from marl_offline.environments import on_host
from marl_offline.environments.api import HostEnvironment, PureEnvironment, observation_hash
from marl_offline.evaluation import scores

FLAGS = flags.FlagValues()
TASK = flags.DEFINE_string(
  "task", "spread", "task to play: " + ", ".join(settings.TASKS) + ", or your own by its dotted name", flag_values=FLAGS
)
QUALITY = flags.DEFINE_string(
  "quality",
  "medium-replay",
  "one of " + ", ".join(settings.QUALITIES) + ", medium-expert and decentralized (robots), or all",
  flag_values=FLAGS,
)
DATA_DIR = flags.DEFINE_string("data_dir", "data", "folder of the data sets", flag_values=FLAGS)
SEED = flags.DEFINE_integer(
  "seed",
  0,
  "seed of the episodes, and of the training with --from_scratch",
  lower_bound=0,
  upper_bound=2**32 - 1,
  flag_values=FLAGS,
)
NUM_ROWS = flags.DEFINE_integer(
  "rows", None, "rows, where not the standard number; it becomes part of the name", flag_values=FLAGS
)
FROM_SCRATCH = flags.DEFINE_bool(
  "from_scratch", False, "train the policies here instead of using the shipped ones", flag_values=FLAGS
)
KAPPA = flags.DEFINE_float(
  "kappa", None, "probability that all agents act by one draw, a step; it becomes part of the name", flag_values=FLAGS
)
FIXED_ROLES = flags.DEFINE_bool(
  "fixed_roles",
  False,
  "of spread, of any number of agents: with --quality=expert a scripted expert, agent i for landmark i, with medium "
  "each agent skilled or not in each episode, by lot (collection/fixed_roles.py); it becomes part of the name",
  flag_values=FLAGS,
)
RENAME = flags.DEFINE_string(
  "rename",
  None,
  "of spread: by_landmark or at_random. The same episodes with agents named, in each anew, by the landmark that they "
  "end at, or by lot (collection/roles.py); it becomes part of the name",
  flag_values=FLAGS,
)
VERSION = flags.DEFINE_string(
  "version",
  None,
  "of particle tasks: v1 is by MAPPO, whose agents share a network; v2, the default, by MATD3, with a network for each "
  "agent, as the papers'. Robots, random and coupled data and fixed roles have v1 alone",
  flag_values=FLAGS,
)
REFERENCES = flags.DEFINE_bool(
  "references", False, "only measure what scores 0 and 100: uniform play and the best that we have", flag_values=FLAGS
)

COUPLING = ("kappa at most: less where noise is clipped", "kappa of arXiv:2511.07629 definition 1, exactly")
LICENCE = "made by this program, no third party's data in it"
REFERENCE_SEED, REFERENCE_EPISODES = 1_000_000, 1_000


def open_library(
  environment: PureEnvironment | HostEnvironment, name: str, data_dir: str | os.PathLike, seed: int, from_scratch: bool
) -> policies.Library:
  """The shipped policies, or ones trained here, kept in <data_dir>/policies-seed<seed> for the next quality.

  Raises:
    UserError: nothing is shipped of that name, the kept file is damaged or of another version of the task, another
      process trains it, or training did not get far enough.
  """
  folder = pathlib.Path(data_dir) / f"policies-seed{seed}" if from_scratch else None
  try:
    if folder and not (folder / f"{name}.json").exists():
      if isinstance(environment, HostEnvironment):
        host_behaviors.train_library(environment, name, folder, seed)
      else:
        locks.train_once(folder, name, lambda: policies.save(folder, name, library.train(environment, seed)))
    shelf = policies.load(name, folder)
    require_library(shelf, environment, "remove them to train anew" if folder else "--from_scratch trains others")
    return shelf
  except FileNotFoundError as error:
    if folder:
      raise runs.UserError(f"{error.filename} is missing beside {name}.json; remove that to train anew") from error
    raise runs.UserError(f"no policies of {name} ship with this version; --from_scratch trains them") from error
  except (ValueError, KeyError) as error:
    place = f"{folder / name}.*: " if folder else ""
    raise runs.UserError(f"{place}the policies of {name} cannot be made or read: {error}") from error


def require_library(shelf: policies.Library, environment, advice: str) -> None:
  """Nothing if the policies were trained in this environment, by the learner whose data are to be made.

  Raises:
    ValueError: they were not.
  """
  if ("noise_std" in shelf.facts) != isinstance(environment, HostEnvironment):
    raise ValueError(f"they are of the other learner (v1's or v2's); {advice}")
  trained = shelf.facts.get("environment", {})
  if trained.get("observation_hash") != observation_hash(environment):
    raise ValueError(
      f"they were trained in {shelf.facts.get('task')} {trained.get('version')}, and {environment.name} is "
      f"{environment.version} here; {advice}"
    )


def make(recipe: Recipe, data_dir: str | os.PathLike) -> pathlib.Path:
  """Makes one data set and returns its folder.

  Raises:
    DataError: the folder exists already, or the disk refuses.
    UserError: see Recipe.check and Recipe.num_rows.
  """
  recipe.check()
  task, environment, folder = recipe.task, runs.environment_of(recipe.task), recipe.folder(data_dir)
  rows = recipe.num_rows(environment.horizon)
  if folder.exists():
    raise storage.DataError(f"{folder}: already exists and is not overwritten; remove it to make it again")
  with runs.writing(folder.parent, "nothing was played"):  # asked before minutes of play
    folder.parent.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder.parent).close()
  with jax.default_matmul_precision("float32"):  # also where a run that multiplies in less makes its data
    episodes, words, extra = played(recipe, environment, rows, data_dir)
  if recipe.rename:
    episodes = roles.rename(episodes, roles.order_of(episodes, recipe.rename, recipe.seed))
    extra["agents"] = f"named {recipe.rename} in every episode"
  mean = episodes.returns().mean()
  storage.save(
    folder,
    episodes,
    task=environment.name if "." in task else task,
    quality=recipe.name,
    version=recipe.full_version,
    environment={
      "name": environment.name,
      "version": environment.version,
      "observation_hash": observation_hash(environment),
    },
    policies=words,
    seed=recipe.seed,
    source="collected by experiments.collect",
    licence=LICENCE,
    normalized_mean=float(scores.normalized(task, mean)) if "." in task or task in scores.REFERENCES else None,
    extra=extra,
  )
  return folder


def make_if_missing(recipe: Recipe, data_dir: str | os.PathLike) -> pathlib.Path:
  """The data set's folder, made where it is not there yet.

  Raises:
    DataError, UserError: see make.
  """
  folder = recipe.folder(data_dir)
  whole = folder / "card.json"
  if whole.is_file():
    return folder
  recipe.check()
  recipe.num_rows(runs.environment_of(recipe.task).horizon)  # both refuse before anything is written
  with locks.in_turn(folder.with_name(f".making-{folder.name}.lock"), f"makes {folder}"):
    try:
      if not whole.is_file():  # else another process made it meanwhile
        print(f"making {folder}", flush=True)
        return pathlib.Path(make(recipe, data_dir))
    except storage.DataError:
      if not whole.is_file():  # else another process made it where there are no locks
        raise
  return folder


def played(recipe: Recipe, environment: PureEnvironment | HostEnvironment, rows: int, data_dir: str | os.PathLike):
  """-> the episodes, who played them in the card's words, and what else its card says.

  Raises:
    UserError: see open_library.
  """
  pure = not isinstance(environment, HostEnvironment)
  if pure and recipe.plain_version == "v2":
    environment, pure = on_host.from_pure(environment), False
  shelf = None
  if recipe.learned:
    shelf = open_library(environment, recipe.library, data_dir, recipe.seed, recipe.from_scratch)
  extra = {"learning_curve": shelf.facts["curve"]} if shelf else {}
  title = f"{recipe.task} {recipe.name}"
  if recipe.agent is not None:
    extra["agent"] = {"this": recipe.agent, "of": environment.num_agents}
    return *host_behaviors.decentralized(environment, shelf, recipe.agent, rows, recipe.seed, title), extra
  if not pure:
    return *host_behaviors.recorded(environment, shelf, recipe.quality, rows, recipe.seed, title), extra
  if recipe.kappa is not None:
    extra["coupling"] = {"kappa": recipe.kappa, "meaning": COUPLING[recipe.quality == "random"]}
  coupled = {"kappa": recipe.kappa, "roles": recipe.roles}
  return *behaviors.recorded(environment, shelf, recipe.quality, rows, recipe.seed, title, **coupled), extra


def references(task: str) -> dict[str, float]:
  """Mean returns of uniform play and of v1's last policy with its own noise, 1,000 episodes each.

  Of robots the expert, without noise. spread with a number of agents has no library; its other end is matched.py's
  player.

  Raises:
    UserError: of a robot whose policies do not ship, or a task of somebody's own.
  """
  if "." in task:
    raise runs.UserError(f"--references: what scores 0 and 100 in {task} is what its REFERENCE says")
  environment = runs.environment_of(task)
  if isinstance(environment, HostEnvironment):
    shelf = open_library(environment, task, "", 0, from_scratch=False)
    return host_behaviors.references(environment, shelf, REFERENCE_SEED)

  def mean_of(behavior, name):
    return record.record(environment, [behavior], REFERENCE_SEED, f"{task} {name}").returns()

  returns = {"random": mean_of(record.Behavior(None, 1.0, REFERENCE_EPISODES), "random")}
  if task in settings.MORE_AGENTS:
    returns["expert"] = matched.returns(environment, REFERENCE_EPISODES, REFERENCE_SEED)
  else:
    best = record.Behavior(
      policies.load(Recipe(task, "expert", version="v1").library).actor(-1), 1.0, REFERENCE_EPISODES
    )
    returns["expert"] = mean_of(best, "expert")
  return {name: round(float(each.mean()), 1) for name, each in returns.items()}


def main() -> None:
  """The binary: checks the names, makes the data sets, says where they are."""
  launch.multiply_in("float32")
  task = TASK.value
  if "." not in task:
    runs.choose("task", task, settings.TASKS, "; or a module of your own by its dotted name")
  if REFERENCES.value:
    print(f"{task}: {references(task)}")
    return
  quality = runs.choose("quality", QUALITY.value, [*recipes.ROWS, "all"])
  given = {"seed": SEED.value, "rows": NUM_ROWS.value, "from_scratch": FROM_SCRATCH.value, "kappa": KAPPA.value}
  given |= {"roles": FIXED_ROLES.value, "rename": RENAME.value, "version": VERSION.value}
  wanted = [Recipe(task, each, **given) for each in (recipes.every(task) if quality == "all" else [quality])]
  for recipe in wanted:
    recipe.check()
  for recipe in [part for whole in wanted for part in whole.parts()]:
    there = recipe.folder(DATA_DIR.value)
    if (quality == "all" or recipe.agent is not None) and there.exists():
      print(f"{there} is there already")
      continue
    folder = make(recipe, DATA_DIR.value)
    print(f"{folder}  (python -m experiments.inspect_data --folder {folder} shows it)")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
