"""Make docs/sensitivity.md: which verdict names what is wrong, and which metric sees it.

OMP_NUM_THREADS=1 python docs/make_sensitivity.py ../shared
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from caloforge.evaluation import evaluate
from caloforge.evaluation.faults import FAULTS, Good
from caloforge.evaluation.results import Headline, SampleResult
from caloforge.evaluation.samples import Reference, load_reference
from caloforge.evaluation.verdicts import HEADLINE, headline_aucs
from caloforge.random import Purpose, stream

PAGE = Path(__file__).with_name("sensitivity.md")
COUNT, SEED, SEEN = 2500, 1, 5
VERDICTS = {"above_incident": "energy", "beyond": "outliers", "alignment": "layers"}
HEAD = """# What the judge sees

Geant4 e+ showers that are wrong on purpose, judged with `--quick`. All are train rows, in parts
without a common shower: {count:,} are spoiled, {count:,} are the reference, {count:,} others the
floor, and the {training:,} that are left the training set that is searched for copies. A
**verdict** is what the judge says is wrong: *told apart* (an AUC of the headline test is larger
than the floor's by five errors), *energy* (more of it than there is), *outliers* (showers beyond
all of the reference), *layers* (the centres of adjacent ones do not go together), *memorised*,
*collapsed*. The first {harmless} are as good as the reference, and nothing may be said of them.

{missed}

| | what was done | verdict | AUC, every deposit | > 10 keV | > 0.1 MeV | > 1 MeV | others |
|---|---|---|---|---|---|---|---|
"""
FOOT = """
The last column has the other numbers that differ from those of the floor by five statistical
errors or more (in brackets, by how many). A cell with NaN, infinity or a negative deposit is no
shower: such a file is refused, and the message names file, row and value.

## What each number sees

| number | of the {faults} faults it sees | which |
|---|---|---|
"""
END = """
Made with `python docs/make_sensitivity.py SHARED` (seed {seed}) in {cpu:.0f} s of processor time.
"""


def significance(item: Headline | None, floor: Headline | None) -> float:
    if item is None or floor is None or item.value is None or floor.value is None:
        return 0.0
    error = np.hypot(item.error or 0.0, floor.error or 0.0)
    return abs(item.value - floor.value) / error if error else 0.0


def parts(path: Path) -> tuple[Reference, Good]:
    """What is compared with, and what is spoiled."""
    whole = load_reference(path, seed=SEED)
    assert whole.training is not None
    rows = [whole.training[i * COUNT :][:COUNT] for i in range(3)]
    training = whole.training[3 * COUNT :]
    reference = Reference(
        replace(whole.sample, showers=rows[0]), replace(whole.floor, showers=rows[1]), training
    )
    return reference, Good(rows[2], training, stream(SEED, Purpose.FAULT))


def as_it_should(name: str, sample: SampleResult) -> bool:
    """Whether the verdict is one of those that name the fault, and none where nothing is wrong."""
    wanted = FAULTS[name].verdicts
    return bool({*wanted} & {*sample.verdicts}) if wanted else not sample.verdicts


def said(_done: int, what: str) -> None:
    if what.endswith(": headline"):
        print(what, f"{time.process_time():.0f} s", flush=True)


def line(name: str, sample: SampleResult, floor: SampleResult) -> str:
    aucs = [f"{item.value:.3f}" for item in headline_aucs(sample)]
    found = {
        item.label: significance(item, floor.headline(item.name))
        for item in sample.headlines
        if not item.name.startswith(HEADLINE)
    }
    seen = sorted((-value, label) for label, value in found.items() if value >= SEEN)
    words = ", ".join(f"{label} ({min(-value, 999):.0f})" for value, label in seen)
    verdicts = f"**{', '.join(sample.verdicts)}**" if sample.verdicts else "none"
    number = [*FAULTS].index(name) + 1
    return f"| {number} | {name} | {verdicts} | {' | '.join(aucs)} | {words} |\n"


def number_line(item: Headline, floor: SampleResult, wrong: dict[str, SampleResult]) -> str:
    seen = [
        str(i)
        for i, sample in enumerate(wrong.values(), start=len(FAULTS) - len(wrong) + 1)
        if sees(item, floor, sample)
    ]
    return f"| {item.label} | {len(seen)} | {', '.join(seen)} |\n"


def sees(item: Headline, floor: SampleResult, sample: SampleResult) -> bool:
    if item.name in VERDICTS:  # has a test of its own
        return VERDICTS[item.name] in sample.verdicts
    return significance(sample.headline(item.name), floor.headline(item.name)) >= SEEN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    start = time.process_time()
    reference, good = parts(parser.parse_args().shared / "data/eplus.h5")
    samples = [
        replace(
            reference.sample,
            name=name,
            showers=fault.spoil(replace(good, rng=stream(SEED, Purpose.FAULT))),
        )
        for name, fault in FAULTS.items()
    ]
    found, _ = evaluate(reference, samples, seed=SEED, progress=said)
    floor, judged = found.floor, dict(zip(FAULTS, found.samples[1:], strict=True))
    missed = [name for name in FAULTS if not as_it_should(name, judged[name])]
    page = HEAD.format(
        count=COUNT,
        training=len(good.training),
        harmless=sum(not fault.verdicts for fault in FAULTS.values()),
        missed=f"Not as it should be: {'; '.join(missed)}."
        if missed
        else "All are as they should.",
    )
    page += "".join(line(name, sample, floor) for name, sample in judged.items())
    wrong = {name: sample for name, sample in judged.items() if FAULTS[name].verdicts}
    page += FOOT.format(faults=len(wrong))
    page += "".join(number_line(item, floor, wrong) for item in floor.headlines)
    page += END.format(seed=SEED, cpu=time.process_time() - start)
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
