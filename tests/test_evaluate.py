"""The judge from end to end: what goes in, what it refuses, what it writes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import caloforge
from caloforge.errors import CaloforgeError, EnergyError, FileFormatError, ShowersError
from caloforge.evaluation import SECTIONS, Evaluation, evaluate, leaderboard, read_evaluation
from caloforge.evaluation.matching import match_energies, require_comparable
from caloforge.evaluation.ranking import markdown
from caloforge.evaluation.results import (
    FLOOR,
    METRICS,
    evaluation_schema,
    prepare_folder,
    write_evaluation,
)
from caloforge.evaluation.samples import load_reference, load_sample
from caloforge.evaluation.shown import ExamplesPanel, Shown
from caloforge.schemas import read_schema
from caloforge.showers import ShowerFile, Showers, read_showers, write_showers
from caloforge.showers.writing import ShowerSink
from caloforge.web.figures import draw
from caloforge.web.report import REPORT, write_report
from conftest import PATIENCE, Cli

QUICK = tuple(name for name in SECTIONS if name not in {"classifiers", "trees", "headline"})
Found = tuple[Evaluation, list[Shown]]


@pytest.fixture(scope="module")
def good(shared: Path) -> Showers:
    return read_showers(shared / "data/eplus.h5", rows=slice(0, 2400))


@pytest.fixture(scope="module")
def files(good: Showers, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Geant4 showers, and others of them that are a little wrong."""
    folder = tmp_path_factory.mktemp("files")
    reference, model = folder / "geant4.h5", folder / "model.h5"
    write_showers(reference, good[:1600])
    spoiled = replace(good[1600:], deposits=good[1600:].deposits * np.float32(1.02))
    write_showers(model, spoiled)
    return reference, model


def write_split(path: Path, showers: Showers, test: int) -> None:
    """A file of which the last rows are test rows, and all others train rows."""
    with ShowerSink(path) as sink:
        sink.append(showers)
        sink.write_split(np.where(np.arange(len(showers)) < len(showers) - test, 0, 2).astype("i1"))


@pytest.fixture(scope="module")
def found(files: tuple[Path, Path]) -> Found:
    return evaluate(files[0], [files[1]], sections=QUICK)


def test_floor_and_sample_are_judged_alike(found: Found) -> None:
    evaluation, _ = found
    assert [sample.name for sample in evaluation.samples] == [FLOOR, "model"]
    floor, sample = evaluation.samples
    assert floor.info.showers == evaluation.reference.showers == 800
    assert [item.name for item in floor.headlines] == [item.name for item in sample.headlines]
    for item in sample.headlines:
        assert item.value is not None
        assert item.error is None or item.error >= 0


def test_wrong_energy_is_seen_and_the_floor_is_clean(found: Found) -> None:
    floor, sample = found[0].samples
    mine, clean = sample.headline("energy_chi2_ndf"), floor.headline("energy_chi2_ndf")
    assert mine is not None
    assert clean is not None
    assert mine.value is not None
    assert clean.value is not None
    assert mine.value > 10
    assert clean.value < 2.5


def test_the_same_seed_gives_the_same_numbers(files: tuple[Path, Path], found: Found) -> None:
    again, _ = evaluate(files[0], [files[1]], sections=("observables", "manifold"))
    for name in ("separation_mean", "fpd", "kpd", "precision"):
        assert again.samples[1].headline(name) == found[0].samples[1].headline(name)


def test_metrics_file_fits_its_schema(found: Found, tmp_path: Path) -> None:
    write_evaluation(tmp_path / METRICS, found[0])
    content = json.loads((tmp_path / METRICS).read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(evaluation_schema())
    validator.validate(content)
    for wrong in ({"colour": "red"}, {"schema_version": 2}, {"seed": "one"}, {"samples": [1]}):
        assert not validator.is_valid(content | wrong)
    assert read_evaluation(tmp_path) == found[0]


def test_schema_file_is_up_to_date() -> None:
    """Whoever changes results writes it anew: python docs/make_schemas.py."""
    assert read_schema("evaluation-1") == json.loads(json.dumps(evaluation_schema()))


def test_wrong_files_are_explained(found: Found, tmp_path: Path) -> None:
    content = found[0].model_dump(mode="json")
    for change, said in (
        ({"seed": "one"}, "seed: got 'one'; input should be a valid integer"),
        ({"sede": 1}, "sede: is not known; did you mean seed"),
        ({"samples": content["samples"] * 9 + [3]}, r"samples\.18: got 3; "),
        ({"quick": content}, r"quick: got .{,99}; "),
    ):
        (tmp_path / METRICS).write_text(json.dumps(content | change), "utf-8")
        with pytest.raises(FileFormatError, match=rf"file .*{METRICS}: {said}"):
            read_evaluation(tmp_path)
    (tmp_path / METRICS).write_text("{", "utf-8")
    with pytest.raises(FileFormatError, match="content: invalid JSON"):
        read_evaluation(tmp_path)


@pytest.mark.slow
def test_report(found: Found, good: Showers, tmp_path: Path) -> None:
    page = write_report(tmp_path / "report", found[0], found[1], good.detector)
    text = page.read_text("utf-8")
    assert page.name == REPORT
    assert "http://" not in text
    assert "https://" not in text
    assert "%%" not in text
    assert "deposited over incident energy" in text
    made = {path.suffix for path in page.parent.iterdir()}
    assert made == {".html", ".json", ".png", ".pdf"}
    with pytest.raises(CaloforgeError, match="holds an evaluation already"):
        prepare_folder(page.parent, overwrite=False)


def test_leaderboard_marks_the_best_generator_and_never_the_floor(found: Found) -> None:
    evaluation = found[0]
    sample = evaluation.samples[1]
    worse = sample.model_copy(
        update={
            "name": "worse",
            "headlines": tuple(
                item.model_copy(update={"value": 0.0 if item.better == "higher" else 1e6})
                for item in sample.headlines
            ),
        }
    )
    rows = leaderboard([evaluation.model_copy(update={"samples": (*evaluation.samples, worse)})])
    assert [row[0].text for row in rows[1:]] == [FLOOR, "model", "worse"]
    assert not any(cell.best for cell in rows[1])
    assert all(cell.best for cell in rows[2][3:])
    assert not any(cell.best for cell in rows[3])
    assert markdown(rows).count("\n") == len(rows) + 1


def test_halves_of_other_seeds_are_other_references(good: Showers) -> None:
    found = [
        evaluate(good[:800], [good[800:1200]], seed=seed, sections=("spectra",))[0]
        for seed in (1, 2)
    ]
    names = [row[0].text for row in leaderboard(found)[1:]]
    assert names == [FLOOR, "sample 1", FLOOR, "sample 1"]


def test_other_detectors_particles_and_energies_are_refused(good: Showers, shared: Path) -> None:
    voxels = read_showers(shared / "data/eplus-voxels.h5", rows=slice(0, 200))
    with pytest.raises(ShowersError, match=r"voxels\.h5: got showers in .*; convert them first"):
        require_comparable(good, voxels, "voxels.h5")
    with pytest.raises(ShowersError, match=r"pions\.h5: got showers of pi\+"):
        require_comparable(good, replace(good, particle="pi+"), "pions.h5")
    with pytest.raises(EnergyError, match="match"):
        require_comparable(good, good[good.energy < 50], "low.h5")
    with pytest.raises(ShowersError, match=r"none\.h5: got 2400 showers of the reference and 0"):
        require_comparable(good, good[:0], "none.h5")


def test_matched_energies_have_one_distribution() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.uniform(1, 100, 5000), rng.uniform(30, 60, 3000)
    rows = match_energies(first, second, rng)
    assert len(rows[0]) == len(rows[1]) > 1000
    assert len(np.unique(rows[0])) == len(rows[0])
    assert len(np.unique(rows[1])) == len(rows[1])
    np.testing.assert_allclose(np.sort(first[rows[0]]), np.sort(second[rows[1]]), rtol=0.021)
    assert not len(match_energies(first, second + 1000, rng)[0])


def test_energies_are_matched_when_asked(files: tuple[Path, Path], tmp_path: Path) -> None:
    model = read_showers(files[1])
    low = tmp_path / "low.h5"
    write_showers(low, model[model.energy < 60])
    with pytest.raises(EnergyError):
        evaluate(files[0], [low], sections=("energy",))
    found, _ = evaluate(files[0], [low], sections=("energy",), match=True)
    assert "energies matched" in found.samples[1].info.rows


def test_split_files_keep_their_parts_apart(shared: Path) -> None:
    reference = load_reference(shared / "data/eplus.h5", seed=1)
    assert reference.sample.info.rows == "test rows"
    assert reference.floor.info.rows == "train rows"
    assert reference.training is not None
    with ShowerFile(shared / "data/eplus.h5") as file:
        counts = file.split_counts
    assert len(reference.sample.showers) == counts["test"]
    assert len(reference.training) == len(reference.floor.showers) == counts["train"]


def test_the_training_rows_are_never_the_held_out_ones(shared: Path) -> None:
    path = shared / "data/eplus.h5"
    assert load_reference(path, seed=1, rows="validation").training is not None
    reference = load_reference(path, seed=1, rows="train")
    assert reference.training is None
    assert reference.floor.info.rows == "test rows"


def test_showers_in_memory_are_judged(good: Showers) -> None:
    halves, model = good[:1200], good[1200:1800]
    found, _ = caloforge.evaluate(halves, [model, good[1800:]], sections=("energy",))
    assert [sample.name for sample in found.samples] == [FLOOR, "sample 1", "sample 2"]
    assert found.reference.rows == "half, at random (seed 1)"
    assert found.floor.info.rows == "the other half"
    for info, showers in ((found.reference, halves), (found.samples[1].info, model)):
        assert info.file == "in memory"
        assert info.sha256 == hashlib.sha256(showers.deposits.tobytes()).hexdigest()
        assert info.available == len(showers)
    with pytest.raises(ShowersError, match="reference in memory: has 25 showers"):
        caloforge.evaluate(good[:50], [model])
    with pytest.raises(ShowersError, match="showers in memory are not split"):
        load_reference(good, seed=1, rows="test")


def test_showers_in_memory_are_judged_as_those_of_a_file(
    files: tuple[Path, Path], found: Found
) -> None:
    reference = load_reference(read_showers(files[0]), seed=1)
    sample = load_sample(read_showers(files[1]))
    assert sample.name == "showers"
    again, _ = evaluate(reference, [sample], sections=("observables", "spectra"))
    for mine, theirs in zip(again.samples, found[0].samples, strict=True):
        for name in ("observables", "spectra"):
            assert mine.sections[name] == theirs.sections[name]


def test_memorisation_has_a_floor(good: Showers, tmp_path: Path) -> None:
    path, copies = tmp_path / "geant4.h5", tmp_path / "copies.h5"
    write_split(path, good, test=800)
    write_showers(copies, good[:600])
    found, shown = evaluate(path, [copies], sections=("memorisation",))
    floor, copied = (sample.sections["memorisation"] for sample in found.samples)
    assert floor["counts"] == {"training": 1600, "held_out": 400, "generated": 400}
    assert not floor["memorised"]
    assert not floor["collapsed"]
    assert floor["copies"] == 0
    assert abs(floor["diversity"]["value"] - 1) < 5 * floor["diversity"]["error"]
    assert abs(floor["preference"]["value"] - 0.8) < 5 * floor["preference"]["error"]
    assert copied["memorised"]
    assert copied["copies"] == 600
    # What is drawn are the showers whose distance is given.
    (panel,) = shown[0].panels
    assert isinstance(panel, ExamplesPanel)
    example = panel.examples[2]
    assert example.title == f"distance {floor['examples'][2]['distance']:.3f}"
    # They may be mirrored, and are drawn from square roots.
    for rows, drawn in ((good[1600:], example.shower), (good[:1600], example.other)):
        cells = np.sort(rows.deposits, axis=1)
        assert np.isclose(cells, np.sort(drawn), rtol=1e-5).all(axis=1).any()
    assert example.shower.base is None  # or it would keep all showers in memory


def test_files_that_do_not_say_their_particle(good: Showers, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("nameless.h5", "named.h5", "photons.h5")]
    for path, rows, particle in zip(
        paths, (good[:800], good[800:1200], good[1200:1600]), ("", "e+", "gamma"), strict=True
    ):
        write_showers(path, replace(rows, particle=particle))
    for reference, sample in (paths[:2], paths[1::-1]):
        found, _ = evaluate(reference, [sample], sections=("observables", "energy"))
        assert [item.info.particle for item in found.samples] == ["e+", "e+"]
    with pytest.raises(ShowersError, match=r"e\+ and gamma"):
        evaluate(paths[0], paths[1:], sections=("observables",))


def test_wrong_settings_are_refused_before_anything_is_read(torch: object) -> None:
    assert torch
    with pytest.raises(CaloforgeError, match="repeats: got 0"):
        evaluate("none.h5", [], repeats=0)
    with pytest.raises(CaloforgeError, match="device: 'abacus'"):
        evaluate("none.h5", [], device="abacus")


def test_histograms_show_the_floor_beside_the_separation_power(found: Found, good: Showers) -> None:
    evaluation, shown = found
    figures = {name: figure for name, _, figure in draw(evaluation, shown, good.detector)}
    assert {"energies", "depths", "widths", "cells", "spectra"} <= set(figures)
    floor, sample = (
        item.sections["observables"]["observables"][0]["separation_power"]["value"]
        for item in evaluation.samples
    )
    title = figures["energies"].axes[0].get_title(loc="right")
    assert title == f"S = {sample:.1e} ({floor:.1e})"
    floor, sample = (
        item.sections["spectra"]["layer_2"]["separation_power"]["value"]
        for item in evaluation.samples
    )
    assert figures["spectra"].axes[6].get_title(loc="right") == f"S = {sample:.1e} ({floor:.1e})"


MEMORY = """
import sys
from caloforge.evaluation import SECTIONS, evaluate
from caloforge.speed.timing import peak_memory

before = peak_memory()
chosen = [name for name in SECTIONS if name not in ("headline", "trees", "classifiers")]
evaluate(sys.argv[1], sys.argv[2:], sections=chosen)
print(before, peak_memory())
"""


@pytest.mark.slow
def test_memory(good: Showers, tmp_path: Path) -> None:
    """What an evaluation needs beside the deposits is no multiple of them."""
    rng = np.random.default_rng(1)
    files = tmp_path / "geant4.h5", tmp_path / "model.h5"
    for path, count in zip(files, (20_000, 10_000), strict=True):
        showers = good[rng.integers(0, len(good), count)]
        factors = rng.uniform(0.9, 1.1, showers.deposits.shape).astype(np.float32)
        write_split(path, replace(showers, deposits=showers.deposits * factors), test=10_000)
    command = [sys.executable, "-c", MEMORY, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    before, after = map(int, done.stdout.split())
    deposits = 30_000 * good.detector.n_cells * 4
    assert after - before < 5 * deposits


@pytest.mark.slow
def test_command_line(run_cli: Cli, files: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "evaluation"
    done = run_cli(
        *("evaluate", "--reference", files[0], "--showers", files[1], "--quick", "-o", folder)
    )
    assert done.code == 0, done.err
    assert (folder / REPORT).is_file()
    names = {item.name for item in read_evaluation(folder).samples[1].headlines}
    assert {"headline_auc_1", "trees_auc", "fpd", "energy_chi2_ndf"} <= names
    assert not any(name.startswith("auc_") for name in names)
    table = run_cli("compare", folder, "-o", tmp_path / "table.md")
    assert table.code == 0, table.err
    assert "model" in (tmp_path / "table.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reference", "none.h5", "--showers", "none.h5"], "none.h5: does not exist"),
        (["--reference", "{reference}", "--showers", "none.h5"], "none.h5: does not exist"),
        (["--reference", "{tiny}", "--showers", "{tiny}"], "must have at least 100"),
        (
            ["--transfer", "--reference", "{tiny}", "--showers", "{tiny}", "--rows", "test"],
            "--rows: got it beside --transfer",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(
    arguments: list[str], message: str, cli: Cli, files: tuple[Path, Path], tmp_path: Path
) -> None:
    tiny = tmp_path / "tiny.h5"
    write_showers(tiny, read_showers(files[0], rows=slice(0, 50)))
    given = [text.format(reference=files[0], tiny=tiny) for text in arguments]
    done = cli("evaluate", *given, "--quick", "-o", tmp_path / "out")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not (tmp_path / "out").exists()
