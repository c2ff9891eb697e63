"""Checkpoints: the one module that touches Orbax.

`<folder>/<step>/` holds one Orbax item a seed (`seed_0`, ...) and meta.json: what the run was (algorithm, config, spec,
Normalizer, task, environment, versions), the shape and dtype of every array, and a hash of every file. A checkpoint is
written under another name, read back, and renamed: a folder named as a step is whole. Hashes are looked at before Orbax
opens anything, since it reads an altered weight without a word.
"""

import contextlib
import dataclasses
import errno
import hashlib
import importlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest import mock

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from marl_offline.types import Learner, Normalizer, Spec

FORMAT = 1
SIZES = ("num_agents", "obs_size", "action_size", "state_size")


class CheckpointError(ValueError):
  """A checkpoint cannot be written or read; one sentence says which and why."""


class NotSaved(CheckpointError):
  """One could not be written, or read back."""


class Checkpoints:
  """The checkpoints of one run; the newest `keep` stay."""

  def __init__(self, folder: str | os.PathLike, keep: int = 3):
    self.folder = pathlib.Path(folder).resolve()
    self._keep = keep

  def steps(self) -> list[int]:
    """Steps with a whole checkpoint, ascending."""
    names = [path.name for path in self.folder.glob("*") if path.is_dir()]
    return sorted(int(name) for name in names if name.isdecimal())

  def save(self, step: int, states: Any, seeds: Sequence[int], meta: Mapping[str, Any]) -> None:
    """Writes states [seeds, ...] and meta; returns when they are on disk and read back.

    Raises:
      NotSaved: they could not be written; older checkpoints are untouched.
    """
    unfinished = self.folder / f".unfinished-{step}"
    try:
      with _quiet_and_alone():
        self._save(unfinished, step, states, seeds, meta)
    except Exception as error:  # Orbax passes on whatever its storage raises
      shutil.rmtree(unfinished, ignore_errors=True)
      whole = self.steps()
      stays = f"the checkpoint of step {whole[-1]} is intact" if whole else "no checkpoint was written before"
      raise NotSaved(f"cannot save step {step} in {self.folder}: {_first_line(error)}; {stays}") from error
    for old in [each for each in self.steps() if each != step][: 1 - self._keep or None]:
      shutil.rmtree(self.folder / str(old), ignore_errors=True)

  def _save(self, unfinished, step, states, seeds, meta):
    host = jax.device_get(_without_keys(states))
    trees = {f"seed_{seed}": jax.tree.map(lambda leaf: np.asarray(leaf[i]), host) for i, seed in enumerate(seeds)}  # noqa: B023
    self.folder.mkdir(parents=True, exist_ok=True)
    for left_over in self.folder.glob(".unfinished-*"):
      shutil.rmtree(left_over)
    needed, free = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(host)), shutil.disk_usage(self.folder).free
    if free < needed:  # asked first, as a full disk makes Orbax's threads print
      raise OSError(f"no space left on device: {free} bytes free, about {needed} needed")
    for item, tree in trees.items():
      _orbax().save(unfinished / item, args=ocp.args.StandardSave(tree))
      _require_equal(item, _orbax().restore(unfinished / item, args=ocp.args.StandardRestore(tree)), tree)
    facts = {"format": FORMAT, "step": step, "seeds": list(seeds), **meta}
    facts["leaves"] = _leaves(next(iter(trees.values())))
    files = sorted(path for path in unfinished.rglob("*") if path.is_file())
    facts["files"] = {path.relative_to(unfinished).as_posix(): _hash(path) for path in files}
    (unfinished / "meta.json").write_text(json.dumps({**facts, "sha256": _hash_of(facts)}, indent=1))
    target = self.folder / str(step)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(unfinished, target)

  def meta(self) -> dict[str, Any]:
    """meta.json of the newest.

    Raises:
      CheckpointError: there is none, or it is damaged or foreign.
    """
    return _read_meta(self._path(None))

  def restore(self, like: Any, seeds: Sequence[int], step: int | None = None) -> tuple[Any, dict[str, Any]]:
    """States [seeds, ...] of a step (the newest) as NumPy arrays, on no device yet, and the meta.

    Args:
      like: shapes and dtypes of ONE seed's state, as `jax.eval_shape(learner.init, key)` gives.
      seeds: which seeds, in this order.

    Raises:
      CheckpointError: no checkpoint, a damaged one, other seeds, or arrays of another shape.
    """
    meta = _read_meta(path := self._path(step))
    if missing := sorted(set(seeds) - set(meta["seeds"])):
      raise CheckpointError(f"{path} holds the seeds {meta['seeds']}, not {missing[0]}")
    _require_same_leaves(path, meta, _leaves(_without_keys(like)))
    items = [f"seed_{seed}" for seed in seeds]
    for name, expected in meta["files"].items():
      if name.split("/")[0] in items and _hash(path / name) != expected:
        raise CheckpointError(f"{path / name} is damaged: its content is not what was saved")
    empty = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), _without_keys(like))
    with _quiet_and_alone():
      trees = [_orbax().restore(path / item, args=ocp.args.StandardRestore(empty)) for item in items]
    return _with_keys(like, jax.tree.map(lambda *leaves: np.stack(leaves), *trees)), meta

  def _path(self, step: int | None) -> pathlib.Path:
    if not (steps := self.steps()):
      raise CheckpointError(f"no checkpoint in {self.folder}: no run's folder, or of one that has saved none yet")
    if step is not None and step not in steps:
      raise CheckpointError(f"{self.folder} has checkpoints of the steps {steps}, not of {step}")
    return self.folder / str(steps[-1] if step is None else step)


def find(folder: str | os.PathLike) -> Checkpoints:
  """The checkpoints of a run folder, or of its checkpoints folder.

  Raises:
    CheckpointError: there is no such folder.
  """
  folder = pathlib.Path(folder).resolve()
  if not folder.is_dir():
    raise CheckpointError(f"no folder {folder}; pass a run folder or its checkpoints folder")
  inside = Checkpoints(folder / "checkpoints")
  return inside if inside.folder.is_dir() else Checkpoints(folder)


def describe(algorithm: str, config: Any, spec: Spec, module: str | None = None, **facts: Any) -> dict[str, Any]:
  """The part of the meta from which `load_learner` makes the learner again, by the Config and make of `module` (None:
  that of config's class), and any more facts."""
  normalizer = {f.name: np.asarray(getattr(spec.normalizer, f.name)).tolist() for f in dataclasses.fields(Normalizer)}
  return {
    "algorithm": algorithm,
    "module": module or type(config).__module__,
    "config": dataclasses.asdict(config),
    "spec": {name: int(getattr(spec, name)) for name in SIZES},
    "normalizer": normalizer,
  } | facts


def load_learner(folder: str | os.PathLike, seeds: Sequence[int] | None = None) -> tuple[Learner, Any, dict[str, Any]]:
  """The learner of a run folder, fields younger than it at their defaults, the newest states [seeds, ...] (NumPy; all
  seeds unless told) and the meta.

  Raises:
    CheckpointError: nothing there, a damaged or foreign checkpoint, or an algorithm that this version cannot make.
  """
  checkpoints = find(folder)
  meta = checkpoints.meta()
  try:
    arrays = {name: np.asarray(value, np.float32) for name, value in meta["normalizer"].items()}
    spec = Spec(**meta["spec"], normalizer=Normalizer(**arrays))
    module = importlib.import_module(meta["module"])
    known = {field.name for field in dataclasses.fields(module.Config)}
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in meta["config"].items()}
    if unknown := sorted(set(given) - known):
      raise ValueError(f"its config has {unknown}, which this version does not know")
    learner = module.make(spec, module.Config(**given))
  except (ImportError, AttributeError, TypeError, ValueError, KeyError) as error:
    reason = f"its meta, see describe, has no {error}" if isinstance(error, KeyError) else _first_line(error)
    raise CheckpointError(f"{checkpoints.folder}: {meta.get('algorithm')} cannot be made: {reason}") from error
  like = jax.eval_shape(learner.init, jax.random.key(0))
  states, meta = checkpoints.restore(like, meta["seeds"] if seeds is None else seeds)
  return learner, states, meta


def load_policy(folder: str | os.PathLike, seed: int | None = None) -> Callable:
  """act(obs [N, O], key) -> action [N, A] of one seed (the run's first), greedy, jitted; obs as the environment gives.

  The Normalizer is inside. `key` may be left out: a greedy policy of this library draws nothing from it.

  Raises:
    CheckpointError: as load_learner; or the policy has a memory, which a function of obs alone cannot carry.
  """
  seeds = [find(folder).meta()["seeds"][0] if seed is None else seed]
  learner, states, meta = load_learner(folder, seeds)
  if jax.tree.leaves(learner.memory):
    raise CheckpointError(
      f"the policy of {meta['algorithm']} has a memory; use load_learner and carry it from act to act"
    )
  state = jax.tree.map(lambda leaf: jax.device_put(leaf[0]), states)
  act = jax.jit(lambda state, obs, key: learner.act(state, learner.memory, obs, key)[0])
  return lambda obs, key=None: act(state, obs, jax.random.key(0) if key is None else key)


# ---- what the functions above lean on ------------------------------------------------------------------------------


def _orbax() -> ocp.Checkpointer:
  return ocp.Checkpointer(ocp.StandardCheckpointHandler())  # this one saves synchronously; ocp.StandardCheckpointer not


def _is_key(leaf: Any) -> bool:
  return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_keys(tree: Any) -> Any:
  """Typed keys as their uint32 data, which any version reads. Works on shapes too."""

  def plain(leaf):
    if not _is_key(leaf):
      return leaf
    return (
      jax.eval_shape(jax.random.key_data, leaf) if isinstance(leaf, jax.ShapeDtypeStruct) else jax.random.key_data(leaf)
    )

  return jax.tree.map(plain, tree)


def _with_keys(like: Any, tree: Any) -> Any:
  def typed(like, leaf):
    if not _is_key(like):
      return leaf
    impl = []  # a key's implementation is asked of a traced key, as a shape does not tell it
    jax.eval_shape(lambda key: impl.append(jax.random.key_impl(key)), like)
    return jax.random.wrap_key_data(leaf, impl=impl[0])

  return jax.tree.map(typed, like, tree)


def _leaves(tree: Any) -> dict[str, list]:
  """{"['actors'].w": [[3, 64], "float32"], ...}."""
  flat = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path): [list(leaf.shape), np.dtype(leaf.dtype).name] for path, leaf in flat}


def _require_same_leaves(path, meta, expected):
  saved = meta["leaves"]
  if differs := sorted(name for name in set(saved) | set(expected) if saved.get(name) != expected.get(name)):
    name, algorithm = differs[0], meta.get("algorithm")
    there, here = saved.get(name, "missing"), expected.get(name, "missing")
    raise CheckpointError(f"{path} is of {algorithm} and does not fit: {name} is {there} there and {here} here")


def _require_equal(item, read, written):
  for a, b in zip(jax.tree.leaves(read), jax.tree.leaves(written), strict=True):
    if a.tobytes() != b.tobytes():
      raise OSError(f"{item} reads back otherwise than it was written")


def _read_meta(path: pathlib.Path) -> dict[str, Any]:
  try:
    meta = json.loads((path / "meta.json").read_text())
    expected = meta.pop("sha256")
  except FileNotFoundError as error:
    raise CheckpointError(f"{path} is not a checkpoint of this library: it has no meta.json") from error
  except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
    raise CheckpointError(f"{path / 'meta.json'} is damaged: {_first_line(error)}") from error
  if _hash_of(meta) != expected:
    raise CheckpointError(f"{path / 'meta.json'} is damaged: its content is not what was saved")
  if meta["format"] != FORMAT:
    raise CheckpointError(f"{path} has checkpoint format {meta['format']}; this version reads {FORMAT}")
  return meta


def _hash(path: pathlib.Path) -> str:
  """sha256 of a file, "" where there is none."""
  with contextlib.suppress(OSError):
    return hashlib.sha256(path.read_bytes()).hexdigest()
  return ""


def _hash_of(value: Any) -> str:
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def _quiet_and_alone():
  """Orbax's writing threads log what they also raise, with tracebacks; what is raised is enough. And Orbax lets only
  process 0 write arrays of the host, after all have met; here each process writes its own seeds when it likes."""
  before = logging.get_verbosity()
  logging.set_verbosity(logging.FATAL)
  alone = {"process_index": lambda *_: 0, "process_count": lambda *_: 1}
  try:
    with mock.patch.multiple(jax, **alone):
      yield
  finally:
    logging.set_verbosity(before)


def _first_line(error: BaseException) -> str:
  words = str(error).strip() or type(error).__name__
  full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in words
  return "no space left on device" if full else words.splitlines()[0][:300]
