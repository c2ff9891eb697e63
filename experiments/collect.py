"""Makes a data set: plays the policies of one quality and writes every step.

  python -m experiments.collect --task spread --quality medium-replay --data_dir data

writes data/spread-medium-replay-v1 (see marl_offline/datasets/storage.py for the format). The policies ship with the
package; --from_scratch trains them anew first. `--quality all` makes the four of them. --kappa couples the agents:

  python -m experiments.collect --task spread --quality random --kappa 0.25

writes data/spread-random_kappa0.25-v1, a quality of its own (see marl_offline/collection/coupled.py). Robots have
medium-expert too, and decentralized: a data set of each agent, without the others' actions; all makes these as well.
"""

import os
import pathlib
import zipfile

from absl import flags

from experiments import behaviors, host_behaviors, launch, runs, settings
from marl_offline.collection import library, matched, policies, record
from marl_offline.datasets import storage
from marl_offline.environments import mujoco_partition, on_host
from marl_offline.environments.api import HostEnvironment, PureEnvironment, observation_hash
from marl_offline.evaluation import scores

FLAGS = flags.FlagValues()
TASK = flags.DEFINE_string("task", "spread", "task to play: " + ", ".join(settings.TASKS), flag_values=FLAGS)
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
  "with --task=spread --quality=expert: a scripted expert, agent i for landmark i (collection/fixed_roles.py); it "
  "becomes part of the name",
  flag_values=FLAGS,
)
BY_MATD3 = flags.DEFINE_bool(
  "matd3",
  False,
  "with --task=spread: policies of MATD3, a network for each agent, instead of MAPPO's shared one; it becomes part of "
  "the name (robots have no other)",
  flag_values=FLAGS,
)
REFERENCES = flags.DEFINE_bool(
  "references", False, "only measure what scores 0 and 100: uniform play and the best that we have", flag_values=FLAGS
)

VERSION = "v1"
ROWS = {quality: dict.fromkeys(settings.PAPER_TASKS, 1_000_000) for quality in settings.QUALITIES}
ROWS["medium-replay"] = {"spread": 97_500, "tag": 62_500, "world": 80_000}  # as many as OMAR's files hold
ROWS["medium-expert"], ROWS["decentralized"] = {}, {}
for _quality, _rows in ROWS.items():  # OMAR's files hold 460,000 for HalfCheetah
  _rows |= dict.fromkeys(settings.MUJOCO_TASKS, 460_000 if _quality == "medium-replay" else 1_000_000)
# One number for all of them, so that only the agents differ; a million rows of ten agents would be 2.5 GB.
ROWS["random"] |= dict.fromkeys(settings.MORE_AGENTS, 250_000)
COUPLING = ("kappa at most: less where noise is clipped", "kappa of arXiv:2511.07629 definition 1, exactly")
LICENCE = "made by this program, no third party's data in it"
REFERENCE_SEED, REFERENCE_EPISODES = 1_000_000, 1_000


def open_library(
  environment: PureEnvironment | HostEnvironment, name: str, data_dir: str | os.PathLike, seed: int, from_scratch: bool
) -> policies.Library:
  """The shipped policies, or ones trained here, kept in <data_dir>/policies-seed<seed> for the next quality.

  Raises:
    UserError: nothing is shipped of that name, the kept file is damaged, or training did not get far enough.
  """
  folder = pathlib.Path(data_dir) / f"policies-seed{seed}" if from_scratch else None
  try:
    if folder and not (folder / f"{name}.json").exists():
      if isinstance(environment, HostEnvironment):
        host_behaviors.train_library(environment, name, folder, seed)
      else:
        policies.save(folder, name, library.train(environment, seed))
    return policies.load(name, folder)
  except FileNotFoundError as error:
    raise runs.UserError(f"no policies of {name} ship with this version; --from_scratch trains them") from error
  except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
    place = f"{folder / name}.*: " if folder else ""
    raise runs.UserError(f"{place}the policies of {name} cannot be made or read: {error}") from error


def version_of(seed: int, rows: int | None, from_scratch: bool) -> str:
  """v1 for the standard data set; whatever is not standard about another becomes part of its name."""
  parts = [(f".seed{seed}", seed), (f".rows{rows}", rows), (".scratch", from_scratch)]
  return VERSION + "".join(words for words, present in parts if present)


def name_of(
  quality: str, kappa: float | None, roles: bool = False, agent: int | None = None, matd3: bool = False
) -> str:
  """The quality that a data set is named by."""
  parts = [
    ("_roles", roles),
    ("_matd3", matd3),
    (f"_agent{agent}", agent is not None),
    (f"_kappa{kappa or 0.0:g}", kappa is not None),
  ]
  return quality + "".join(words for words, present in parts if present)


def agents(task: str, quality: str) -> list[int | None]:
  """Whose data sets a quality consists of: one of each agent, or one of all together."""
  return list(range(mujoco_partition.variant(task).num_agents)) if quality == "decentralized" else [None]


def check(task: str, quality: str, kappa: float | None, roles: bool = False, matd3: bool = False) -> None:
  """Refuses what cannot be made.

  Raises:
    UserError: the task has no such data, or kappa is none.
  """
  if task not in ROWS[quality]:
    raise runs.UserError(f"--quality={quality} of {task}: no policies are known for it; --quality=random needs none")
  if roles and (task, quality, kappa) != ("spread", "expert", None):
    raise runs.UserError("--fixed_roles is of --task=spread --quality=expert without --kappa alone")
  if matd3 and (task != "spread" or quality == "random" or roles or kappa is not None):
    raise runs.UserError("--matd3 is of --task=spread with --quality=medium-replay, medium or expert alone")
  if kappa is not None and task in settings.MUJOCO_TASKS:
    raise runs.UserError(f"--kappa is of the particle tasks; agents of {task} act independently")
  if kappa is not None and not 0 <= kappa <= 1:
    raise runs.UserError(f"--kappa={kappa} must lie in [0, 1]")
  if kappa is not None and quality == "medium-replay":
    raise runs.UserError(
      "--kappa: medium-replay mixes policies, which correlates agents by itself; take another quality"
    )


def make(
  task: str,
  quality: str,
  data_dir: str | os.PathLike,
  *,
  seed: int = 0,
  rows: int | None = None,
  from_scratch: bool = False,
  kappa: float | None = None,
  roles: bool = False,
  agent: int | None = None,
  matd3: bool = False,
) -> pathlib.Path:
  """Makes one data set and returns its folder. agent: whose, where a quality is one data set an agent.

  Raises:
    DataError: the folder exists already, or the disk refuses.
    UserError: rows is not a positive multiple of the episode's length; see check.
  """
  check(task, quality, kappa, roles, matd3)
  environment = runs.environment_of(task)
  wanted, any_length = ROWS[quality][task] if rows is None else rows, task in settings.MUJOCO_TASKS
  if any_length and wanted <= 0:
    raise runs.UserError(f"rows={wanted} must be at least 1")
  if wanted <= 0 or (wanted % environment.horizon and not any_length):
    raise runs.UserError(
      f"rows={wanted} must be a positive multiple of {environment.horizon}, the length of an episode"
    )
  version = version_of(seed, rows, from_scratch)
  name = name_of(quality, kappa, roles, agent, matd3)
  folder = storage.folder_of(data_dir, task, name, version)
  if folder.exists():
    raise storage.DataError(f"{folder}: already exists and is not overwritten; remove it to make it again")
  environment = on_host.from_pure(environment) if matd3 else environment
  shelf_name = f"{task}_matd3" if matd3 else task
  alone = quality == "random" or roles
  shelf = None if alone else open_library(environment, shelf_name, data_dir, seed, from_scratch)
  if agent is not None:
    episodes, words = host_behaviors.decentralized(environment, shelf, agent, wanted, seed, f"{task} {name}")
  elif isinstance(environment, HostEnvironment):
    episodes, words = host_behaviors.recorded(environment, shelf, quality, wanted, seed, f"{task} {name}")
  else:
    episodes, words = behaviors.recorded(
      environment, shelf, quality, wanted, seed, f"{task} {name}", kappa=kappa, roles=roles
    )
  mean = episodes.returns().mean()
  extra = {"learning_curve": shelf.facts["curve"]} if shelf else {}
  if kappa is not None:
    extra["coupling"] = {"kappa": kappa, "meaning": COUPLING[quality == "random"]}
  if agent is not None:
    extra["agent"] = {"this": agent, "of": environment.num_agents}
  storage.save(
    folder,
    episodes,
    task=task,
    quality=name,
    version=version,
    environment={
      "name": environment.name,
      "version": environment.version,
      "observation_hash": observation_hash(environment),
    },
    policies=words,
    seed=seed,
    source="collected by experiments.collect",
    licence=LICENCE,
    normalized_mean=float(scores.normalized(task, mean)) if task in scores.REFERENCES else None,
    extra=extra,
  )
  return folder


def references(task: str) -> dict[str, float]:
  """Mean returns of uniform play and of the shipped library's last policy with its own noise, 1,000 episodes each.

  Of robots the expert, without noise. spread with a number of agents has no library; its other end is matched.py's
  player.

  Raises:
    UserError: of a robot whose policies do not ship.
  """
  environment = runs.environment_of(task)
  if isinstance(environment, HostEnvironment):
    shelf = open_library(environment, task, "", 0, from_scratch=False)
    return host_behaviors.references(environment, shelf, REFERENCE_SEED)

  def played(behavior, name):
    return record.record(environment, [behavior], REFERENCE_SEED, f"{task} {name}").returns()

  returns = {"random": played(record.Behavior(None, 1.0, REFERENCE_EPISODES), "random")}
  if task in settings.MORE_AGENTS:
    returns["expert"] = matched.returns(environment, REFERENCE_EPISODES, REFERENCE_SEED)
  else:
    returns["expert"] = played(record.Behavior(policies.load(task).actor(-1), 1.0, REFERENCE_EPISODES), "expert")
  return {name: round(float(each.mean()), 1) for name, each in returns.items()}


def main() -> None:
  """The binary: checks the names, makes the data sets, says where they are."""
  task = runs.choose("task", TASK.value, settings.TASKS)
  if REFERENCES.value:
    print(f"{task}: {references(task)}")
    return
  quality = runs.choose("quality", QUALITY.value, [*ROWS, "all"])
  every = [*settings.QUALITIES, *(each for each in ROWS if each not in settings.QUALITIES and task in ROWS[each])]
  wanted = every if quality == "all" else [quality]
  for each in wanted:
    check(task, each, KAPPA.value, FIXED_ROLES.value, BY_MATD3.value)
  version = version_of(SEED.value, NUM_ROWS.value, FROM_SCRATCH.value)
  given = {"seed": SEED.value, "rows": NUM_ROWS.value, "from_scratch": FROM_SCRATCH.value, "kappa": KAPPA.value}
  given |= {"roles": FIXED_ROLES.value, "matd3": BY_MATD3.value}
  for name, agent in [(each, agent) for each in wanted for agent in agents(task, each)]:
    quality_name = name_of(name, KAPPA.value, FIXED_ROLES.value, agent, BY_MATD3.value)
    there = storage.folder_of(DATA_DIR.value, task, quality_name, version)
    if (quality == "all" or agent is not None) and there.exists():
      print(f"{there} is there already")
      continue
    folder = make(task, name, DATA_DIR.value, **given, agent=agent)
    print(f"{folder}  (python -m experiments.inspect_data --folder {folder} shows it)")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
