"""A Swift file as far as the tidy test reads one: its code without comments and strings, and its functions."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    name: str
    line: int
    lines: int  # from the line of `func` to that of its closing brace
    longest_switch: int  # lines of the longest `switch` directly in its body


def code_only(text):
    """The text with every comment and every string's content replaced by blanks; line breaks stay."""
    return "".join(_blanked(text))


def _blanked(text):
    at = 0
    while at < len(text):
        match = _OPENING.search(text, at)
        if not match:
            yield text[at:]
            return
        yield text[at:match.start()]
        end = _end_of(text, match)
        yield re.sub(r"[^\n]", " ", text[match.start():end])
        at = end


_OPENING = re.compile(r'//|/\*|(#*)("""|")')


def _end_of(text, opening):
    """Where the comment or string that `opening` begins is over."""
    kind = opening.group(0)
    if kind == "//":
        end = text.find("\n", opening.end())
        return len(text) if end < 0 else end
    if kind == "/*":
        return _end_of_block_comment(text, opening.end())
    pounds, quote = opening.group(1), opening.group(2)
    at = opening.end()
    while at < len(text):
        if text.startswith("\\" + pounds + "(", at):
            at = _end_of_interpolation(text, at + 2 + len(pounds))
        elif text[at] == "\\" and text.startswith(pounds, at + 1):
            at += 2 + len(pounds)
        elif text.startswith(quote + pounds, at):
            return at + len(quote) + len(pounds)
        elif text[at] == "\n" and quote == '"':
            return at
        else:
            at += 1
    return len(text)


def _end_of_block_comment(text, at):
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if match.group(0) == "/*" else -1
        if depth == 0:
            return match.end()
    return len(text)


def _end_of_interpolation(text, at):
    depth = 1
    while at < len(text) and depth:
        opening = _OPENING.match(text, at)
        if opening:
            at = _end_of(text, opening)
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at


def imports(code):
    """The modules a file's code imports."""
    pattern = r"^[ \t]*(?:@\w+(?:\([^)]*\))?[ \t]+)*(?:(?:public|package|internal|private|fileprivate)[ \t]+)?" \
        r"import[ \t]+(?:(?:struct|class|enum|func|protocol|typealias|var|let)[ \t]+)?(\w+)"
    return re.findall(pattern, code, re.MULTILINE)


def functions(code):
    """Every `func`, `init`, `deinit` and `subscript` with a body in `code` (which is without comments and strings)."""
    found = []
    declaration = re.compile(r"(?<![\w.`])(?:func[ \t]+(\S+?)[ \t]*[(<]|(init)[?!]?[ \t]*[(<]|(deinit)[ \t]*\{|(subscript)[ \t]*[(<])")
    for match in declaration.finditer(code):
        name = next(group for group in match.groups() if group)
        start = match.start() if name == "deinit" else _after_parameters(code, match.end() - 1)
        body = _body_of(code, start)
        if body is None:
            continue
        opening, closing = body
        line = code.count("\n", 0, match.start()) + 1
        found.append(Function(
            name, line, code.count("\n", match.start(), closing) + 1,
            _longest_switch(code[opening + 1:closing])))
    return found


def _after_parameters(code, at):
    """Past the generic parameters and the parameter list, whose default values may hold closures."""
    depth = 0
    while at < len(code):
        if code[at] == "(":
            depth += 1
        elif code[at] == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        elif depth == 0 and code[at] in "{}":
            return at
        at += 1
    return at


# Between a declaration's parameters and its body stand only effects, a result type and `where` clauses.
_GOES_ON = re.compile(r"\s*(->|throws\b|rethrows\b|async\b|where\b|\{)")


def _body_of(code, at):
    """The positions of the braces of the declaration whose parameters end at `at`; nothing where it has no body."""
    depth, line_start = 0, at
    while at < len(code):
        character = code[at]
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "{" and depth == 0:
            closing = _matching_brace(code, at)
            return None if closing is None else (at, closing)
        elif character in "}=;" and depth == 0:
            return None
        elif character == "\n" and depth <= 0:
            open_ended = code[line_start:at].rstrip().endswith((",", "->", "where", "&"))
            if not open_ended and not _GOES_ON.match(code, at + 1):
                return None
            line_start = at + 1
        at += 1
    return None


def _matching_brace(code, opening):
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match.group(0) == "{" else -1
        if depth == 0:
            return match.start()
    return None


def _longest_switch(body):
    longest = 0
    for match in re.finditer(r"\bswitch\b[^{\n]*\{", body):
        if body.count("{", 0, match.start()) != body.count("}", 0, match.start()):
            continue  # not directly in the body
        closing = _matching_brace(body, match.end() - 1)
        if closing is not None:
            longest = max(longest, body.count("\n", match.start(), closing) + 1)
    return longest
