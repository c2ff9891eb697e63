"""Makes a data set of ours from files that others published and that you downloaded. Nothing is fetched.

  python -m experiments.convert --kind omar --from ~/Downloads/datasets --task spread --quality expert --seed_folder 0

writes data/spread-expert-omar0 (see marl_offline/datasets/storage.py for the format), to be trained on by

  python -m experiments.train --dataset data/spread-expert-omar0 --task spread --quality expert

What the behaviour would have done after an episode's last step is in none of these files: the last row of an episode
that a time limit cut counts in all statistics and is never trained on.
"""

import dataclasses
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from absl import flags

from experiments import launch, published_data, runs, settings
from marl_offline.datasets import public_og_marl, public_omar, public_omiga, public_pymarl, public_rows, storage
from marl_offline.environments.api import observation_hash
from marl_offline.evaluation import scores

FLAGS = flags.FlagValues()
flags.DEFINE_string("kind", None, "whose layout the files have: omar, omiga, og_marl or pymarl", flag_values=FLAGS)
flags.DEFINE_string(
  "from",
  None,
  "where the files are; omar: the folder seed_<k>_data or any of the three above it; omiga: the file or its folder; "
  "og_marl: <scenario>.vlt or the vault in it; pymarl: the file or its folder",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "task",
  None,
  f"omar: one of {', '.join(public_omar.TASKS)}; omiga: one of {', '.join(public_omiga.TASKS)}; og_marl: one of these; "
  f"pymarl: one of {', '.join(public_pymarl.TASKS)}; these two also a name of your own with --time_limit",
  flag_values=FLAGS,
)
flags.DEFINE_string("quality", None, "expert, medium, ...: one that the task has in that layout", flag_values=FLAGS)
flags.DEFINE_integer(
  "seed_folder",
  None,
  "omar: k of seed_<k>_data (default what --from names, else 0); og_marl: which of the vault's data sets (default 0); "
  "it becomes part of the name",
  lower_bound=0,
  flag_values=FLAGS,
)
flags.DEFINE_string("data_dir", "data", "folder of the data sets", flag_values=FLAGS)
flags.DEFINE_bool(
  "clip_actions", False, "clip actions that lie further outside [-1, 1] than rounding explains", flag_values=FLAGS
)
flags.DEFINE_integer(
  "time_limit",
  None,
  "og_marl, pymarl: steps after which the simulator cut an episode, for a task of your own",
  lower_bound=1,
  flag_values=FLAGS,
)
flags.DEFINE_bool(
  "final_rows",
  None,
  "og_marl: whether episodes have a row more that only holds the final observation (default: for OMIGA's tasks alone)",
  flag_values=FLAGS,
)
MATD3 = "MATD3 with exploration noise; how much is not said (arXiv:2111.11188, section 4.1)"
HAPPO = "HAPPO at the level that the quality names"
QMIX = {
  "medium": "QMIX at the medium level, greedy (arXiv:2309.12696, appendix C.2)",
  "medium-replay": "QMIX learning, all that its buffer held at the medium level (arXiv:2309.12696, appendix C.2)",
  "expert": "QMIX at the expert level, greedy (arXiv:2309.12696, appendix C.2)",
  "mixed": "QMIX, greedy, half of the episodes medium and half expert (arXiv:2309.12696, appendix C.2)",
}
NAME = r"[a-z0-9][a-z0-9_-]*"


class Source(NamedTuple):
  """A published data set that was found, not yet read, and what its card will say of its origin."""

  version: str  # part of our name for it
  read: Callable[[], public_rows.Read]
  words: str
  licence: str
  behavior: str
  seed: int | None
  published: published_data.Returns | None  # of these very files, of several seeds the first


def omar(folder: pathlib.Path, task: str, quality: str) -> Source:
  """OMAR's or CFCQL's folders.

  Raises:
    DataError: there is none.
  """
  runs.choose("task", task, public_omar.TASKS)
  runs.choose("quality", quality, public_omar.QUALITIES)
  inside, seed = public_omar.find(folder, task, quality, FLAGS.seed_folder)
  return Source(
    f"omar{seed}",
    lambda: public_omar.read(inside, task, FLAGS.clip_actions),
    f"{published_data.OMAR}, files {public_omar.TASKS[task].name}/{quality}/seed_{seed}_data",
    published_data.UNSTATED,
    MATD3,
    seed,
    None if seed else published_data.returns("omar", task, quality),
  )


def omiga(place: pathlib.Path, task: str, quality: str) -> Source:
  """OMIGA's files.

  Raises:
    DataError: there is none.
    UserError: an unknown name, or --seed_folder.
  """
  runs.choose("task", task, public_omiga.TASKS)
  runs.choose("quality", quality, public_omiga.QUALITIES)
  if FLAGS.seed_folder is not None:
    raise runs.UserError(f"--seed_folder={FLAGS.seed_folder} is not of --kind=omiga, whose data set is one file")
  path = public_omiga.find(place, task, quality)
  return Source(
    "omiga",
    lambda: public_omiga.read(path, task, FLAGS.clip_actions),
    f"{published_data.OMIGA}, file {public_omiga.TASKS[task].name}-{quality}.hdf5",
    published_data.UNSTATED,
    HAPPO,
    None,
    published_data.returns("omiga", task, quality),
  )


def og_marl(folder: pathlib.Path, task: str, quality: str) -> Source:
  """OG-MARL's vaults.

  Raises:
    DataError: there is none.
    UserError: a name that cannot be one, or a task that is not known without --time_limit.
  """
  require_names(task, quality, public_og_marl.TASKS, "a vault")
  vault, index = public_og_marl.find(folder, task, quality), FLAGS.seed_folder or 0
  behavior = {**dict.fromkeys(public_omar.TASKS, MATD3), **dict.fromkeys(public_omiga.TASKS, HAPPO)}
  return Source(
    f"og_marl{index}",
    lambda: public_og_marl.read(vault, task, index, FLAGS.clip_actions, FLAGS.time_limit, FLAGS.final_rows),
    f"OG-MARL, arXiv:2302.00521, vault {'/'.join(vault.resolve().parts[-2:])}, data set {index} in it",
    published_data.ELSEWHERE,
    behavior.get(task, "not in the files"),
    index,
    None if index else published_data.returns("og_marl", task, quality),
  )


def pymarl(place: pathlib.Path, task: str, quality: str) -> Source:
  """CFCQL's files of SMAC, and others of pymarl's episodes.

  Raises:
    DataError: there is none.
    UserError: a name that cannot be one, a task that is not known without --time_limit, or a flag of other layouts.
  """
  require_names(task, quality, public_pymarl.TASKS, "a file")
  for name in ("seed_folder", "clip_actions"):
    if FLAGS[name].present:
      raise runs.UserError(f"--{name} is not of --kind=pymarl, whose data set is one file of discrete actions")
  path, known = public_pymarl.find(place, task, quality), quality.replace("_", "-")
  is_theirs = path.stem == f"{task}_{quality.replace('-', '_')}"
  published = published_data.returns("pymarl", task, known) if is_theirs else None
  return Source(
    "pymarl",
    lambda: public_pymarl.read(path, task, FLAGS.time_limit),
    f"{published_data.CFCQL}, by the name of the file {path.name}" if published else f"pymarl's episodes, {path.name}",
    published_data.UNSTATED if published else published_data.ELSEWHERE,
    QMIX[known] if published else "not in the files",
    None,
    published,
  )


def require_names(task: str, quality: str, known, one: str) -> None:
  """Nothing if a task and a quality of the user's own can be names, and what cut the task's episodes is known.

  Raises:
    UserError: they cannot, or it is not.
  """
  for name, value in (("task", task), ("quality", quality)):
    if not re.fullmatch(NAME, value):
      raise runs.UserError(f"--{name}={value} must be a name of small letters, digits, _ and -")
  if task not in known and FLAGS.time_limit is None:
    raise runs.UserError(
      f"--task={task} is none of {', '.join(known)}; {one} of another needs --time_limit, the steps after which its "
      "simulator cut an episode"
    )


KINDS = {"omar": omar, "omiga": omiga, "og_marl": og_marl, "pymarl": pymarl}
KNOWN = {"og_marl": public_og_marl.TASKS, "pymarl": public_pymarl.TASKS}  # of kinds that take a task of your own too


def convert(source: Source, kind: str, task: str, quality: str, data_dir: str) -> tuple[pathlib.Path, list[str]]:
  """Reads and writes it. -> the folder, and warnings: returns that are not the published ones, a doubtful time limit.

  Raises:
    DataError: the files are faulty, the folder exists already, or the disk refuses. Nothing is left.
  """
  folder = storage.folder_of(data_dir, task, quality, source.version)
  if folder.exists():
    raise storage.DataError(f"{folder}: already exists and is not overwritten; remove it to convert it again")
  episodes, notes = source.read()
  published, warnings = source.published, [notes[name] for name in ("time_limit_in_doubt",) if name in notes]
  drawn = episodes.rows_to_draw()
  never = 0 if drawn is None else episodes.num_rows - len(drawn)
  extra: dict[str, Any] = {"conversion": {"layout": kind} | notes | {"rows_never_drawn": never}}
  if published:
    first = dataclasses.replace(episodes, reward=episodes.reward[:, :1]).returns()
    numbers = first.mean(), first.std(), episodes.num_rows, episodes.num_episodes
    difference = published_data.difference(*numbers, published)
    warnings += [difference] if difference else []
    extra["published_return"] = published._asdict() | {"difference": difference or "none"}
  if task in published_data.CAVEATS:
    extra["caveat"] = published_data.CAVEATS[task]
  reference = scores.OMAR.get(task)
  if reference:
    extra["normalized_by"] = f"0 = {reference.random}, 100 = {reference.expert} ({reference.source})"
    mean = 100 * (episodes.returns().mean() - reference.random) / (reference.expert - reference.random)
  storage.save(
    folder,
    episodes,
    task=task,
    quality=quality,
    version=source.version,
    environment=environment_facts(task),
    policies=[{"policy": source.behavior, "episodes": episodes.num_episodes}],
    seed=source.seed,
    source=source.words,
    licence=source.licence,
    origin="converted",
    normalized_mean=float(mean) if reference else None,
    extra=extra,
  )
  return folder, warnings


def environment_facts(task: str) -> dict[str, str] | None:
  """Name, version and observation hash of our environment that the files' equals, or a version that no other may match.

  None: the data set is known by its task's name and sizes alone.
  """
  if task in published_data.SAME_AS_OURS:
    environment = settings.TASKS[task]()
    facts = {"name": environment.name, "version": environment.version}
    return facts | {"observation_hash": observation_hash(environment)}
  if task in published_data.OTHER_VERSIONS:
    return {"name": task, "version": published_data.OTHER_VERSIONS[task]}
  return None


def main() -> None:
  """The binary: checks the flags, converts, says where it is and what is odd about it."""
  given = {name: FLAGS[name].value for name in ("kind", "from", "task", "quality")}
  for name, value in given.items():
    if value is None:
      raise runs.UserError(f"--{name} is missing; --kind, --from, --task and --quality say what to convert")
  kind, task, quality = runs.choose("kind", given["kind"], KINDS), given["task"], given["quality"]
  for name, kinds in (("time_limit", tuple(KNOWN)), ("final_rows", ("og_marl",))):
    if FLAGS[name].present and (kind not in kinds or task in KNOWN[kind]):
      raise runs.UserError(
        f"--{name} is for --kind={' or '.join(kinds)} and a task of your own; what {task} is in --kind={kind} is known"
      )
  if kind in KNOWN and task in set(settings.TASKS) - set(KNOWN[kind]):
    raise runs.UserError(f"--task={task} is the name of a task of ours, which no file of {kind} is of; choose another")
  source = KINDS[kind](pathlib.Path(given["from"]).expanduser(), task, quality)
  folder, warnings = convert(source, kind, task, quality, FLAGS.data_dir)
  for warning in warnings:
    print(f"warning: {warning}", file=sys.stderr)
  print(f"{folder}  (python -m experiments.inspect_data --folder {folder} shows it)")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
