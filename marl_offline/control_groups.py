"""What a container or a cluster's job may take of a machine: the control groups (version 2) of this process."""

import pathlib
import re

MINE, ROOT = pathlib.Path("/proc/self/cgroup"), pathlib.Path("/sys/fs/cgroup")


def folders(name: str) -> list[pathlib.Path]:
  """Those that have a file of that name, such as memory.max, the innermost first.

  Raises:
    OSError, ValueError: the system has none, or others.
  """
  (own,) = re.findall(r"^0::/(.*)$", MINE.read_text(), re.M)
  above = (ROOT / own, *(ROOT / own).parents)
  return [folder for folder in above if folder.is_relative_to(ROOT) and (folder / name).exists()]
