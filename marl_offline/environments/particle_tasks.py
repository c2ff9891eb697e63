"""The three particle tasks of OMAR, CFCQL and SPaCQL: `spread`, `tag` and `world`.

A Scenario is a task as every body sees it (the prey too); the three functions at the end give the task as the learned
agents see it, the prey being a frozen network. Rewards and observations follow the released fork: velocity first, then
position, then everything relative.
"""

import functools
import itertools
from collections.abc import Callable
from importlib import resources
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.environments import particle_world
from marl_offline.environments.api import PureEnvironment
from marl_offline.environments.particle_world import Bodies, WorldState, distance

HORIZON = 25
PREY_VERSION = "prey2"  # the frozen network in frozen_prey/; a new one gets a new name


class Scenario(NamedTuple):
  """A task with all its bodies. G bodies; the first `num_learned` are the learned agents."""

  bodies: Bodies
  num_learned: int
  reset: Callable  # key -> WorldState
  observe: Callable  # WorldState -> obs [num_learned, O]
  observe_prey: Callable | None  # WorldState -> obs of the prey
  rewards: Callable  # WorldState after a step -> [G]


def _filled(*pairs):
  return np.concatenate([np.full(count, value, np.float32) for count, value in pairs])


def _seen_by(state: WorldState, body: int) -> list[jax.Array]:
  """Own velocity and position, landmarks and other bodies relative to it, in index order."""
  own = state.agent_pos[body]
  landmarks = [state.landmark_pos[j] - own for j in range(state.landmark_pos.shape[0])]
  others = [state.agent_pos[j] - own for j in range(state.agent_pos.shape[0]) if j != body]
  return [state.agent_vel[body], own, *landmarks, *others]


def _smallest(numbers: list[jax.Array]) -> jax.Array:
  return functools.reduce(jnp.minimum, numbers)


# ---- spread: cover all landmarks, do not collide -------------------------------------------------------------------


def spread_scenario(num_agents: int = 3) -> Scenario:
  """Cooperative Navigation. r_i = sum_l min(1 / min_a |p_a - p_l|, 10) - 5 * #{j != i : |p_i - p_j| < 0.3}.

  Raises:
    ValueError: no agents.
  """
  if num_agents < 1:
    raise ValueError(f"num_agents={num_agents} must be at least 1")
  bodies = Bodies(
    radius=_filled((num_agents, 0.15)),
    gain=_filled((num_agents, 5.0)),
    max_speed=_filled((num_agents, np.inf)),
    landmark_radius=_filled((num_agents, 0.05)),
    landmark_solid=np.zeros(num_agents, bool),
  )
  bound = 1.0 if num_agents <= 3 else 2.0  # the original says so for 4 to 10 agents, and nothing of more

  def observe(state):
    silence = jnp.zeros(2 * (num_agents - 1))  # a message channel that nobody uses
    return jnp.stack([jnp.concatenate([*_seen_by(state, i), silence]) for i in range(num_agents)])

  def rewards(state):
    agents = [state.agent_pos[i] for i in range(num_agents)]
    covered, collisions = 0.0, [0.0] * num_agents
    for landmark in range(num_agents):
      nearest = _smallest([distance(agent, state.landmark_pos[landmark]) for agent in agents])
      covered += jnp.minimum(1.0 / jnp.maximum(nearest, 1e-9), 10.0)
    for i, j in itertools.combinations(range(num_agents), 2):
      touching = (distance(agents[i], agents[j]) < 0.3).astype(jnp.float32)
      collisions[i] += touching
      collisions[j] += touching
    return covered - 5.0 * jnp.stack(collisions)

  reset = functools.partial(particle_world.scatter, bodies=bodies, agent_bound=bound, landmark_bound=bound)
  return Scenario(bodies, num_agents, reset, observe, None, rewards)


# ---- tag and world: three predators, one faster prey ----------------------------------------------------------------


def _out_of_bounds(position: jax.Array) -> jax.Array:
  """What the prey pays outside, summed over x, y: 0 to 0.9, then 10 (|x| - 0.9) to 1, then min(e^(2|x| - 2), 10)."""
  x = jnp.abs(position)
  beyond = jnp.minimum(jnp.exp(2.0 * x - 2.0), 10.0)
  return jnp.sum(jnp.where(x < 0.9, 0.0, jnp.where(x < 1.0, 10.0 * (x - 0.9), beyond)))


def _chase(state: WorldState, touch: float, bite: float) -> tuple[jax.Array, jax.Array]:
  """Predators' common reward and the prey's share of it, bounds apart."""
  gaps = [distance(state.agent_pos[i], state.agent_pos[3]) for i in range(3)]
  far, caught = sum(gaps), bite * sum((gap < touch).astype(jnp.float32) for gap in gaps)
  return caught - 0.1 * far, 0.1 * far - caught


def _with_prey(predator: jax.Array, prey: jax.Array) -> jax.Array:
  return jnp.concatenate([jnp.full(3, predator), prey[None]])


def tag_scenario() -> Scenario:
  """Predator-Prey. Predators: -0.1 * sum of distances to the prey + 10 for each that touches it; all get the same."""
  bodies = Bodies(
    radius=_filled((3, 0.075), (1, 0.05)),
    gain=_filled((3, 9.0), (1, 16.0)),
    max_speed=_filled((3, 1.0), (1, 1.3)),
    landmark_radius=_filled((2, 0.2)),
    landmark_solid=np.ones(2, bool),
  )

  def observe(state):
    return jnp.stack([jnp.concatenate([*_seen_by(state, i), state.agent_vel[3]]) for i in range(3)])

  def rewards(state):
    predator, prey = _chase(state, touch=0.125, bite=10.0)
    return _with_prey(predator, prey - _out_of_bounds(state.agent_pos[3]))

  reset = functools.partial(particle_world.scatter, bodies=bodies, agent_bound=1.0, landmark_bound=0.9)
  return Scenario(bodies, 3, reset, observe, lambda state: jnp.concatenate(_seen_by(state, 3)), rewards)


def world_scenario() -> Scenario:
  """World: the chase around one obstacle, with two food items and two forests (which hide nobody in the fork)."""
  bodies = Bodies(
    radius=_filled((3, 0.075), (1, 0.045)),
    gain=_filled((3, 9.0), (1, 16.0)),
    max_speed=_filled((3, 1.0), (1, 1.3)),
    landmark_radius=_filled((1, 0.2), (2, 0.03), (2, 0.3)),  # obstacle, food, food, forest, forest
    landmark_solid=np.array([True, False, False, False, False]),
  )

  def in_forest(state, body):
    reach = bodies.radius[body] + 0.3
    forests = [distance(state.agent_pos[body], state.landmark_pos[j]) for j in (3, 4)]
    return jnp.stack([jnp.where(forest < reach, 1.0, -1.0) for forest in forests])

  def observe(state):
    seen = [[*_seen_by(state, i), state.agent_vel[3], in_forest(state, i)] for i in range(3)]
    return jnp.stack([jnp.concatenate(parts) for parts in seen])

  def observe_prey(state):
    return jnp.concatenate([*_seen_by(state, 3), in_forest(state, 3)])

  def rewards(state):
    predator, prey = _chase(state, touch=0.12, bite=5.0)
    food = [distance(state.agent_pos[3], state.landmark_pos[j]) for j in (1, 2)]
    eaten = 2.0 * sum((each < 0.075).astype(jnp.float32) for each in food) + 0.05 * _smallest(food)
    return _with_prey(predator, prey - 2.0 * _out_of_bounds(state.agent_pos[3]) + eaten)

  reset = functools.partial(particle_world.scatter, bodies=bodies, agent_bound=1.0, landmark_bound=0.9)
  return Scenario(bodies, 3, reset, observe, observe_prey, rewards)


# ---- the tasks as the learned agents see them ----------------------------------------------------------------------


def hunted(scenario: Scenario, prey: Callable) -> Callable:
  """step(state, action [N, 2], key) of the learned agents when the prey acts by `prey` (its obs -> [2])."""

  def step(state, action, key):
    del key  # the physics draws nothing
    action = jnp.concatenate([action, prey(scenario.observe_prey(state))[None]])
    return _after(scenario, particle_world.advance(scenario.bodies, state, action))

  return step


def _after(scenario: Scenario, state: WorldState):
  rewards = scenario.rewards(state)[: scenario.num_learned]
  return state, rewards, jnp.zeros((), bool), state.time >= HORIZON


def prey_network(params: dict[str, jax.Array], obs: jax.Array) -> jax.Array:
  """tanh MLP of two ReLU layers on obs standardised by fixed statistics. [O] -> [2]."""
  hidden = (obs - params["mean"]) / params["scale"]
  hidden = jax.nn.relu(hidden @ params["w1"] + params["b1"])
  hidden = jax.nn.relu(hidden @ params["w2"] + params["b2"])
  return jnp.tanh(hidden @ params["w3"] + params["b3"])


@functools.cache
def frozen_prey(task: str) -> dict[str, np.ndarray]:
  """The shipped prey of `tag` or `world`."""
  path = resources.files("marl_offline.environments") / "frozen_prey" / f"{task}_{PREY_VERSION}.npz"
  with path.open("rb") as file, np.load(file) as arrays:
    return dict(arrays)


def _environment(name: str, version: str, scenario: Scenario, step: Callable) -> PureEnvironment:
  obs = jax.eval_shape(lambda key: scenario.observe(scenario.reset(key)), jax.random.key(0)).shape

  def checked(state, action, key):
    if jnp.shape(action) != (wanted := (scenario.num_learned, 2)):  # an index beyond an array's end takes its last
      raise ValueError(f"{name}: actions have shape {jnp.shape(action)}; expected {wanted}, [N, A]")
    return step(state, action, key)

  return PureEnvironment(
    name=name,
    version=version,
    num_agents=scenario.num_learned,
    obs_size=obs[1],
    action_size=2,
    state_size=obs[0] * obs[1],
    horizon=HORIZON,
    reset=scenario.reset,
    observe=scenario.observe,
    step=checked,
  )


def spread(num_agents: int = 3) -> PureEnvironment:
  """Cooperative Navigation with `num_agents` agents and landmarks; 18 numbers an agent for three."""
  scenario = spread_scenario(num_agents)

  def step(state, action, key):
    del key
    return _after(scenario, particle_world.advance(scenario.bodies, state, action))

  version = "v1" if num_agents == 3 else f"v1-{num_agents}agents"
  return _environment("spread", version, scenario, step)


def tag() -> PureEnvironment:
  """Predator-Prey for the three predators, 16 numbers each, against the frozen prey."""
  scenario = tag_scenario()
  prey = functools.partial(prey_network, frozen_prey("tag"))
  return _environment("tag", f"v1-{PREY_VERSION}", scenario, hunted(scenario, prey))


def world() -> PureEnvironment:
  """World for the three predators, 24 numbers each, against the frozen prey."""
  scenario = world_scenario()
  prey = functools.partial(prey_network, frozen_prey("world"))
  return _environment("world", f"v1-{PREY_VERSION}", scenario, hunted(scenario, prey))
