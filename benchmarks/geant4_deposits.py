"""CPU time of reading and digitising deposits, relative to Geant4 with deposits off.

    GEANT4_DATA_DIR=... python benchmarks/geant4_deposits.py [--energy 20] [-n 40]

The same showers are simulated in turn with and without deposits, so that a machine that slows down
slows down both.
"""

import argparse
import time

from caloforge.detector import load_detector
from caloforge.fullsim import Geant4Source
from caloforge.fullsim.engine import shoot
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum


def measure(source: Geant4Source, count: int) -> tuple[float, float]:
    """CPU seconds per shower without and with deposits in all readouts."""
    off = on = 0.0
    source.block(count, 1)  # Geant4 builds its tables
    for i in range(count):
        primaries = source.primaries(source.gun.sample(source.seed, i, 1), i)
        start = time.process_time()
        shoot(source.detector.stack, source.physics, primaries, record=False)
        middle = time.process_time()
        source.block(i, 1)
        off += middle - start
        on += time.process_time() - middle
    return off / count, on / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particle", default="e+")
    parser.add_argument("--energy", default="20", help="GeV")
    parser.add_argument("-n", type=int, default=40)
    parser.add_argument("--readout", nargs="+", default=["calogan", "lar-voxels"])
    arguments = parser.parse_args()
    readouts = tuple(load_detector(name) for name in arguments.readout)
    gun = Gun(arguments.particle, Spectrum.parse(arguments.energy))
    source = Geant4Source(readouts[0], gun, seed=1, readouts=readouts)
    off, on = measure(source, arguments.n)
    print(f"{arguments.n} {arguments.particle} of {arguments.energy} GeV, {arguments.readout}")
    print(f"deposits off {1e3 * off:.0f} ms, on {1e3 * on:.0f} ms, ratio {on / off:.3f}")


if __name__ == "__main__":
    main()
