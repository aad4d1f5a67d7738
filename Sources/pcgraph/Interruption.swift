#if CommandLine
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #elseif canImport(Darwin)
    import Darwin
  #endif

  /// The signals that ask a training to stop. Their handler does the one thing that is safe anywhere, it sets a flag; the
  /// training looks at it between two batches.
  enum Interruption {
    /// The number of the signal that came; 0 before one does.
    static var signal: CInt { received }

    /// From now on, SIGINT and SIGTERM ask. Each does so once: the second of its kind ends the program at once.
    static func install() {
      // Whoever started us may have them blocked, as threads of a pool do.
      var mask = sigset_t()
      sigemptyset(&mask)
      for number in [SIGINT, SIGTERM] { sigaddset(&mask, number) }
      sigprocmask(SIG_UNBLOCK, &mask, nil)
      handle { received = $0 }
    }

    /// From now on, the signals end the program at once, as they usually do.
    static func uninstall() { handle(SIG_DFL) }

    private static func handle(_ handler: (@convention(c) (CInt) -> Void)?) {
      for number in [SIGINT, SIGTERM] {
        var action = sigaction()
        #if canImport(Darwin)
          action.__sigaction_u.__sa_handler = handler
        #else
          action.__sigaction_handler.sa_handler = handler
        #endif
        // Restarting spares reads and writes that are under way.
        action.sa_flags = CInt(
          bitPattern: UInt32(truncatingIfNeeded: SA_RESTART) | UInt32(truncatingIfNeeded: SA_RESETHAND))
        sigaction(number, &action, nil)
      }
    }
  }

  // Written by the handler, read by the training: one aligned word.
  nonisolated(unsafe) private var received: CInt = 0

#endif
