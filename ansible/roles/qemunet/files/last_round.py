"""Lay each host's results of the last round aside, where `qemunet report` looks for them: HOST/before/results.json.

python last_round.py RESULTS HOST…
"""

import shutil
import sys
from pathlib import Path


def main(results: Path, hosts: list[str]) -> None:
    for folder in (results / host for host in hosts):
        if (folder / "results.json").is_file():
            (folder / "before").mkdir(exist_ok=True)
            (folder / "results.json").replace(folder / "before" / "results.json")
        # What is left of it would be taken for this round's.
        for each in folder.glob("*"):
            if each.name != "before":
                shutil.rmtree(each) if each.is_dir() else each.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
