#if CRASH_STEPS
    internal import CLinux
    internal import Synchronization

    /// Kills this process before its n-th change of shared memory; only in debug builds, for the crash tests.
    ///
    /// Every change that `SharedRegion` and its words make counts as one step, so a test that arms each
    /// number in turn has tried a `kill -9` at every point where another process could see a difference.
    public enum CrashSteps {
        private static let remaining = Atomic<Int>(Int.max)

        /// Lets `count` changes happen; the next one never does: the process gets SIGKILL in front of it.
        public static func arm(after count: Int) { remaining.store(count, ordering: .relaxed) }

        /// Changes that may still happen, for finding how many an operation makes.
        public static var left: Int { remaining.load(ordering: .relaxed) }

        /// One change is about to be made.
        @usableFromInline
        static func step() {
            let (before, _) = remaining.subtract(1, ordering: .relaxed)
            if before == 0 {
                kill(getpid(), SIGKILL)
                while true { pause() }
            }
        }
    }
#endif
