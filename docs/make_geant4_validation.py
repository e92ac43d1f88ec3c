"""Make docs/geant4-validation.md: our Geant4 against showers of the CaloGAN authors.

GEANT4_DATA_DIR=... python docs/make_geant4_validation.py ../shared/data [--copies 4]
"""

import argparse
import time
from pathlib import Path

from caloforge.energies import Spectrum
from caloforge.fullsim import Geant4Source, PhysicsSettings, data_directory
from caloforge.fullsim.validation import Comparison, compare_matched
from caloforge.showers import Showers, read_showers
from caloforge.showers.production import blocks

PAGE = Path(__file__).with_name("geant4-validation.md")
HEAD = """# Geant4 against the showers of the CaloGAN authors

`caloforge geant4` with its defaults (`--detector calogan --particle e+`) and with `--fast-em`,
compared with {n} e+ showers that the CaloGAN authors made with their own Geant4 program. Every
energy of theirs is simulated {copies} times, and what is compared is the mean difference at equal
energy. The pull is that difference in units of its statistical error, which the {n} showers of the
reference dominate. Widths are in cell numbers; the one along y is sigma_i of table IV of the paper
([arXiv:1712.10321](https://arxiv.org/abs/1712.10321)). Data tables: `{tables}`.

Made with `python docs/make_geant4_validation.py SHARED_DATA`.
"""
TABLE = """
## {title}

{time:.2f} s of wall time per shower ({workers} workers).

| quantity | reference | caloforge | difference | pull |
|---|---|---|---|---|
"""


def simulate(reference: Showers, physics: PhysicsSettings, copies: int, workers: int) -> Showers:
    spectrum = Spectrum("list", tuple(reference.energy.tolist()), "energies of the reference")
    source = Geant4Source(reference.detector, "e+", spectrum, seed=2017, physics=physics)
    made = blocks(source, 0, copies * len(reference), block_size=8, workers=workers, isolated=True)
    return Showers.concatenate([block[0] for block in made])


def row(item: Comparison) -> str:
    relative = 100 * (item.showers / item.reference - 1)
    return (
        f"| {item.quantity} | {item.reference:.4g} | {item.showers:.4g} | {relative:+.1f}% "
        f"| {item.pull:+.1f} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with calogan-geant4-eplus-51.h5")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    reference = read_showers(arguments.data / "calogan-geant4-eplus-51.h5")
    n = len(reference)
    page = HEAD.format(n=n, copies=arguments.copies, tables=data_directory().name)
    for title, em in (("Standard EM (the default)", "standard"), ("`--fast-em`", "option1")):
        start = time.perf_counter()
        showers = simulate(reference, PhysicsSettings(em), arguments.copies, arguments.workers)
        wall = (time.perf_counter() - start) / len(showers)
        page += TABLE.format(title=title, time=wall, workers=arguments.workers)
        page += "".join(row(item) for item in compare_matched(reference, showers))
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
