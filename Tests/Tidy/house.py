"""The rules of the house, each a function that reads a tree and returns its complaints, one line each.

`test_tidy.py` holds this tree to them, and shows for each one that it complains about a bad sample.
"""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import swift_source

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

# Layer by layer, lowest first: what each target may import of this package. Arrows point downward only, and no
# engine of layer 4 imports another.
ARROWS = {
    "CLinux": "",
    "COpenSSL": "",
    "CCares": "",
    "CAppHost": "",
    "Memory": "CLinux",
    "Configuration": "",
    "Board": "Memory",
    "HTTP": "Memory",
    "Linux": "CLinux CAppHost CCares Memory",
    "TLS": "COpenSSL Memory Configuration",
    "Routing": "Memory HTTP Configuration Board",
    "Signals": "Memory Configuration Board",
    "Edge": "Memory Configuration Board HTTP Linux TLS Routing Signals",
    "Supervision": "CAppHost Memory Linux Signals Board Configuration Routing",
    "Plugins": "Memory Linux Signals Board Configuration",
    "Certificates": "Memory TLS Linux",
    "Demo": "Memory HTTP Linux TLS",
    "proxy": "Memory Configuration Board HTTP Linux TLS Routing Signals Edge Supervision Plugins Certificates Demo",
}
ARROWS = {target: set(allowed.split()) for target, allowed in ARROWS.items()}

# What a target may import from outside this package.
LIBRARIES = {"Configuration": {"Yams"}, "proxy": {"ArgumentParser"}}
C_LIBRARY_ROOMS = {"Linux", "TLS", "Board"}
FOUNDATION = {"Foundation", "FoundationEssentials", "FoundationNetworking", "Dispatch"}
FOUNDATION_ROOMS = {"Configuration", "Supervision", "Plugins", "Certificates", "Demo", "proxy"}

UNSAFE_ROOMS = {"Memory", "Linux", "TLS"}
# Loops that scan bytes, each with its benchmark number in a comment of its own.
UNSAFE_FILES = {"Sources/HTTP/Characters.swift"}


def swift_files(tree, folder="Sources"):
    return sorted(path for path in (Path(tree) / folder).rglob("*.swift") if ".build" not in path.parts)


def room(tree, path):
    return path.relative_to(Path(tree) / "Sources").parts[0]


def code(path):
    return swift_source.code_only(path.read_text())


def layers(tree):
    """Every import of a room stands in the table of arrows, and so does every dependency in Package.swift."""
    complaints = []
    for path in swift_files(tree):
        target = room(tree, path)
        if target not in ARROWS:
            complaints.append(f"{path}: the room {target} is not in the table of arrows")
            continue
        allowed = ARROWS[target] | LIBRARIES.get(target, set()) | {"Swift", "Synchronization"}
        allowed |= {"Glibc"} if target in C_LIBRARY_ROOMS else set()
        allowed |= FOUNDATION if target in FOUNDATION_ROOMS else set()
        for module in swift_source.imports(code(path)):
            if module not in allowed:
                complaints.append(f"{path}: {target} may not import {module}")
    return complaints


def package(tree):
    """Package.swift gives no target a dependency that the table of arrows does not have."""
    # It leaves a lock in the folder for temporary files.
    with tempfile.TemporaryDirectory() as folder:
        shown = subprocess.run(
            ["swift", "package", "--package-path", str(tree), "dump-package"], capture_output=True, text=True, check=True,
            env={**os.environ, "TMPDIR": folder})
    complaints = []
    for target in json.loads(shown.stdout)["targets"]:
        if target["type"] == "test" or (target.get("path") or "").startswith("Tests"):
            continue
        for dependency in target["dependencies"]:
            name = next(iter(dependency.values()))[0]
            allowed = ARROWS.get(target["name"], set()) | LIBRARIES.get(target["name"], set())
            if name not in allowed:
                complaints.append(f"Package.swift: {target['name']} may not depend on {name}")
    return complaints


def unsafe(tree):
    """The word `unsafe` stands only where the house allows it."""
    complaints = []
    for path in swift_files(tree):
        if room(tree, path) in UNSAFE_ROOMS or str(path.relative_to(tree)) in UNSAFE_FILES:
            continue
        for number, line in enumerate(code(path).split("\n"), 1):
            if re.search(r"\bunsafe\b|Unsafe\w*Pointer|\bunsafeBitCast\b|withUnsafe", line):
                complaints.append(f"{path}:{number}: unsafe outside {', '.join(sorted(UNSAFE_ROOMS))}")
    return complaints


def ceilings(tree):
    """No file, function or line is longer than the house allows."""
    complaints = []
    for path in swift_files(tree) + swift_files(tree, "Tests"):
        text = path.read_text()
        lines = text.splitlines()
        if len(lines) > FILE_LINES_MAX:
            complaints.append(f"{path}: {len(lines)} lines, at most {FILE_LINES_MAX}")
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                complaints.append(f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}")
        for function in swift_source.functions(swift_source.code_only(text)):
            # A state machine's one switch may be longer.
            beside_switch = function.lines - function.longest_switch
            if function.lines > FUNCTION_LINES_MAX and beside_switch > FUNCTION_LINES_MAX // 4:
                complaints.append(
                    f"{path}:{function.line}: {function.name} has {function.lines} lines, at most {FUNCTION_LINES_MAX}")
    return complaints


# Spelled in two parts, so that this file does not find itself.
LEFTOVERS = re.compile("|".join([r"\bFIX" + "ME", r"\bTO" + r"DO\b", r"\bXX" + r"X\b", r"not imple" + "mented"]))
MACHINE_PATHS = re.compile("|".join([
    r"(?<![\w.])/wo" + r"rk/", r"(?<![\w.])/ro" + r"ot/", r"/opt/sw" + "ift", r"(?<!~)/\.py" + "env"]))
REGISTRY_HOSTS = re.compile("|".join([
    "py" + r"pi\.org", "pythonhos" + r"ted\.org", r"deb\.deb" + r"ian\.org", "registry\\.np" + "mjs", "crat" + r"es\.io"]))


def leftovers(tree, files):
    """Nothing committed waits to be done later, or names one machine or a registry's host."""
    complaints = []
    for path in files:
        try:
            lines = (Path(tree) / path).read_text().splitlines()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for number, line in enumerate(lines, 1):
            for rule, what in [(LEFTOVERS, "a leftover"), (MACHINE_PATHS, "a path of one machine"),
                               (REGISTRY_HOSTS, "a registry's host")]:
                if rule.search(line):
                    complaints.append(f"{path}:{number}: {what}: {line.strip()[:80]}")
    return complaints


PRIVATE = re.compile(r"(^|/)(Package\.resolved$|\.build|\.venv/|\.bench/|__pycache__/)|\.(key|pem|crt|p12|pfx)$")
SECRET = re.compile(rb"-----BEGIN [A-Z ]*(PRIVATE KEY|CERTIFICATE)-----\r?\n[A-Za-z0-9+/=]{16}")


def secrets(tree, files):
    """Nothing that is built, resolved or secret is committed."""
    complaints = []
    for path in files:
        if PRIVATE.search(str(path)):
            complaints.append(f"{path}: must not be committed")
        elif (Path(tree) / path).is_file() and SECRET.search((Path(tree) / path).read_bytes()):
            complaints.append(f"{path}: holds a key or a certificate")
    return complaints


def committed(tree):
    listed = subprocess.run(["git", "-C", str(tree), "ls-files", "-z"], capture_output=True, check=True)
    return [name.decode() for name in listed.stdout.split(b"\0") if name]


def formatted(tree):
    """Every Swift file is as `swift format` writes it."""
    sources = swift_files(tree) + swift_files(tree, "Tests")
    sources += [Path(tree) / "Package.swift"] if (Path(tree) / "Package.swift").exists() else []
    with tempfile.TemporaryDirectory() as copies:
        copied = []
        for number, path in enumerate(sources):
            copied.append(Path(copies) / f"{number}" / path.name)
            copied[-1].parent.mkdir()
            copied[-1].write_bytes(path.read_bytes())
        subprocess.run(
            ["swift", "format", "--in-place", "--parallel", "--configuration", str(Path(tree) / ".swift-format"),
             *map(str, copied)], check=True, capture_output=True)
        return [
            f"{path}: run swift format -i {path}"
            for path, copy in zip(sources, copied) if path.read_bytes() != copy.read_bytes()]
