package import Linux

/// Becomes a plug-in's command, which the kernel kills when the host ends: what stands in front of
/// each command as `PluginHostResources.launcher`, in a role of its own.
///
/// Without it a killed host would leave behind the plug-ins that do not read their input.
/// - Parameter parent: the host's process id.
/// - Returns: only when it went wrong: what.
package func becomePlugin(_ command: [String], parent: Int32) -> SystemError {
    do {
        try ProcessTraits.endWithParent(parent)
    } catch {
        return error
    }
    return ProcessLaunch.become(
        command[0], arguments: command, environment: ProcessTraits.environment)
}
