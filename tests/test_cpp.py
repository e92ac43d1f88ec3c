"""The C++ of docs/artefacts.md, with the C of docs/random-numbers.md: it compiles.

Where the headers of ONNX Runtime are not installed, declarations of what the snippet uses take
their place: those of its C++ API.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import CI, ROOT

HEADER = "onnxruntime_cxx_api.h"
PLACES = ("/usr/include", "/usr/local/include", "/usr/include/onnxruntime")
DECLARATIONS = """
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>
enum OrtAllocatorType { OrtDeviceAllocator = 0, OrtArenaAllocator = 1 };
enum OrtMemType { OrtMemTypeCPU = -1, OrtMemTypeDefault = 0 };
namespace Ort {
struct Env { Env(); };
struct SessionOptions { SessionOptions(); SessionOptions &SetIntraOpNumThreads(int threads); };
struct RunOptions { RunOptions(); explicit RunOptions(std::nullptr_t) {} };
struct MemoryInfo {
    static MemoryInfo CreateCpu(OrtAllocatorType allocator, OrtMemType type);
    struct OrtMemoryInfo *get() const;
    operator const OrtMemoryInfo *() const;
};
struct Value {
    explicit Value(std::nullptr_t);
    Value(const Value &) = delete;
    Value(Value &&) noexcept;
    template <typename T>
    static Value CreateTensor(const OrtMemoryInfo *info, T *data, size_t count,
                              const int64_t *shape, size_t rank);
    template <typename T> const T *GetTensorData() const;
};
struct Session {
    Session(const Env &env, const char *path, const SessionOptions &options);
    std::vector<Value> Run(const RunOptions &options, const char *const *input_names,
                           const Value *inputs, size_t inputs_count,
                           const char *const *output_names, size_t outputs_count);
};
}
"""


def headers(folder: Path) -> Path:
    """Where the header is: of an installation, or declarations alone."""
    for place in (os.environ.get("ONNXRUNTIME_INCLUDE", ""), *PLACES):
        if place and (Path(place) / HEADER).is_file():
            return Path(place)
    (folder / HEADER).write_text(DECLARATIONS, "utf-8")
    return folder


def code(page: str, language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    return str(found)


def test_the_snippet_compiles(tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        if CI:
            pytest.fail("g++ is missing, in CI it must be there")
        pytest.skip("g++ is missing")
    (tmp_path / "generate.cc").write_text(code("docs/artefacts.md", "cpp"), "utf-8")
    (tmp_path / "normal.c").write_text(code("docs/random-numbers.md", "c"), "utf-8")
    include = f"-isystem{headers(tmp_path)}"
    for source, *options in (("generate.cc", "-std=c++17", include), ("normal.c", "-xc")):
        command = [compiler, *options, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", source]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    # What is linked is what is called.
    signature = r"void normal\(([^)]*)\)"
    called, defined = (
        re.search(signature, (tmp_path / name).read_text("utf-8"))
        for name in ("generate.cc", "normal.c")
    )
    assert called is not None
    assert defined is not None
    assert called[1].split() == defined[1].split()
