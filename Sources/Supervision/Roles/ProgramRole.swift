internal import Linux

/// Becomes the program of the role sheet: as its own user, so that not one line of its (a venv's
/// `site` and `*.pth`, what its environment preloads) runs as root.
///
/// It keeps what it was given. What goes wrong is told on `control`, if that was given, as
/// `{"event":"failed","error":…}`.
package func runProgram() -> Int32 {
    do throws(SystemError) {
        let sheet = try RoleSheet.ofThisProcess()
        // The program itself sees the end of its channel.
        try sheet.settle(as: sheet["title"] ?? "program", endsWithParent: false)
        sheet.adoptPath()
        guard let program = sheet.words.first else { return 2 }
        let error = ProcessLaunch.become(
            program, arguments: sheet.words, environment: sheet.environment)
        let text = "cannot start \(program)\(sheet.userText): \(error)"
        if let control = sheet.takeDescriptor("control") {
            let event: JSONValue = ["event": "failed", "error": .string(text)]
            _ = try? MessageSocket(owning: control).send(event.bytes)
        } else {
            _ = Descriptor.writeNow(Array("\(text)\n".utf8).span, to: 2)
        }
        return error.number == 2 ? 127 : 126
    } catch {
        return 1
    }
}

extension RoleSheet {
    /// Has programs without a slash looked up where the program's own environment says.
    func adoptPath() {
        guard let path = environment.last(where: { $0.hasPrefix("PATH=") }) else { return }
        ProcessTraits.setVariable("PATH", to: String(path.dropFirst(5)))
    }

    fileprivate var userText: String { account.map { " as \($0.name)" } ?? "" }
}
