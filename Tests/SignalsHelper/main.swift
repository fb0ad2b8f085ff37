import Linux
import Plugins

// `crash [broken]`: a killed edge at every step; prints `steps N`, then a violation a line.
// `bench`: nanoseconds for each thing the data path does; built with `-c release`.
// `plugin PARENT COMMAND…`: becomes a command that ends with its parent.
let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "crash": crashScenario(isBroken: arguments.count > 1)
case "bench": bench()
case "plugin":
    guard arguments.count > 2, let parent = Int32(arguments[1]) else { fatalError("no command") }
    let failure = becomePlugin(Array(arguments[2...]), parent: parent)
    let text = "cannot start \(arguments[2]): \(failure)\n"
    _ = Descriptor.writeNow(text.utf8.span, to: 2)
    ProcessTraits.exitNow(127)
default: fatalError("usage: SignalsHelper crash [broken] | bench | plugin PARENT COMMAND…")
}
