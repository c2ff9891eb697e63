"""What a person sees while a run trains."""

import math
import os
import sys

from tqdm import tqdm


class Bar:
  """A progress bar with updates a second, time left and the latest score; without a terminal, a line an evaluation."""

  def __init__(self, plan, position, show: bool | None):
    """plan: trainer.Plan; position: trainer.Position to begin at; show: None asks stderr whether it is a terminal."""
    self._plan = plan
    hidden = not show
    if show is None:  # a terminal without rows, as under some job runners, shows no bar
      hidden = not sys.stderr.isatty() or not os.get_terminal_size(sys.stderr.fileno()).lines
    self._lines = show is None and hidden
    self._bar = tqdm(
      total=plan.gradient_steps,
      initial=position.step,
      unit=" updates",
      desc="training",
      dynamic_ncols=True,
      disable=hidden,
    )
    self._bar.set_postfix_str("compiling")
    self._compiling = True

  def advance(self, steps: int) -> None:
    """So many more updates are done."""
    if self._compiling:
      self._compiling = False
      self._bar.set_postfix_str("")
    self._bar.update(steps)

  def say(self, words: str, position) -> None:
    """What an evaluation found, a few words."""
    self._bar.set_postfix_str(words)
    if self._lines:
      total, rate = self._plan.gradient_steps, position.updates_per_second()
      left = math.ceil((total - position.step) / rate)
      print(f"{position.step}/{total} updates, {rate:.0f} updates/s, {left} s left, {words}", flush=True)

  def close(self) -> None:
    """Leaves the bar as it stands."""
    self._bar.close()
