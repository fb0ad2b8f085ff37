internal import Synchronization

#if CRASH_STEPS
    internal import CLinux
#endif

/// Kills this process before its n-th change of shared memory, for the crash tests.
///
/// In debug builds every change that `SharedRegion` and its words make counts as one step, so a
/// test that arms each number in turn has tried a `kill -9` at every point where another process
/// could see a difference. In release builds nothing is counted.
public enum CrashSteps {
    #if CRASH_STEPS
        private static let remaining = Atomic<Int>(Int.max)
    #endif

    /// Lets `count` changes happen; the next one never does: the process gets SIGKILL in front of
    /// it.
    ///
    /// - Precondition: this is a debug build.
    public static func arm(after count: Int) {
        #if CRASH_STEPS
            remaining.store(count, ordering: .relaxed)
        #else
            preconditionFailure("steps are counted in debug builds alone")
        #endif
    }

    #if CRASH_STEPS
        /// One change is about to be made.
        @usableFromInline
        static func step() {
            let (before, _) = remaining.subtract(1, ordering: .relaxed)
            if before == 0 {
                kill(getpid(), SIGKILL)
                while true { pause() }
            }
        }
    #endif
}
