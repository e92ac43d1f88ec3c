"""The page of showers: self-contained, safe, and about what it was given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.detector import Detector, load_detector
from caloforge.errors import OutputError, ShowersError
from caloforge.evaluation.summary.summary import Summary, SummaryBuilder
from caloforge.showers import Showers
from caloforge.web.overview import Beside, RunInfo, write_overview

RUN = RunInfo(
    "calogan-eplus",
    version="0.1.0",
    seed=1,
    command="caloforge generate calogan-eplus -n 400",
    seconds_per_shower=1e-4,
    processes=2,
    machine="a laptop",
)


def make_showers(detector: Detector, n: int = 400, low: float = 1, high: float = 100) -> Showers:
    rng = np.random.default_rng(3)
    energy = rng.uniform(low, high, n)
    shares = rng.dirichlet(np.full(detector.n_cells, 0.1), n)
    return Showers(detector, energy, (shares * 990 * energy[:, None]).astype(np.float32), "e+")


def summarise(showers: Showers) -> Summary:
    builder = SummaryBuilder(showers.detector, showers.particle)
    builder.add(showers)
    return builder.result()


def written(path: Path, showers: Showers, reference: Summary | None, run: RunInfo = RUN) -> str:
    beside = None if reference is None else Beside(reference)
    write_overview(path, summarise(showers), showers[:3], run, beside=beside)
    return path.read_text("utf-8")


def content(page: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match
    loaded: dict[str, Any] = json.loads(match[1])
    return loaded


@pytest.mark.parametrize("name", ["calogan", "lar-voxels", "calochallenge-ds1-photons"])
def test_page_is_self_contained(name: str, tmp_path: Path) -> None:
    showers = make_showers(load_detector(name))
    page = written(tmp_path / "showers.html", showers, summarise(showers))
    assert len(page.encode()) < 300_000
    assert not re.search(r"https?://|//cdn|@import|url\(", page)
    assert not re.search(r"<(link|img|iframe|object|embed)\b|\s(src|href)\s*=", page)
    assert "%%" not in page


def test_content_is_about_the_showers(tmp_path: Path) -> None:
    showers = make_showers(load_detector("calogan"))
    data = content(written(tmp_path / "showers.html", showers, summarise(showers)))
    assert data["showers"]["count"] == data["reference"]["count"] == 400
    assert data["notes"] == []
    assert data["run"]["seconds_per_shower"] == 1e-4
    assert len(data["showers"]["image"]) == 504
    assert len(data["fractions"]) == 3
    assert data["response"]["edges"][0] <= 0.99 <= data["response"]["edges"][-1]
    assert len(data["events"]) == 3
    for i, event in enumerate(data["events"]):
        assert event["energy"] == pytest.approx(showers.energy[i], rel=1e-4)
        assert sum(event["deposits"]) == pytest.approx(showers.total_energy[i], rel=5e-3)
        assert event["deposits"] == sorted(event["deposits"], reverse=True)
    assert data["reference_events"] == []


def test_profiles_spectra_and_time_of_geant4_are_in_it(tmp_path: Path) -> None:
    showers = make_showers(load_detector("calogan"))
    data = content(written(tmp_path / "showers.html", showers, summarise(showers)))
    kinds = [(item["kind"], item["layer"]) for item in data["profiles"]]
    assert kinds == [("depth", None), *((k, i) for i in range(3) for k in ("x", "y"))]
    for item in (*data["profiles"], *data["spectra"]):
        assert item["reference"] == item["showers"]
        assert len(item["edges"]) == len(item["showers"]["density"]) + 1
    assert [item["layer"] for item in data["spectra"]] == [0, 1, 2]
    assert 0.05 < data["geant4"]["seconds"] < 5
    assert "FTFP_BERT" in data["geant4"]["physics"]
    other = make_showers(load_detector("calochallenge-ds1-photons"))
    data = content(written(tmp_path / "showers.html", other, None))
    assert data["geant4"] is None  # it was not measured in that detector
    assert data["profiles"][0]["kind"] == "layer"


def test_events_of_what_it_is_beside_are_shown_too(tmp_path: Path) -> None:
    showers, path = make_showers(load_detector("calogan")), tmp_path / "showers.html"
    beside = Beside(summarise(showers), showers[5:7], "a.h5", "400 showers of a.h5")
    write_overview(path, summarise(showers), showers[:3], RUN, beside=beside)
    data = content(path.read_text("utf-8"))
    assert [len(data["events"]), len(data["reference_events"])] == [3, 2]
    assert (data["reference"]["name"], data["reference"]["about"]) == ("a.h5", beside.about)
    assert data["notes"] == []


def test_every_control_has_a_name_and_every_id_is_there_once(tmp_path: Path) -> None:
    page = written(tmp_path / "showers.html", make_showers(load_detector("calogan")), None)
    page = page[: page.index('<script type="application/json"')]
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for attribute in ("for", "aria-labelledby", "aria-describedby"):
        for name in re.findall(rf'\b{attribute}="([^"]+)"', page):
            assert name in ids, f"{attribute}={name}"
    for attributes, text in re.findall(r"<button\b([^>]*)>([^<]*)<", page):
        assert "aria-label" in attributes or len(text) > 1
    for name in re.findall(r'<input\b[^>]*\bid="([^"]+)"', page):
        assert f'for="{name}"' in page


def test_page_says_what_cannot_be_compared(tmp_path: Path) -> None:
    detector, path = load_detector("calogan"), tmp_path / "showers.html"
    wide = summarise(make_showers(detector))
    fixed = content(written(path, make_showers(detector, low=50, high=50.001), wide))
    assert "distributed differently" in fixed["notes"][0]
    beyond = content(written(path, make_showers(detector, low=500, high=600), wide))
    assert "nothing can be compared" in beyond["notes"][0]
    assert beyond["reference"] is None
    alone = content(written(path, make_showers(detector), None))
    assert "no Geant4 reference" in alone["notes"][0]
    partly = content(written(path, make_showers(detector, high=300), wide))
    assert any("left out" in note for note in partly["notes"])


def test_texts_cannot_break_out(tmp_path: Path) -> None:
    showers = make_showers(load_detector("calogan"))
    evil = "</script><script>alert(1)</script>%%data%%"
    page = written(tmp_path / "showers.html", showers, None, RunInfo(evil, command=evil))
    assert "<script>alert" not in page
    assert content(page)["run"]["command"] == evil


def test_bad_input_is_refused(tmp_path: Path) -> None:
    detector = load_detector("calogan")
    showers, path = make_showers(detector), tmp_path / "showers.html"
    with pytest.raises(ShowersError, match="no showers"):
        write_overview(path, SummaryBuilder(detector).result(), showers[:1], RUN)
    with pytest.raises(ShowersError, match="must be showers in 'calogan'"):
        write_overview(path, summarise(showers), showers[:0], RUN)
    other = make_showers(load_detector("lar-voxels"))
    for beside in (Beside(summarise(other)), Beside(summarise(showers), other[:1])):
        with pytest.raises(ShowersError, match="lar-voxels"):
            write_overview(path, summarise(showers), showers[:1], RUN, beside=beside)
    with pytest.raises(OutputError, match="no folder"):
        write_overview(tmp_path / "no" / "x.html", summarise(showers), showers[:1], RUN)
    assert not path.exists()
