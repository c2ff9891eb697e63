"""A learner, a data set and an environment so small that a whole training run takes a second."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from marl_offline.environments.api import PureEnvironment
from marl_offline.training import checkpoints, trainer
from marl_offline.types import Learner, Normalizer, Spec

AGENTS, OBS, ACTIONS = 2, 3, 2


@dataclasses.dataclass(frozen=True)
class Config:
  batch_size: int = 8
  learning_rate: float = 0.05
  sizes: tuple = (1, 2)


@struct.dataclass
class State:
  actors: dict
  target_actors: dict
  opt: optax.OptState
  key: jax.Array  # a typed key, to be saved like the rest


def make(spec: Spec, config: Config) -> Learner:
  optimizer = optax.adam(config.learning_rate)

  def init(key):
    shape = (spec.num_agents, spec.obs_size, spec.action_size)
    params = {"w": 0.1 * jax.random.normal(key, shape), "b": jnp.zeros((spec.num_agents, spec.action_size))}
    return State(params, jax.tree.map(jnp.copy, params), optimizer.init(params), key)

  def policy(params, obs):
    return jnp.tanh(jnp.einsum("...no,noa->...na", spec.normalizer.obs(obs), params["w"]) + params["b"])

  def update(state, batch, key, step):
    noise = 0.1 * jax.random.normal(key, batch["action"].shape)

    def loss_of(params):
      return jnp.mean(jnp.square(policy(params, batch["obs"]) - batch["action"] - noise))

    loss, grads = jax.value_and_grad(loss_of)(state.actors)
    updates, opt = optimizer.update(grads, state.opt)
    actors = optax.apply_updates(state.actors, updates)
    target = jax.lax.cond(
      step % 5 == 4, lambda: optax.incremental_update(actors, state.target_actors, 0.1), lambda: state.target_actors
    )
    return State(actors, target, opt, jax.random.fold_in(state.key, 1)), {"loss": loss, "noise": jnp.mean(noise)}

  def act(state, memory, obs, key):
    del key
    return policy(state.actors, obs), memory

  return Learner(init, update, act)


@functools.cache
def learner(config: Config) -> Learner:
  """One learner a config, so that tests share what they compiled."""
  return make(spec(), config)


def spec() -> Spec:
  sizes = (AGENTS * OBS,)
  means = [np.full(shape, value, np.float32) for shape, value in (((AGENTS, OBS), 0.1), ((AGENTS, OBS), 3.0))]
  return Spec(AGENTS, OBS, ACTIONS, AGENTS * OBS, Normalizer(*means, np.zeros(sizes), np.ones(sizes)))


@functools.cache
def dataset(rows: int = 64) -> dict:
  key_obs, key_action = jax.random.split(jax.random.key(7))
  obs = jax.random.normal(key_obs, (rows, AGENTS, OBS))
  return {"obs": obs, "action": jax.random.uniform(key_action, (rows, AGENTS, ACTIONS), minval=-1.0)}


def _draw(dataset, key, batch_size):
  rows = jax.random.randint(key, (batch_size,), 0, dataset["obs"].shape[0])
  return {name: array[rows] for name, array in dataset.items()}


draw = functools.partial(_draw, batch_size=8)


def environment(horizon: int = 6, terminates_at: int | None = None) -> PureEnvironment:
  """Agents earn their first action component plus their number; the world counts its steps."""

  def step(state, action, key):
    state = {"time": state["time"] + 1, "where": state["where"]}
    over = state["time"] == terminates_at if terminates_at else jnp.zeros((), bool)
    return state, action[:, 0] + jnp.arange(AGENTS), over, state["time"] >= horizon

  return PureEnvironment(
    name="tiny",
    version="v1",
    num_agents=AGENTS,
    obs_size=OBS,
    action_size=ACTIONS,
    state_size=AGENTS * OBS,
    horizon=horizon,
    reset=lambda key: {"time": jnp.zeros((), jnp.int32), "where": jax.random.normal(key, (AGENTS, OBS))},
    observe=lambda state: state["where"],
    step=step,
  )


def run(folder, steps: int, plan: trainer.Plan, seeds=(0, 1), on_save=lambda step: None):
  """Trains to `steps` from the newest checkpoint in folder, saving at every evaluation. -> states on the host."""
  tiny_learner, keeper = learner(Config()), checkpoints.Checkpoints(folder)
  states = position = None
  if keeper.steps():
    states, meta = keeper.restore(jax.eval_shape(tiny_learner.init, jax.random.key(0)), seeds)
    position = trainer.Position(**meta["position"])
  meta = checkpoints.describe("tiny", Config(), spec())

  def save(states, position):
    keeper.save(position.step, states, seeds, meta | {"position": dataclasses.asdict(position)})
    on_save(position.step)

  hooks = trainer.Hooks(lambda states: np.zeros((len(seeds), 1)), lambda position, returns: "", save, save)
  plan = dataclasses.replace(plan, gradient_steps=steps, evaluations=steps // plan.interval)
  states, position, _ = trainer.fit(tiny_learner, draw, dataset(), seeds, plan, hooks, states=states, position=position)
  return states, position
