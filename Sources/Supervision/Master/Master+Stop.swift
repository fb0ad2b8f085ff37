internal import Linux
internal import Routing

/// The end, in order: edges finish their connections, then workers, then plug-ins have what they
/// were sent.
extension Master {
    /// Drains and ends; asked for a second time, ends at once.
    func stop(_ client: AdminSocket.Client? = nil) {
        if let client { stopAnswers.append(client) }
        guard phase != .stopping else {
            // A command that joins in waits; a signal does not.
            if client == nil { stopNow() }
            return
        }
        log.info("stopping")
        _ = try? ServiceNotification.send("STOPPING=1")
        phase = .stopping
        if let changeover {
            self.changeover = nil
            services.withdraw(changeover.preparation)
            changeover.request?.fail(MasterFailure(.failed, "the proxy is stopping"))
        }
        reloadAgain?.fail(MasterFailure(.failed, "the proxy is stopping"))
        reloadAgain = nil
        listeners.retire()
        edges.stop(limit: plan.options.front.drain)
        continueStop()
    }

    /// Goes on with the stop, if what it waits for has ended.
    func continueStop() {
        guard phase == .stopping, edges.isEmpty else { return }
        guard stopStep > 0 else {
            stopStep = 1
            resolver.stop()
            guard !isStoppingNow else { return endOthersNow() }
            plugins.stop()
            services.stop()
            return
        }
        guard services.isEmpty, plugins.isEmpty, stopStep == 1 else { return }
        stopStep = 2
        log.info("stopped")
        // Those who wait are answered by `answerStops`, once nothing is ours any more.
        end()
    }

    /// Answers those who wait for the end. Whoever is told may start the next proxy at once, so
    /// ports, locks and folders have to be free.
    func answerStops() {
        for client in stopAnswers { client.succeed(["stopped": true]) }
        stopAnswers = []
    }

    /// Edges first here too: what they cut is in their log before workers go.
    private func stopNow() {
        log.info("stopping_now")
        isStoppingNow = true
        edges.stopNow()
        if stopStep > 0 { endOthersNow() }
        continueStop()
    }

    private func endOthersNow() {
        plugins.stopNow()
        services.stopNow()
    }
}
