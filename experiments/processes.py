"""Several processes that train one run together, each its share of the seeds.

They meet through JAX's distributed runtime, work in a folder of their own inside the run's, need nothing of each other
while they train, and wait for each other at the end, when process 0 joins what they made. The run's folder must be one
that all of them see. They wait by the runtime's table of keys and not by a collective operation, which would give up on
a process that is late.
"""

import atexit
import contextlib
import itertools
import os
import pathlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax._src import distributed  # the table of keys has no public name

from experiments import runs, train_request
from experiments.runs import UserError
from marl_offline.training import checkpoints, logs

START_SECONDS = 300  # to wait for the others at the start
SILENT_SECONDS = 600  # without a sign of life, after which JAX's runtime ends the others
BEAT_SECONDS = 5  # between a process's signs of life to those that wait for it
GONE_SECONDS = 60  # without one, after which those that wait leave
SEEN_SECONDS = 90  # after which a network's file system shows what another machine has written; NFS takes 30 to 60
KEYS = "marl_offline/"


class Team(NamedTuple):
  """Who works on a run."""

  index: int = 0  # of this process
  count: int = 1

  def seeds(self, seeds: list[int]) -> list[int]:
    """This process's share.

    Raises:
      UserError: the shares would differ.
    """
    if len(seeds) % self.count:
      raise UserError(f"--num_seeds={len(seeds)} must be a multiple of the {self.count} processes")
    share = len(seeds) // self.count
    return seeds[share * self.index : share * (self.index + 1)]

  def folder(self, run: pathlib.Path, index: int | None = None) -> pathlib.Path:
    """Where this process works, or another: the run's folder itself if there is one only."""
    return run if self.count == 1 else run / f"process_{self.index if index is None else index}"

  def wait(self, what: str) -> None:
    """Until all are here, however late; ends this process with a sentence when all that are missing are gone."""
    if self.count == 1:
      return
    table = distributed.global_state.client
    try:
      table.key_value_set(f"{KEYS}{what}/{self.index}", "here")
      for missing in _missing(table, what, self.count):
        if all(silent > GONE_SECONDS for silent in missing.values()):
          break
        time.sleep(1)
      else:
        return
    except jax.errors.JaxRuntimeError:  # process 0 keeps the table
      pass
    sentence = f"another process ended before {what}; what each has saved is kept: start all of them with --resume"
    print(f"error: process {self.index}: {sentence}", file=sys.stderr, flush=True)
    os._exit(2)  # the runtime's own farewell waits for the dead


def _missing(table, what: str, count: int) -> Iterator[dict[int, float]]:
  """Who is not here yet, again and again until all are, and for how many seconds each has given no sign of life."""
  seen: dict[int, tuple[str, float]] = {}
  while True:
    here = {int(key.rsplit("/", 1)[1]) for key, _ in table.key_value_dir_get(f"{KEYS}{what}/")}
    if not (missing := set(range(count)) - here):
      return
    beats, now = dict(table.key_value_dir_get(f"{KEYS}alive/")), time.monotonic()
    for index in missing:
      beat = beats.get(f"{KEYS}alive/{index}", "")
      if seen.get(index, (None,))[0] != beat:
        seen[index] = beat, now
    yield {index: now - seen[index][1] for index in missing}


def _live(table, index: int, leaving: threading.Event) -> None:
  """Gives signs of life until the process leaves or the runtime ends."""
  for beat in itertools.count():
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # a hiccup; if it was the end, nobody asks any more
      table.key_value_set(f"{KEYS}alive/{index}", str(beat), allow_overwrite=True)
    if leaving.wait(BEAT_SECONDS):
      return


def join(coordinator: str | None, count: int | None, index: int | None) -> Team:
  """Meets the other processes. coordinator: host:port of process 0, "auto" on a cluster that JAX knows, None: alone.

  Raises:
    UserError: flags are missing, or the others do not come.
  """
  if coordinator is None:
    if count is not None or index is not None:
      raise UserError("--num_processes and --process_id need --coordinator=host:port of process 0")
    return Team()
  given = {}
  if coordinator == "auto" and (count is not None or index is not None):
    raise UserError("--coordinator=auto asks the cluster: leave --num_processes and --process_id out")
  if coordinator != "auto":
    if count is None or index is None or not 0 <= index < count:
      raise UserError(f"--coordinator={coordinator} needs --num_processes and a --process_id below it")
    given = {"coordinator_address": coordinator, "num_processes": count, "process_id": index}
  jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM, which is ours (StopSignals)
  try:
    jax.distributed.initialize(**given, initialization_timeout=START_SECONDS, heartbeat_timeout_seconds=SILENT_SECONDS)
  except (RuntimeError, ValueError) as error:
    reason = str(error).splitlines()[0]
    raise UserError(f"--coordinator={coordinator}: the processes did not come together: {reason}") from error
  team = Team(jax.process_index(), jax.process_count())
  if team.count > 1:
    leaving = threading.Event()
    atexit.register(leaving.set)  # runs before the runtime's farewell, which may wait for minutes
    threading.Thread(target=_live, args=(distributed.global_state.client, team.index, leaving), daemon=True).start()
  return team


def require_same(team: Team, folder: pathlib.Path, stored: dict[str, Any]) -> None:
  """A run goes on with as many processes as it was begun with; once their parts are joined, with one.

  Raises:
    UserError: with others.
  """
  began = stored.get("processes", 1)
  if began > 1 and checkpoints.Checkpoints(folder / "checkpoints").steps():
    if team.count > 1:
      raise UserError(f"--resume: {folder} is trained to its end and joined; one process alone writes its result again")
  elif began != team.count:
    raise UserError(f"--resume: {folder} was begun by {began} processes, not {team.count}; start as many")


def require_same_start(folder: pathlib.Path, config: dict[str, Any]) -> None:
  """Several processes train one run with the same flags, on the same data; `folder` holds what the first began.

  Raises:
    UserError: flags or data differ.
  """
  _await(folder / "config.json")
  stored = runs.read_config(folder)
  for name in train_request.IDENTITY:
    if (theirs := stored["flags"].get(name)) != (ours := config["flags"].get(name)):
      raise UserError(f"--{name}={ours} here, where process 0 has {theirs}; give all processes the same flags")
  if stored["dataset"]["sha256"] != config["dataset"]["sha256"]:
    raise UserError(f"{config['dataset']['folder']} has other content here than where process 0 reads it")


def _await(path: pathlib.Path) -> None:
  """Until a file that another machine has written is to be seen here too: a network's file system may go on saying for
  a while that there is none, to those who have asked before."""
  end = time.monotonic() + SEEN_SECONDS
  while not path.exists() and time.monotonic() < end:
    time.sleep(1)


def join_parts(team: Team, run: pathlib.Path, like: Any, seeds: list[int]) -> dict[str, Any]:
  """Checkpoints and logs of all processes as those of one run, whose folder then looks like any. -> the last meta.

  Args:
    team: all of them are done.
    run: the run's folder.
    like: see Checkpoints.restore.
    seeds: of the run.

  Raises:
    CheckpointError, ValueError, OSError: a part is damaged, or the disk refuses; the parts stay.
  """
  parts = [team.folder(run, index) for index in range(team.count)]
  read = []
  for index, part in enumerate(parts):
    read.append(checkpoints.Checkpoints(part / "checkpoints").restore(like, Team(index, team.count).seeds(seeds)))
  states = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(states for states, _ in read))
  meta = max((meta for _, meta in read), key=lambda meta: meta["position"]["train_seconds"])  # the slowest one's clock
  logs.join(run, parts, seeds)
  kept = {name: meta[name] for name in meta if name not in ("format", "step", "seeds", "leaves", "files")}
  checkpoints.Checkpoints(run / "checkpoints").save(meta["step"], states, seeds, kept)
  for part in parts:
    shutil.rmtree(part)
  return meta
