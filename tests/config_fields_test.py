"""No field of a Config is without effect: another value of any makes another program. And in none of these programs is
a key drawn from twice.

What each field does there is tested elsewhere; here is that none is read and forgotten, or not read.
"""

import dataclasses
import functools

import jax
import pytest
from jax.errors import KeyReuseError

from tests import contract_test, games

OTHER = {  # of fields that are names
  "normalization": ("batch", "data", "layer"),
  "proposals": ("uniform", "three_sources"),
  "disagreement": ("absolute", "relative", "fixed"),
  "target": ("minimum", "own", "all", "counterfactual"),
  "policy_gradient": ("counterfactual", "joint"),
  "agent_weights": ("uniform", "softmax", "one_hot"),
  "search": ("soft", "elites"),
}
UNDER = {  # fields that count where others have these values alone
  "proposal_noise": {"proposals": "three_sources"},
  "temperature": {"agent_weights": "softmax"},
  "behavior_updates": {"agent_weights": "softmax"},
  "behavior_hidden_size": {"agent_weights": "softmax"},
  "behavior_learning_rate": {"agent_weights": "softmax"},
  "density_samples": {"agent_weights": "softmax"},
  "search_elites": {"search": "elites"},
}
OF_THE_TRAINER = {"batch_size"}  # how many rows are drawn; an update takes what comes


def fields_of(name):
  return [field.name for field in dataclasses.fields(contract_test.load(name).Config)]


def other_values(config, field):
  """Valid values that it does not have."""
  value = getattr(config, field)
  if isinstance(value, str):
    known = [each for each in OTHER[field] if each != value]
    return [each for each in known if accepts(config, field, each)]
  if isinstance(value, bool):
    return [not value]
  return [value + 1] if isinstance(value, int) else [0.5 * value or 0.1]


def accepts(config, field, value):
  """target names other things in SPaCQL than in CFCQL."""
  return field != "target" or (config.target in ("minimum", "own")) == (value in ("minimum", "own"))


@functools.cache
def program(name, **changes):
  """The text of an update, numbers included.

  Raises:
    KeyReuseError: it, or the making of the first state, draws from a key twice.
  """
  module, spec = contract_test.load(name), games.tiny_spec()
  learner = module.make(spec, dataclasses.replace(contract_test.small(module.Config()), **changes))
  batch = games.random_batch(spec, jax.random.key(1), 8)
  with jax.debug_key_reuse(True):
    state = jax.eval_shape(jax.jit(learner.init), jax.random.key(0))
    return str(jax.jit(learner.update).trace(state, batch, jax.random.key(2), 0).jaxpr)


def test_a_key_that_is_drawn_from_twice_is_seen():
  def twice(key):
    return jax.random.normal(key) + jax.random.uniform(key)

  with jax.debug_key_reuse(True), pytest.raises(KeyReuseError):
    jax.jit(twice).trace(jax.random.key(0))


@pytest.mark.parametrize("name", contract_test.ALGORITHMS)
def test_the_same_fields_make_the_same_program(name):
  assert program.__wrapped__(name) == program(name)


CASES = [(name, field) for name in contract_test.ALGORITHMS for field in fields_of(name) if field not in OF_THE_TRAINER]


@pytest.mark.parametrize(("name", "field"), CASES)
def test_another_value_of_a_field_makes_another_program(name, field):
  config = contract_test.small(contract_test.load(name).Config())
  under = {n: value for n, value in UNDER.get(field, {}).items() if hasattr(config, n)}
  plain = program(name, **under)
  values = other_values(dataclasses.replace(config, **under), field)
  assert values
  for value in values:
    assert program(name, **under | {field: value}) != plain
