"""Which seeds of a cell are trained together: those that it lacks, cut so that runs that were begun go on."""

import pathlib
import re
from collections.abc import Sequence
from typing import Any

from experiments import cells
from experiments.cells import Cell


def wanted(cell: Cell, found: dict[str, Any] | None, seeds: Sequence[int], runs_dir: pathlib.Path) -> list[list[int]]:
  """The runs that a cell lacks. found: its file's content, if there is one.

  Where fewer seeds are asked for than were begun together, those go on and the others with them; not where that run
  failed, perhaps by a seed that is not asked for.
  """
  have, runs = set(found["seeds"]) if found else set(), []
  usable = [span for span in begun(runs_dir, cell) if not have & set(span)]
  for block in blocks(cell, found, seeds):
    larger = [] if block in usable else [span for span in usable if set(block) < set(span)]
    larger = [span for span in larger if not (folder(runs_dir, cell, span) / "failed").exists()]
    runs += larger[:1] or cut(block, usable)
  return runs


def folder(runs_dir: pathlib.Path, cell: Cell, seeds: Sequence[int]) -> pathlib.Path:
  """Of the run that trains these seeds of a cell."""
  return runs_dir / f"{cell.name}-s{seeds[0]}{f'-{seeds[-1]}' if seeds[1:] else ''}"


def blocks(cell: Cell, found: dict[str, Any] | None, seeds: Sequence[int]) -> list[list[int]]:
  """The seeds that a cell lacks, in runs that train them at once: those with data sets of their own one by one."""
  together = cells.missing(found, seeds)
  return [[seed] for block in together for seed in block] if cell.paired else together


def begun(runs_dir: pathlib.Path, cell: Cell) -> list[list[int]]:
  """The seeds of each run of a cell that was begun, by the folders' names, the largest first."""
  name = re.compile(re.escape(cell.name) + r"-s(\d+)(?:-(\d+))?")
  found = [name.fullmatch(path.name) for path in sorted(runs_dir.glob("*-s*"))]
  spans = [range(int(match[1]), int(match[2] or match[1]) + 1) for match in found if match]
  return sorted((list(span) for span in spans if span), key=len, reverse=True)


def cut(block: list[int], begun: Sequence[list[int]]) -> list[list[int]]:
  """Consecutive seeds in runs, those apart that were begun together: more seeds go on with what fewer had."""
  if block in begun:
    return [block]
  for seeds in begun:
    if set(seeds) <= set(block):
      before, after = block[: block.index(seeds[0])], block[block.index(seeds[-1]) + 1 :]
      return [*(cut(before, begun) if before else ()), seeds, *(cut(after, begun) if after else ())]
  return [block]
