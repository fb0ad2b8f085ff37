"""What the keep-alive path calls in the release binary: no reference counting, allocation, or work of the Swift runtime.

The disassembly of each function that a keep-alive request runs through is searched for calls. What the optimiser leaves
there is there for every request, so a copy of an array or a generic that was not specialised shows at once.
"""

import re
import subprocess

# Demangled names contain one of these: the functions of one HTTP/1.1 keep-alive request, in their order.
HOT = [
    r"specialized EdgeLoop<>\.(turn|clientReady|continueClient|readClient|readInput|readHead|receive|beginRequest|makeExchange|"
    r"route|writeText|writeFacts|writeForwarded|origin|start|carryOut|forward|choose|connect|send|writeHead|requestEnd|"
    r"pumpRequest|flushUpstream|requestSent|upstreamReady|continueUpstream|readUpstream|receiveAnswer|readAnswer|"
    r"readAnswerHead|passAnswerHead|writeAnswerHead|readAnswerBody|passAnswerData|answerEnded|releaseUpstream|flushClient|"
    r"clientDrained|finish|record|discard|arm|fireTimers|serveQueue)\(",
    r"^(RequestHeadParser|ResponseHeadParser)\.parse\(", r"^FieldSection\.readByPhase\(", r"^FieldTable\.",
    r"^ByteWriter\.write(JSON)?\((_|decimal:digits|fields|response|requestFields|requestLine|requestEnd|field):", r"^RequestLine\.writeJSON\(", r"^RequestID\.write\(", r"^PeerAddress\.write\(",
    r"^BlockPool\.(?!init)", r"^BlockChain\.(append|consume)\(", r"^TimerWheel\.", r"^RequestLedger\.", r"^RouteTable\.match\(",
    r"^EndpointPool\.choose\(", r"^SignalWriter\.(start|finish)\(", r"^static StreamSocket\.(send|receive)\(",
]
# Symbols that must not be called, as the linker knows them.
BANNED = re.compile(
    r"^(swift_(retain|release|bridgeObject\w*|allocObject|slowAlloc|deallocClassInstance|isUniquelyReferenced\w*|"
    r"getGenericMetadata|getWitnessTable|getAssociatedTypeWitness|conformsToProtocol\w*|dynamicCast\w*|initStackObject|"
    r"allocateGenericValueMetadata|once)|malloc|calloc|realloc|posix_memalign|\$s\w+(Ma|Wl|WL|Mr))$")
# (function, symbol): reason. Calls off the way of a usual request, in functions it runs through.
ALLOWED = {}


# Functions closer than so many bytes are disassembled in one go: a start of objdump costs more than this much text.
NEIGHBOURS = 1 << 17


def demangled(symbols):
    text = subprocess.run(["swift", "demangle", "--compact", "--simplified"], input="\n".join(symbols),
                          capture_output=True, text=True, check=True).stdout
    return dict(zip(symbols, text.splitlines()))


def symbols(binary):
    """Address, size and name of each function."""
    lines = subprocess.run(["nm", "--defined-only", "--print-size", str(binary)],
                           capture_output=True, text=True, check=True).stdout
    for line in lines.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tT":
            yield int(fields[0], 16), int(fields[1], 16), fields[3]


def calls(binary, functions):
    """For each function, given as `symbols` gives it, the symbols it calls or jumps to outside itself."""
    found, function = {symbol: set() for _, _, symbol in functions}, None
    for start, stop in ranges(functions):
        text = subprocess.run(
            ["objdump", "--disassemble", "--no-show-raw-insn", f"--start-address={start}", f"--stop-address={stop}", str(binary)],
            capture_output=True, text=True, check=True).stdout
        for line in text.splitlines():
            if heading := re.match(r"[0-9a-f]+ <(.+)>:$", line):
                function = found.get(heading[1])
            elif function is not None and (call := re.search(r"\t(?:call|jmp)\s+[0-9a-f]+ <([^+>]+)>", line)):
                function.add(call[1].split("@")[0])
    return found


def ranges(functions):
    """Stretches of the binary that hold the functions, so that one disassembly serves the neighbours."""
    merged = []
    for address, size, _ in sorted(functions):
        if merged and address - merged[-1][1] < NEIGHBOURS:
            merged[-1][1] = max(merged[-1][1], address + size)
        else:
            merged.append([address, address + size])
    return merged


def complaints(binary, hot=HOT, allowed=None):
    """Each banned call from a hot function, and each pattern of `hot` that matches no function."""
    allowed = ALLOWED if allowed is None else allowed
    functions = list(symbols(binary))
    names = demangled([symbol for _, _, symbol in functions])
    chosen = [entry for entry in functions if any(re.search(pattern, names[entry[2]]) for pattern in hot)]
    found = [f"no function is called {pattern}" for pattern in hot
             if not any(re.search(pattern, names[symbol]) for _, _, symbol in chosen)]
    for symbol, called in calls(binary, chosen).items():
        found += [f"{names[symbol]} calls {name}" for name in sorted(called)
                  if BANNED.match(name) and not is_allowed(names[symbol], name, allowed)]
    return found


def is_allowed(name, called, allowed):
    return any(re.search(function, name) and re.search(symbol, called) for function, symbol in allowed)
