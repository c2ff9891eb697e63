"""Runs a binary inside the test's process, as its command line would, on a data set of a hundred rows."""

import contextlib
import hashlib
import io
import json
import pathlib
import sys

import numpy as np

from experiments import launch, settings
from marl_offline.datasets import storage
from marl_offline.environments.api import observation_hash

QUICK = ("--algorithm=bc", "--set=batch_size=8", "--gradient_steps=20", "--evaluations=2", "--episodes=3")


def call(main, flag_values, *arguments):
  """-> exit status, stdout, stderr."""
  flag_values.unparse_flags()
  for name in flag_values:
    flag_values[name].unparse()
  out, err, argv = io.StringIO(), io.StringIO(), sys.argv
  sys.argv = ["binary", *map(str, arguments)]
  status = 0
  try:
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
      launch.binary(main, flag_values)
  except SystemExit as end:
    status = end.code
  finally:
    sys.argv = argv
  return status, out.getvalue(), err.getvalue()


def everything_in(folder):
  """Its files and their hashes: equal where nothing was touched."""
  files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
  return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def sentence(status, err):
  """The one sentence of a refused call."""
  assert status == 2, (status, err)
  lines = err.splitlines()
  assert len(lines) == 1 and lines[0].startswith("error: "), err
  assert "Traceback" not in err
  return lines[0]


def hash_again(folder, **changes):
  """Makes the card say what the arrays are, and `changes`: only the values themselves can then be wrong."""
  card = json.loads((folder / "card.json").read_text()) | changes
  card["sha256"] = {n: hashlib.sha256((folder / f"{n}.npy").read_bytes()).hexdigest() for n in card["sha256"]}
  (folder / "card.json").write_text(json.dumps(card))


def make_data(task, quality, data_dir, seed=0, **changes):
  """Four episodes of random numbers in the shape of a task, saved as ours."""
  environment = settings.TASKS["spread"]()
  random, horizon = np.random.default_rng(seed), environment.horizon
  rows, num_agents = 4 * horizon, environment.num_agents
  last = np.arange(rows) % horizon == horizon - 1

  def actions(count):
    return random.uniform(-1, 1, (count, num_agents, environment.action_size)).astype(np.float32)

  def observations(count):
    return random.normal(size=(count, num_agents, environment.obs_size)).astype(np.float32)

  episodes = storage.from_arrays(
    observations(rows),
    actions(rows),
    random.normal(size=(rows, num_agents)).astype(np.float32),
    np.zeros(rows, bool),
    last,
    observations(4),
    actions(4),
  )
  facts = {
    "name": environment.name,
    "version": environment.version,
    "observation_hash": observation_hash(environment),
  }
  folder = storage.folder_of(data_dir, task, quality, "v1")
  storage.save(folder, episodes, task=task, quality=quality, version="v1", environment=facts | changes, source="a test")
  return folder


def make(recipe, data_dir):
  """In place of collect.make: random numbers under the recipe's task and quality."""
  return make_data(recipe.task, recipe.quality, data_dir)
