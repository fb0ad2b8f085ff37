"""The tree obeys the house, and each rule is shown to complain about a bad sample."""

import subprocess
from pathlib import Path

import pytest

import house
import swift_source

TREE = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("rule", [house.layers, house.package, house.unsafe, house.ceilings, house.formatted])
def test_the_tree_obeys(rule):
    assert rule(TREE) == []


@pytest.mark.parametrize("rule", [house.leftovers, house.secrets])
def test_what_is_committed_obeys(rule):
    files = house.committed(TREE)
    assert "Package.swift" in files
    assert rule(TREE, files) == []


def tree(folder, **files):
    """A tree with Swift files, named by keywords such as `HTTP_Parser` for Sources/HTTP/Parser.swift."""
    for name, text in files.items():
        target, file = name.split("_")
        path = folder / "Sources" / target / f"{file}.swift"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("text, complaint", [
    ("import Linux\n", "HTTP may not import Linux"),
    ("private import Foundation\n", "HTTP may not import Foundation"),
    ("@preconcurrency public import Dispatch\n", "HTTP may not import Dispatch"),
    ("import struct Glibc.timespec\n", "HTTP may not import Glibc"),
    ("internal import Yams\n", "HTTP may not import Yams"),
])
def test_an_arrow_that_points_upward_is_found(tmp_path, text, complaint):
    assert complaint in house.layers(tree(tmp_path, HTTP_Parser=text))[0]


def test_an_engine_may_not_import_an_engine_nor_a_room_be_unknown(tmp_path):
    complaints = house.layers(tree(tmp_path, Edge_Loop="import Supervision\n", Attic_Box="\n"))
    assert len(complaints) == 2


def test_an_import_in_a_comment_or_a_string_is_none(tmp_path):
    text = '// import Linux\n/* import Linux */\nlet text = """\nimport Linux\n"""\nimport Memory\n'
    assert house.layers(tree(tmp_path, HTTP_Parser=text)) == []


def test_a_dependency_that_points_upward_is_found(tmp_path):
    (tmp_path / "Package.swift").write_text(
        '// swift-tools-version: 6.2\nimport PackageDescription\n'
        'let package = Package(name: "sample", targets: [.target(name: "Memory"), .target(name: "Linux"),'
        '.target(name: "HTTP", dependencies: ["Memory", "Linux"])])\n')
    assert house.package(tmp_path) == ["Package.swift: HTTP may not depend on Linux"]


@pytest.mark.parametrize("text", [
    "let first = unsafe bytes[unchecked: 0]\n",
    "bytes.withUnsafeBytes { _ in }\n",
    "func read(_ at: UnsafeRawPointer) {}\n",
])
def test_unsafe_is_found_outside_its_rooms(tmp_path, text):
    assert len(house.unsafe(tree(tmp_path, Edge_Loop=text, Memory_Block=text))) == 1


def test_the_word_unsafe_in_prose_is_not_code(tmp_path):
    assert house.unsafe(tree(tmp_path, Edge_Loop='// unsafe\nlet text = "unsafe \\(1) unsafe"\n')) == []


def test_a_file_a_line_and_a_function_that_are_too_long_are_found(tmp_path):
    body = "    let one = 1\n" * 70
    complaints = house.ceilings(tree(
        tmp_path,
        Edge_File="let one = 1\n" * 501,
        Edge_Line="let " + "x" * 94 + "= 1\n",
        Edge_Function="func long() {\n" + body + "}\n",
        Edge_Exact="func exact() {\n" + body[:-len("    let one = 1\n") * 2] + "}\n"))
    assert sorted(complaint.split(": ", 1)[1] for complaint in complaints) == [
        "101 columns, at most 100", "501 lines, at most 500", "long has 72 lines, at most 70"]


def test_a_state_machine_may_be_one_long_switch_but_not_more(tmp_path):
    cases = "".join(f"        case .c{n}: return {n}\n" for n in range(80))
    switch = "    switch self {\n" + cases + "    }\n"
    machine = "func handle() -> Int {\n" + switch + "}\n"
    assert house.ceilings(tree(tmp_path / "good", Edge_Machine=machine)) == []
    machine = "func handle() -> Int {\n" + "    step()\n" * 20 + switch + "}\n"
    assert len(house.ceilings(tree(tmp_path / "bad", Edge_Machine=machine))) == 1


FUNCTIONS = '''
struct Box<Element>: ~Copyable where Element: Sendable {
    init(_ make: () -> Int = { 1 }) throws(Failure) {
        // a brace in a comment {
        let text = "a brace in a string { \\(make() + [1].map { $0 }.count) {"
    }
    deinit {
    }
    subscript(at: Int) -> Int {
        get { 1 }
    }
    mutating func handle<T>(_ event: T) throws(Failure) -> [Int: String]
    where T: Equatable {
        while true {}
    }
}
protocol Shape {
    func area() -> Int
    init(side: Int)
}
func after() { let quote = """
    a "quoted" } brace
    """
}
'''


def test_functions_are_read_as_they_stand():
    found = swift_source.functions(swift_source.code_only(FUNCTIONS))
    assert [(function.name, function.lines) for function in found] == [
        ("init", 4), ("deinit", 2), ("subscript", 3), ("handle", 4), ("after", 4)]


@pytest.mark.parametrize("line", [
    "// FIX" + "ME: later", "# TO" + "DO", "raise Exception('not imple" + "mented')",
    "path = '/wo" + "rk/main'", "cache: /ro" + "ot/.cache", "/opt/sw" + "ift/usr",
    "pip install --index https://py" + "pi.org/simple", "deb http://deb.deb" + "ian.org/debian bookworm main",
])
def test_a_leftover_a_machine_path_and_a_registry_host_are_found(tmp_path, line):
    (tmp_path / "file.txt").write_text(f"good\n{line}\n")
    assert len(house.leftovers(tmp_path, ["file.txt"])) == 1


def test_words_that_only_look_like_it_pass(tmp_path):
    (tmp_path / "file.txt").write_text("the TODOS of /etc/proxy, /srv/work/, framework/x and https://example.com/root/\n")
    assert house.leftovers(tmp_path, ["file.txt"]) == []


@pytest.mark.parametrize("name", [
    "Package.resolved", ".build/debug.yaml", "certs/example.key", "a/leaf.pem", "Tests/__pycache__/x.pyc", ".venv/bin/python"])
def test_a_file_that_must_not_be_committed_is_found(tmp_path, name):
    assert house.secrets(tmp_path, [name]) == [f"{name}: must not be committed"]


def test_a_key_inside_a_file_of_any_name_is_found(tmp_path):
    (tmp_path / "notes.md").write_text("-----BEGIN " + "EC PRIVATE KEY-----\nMHcCAQEEIAAAAAAAAAAA\n")
    (tmp_path / "prose.md").write_text("A file that begins with -----BEGIN " + "PRIVATE KEY----- is a key.\n")
    assert house.secrets(tmp_path, ["notes.md", "prose.md"]) == ["notes.md: holds a key or a certificate"]


def test_a_committed_file_is_listed(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "file.txt").write_text("text\n")
    subprocess.run(["git", "-C", str(tmp_path), "add", "file.txt"], check=True)
    assert house.committed(tmp_path) == ["file.txt"]


def test_a_file_that_is_not_formatted_is_found(tmp_path):
    (tmp_path / ".swift-format").write_text((TREE / ".swift-format").read_text())
    sample = tree(tmp_path, Edge_Bad="let  one=1\n", Edge_Good="let one = 1\n")
    assert [complaint.split(": ")[0] for complaint in house.formatted(sample)] == [str(tmp_path / "Sources/Edge/Bad.swift")]
