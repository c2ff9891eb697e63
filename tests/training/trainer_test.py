"""The chunk and the loop: one compilation, seeds apart, keys from the step, stops and failures."""

import dataclasses
import os
import signal

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.training import chunk, trainer
from marl_offline.types import Learner
from tests.training import tiny


def train(seeds, chunks, config=tiny.Config()):  # noqa: B008
  learner = tiny.learner(config)
  init_keys, run_keys = chunk.seed_keys(seeds)
  states, step, seen = jax.vmap(learner.init)(init_keys), 0, []
  for length in chunks:
    states, means, broken = chunk.train_chunk(learner.update, tiny.draw, states, tiny.dataset(), run_keys, step, length)
    seen.append((means, broken))
    step += length
  return states, seen


def without_key(states):
  return jax.device_get(states.replace(key=jax.random.key_data(states.key)))


def hooks(**changed):
  quiet = trainer.Hooks(
    evaluate=lambda states: np.zeros((2, 3)),
    log=lambda position, returns: "",
    save=lambda states, position: None,
    set_aside=lambda states, position: "",
  )
  return dataclasses.replace(quiet, **changed)


def fit(plan, seeds=(0, 1), config=tiny.Config(), **changed):  # noqa: B008
  learner = tiny.learner(config)
  return trainer.fit(learner, tiny.draw, tiny.dataset(), seeds, plan, hooks(**changed))


def test_a_seed_among_several_is_that_seed_alone_and_chunks_only_divide_time():
  both, metrics = train([2, 3], [5, 5])
  alone, metrics_alone = train([3], [10])
  chex.assert_trees_all_close(
    jax.tree.map(lambda leaf: leaf[1], without_key(both)),
    jax.tree.map(lambda leaf: leaf[0], without_key(alone)),
    atol=1e-6,
  )
  losses = np.mean([means["loss"] for means, _ in metrics], axis=0)
  np.testing.assert_allclose(losses[1], metrics_alone[0][0]["loss"][0], rtol=1e-5)
  assert losses[0] != losses[1], "seeds must differ"
  chex.assert_trees_all_equal(without_key(both), without_key(train([2, 3], [10])[0]))


def test_equal_chunks_compile_once():
  learner, (init_keys, run_keys) = small(lambda weight, step: weight), chunk.seed_keys([0])
  update = chex.assert_max_traces(learner.update, n=1)
  states, data = jax.vmap(learner.init)(init_keys), tiny.dataset()
  before = chunk.train_chunk._cache_size()
  for step in (0, 7, 14):
    states, _, _ = chunk.train_chunk(update, tiny.draw, states, data, run_keys, step, 7)
  assert chunk.train_chunk._cache_size() == before + 1


def small(update, loss=lambda weight, step: weight):
  """A learner of one weight, 1.0, 0.53 and 0.35 in the seeds 0, 1, 2 at first; update(weight, step) -> weight."""

  def one(state, batch, key, step):
    return {"w": update(state["w"], step), "key": state["key"]}, {"loss": loss(state["w"], step)}

  init = lambda key: {"w": jax.random.normal(key), "key": key}  # noqa: E731
  return Learner(init, one, lambda state, memory, obs, key: (obs, memory))


def fit_small(update=lambda weight, step: weight, loss=lambda weight, step: weight, plan=None, **changed):
  learner, plan = small(update, loss), plan or trainer.Plan(20, 4, 5)
  return trainer.fit(learner, tiny.draw, tiny.dataset(), (0, 1, 2), plan, hooks(**changed))


def test_first_false_by_hand():
  # columns: all true; false at row 1; false at rows 0 and 2 -> none, 10 + 1, 10 + 0
  flags = np.array([[True, True, False], [True, False, True], [True, True, False]])
  np.testing.assert_array_equal(chunk.first_false(flags, 10), [-1, 11, 10])


def test_plan_meets_every_evaluation():
  plan = trainer.Plan(gradient_steps=30, evaluations=3, log_every=4)
  step, chunks = 0, []
  while step < 30:
    chunks.append(plan.chunk(step))
    step += chunks[-1]
  assert chunks == [4, 4, 2] * 3


@pytest.mark.parametrize(
  ("numbers", "words"), [((10, 3, 1), "multiple of evaluations=3"), ((10, 0, 1), "evaluations=0")]
)
def test_plan_refuses(numbers, words):
  with pytest.raises(ValueError, match=words):
    trainer.Plan(*numbers)


def test_metrics_are_means_since_the_last_evaluation():
  seen = []

  def log(position, returns):
    seen.append((position.step, position.metrics()["loss"], returns.shape))
    return ""

  fit(trainer.Plan(20, 2, 5), log=log)
  _, chunks = train([0, 1], [5, 5, 5, 5])
  assert [step for step, _, _ in seen] == [10, 20]
  assert seen[0][2] == (2, 3)
  losses = np.array([means["loss"] for means, _ in chunks])  # [chunk, seed]
  np.testing.assert_allclose([loss for _, loss, _ in seen], losses.reshape(2, 2, 2).mean(axis=1), rtol=1e-5)


def test_non_finite_names_step_seed_and_term_and_sets_the_state_aside():
  aside, saved = [], []
  with pytest.raises(trainer.NonFinite, match=r"^loss of seed 0 not finite from gradient step 13 on; set aside$"):
    fit_small(
      loss=lambda weight, step: jnp.where((step >= 13) & (weight > 0.9), jnp.nan, weight),
      evaluate=lambda states: np.zeros((3, 1)),
      save=lambda states, position: saved.append(position.step),
      set_aside=lambda states, position: aside.append(position.step) or "set aside",
    )
  assert (aside, saved) == ([15], [5, 10])


def test_a_parameter_that_no_metric_shows_is_seen_before_it_is_saved():
  saved, aside = [], []
  with pytest.raises(
    trainer.NonFinite, match=r"^parameters of seed 0 \(and of seed 1\) not finite from gradient step 9 on; here"
  ):
    fit_small(
      lambda weight, step: jnp.where((step >= 7) & (weight > 0.5), jnp.inf, weight),
      loss=lambda weight, step: jnp.zeros(()),
      evaluate=lambda states: np.zeros((3, 1)),
      save=lambda states, position: saved.append(position.step),
      set_aside=lambda states, position: aside.append(position.step) or "here",
    )
  assert (saved, aside) == ([5], [10])


def test_all_terms_of_the_earliest_step_are_named():
  broken = {"td": np.array([9, 7, -1]), "loss": np.array([-1, 7, 7]), "w_1": np.array([-1, 8, -1])}
  with pytest.raises(trainer.NonFinite) as caught:
    trainer.check_finite(broken, [3, 4, 5])
  assert str(caught.value) == "loss, td of seed 4 (and of seed 5) not finite from gradient step 7 on"
  trainer.check_finite({"loss": np.array([-1])}, [0])


def test_returns_that_are_no_numbers_are_neither_logged_nor_saved():
  logged, saved = [], []
  with pytest.raises(trainer.NonFinite, match="return of seed 1 not finite in the evaluation at gradient step 5; here"):
    fit_small(
      evaluate=lambda states: np.array([[0.0, 1.0], [0.0, np.nan], [0.0, 0.0]]),
      log=lambda position, returns: logged.append(position) or "",
      save=lambda states, position: saved.append(position),
      set_aside=lambda states, position: "here",
    )
  assert (logged, saved) == ([], [])


def test_a_stop_while_the_learner_is_made_saves_at_step_0(monkeypatch):
  saved, init = [], trainer.seed_keys
  monkeypatch.setattr(trainer, "seed_keys", lambda seeds: (signal.raise_signal(signal.SIGTERM), init(seeds))[1])
  _, position, stopped = fit_small(save=lambda states, position: saved.append(position.step))
  assert (position.step, stopped, saved) == (0, "SIGTERM", [0])


def test_a_stop_after_the_last_look_at_it_saves_too(monkeypatch):
  saved = []
  monkeypatch.setattr(
    trainer.progress.Bar, "advance", lambda self, steps: saved or os.kill(os.getpid(), signal.SIGTERM)
  )
  plan = trainer.Plan(20, 1, 5)
  _, position, stopped = fit_small(plan=plan, save=lambda states, position: saved.append(position.step))
  assert (position.step, stopped, saved) == (5, "SIGTERM", [5])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_chunk_saves_and_returns(number):
  saved, before = [], signal.getsignal(number)

  def evaluate(states):
    os.kill(os.getpid(), number)
    return np.zeros((2, 1))

  _, position, stopped = fit(
    trainer.Plan(40, 4, 5), evaluate=evaluate, save=lambda states, position: saved.append(position.step)
  )
  assert (position.step, stopped, saved) == (10, number.name, [10])
  assert signal.getsignal(number) == before


def test_a_stop_between_evaluations_saves_there(monkeypatch):
  saved = []
  run_chunk = trainer.Programs.__call__

  def chunk_then_signal(self, states, dataset, run_keys, step, length, fed):
    out = run_chunk(self, states, dataset, run_keys, step, length, fed)
    if step == 5:
      os.kill(os.getpid(), signal.SIGTERM)
    return out

  monkeypatch.setattr(trainer.Programs, "__call__", chunk_then_signal)
  _, position, stopped = fit(trainer.Plan(60, 2, 5), save=lambda states, position: saved.append(position))
  assert (position.step, stopped) == (10, "SIGTERM")
  assert saved[0].pending_steps == 10, "what is not logged yet is saved"


def test_a_signal_in_the_last_evaluation_is_told_though_the_run_is_done():
  def evaluate(states):
    os.kill(os.getpid(), signal.SIGTERM)
    return np.zeros((2, 3))

  _, position, stopped = fit(trainer.Plan(10, 1, 5), evaluate=evaluate)
  assert (position.step, stopped) == (10, "SIGTERM")


def test_without_a_terminal_a_line_an_evaluation(capsys):
  learner = tiny.learner(tiny.Config())
  plan, words = trainer.Plan(10, 2, 5), hooks(log=lambda position, returns: "score 12.3")
  trainer.fit(learner, tiny.draw, tiny.dataset(), (0, 1), plan, words)
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 2
  assert all(word in lines[0] for word in ("5/10 updates", "updates/s", "s left", "score 12.3"))
