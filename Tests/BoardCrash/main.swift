// Runs one scenario, whole or on a broken core, and prints what its checker found: `steps N`, then
// a violation a line.
let scenarios: [String: (Checker, Bool) -> Int] = [
    "places": placesScenario, "cells": cellsScenario, "trial": trialScenario,
    "queue": queueScenario, "wake": wakeScenario, "requests": requestsScenario,
    "ring": ringScenario, "keys": keysScenario, "stress": stressScenario,
    "balance": balanceScenario, "addresses": addressScenario,
]
let arguments = CommandLine.arguments
guard arguments.count >= 2, let scenario = scenarios[arguments[1]] else {
    fatalError("usage: BoardCrash SCENARIO [broken]")
}
let checker = Checker()
let steps = scenario(checker, arguments.count > 2)
print("steps \(steps)")
for violation in checker.violations.prefix(50) { print(violation) }
