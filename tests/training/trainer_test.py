"""The chunk and the loop: one compilation, seeds apart, keys from the step, stops and failures."""

import dataclasses
import os
import signal

import chex
import jax
import numpy as np
import pytest

from marl_offline.training import trainer
from tests.training import tiny


def train(seeds, chunks, config=tiny.Config()):  # noqa: B008
  learner = tiny.learner(config)
  init_keys, run_keys = trainer.seed_keys(seeds)
  states, step, seen = jax.vmap(learner.init)(init_keys), 0, []
  for length in chunks:
    states, means, broken = trainer.train_chunk(
      learner.update, tiny.draw, states, tiny.dataset(), run_keys, step, length
    )
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
  return trainer.fit(learner, tiny.draw, tiny.dataset(), seeds, plan, hooks(**changed), show_bar=False)


def test_a_seed_among_five_is_that_seed_alone():
  five, metrics_five = train([0, 1, 2, 3, 4], [10])
  alone, metrics_alone = train([3], [10])
  chex.assert_trees_all_close(
    jax.tree.map(lambda leaf: leaf[3], without_key(five)),
    jax.tree.map(lambda leaf: leaf[0], without_key(alone)),
    atol=1e-6,
  )
  np.testing.assert_allclose(metrics_five[0][0]["loss"][3], metrics_alone[0][0]["loss"][0], rtol=1e-5)
  assert np.std(metrics_five[0][0]["loss"]) > 0, "seeds must differ"


def test_chunks_divide_time_and_nothing_else():
  chex.assert_trees_all_equal(without_key(train([0, 1], [10])[0]), without_key(train([0, 1], [5, 5])[0]))


def test_equal_chunks_compile_once():
  learner, (init_keys, run_keys) = tiny.make(tiny.spec(), tiny.Config()), trainer.seed_keys([0])
  update = chex.assert_max_traces(learner.update, n=1)
  states, data = jax.vmap(learner.init)(init_keys), tiny.dataset()
  before = trainer.train_chunk._cache_size()
  for step in (0, 7, 14):
    states, _, _ = trainer.train_chunk(update, tiny.draw, states, data, run_keys, step, 7)
  assert trainer.train_chunk._cache_size() == before + 1


def test_first_false_by_hand():
  # columns: all true; false at row 1; false at rows 0 and 2 -> none, 10 + 1, 10 + 0
  flags = np.array([[True, True, False], [True, False, True], [True, True, False]])
  np.testing.assert_array_equal(trainer.first_false(flags, 10), [-1, 11, 10])


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
  _, chunks = train([0, 1], [10, 10])
  assert [step for step, _, _ in seen] == [10, 20]
  assert seen[0][2] == (2, 3)
  np.testing.assert_allclose([loss for _, loss, _ in seen], [means["loss"] for means, _ in chunks], rtol=1e-5)


def test_non_finite_names_step_seed_and_term_and_sets_the_state_aside():
  aside, saved = [], []
  with pytest.raises(
    trainer.NonFinite, match=r"loss of seed \d is not finite from gradient step 13 on; set aside"
  ) as caught:
    fit(
      trainer.Plan(40, 8, 5),
      seeds=tuple(range(6)),
      config=tiny.Config(poison_step=13),
      evaluate=lambda states: np.zeros((6, 1)),
      save=lambda states, position: saved.append(position.step),
      set_aside=lambda states, position: aside.append(position.step) or "set aside",
    )
  assert (aside, saved) == ([15], [5, 10])
  seed = int(str(caught.value).split("seed ")[1].split()[0])
  _, chunks = train(range(6), [5, 5, 5], tiny.Config(poison_step=13))
  assert seed == np.flatnonzero(chunks[-1][1]["loss"] == 13)[0]


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
  chunk = trainer.train_chunk

  def chunk_then_signal(*args):
    out = chunk(*args)
    if args[5] == 5:
      os.kill(os.getpid(), signal.SIGTERM)
    return out

  monkeypatch.setattr(trainer, "train_chunk", chunk_then_signal)
  _, position, stopped = fit(trainer.Plan(60, 2, 5), save=lambda states, position: saved.append(position))
  assert (position.step, stopped) == (10, "SIGTERM")
  assert saved[0].pending_steps == 10, "what is not logged yet is saved"


def test_without_a_terminal_a_line_an_evaluation(capsys):
  learner = tiny.learner(tiny.Config())
  plan, words = trainer.Plan(10, 2, 5), hooks(log=lambda position, returns: "score 12.3")
  trainer.fit(learner, tiny.draw, tiny.dataset(), (0, 1), plan, words)
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 2
  assert all(word in lines[0] for word in ("5/10 updates", "updates/s", "s left", "score 12.3"))
