"""Rule 15: one contract for every file in algorithms/, found by listing the folder."""

import dataclasses
import functools
import importlib
import pathlib

import chex
import jax
import numpy as np
import pytest

from marl_offline.types import Normalizer
from tests import games

FOLDER = pathlib.Path(__file__).parents[1] / "marl_offline" / "algorithms"
ALGORITHMS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def load(name):
  return importlib.import_module(f"marl_offline.algorithms.{name}")


def small(config):
  """The default config with small sizes, where it has them."""
  sizes = {"batch_size": 8, "hidden_size": 8, "ensemble_size": 3, "num_proposals": 2, "behavior_hidden_size": 8}
  return dataclasses.replace(config, **{n: v for n, v in sizes.items() if hasattr(config, n)})


@functools.cache
def made(name, **changes):
  """Learner and first state, shared by the tests: compiling init takes most of their time."""
  module = load(name)
  learner = module.make(games.tiny_spec(), dataclasses.replace(small(module.Config()), **changes))
  return learner, jax.jit(learner.init)(jax.random.key(0))


def check_spacql_metrics(metrics):
  """All that the papers' figures need."""
  names = {"td_loss", "penalty", "q_data", "target_mean", "k_eff", "critic_grad_norm", "actor_grad_norm", "actor_loss"}
  assert names | {f"{letter}_{k}" for letter in "uw" for k in (1, 2, 3)} == set(metrics)
  weights = [float(metrics[f"w_{k}"]) for k in (1, 2, 3)]
  np.testing.assert_allclose(sum(weights), 1.0, rtol=1e-5)
  np.testing.assert_allclose(metrics["k_eff"], np.dot(weights, [1, 2, 3]), rtol=1e-5)
  assert all(0 < weight < 1 for weight in weights) and all(metrics[f"u_{k}"] > 0 for k in (1, 2, 3))


# of an algorithm whose Config names other pieces of code; behavior_updates=1 puts step 0 before and step 4 after it
SOFTMAX = {"agent_weights": "softmax", "behavior_updates": 1, "target": "counterfactual"}
ONE_HOT = {"agent_weights": "one_hot", "behavior_updates": 1, "policy_gradient": "joint"}
DIVERSE = {"target": "own", "disagreement": "relative"}
FIXED = {"disagreement": "fixed", "exact_subsets": True, "bootstrap": 0.5}
VARIANTS = [
  ("macql", {"policy_gradient": "joint"}),
  ("cfcql", SOFTMAX),
  ("cfcql", ONE_HOT),
  ("spacql", DIVERSE),
  ("spacql", DIVERSE | FIXED),
]
VARIANTS += [("spacql", DIVERSE | {"exact_subsets": True})]


@pytest.mark.parametrize(("name", "changes"), [(name, {}) for name in ALGORITHMS] + VARIANTS)
def test_traces_once_keeps_types_stays_finite_and_repeats(name, changes):
  (learner, start), key = made(name, **changes), jax.random.key(0)
  chex.clear_trace_counter()  # it counts by name, which an algorithm's variants share
  batch = games.random_batch(games.tiny_spec(), key, 8)
  step_fn = jax.jit(chex.assert_max_traces(learner.update, n=1))
  first, metrics = step_fn(start, batch, key, 0)
  chex.assert_trees_all_equal(first, step_fn(start, batch, key, 0)[0])
  chex.assert_trees_all_equal_shapes_and_dtypes(first, start)
  fifth, later_metrics = step_fn(first, batch, key, 4)
  chex.assert_tree_all_finite((fifth, metrics, later_metrics))
  assert set(metrics) == set(later_metrics)
  assert all(m.shape == () and m.dtype == np.float32 for m in metrics.values())
  moved = [leaf_a is not leaf_b and not np.array_equal(leaf_a, leaf_b) for leaf_a, leaf_b in
           zip(jax.tree.leaves(start), jax.tree.leaves(first), strict=True)]  # fmt: skip
  assert any(moved)
  if name == "spacql":
    check_spacql_metrics(metrics)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_act_is_greedy_and_in_range(name):
  learner, state = made(name)
  obs = 5.0 * jax.random.normal(jax.random.key(2), (3, 4))
  action, memory = learner.act(state, learner.memory, obs, jax.random.key(3))
  other, _ = learner.act(state, memory, obs, jax.random.key(4))
  assert action.shape == (3, 2)
  np.testing.assert_array_equal(action, other)
  assert np.all(np.abs(action) <= 1)


def standardized(batch):
  """What games.tiny_spec's Normalizer makes of it."""
  seen = ("state", "obs", "next_state", "next_obs")
  return batch.replace(**{field: (getattr(batch, field) - 0.1) / 2.0 for field in seen})


@pytest.mark.parametrize("name", ALGORITHMS)
def test_data_and_play_are_seen_through_the_normalizer_alone(name):
  """One that changes nothing, and a batch that is standardised already: the same update and the same actions."""
  changes = {"normalization": "data"} if hasattr(load(name).Config(), "normalization") else {}
  (learner, state), spec = made(name, **changes), games.tiny_spec()
  plain_spec = dataclasses.replace(spec, normalizer=Normalizer.identity(3, 4, 12))
  plain = load(name).make(plain_spec, dataclasses.replace(small(load(name).Config()), **changes))
  batch, key = games.random_batch(spec, jax.random.key(1), 8), jax.random.key(2)
  after, _ = jax.jit(learner.update)(state, batch, key, 0)
  expected, _ = jax.jit(plain.update)(state, standardized(batch), key, 0)
  chex.assert_trees_all_close(after, expected, rtol=1e-3, atol=1e-5)
  action, _ = learner.act(state, learner.memory, batch.obs[0], key)
  np.testing.assert_allclose(action, plain.act(state, plain.memory, standardized(batch).obs[0], key)[0], rtol=1e-4)
  assert np.abs(action - plain.act(state, plain.memory, batch.obs[0], key)[0]).max() > 1e-5


@pytest.mark.parametrize("name", ALGORITHMS)
def test_config_is_frozen_and_every_field_has_a_default(name):
  config = load(name).Config()
  with pytest.raises(dataclasses.FrozenInstanceError):
    config.batch_size = 3
  assert config.batch_size == (256 if name == "matd3" else 1024)  # the online one has TD3's


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(
  "field, value",
  [("batch_size", 0), ("learning_rate", 0.0), ("learning_rate", float("nan")), ("gamma", 1.0), ("tau", 0.0),
   ("alpha", -1.0), ("ensemble_size", 0), ("normalization", "none"), ("proposals", "all"), ("actor_period", 0),
   ("sharpness", -1.0), ("bootstrap", 0.0), ("bootstrap", 1.5)],
)  # fmt: skip
def test_make_refuses_what_cannot_train(name, field, value):
  module = load(name)
  if not hasattr(module.Config(), field):
    pytest.skip(f"{name} has no {field}")
  with pytest.raises(ValueError, match=f"{field}={value} must"):
    module.make(games.tiny_spec(), dataclasses.replace(module.Config(), **{field: value}))
