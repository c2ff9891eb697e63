"""The data sets that can be made here: what each is called, who plays in it, and which cannot be."""

import dataclasses
import os
import pathlib

from experiments import settings
from experiments.runs import UserError
from marl_offline.collection.roles import NAMINGS
from marl_offline.datasets import storage
from marl_offline.environments import mujoco_partition

ROWS = {quality: dict.fromkeys(settings.PAPER_TASKS, 1_000_000) for quality in settings.QUALITIES}
ROWS["medium-replay"] = {"spread": 97_500, "tag": 62_500, "world": 80_000}  # as many as OMAR's files hold
ROWS["medium-expert"], ROWS["decentralized"] = {}, {}
for _quality, _rows in ROWS.items():  # OMAR's files hold 460,000 for HalfCheetah
  _rows |= dict.fromkeys(settings.MUJOCO_TASKS, 460_000 if _quality == "medium-replay" else 1_000_000)
# One number for all of them, so that only the agents differ; a million rows of ten agents would be 2.5 GB.
ROWS["random"] |= dict.fromkeys(settings.MORE_AGENTS, 250_000)
OWN_ROWS = 250_000  # of random play in a task of somebody's own, or the whole episodes in them
BY_SCRIPT = ("medium", "expert")  # what fixed_roles.py plays
APART = settings.PAPER_TASKS  # tasks with policies of both learners


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A data set to be made.

  version: None is the newest. v1 of the particle tasks is by MAPPO, whose agents share a network; v2 is by MATD3, with
  a network for each agent, as the papers' are. All else, such as random and coupled data, has v1 alone.
  """

  task: str
  quality: str
  seed: int = 0  # of the episodes, and of the training with from_scratch
  rows: int | None = None  # None: ROWS says
  from_scratch: bool = False  # train the policies first
  kappa: float | None = None  # probability that all agents act by one draw
  roles: bool = False  # by the script with fixed roles, see collection/fixed_roles.py
  rename: str | None = None  # agents of spread renamed in every episode, see collection/roles.py
  agent: int | None = None  # whose, where a quality is one data set an agent
  version: str | None = None

  @property
  def learned(self) -> bool:
    """Whether policies of a library play."""
    return self.quality != "random" and not self.roles

  @property
  def newest(self) -> bool:
    """Whether it is what a task and a quality mean where no more is said."""
    return self == Recipe(self.task, self.quality)

  @property
  def versions(self) -> tuple[str, ...]:
    """Those that can be made, the newest last."""
    return ("v1", "v2") if self.task in APART and self.learned and self.kappa is None else ("v1",)

  @property
  def plain_version(self) -> str:
    """v1 or v2."""
    return self.version or self.versions[-1]

  @property
  def full_version(self) -> str:
    """With whatever is not standard about this one, which is part of its name."""
    parts = [(f".seed{self.seed}", self.seed), (f".rows{self.rows}", self.rows), (".scratch", self.from_scratch)]
    return self.plain_version + "".join(words for words, present in parts if present)

  @property
  def name(self) -> str:
    """The quality that the data set is named by."""
    parts = [
      ("_roles", self.roles),
      (f"_named_{self.rename}", self.rename),
      (f"_agent{self.agent}", self.agent is not None),
      (f"_kappa{self.kappa or 0.0:g}", self.kappa is not None),
    ]
    return self.quality + "".join(words for words, present in parts if present)

  @property
  def library(self) -> str:
    """Whose policies play."""
    return f"{self.task}_mappo" if self.task in APART and self.plain_version == "v1" else self.task

  def folder(self, data_dir: str | os.PathLike) -> pathlib.Path:
    """Where it lies; that of somebody's own task is named by its module alone, without its packages."""
    return storage.folder_of(data_dir, self.task.rpartition(".")[2], self.name, self.full_version)

  def parts(self) -> list["Recipe"]:
    """Itself; or, where the quality is a data set of each agent, one of each."""
    if self.quality != "decentralized":
      return [self]
    return [dataclasses.replace(self, agent=i) for i in range(mujoco_partition.variant(self.task).num_agents)]

  def num_rows(self, horizon: int) -> int:
    """How many rows it shall have.

    Raises:
      UserError: rows is not positive, or, but for the robots, no multiple of the episode's length.
    """
    wanted = self.rows
    if wanted is None and "." in self.task:
      wanted = max(OWN_ROWS // horizon, 1) * horizon
    elif wanted is None:
      wanted = ROWS["random" if self.roles else self.quality][self.task]
    any_length = self.task in settings.MUJOCO_TASKS
    if any_length and wanted <= 0:
      raise UserError(f"rows={wanted} must be at least 1")
    if wanted <= 0 or (wanted % horizon and not any_length):
      raise UserError(f"rows={wanted} must be a positive multiple of {horizon}, the length of an episode")
    return wanted

  def check(self) -> None:
    """Refuses what cannot be made.

    Raises:
      UserError: the task has no such data, or kappa is none.
    """
    task, quality, kappa = self.task, self.quality, self.kappa
    by_script = quality in BY_SCRIPT and task in ("spread", *settings.MORE_AGENTS) and kappa is None
    if self.roles and not by_script:
      raise UserError("--fixed_roles is of spread and spread_n, --quality=medium or expert, without --kappa")
    if "." in task and quality != "random":
      raise UserError(f"--quality={quality} of {task}: of a task of your own --quality=random alone is made here")
    if task not in ROWS[quality] and not self.roles and "." not in task:
      raise UserError(f"--quality={quality} of {task}: no policies are known for it; --quality=random needs none")
    if self.rename not in (None, *NAMINGS):
      raise UserError(f"--rename={self.rename} is not known; known: {', '.join(NAMINGS)}")
    if self.rename and (task != "spread" or not self.learned or kappa is not None):
      raise UserError(
        f"--rename={self.rename} of {task} {quality}: only spread's medium-replay, medium and expert are renamed, each "
        "by a command of its own, without --kappa and --fixed_roles"
      )
    if kappa is not None and (task in settings.MUJOCO_TASKS or "." in task):
      raise UserError(f"--kappa is of the particle tasks; agents of {task} act independently")
    if kappa is not None and not 0 <= kappa <= 1:
      raise UserError(f"--kappa={kappa} must lie in [0, 1]")
    if kappa is not None and quality == "medium-replay":
      raise UserError("--kappa: medium-replay mixes policies, which correlates agents by itself; take another quality")
    if self.version not in (None, *self.versions):
      raise UserError(
        f"--version={self.version} of {task} {self.name} is not made here; there is {', '.join(self.versions)}"
      )


def every(task: str) -> list[str]:
  """All qualities of a task, the papers' four first."""
  return [*settings.QUALITIES, *(each for each in ROWS if each not in settings.QUALITIES and task in ROWS[each])]
