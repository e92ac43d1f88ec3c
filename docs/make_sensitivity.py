"""Make docs/sensitivity.md: which metric sees what is wrong.

python docs/make_sensitivity.py ../shared
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from caloforge.evaluation import evaluate
from caloforge.evaluation.faults import PERTURBATIONS, Good
from caloforge.evaluation.results import Headline, SampleResult
from caloforge.evaluation.samples import load_reference, load_sample
from caloforge.random import Purpose, stream

PAGE = Path(__file__).with_name("sensitivity.md")
COUNT = 2500
HEAD = """# What the metrics see

Geant4 e+ showers that are wrong on purpose, judged with `--quick` against {reference:,} test rows,
{count:,} showers each. A cell says by how many statistical errors a metric differs from the floor,
good Geant4 showers judged in the same way; bold from five on, which is called seeing it. The row
*memorised* is the verdict of the neighbour test.

Made with `python docs/make_sensitivity.py SHARED` (seed 1).

"""


def significance(item: Headline | None, floor: Headline | None) -> float:
    if item is None or floor is None or item.value is None or floor.value is None:
        return float("nan")
    error = np.hypot(item.error or 0.0, floor.error or 0.0)
    return abs(item.value - floor.value) / error if error else float("nan")


def cell(value: float) -> str:
    text = "" if np.isnan(value) else f"{min(value, 999):.1f}"
    return f"**{text}**" if value >= 5 else text


def memorised(sample: SampleResult) -> str:
    return "**yes**" if sample.sections["memorisation"].get("memorised") else "no"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    path = parser.parse_args().shared / "data/eplus.h5"
    reference = load_reference(path, seed=1)
    whole = load_sample(path)
    assert reference.training is not None
    # The showers that are spoiled are the other half of the train rows, so the training set that
    # is searched for copies does not hold them.
    half = len(reference.training) // 2
    training = reference.training[:half]
    source = reference.training[half : half + COUNT]
    floor = replace(reference.floor, showers=reference.training[half + COUNT :][:COUNT])
    reference = replace(reference, training=training, floor=floor)
    samples = []
    for name, perturb in PERTURBATIONS.items():
        rng = stream(1, Purpose.FAULT)
        samples.append(replace(whole, name=name, showers=perturb(Good(source, training, rng))))
    found, _ = evaluate(reference, samples, quick=True)
    judged = found.samples[1:]
    page = HEAD.format(reference=len(reference.sample.showers), count=COUNT)
    page += "| metric | " + " | ".join(sample.name for sample in judged) + " |\n"
    page += "|---|" + "---|" * len(judged) + "\n"
    for headline in found.floor.headlines:
        values = [significance(sample.headline(headline.name), headline) for sample in judged]
        page += f"| {headline.label} | " + " | ".join(map(cell, values)) + " |\n"
    page += "| memorised | " + " | ".join(map(memorised, judged)) + " |\n"
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
