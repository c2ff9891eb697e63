"""The loop around the compiled chunk. It trains any Learner and knows none."""

import contextlib
import dataclasses
import functools
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from marl_offline.training import memory, progress
from marl_offline.training.chunk import Programs, batch_keys, seed_keys
from marl_offline.training.devices import Layout


class NonFinite(RuntimeError):
  """A metric, a parameter or a return stopped being finite; the sentence names the step, the seed and the terms."""


@dataclasses.dataclass(frozen=True)
class Plan:
  """How long to train, how often to evaluate and to look.

  Raises:
    ValueError: a number is not positive, or evaluations does not divide gradient_steps.
  """

  gradient_steps: int
  evaluations: int
  log_every: int

  def __post_init__(self):
    for name, value in dataclasses.asdict(self).items():
      if value < 1:
        raise ValueError(f"{name}={value} must be at least 1")
    if self.gradient_steps % self.evaluations:
      raise ValueError(f"gradient_steps={self.gradient_steps} must be a multiple of evaluations={self.evaluations}")

  @property
  def interval(self) -> int:
    """Gradient steps between evaluations."""
    return self.gradient_steps // self.evaluations

  def chunk(self, step: int) -> int:
    """Length of the chunk that starts at `step`: log_every, or what is left to the next evaluation."""
    return min(self.log_every, self.interval - step % self.interval)

  def chunks(self, step: int) -> Iterator[tuple[int, int]]:
    """First step and length of every chunk from `step` on."""
    while step < self.gradient_steps:
      yield step, self.chunk(step)
      step += self.chunk(step)


@dataclasses.dataclass(frozen=True)
class Position:
  """Where a run stands; plain numbers, kept in the checkpoint so that a resumed run logs what the whole run would."""

  step: int = 0
  pending: dict[str, list[float]] = dataclasses.field(
    default_factory=dict
  )  # metric -> sum since the evaluation [seeds]
  pending_steps: int = 0
  train_seconds: float = 0.0
  eval_seconds: float = 0.0
  timed_steps: int = 0  # steps and seconds of the chunks that compiled nothing
  timed_seconds: float = 0.0

  def after_chunk(self, steps: int, means: dict[str, np.ndarray], seconds: float, timed: bool) -> "Position":
    """After `steps` more updates with these mean metrics [seeds]."""
    sums = {name: (np.float64(steps) * np.asarray(mean, np.float64)).tolist() for name, mean in means.items()}
    pending = {name: np.add(self.pending.get(name, 0.0), value).tolist() for name, value in sums.items()}
    timing = {"timed_steps": self.timed_steps + steps, "timed_seconds": self.timed_seconds + seconds} if timed else {}
    return dataclasses.replace(
      self,
      step=self.step + steps,
      pending=pending,
      pending_steps=self.pending_steps + steps,
      train_seconds=self.train_seconds + seconds,
      **timing,
    )

  def after_evaluation(self, seconds: float) -> "Position":
    """Nothing is pending after an evaluation."""
    return dataclasses.replace(self, pending={}, pending_steps=0, eval_seconds=self.eval_seconds + seconds)

  def metrics(self) -> dict[str, np.ndarray]:
    """Mean metrics since the last evaluation, [seeds] each."""
    return {name: np.asarray(value) / self.pending_steps for name, value in self.pending.items()}

  def updates_per_second(self) -> float:
    """Gradient steps a second, all seeds stepping at once; compilation is left out where anything else was timed."""
    steps, seconds = (self.timed_steps, self.timed_seconds) if self.timed_steps else (self.step, self.train_seconds)
    return steps / max(seconds, 1e-9)


class StopSignals:
  """Context: SIGTERM and SIGINT only set `asked`, so that the chunk in flight ends first; a second one ends at once."""

  def __init__(self):
    self.asked = ""

  def __enter__(self):
    self._before = {}
    # Handlers can be set in the main thread only; elsewhere (a notebook's worker) the signals keep their meaning.
    with contextlib.suppress(ValueError):
      for number in (signal.SIGTERM, signal.SIGINT):
        self._before[number] = signal.signal(number, self._note)
    return self

  def _note(self, number, frame):
    del frame
    self.asked = signal.Signals(number).name
    self._restore()

  def _restore(self):
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def __exit__(self, *error):
    self._restore()


@dataclasses.dataclass(frozen=True)
class Hooks:
  """What the loop asks of the outside. Each runs between chunks; states are donated to the next one, so that what is
  kept of them is copied (jax.device_get)."""

  evaluate: Callable[[Any], np.ndarray]  # states -> returns [seeds, episodes]
  log: Callable[[Position, np.ndarray], str]  # position (metrics pending), returns -> a few words for the bar
  save: Callable[[Any, Position], None] = lambda states, position: None  # a good checkpoint
  # the state of a run that failed -> words on where it is
  set_aside: Callable[[Any, Position], str] = lambda states, position: "its state is not kept"


def check_finite(broken: dict[str, np.ndarray], seeds: Sequence[int]) -> None:
  """Looks whether anything broke. broken: metric -> bad step or -1 [seeds].

  Raises:
    NonFinite: names the earliest step, the first seed it happened to, all of its terms, and the other seeds.
  """
  bad = [(int(s), seed, name) for name, steps in broken.items() for s, seed in zip(steps, seeds, strict=True) if s >= 0]
  if not bad:
    return
  step, first, _ = min(bad)
  terms = ", ".join(sorted(name for s, seed, name in bad if (s, seed) == (step, first)))
  others = sorted({seed for s, seed, _ in bad if s == step} - {first})
  too = f" (and of seed{'s' * (len(others) > 1)} {', '.join(map(str, others))})" if others else ""
  raise NonFinite(f"{terms} of seed {first}{too} not finite from gradient step {step} on")


def check_returns(returns: np.ndarray, seeds: Sequence[int], step: int) -> None:
  """Looks whether an evaluation's returns [seeds, episodes] are numbers.

  Raises:
    NonFinite: names the step and the seeds.
  """
  if bad := [str(seed) for seed, row in zip(seeds, returns, strict=True) if not np.all(np.isfinite(row))]:
    raise NonFinite(f"return of seed {', '.join(bad)} not finite in the evaluation at gradient step {step}")


def fit(
  learner,
  draw,
  dataset,
  seeds,
  plan,
  hooks,
  states=None,
  position=None,
  bar=None,
  layout=None,
  feed=None,
  minibatches=None,
):
  """Trains every seed to plan.gradient_steps, from `position` on.

  Args:
    learner: a Learner.
    draw: (dataset, key) -> batch; None where batches are fed.
    dataset: on the device; None where batches are fed.
    seeds: one learner each, all in one program.
    plan: a Plan.
    hooks: Hooks.
    states, position: [seeds, ...], and where a resumed run stands; None: from the start. States are donated.
    bar: what is told of the progress; None: a progress.Bar, or lines where stderr is no terminal.
    layout: a devices.Layout; None: the default device.
    feed: where batches are fed, (keys_of, chunks to come) -> their batches [seeds, steps, B, ...]; see feeding.feed.
    minibatches: chunk.Repeated where the same ones come again and again; None: fresh ones.

  Returns:
    states, position, and the name of the signal that came, or ""; the position says whether it came before the end.

  Raises:
    NonFinite: after the state was set aside; the last good checkpoint stays.
    memory.TooLarge: before anything was trained.
  """
  position, layout = position or Position(), layout or Layout.here()
  programs, saved = Programs(learner.update, draw, layout, minibatches), position.step if states is not None else None
  bar = bar or progress.Bar(plan, position, None)
  with StopSignals() as stop, contextlib.closing(bar):
    states, run_keys = _begun(learner, seeds, states, layout)
    dataset, keys_of = layout.place_whole(dataset), functools.partial(batch_keys, run_keys, minibatches=minibatches)
    batches = feed(keys_of, plan.chunks(position.step)) if feed else None
    while position.step < plan.gradient_steps and not stop.asked:
      began, length = time.perf_counter(), plan.chunk(position.step)
      fed = layout.place(next(batches)) if feed else None
      timed = length in programs
      states, means, broken = programs(states, dataset, run_keys, position.step, length, fed)
      means, broken = jax.device_get((means, broken))  # the one transfer of the chunk
      seconds = time.perf_counter() - began
      position = position.after_chunk(length, means, seconds, timed=timed)
      with _set_aside(hooks, states, position):
        check_finite(broken, seeds)
      bar.advance(length)
      if position.step % plan.interval == 0:
        position = _evaluated(states, position, seeds, hooks, bar)
        saved = position.step
    if saved != position.step:  # stopped between evaluations, or before the first update
      hooks.save(states, position)
  return states, position, stop.asked


def _begun(learner, seeds: Sequence[int], states: Any, layout: Layout) -> tuple[Any, jax.Array]:
  """States, initialised where there are none, and the seeds' keys, all in their places.

  Raises:
    memory.TooLarge: the states do not fit.
  """
  init_keys, run_keys = seed_keys(seeds)
  memory.require_states(jax.eval_shape(jax.vmap(learner.init), init_keys), layout.device, layout.state_copies)
  states = jax.jit(jax.vmap(learner.init))(init_keys) if states is None else states
  return layout.place(states), layout.place(run_keys)


def _evaluated(states: Any, position: Position, seeds: Sequence[int], hooks: Hooks, bar) -> Position:
  """Evaluates, logs, tells and saves. -> the position after it."""
  began = time.perf_counter()
  returns = hooks.evaluate(states)
  with _set_aside(hooks, states, position):
    check_returns(returns, seeds, position.step)
  bar.say(hooks.log(position, returns), position)
  position = position.after_evaluation(time.perf_counter() - began)
  hooks.save(states, position)
  return position


@contextlib.contextmanager
def _set_aside(hooks: Hooks, states: Any, position: Position):
  """Keeps the state of a run that fails inside, and says in the sentence where."""
  try:
    yield
  except NonFinite as error:
    raise NonFinite(f"{error}; {hooks.set_aside(states, position)}") from None
