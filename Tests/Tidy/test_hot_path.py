"""The keep-alive path of the release binary stays free of reference counting, allocation and the Swift runtime."""

import shutil
import subprocess
from pathlib import Path

import pytest

import hot_path

BINARY = Path(__file__).resolve().parents[2] / ".build/release/proxy"


def test_the_release_binary_obeys():
    assert BINARY.exists(), "make release makes it"
    assert hot_path.complaints(BINARY) == []


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A program with a function that retains, one that does not, and one that retains off the path."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / "sample.c").write_text("""
        __attribute__((noinline)) void swift_retain(volatile int *count) { ++*count; }
        __attribute__((noinline)) void guilty(volatile int *count) { swift_retain(count); ++*count; }
        __attribute__((noinline)) void innocent(volatile int *count) { ++*count; }
        int main(int count, char **words) { volatile int n = count; guilty(&n); innocent(&n); return n == 0; }
    """)
    subprocess.run([shutil.which("clang") or "cc", "-O1", "-o", folder / "sample", folder / "sample.c"], check=True)
    return folder / "sample"


@pytest.mark.parametrize("hot, allowed, complaints", [
    ([r"^guilty$"], {}, ["guilty calls swift_retain"]),
    ([r"^innocent$"], {}, []),
    ([r"^guilty$"], {("guilty", "swift_retain"): "the sample's reason"}, []),
    ([r"^missing$"], {}, ["no function is called ^missing$"]),
])
def test_the_rule_finds(sample, hot, allowed, complaints):
    assert hot_path.complaints(sample, hot, allowed) == complaints
