"""Draws a particle world, so that a person can see what a policy does."""

import numpy as np

from marl_offline.environments import particle_tasks

SCENARIOS = {
  "spread": lambda state: particle_tasks.spread_scenario(state.agent_pos.shape[0]),
  "tag": lambda state: particle_tasks.tag_scenario(),
  "world": lambda state: particle_tasks.world_scenario(),
}
LEARNED, PREY, SOLID, MARK, FOREST = "#3b6fb6", "#2a9d4a", "#444444", "#d98c21", "#b9d8b0"


def draw(axes, task: str, state) -> None:
  """One moment of an episode onto matplotlib axes: agents blue, prey green, obstacles dark, landmarks and food orange.

  state: a WorldState of NumPy arrays, agent_pos [G, 2] and landmark_pos [L, 2].

  Raises:
    KeyError: a task that is no particle task.
  """
  scenario = SCENARIOS[task](state)
  bodies = scenario.bodies
  reach = float(max(1.3, np.max(np.abs(state.landmark_pos)) + 0.2))
  axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
  for place, radius, solid in zip(state.landmark_pos, bodies.landmark_radius, bodies.landmark_solid, strict=True):
    color = SOLID if solid else FOREST if radius > 0.2 else MARK
    _disc(axes, place, radius, color, zorder=3 if color == MARK else 1)  # a covered mark stays visible
  for index, (place, radius) in enumerate(zip(state.agent_pos, bodies.radius, strict=True)):
    color = LEARNED if index < scenario.num_learned else PREY
    _disc(axes, place, radius, color, zorder=2, alpha=0.8)
    axes.annotate(str(index), place, ha="center", va="center", color="white", fontsize=7, zorder=4, clip_on=True)


def _disc(axes, place, radius, color, **style) -> None:
  from matplotlib.patches import Circle  # matplotlib is slow to import and only pictures need it

  axes.add_patch(Circle(tuple(place), radius, color=color, linewidth=0, **style))
