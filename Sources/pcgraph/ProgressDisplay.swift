#if CommandLine
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #elseif canImport(Darwin)
    import Darwin
  #endif
  import PredictiveCoding

  /// Progress on standard error: a line for each epoch, at most one a second but for the last epoch of a run. Under them,
  /// on a terminal, a bar with the rate and the time left; elsewhere, within long epochs, the same in words every ten
  /// seconds. With `json`, epochs go to standard output as objects.
  final class ProgressDisplay {
    private let format: OutputFormat
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let clock = ContinuousClock()
    private var runStart: ContinuousClock.Instant
    private var lastDrawing: ContinuousClock.Instant
    private var lastLine: ContinuousClock.Instant
    private var run = 0
    private var isBarVisible = false

    init(_ format: OutputFormat) {
      self.format = format
      runStart = clock.now
      lastDrawing = clock.now
      // So that the first line appears at once.
      lastLine = clock.now - .seconds(1)
    }

    /// - Parameter inJSON: whether an epoch is a result that `json` prints.
    func show(_ progress: TrainingProgress, inJSON: Bool = true) {
      switch progress {
      case .step(let step): show(step)
      case .epoch(let epoch): show(epoch, inJSON: inJSON)
      case .messages, .sample: break
      }
    }

    func finish() { clearBar() }

    private func show(_ step: StepProgress) {
      let now = clock.now
      if step.run != run {
        run = step.run
        runStart = now
        lastDrawing = now
        return
      }
      guard now - lastDrawing >= (isTerminal ? .milliseconds(100) : .seconds(10)) else { return }
      lastDrawing = now
      let seconds = (now - runStart).seconds
      // The first step is left out: it compiles the plan.
      let rate = Double(step.step - 1) / max(seconds, 1e-9)
      let left = Double(step.steps - step.step) / max(rate, 1e-9)
      let place = step.runs > 1 ? "[\(step.run)/\(step.runs)] " : ""
      let text =
        "\(place)\(step.rule.rawValue)  epoch \(step.epoch)/\(step.epochs)  loss \(NumberText.significant(step.loss))"
      let pace =
        "\(step.step)/\(step.steps) steps  \(NumberText.significant(rate)) steps/s  \(Self.duration(left)) left"
      guard isTerminal else { return printToStandardError("\(text)  \(pace)") }
      let room = terminalWidth() - text.count - pace.count - 5
      let width = min(max(room, 0), 30)
      let filled = width * step.step / max(step.steps, 1)
      let bar = String(repeating: "━", count: filled) + String(repeating: "─", count: width - filled)
      let line = "\(text)  \(bar)  \(pace)"
      printToStandardError("\r\(line.prefix(terminalWidth() - 1))\u{1B}[K", terminator: "")
      isBarVisible = true
    }

    private func show(_ epoch: EpochProgress, inJSON: Bool) {
      clearBar()
      if format == .json && inJSON { printResult("\(epoch.json)") }
      let now = clock.now
      guard epoch.isLast || now - lastLine >= .seconds(1) else { return }
      lastLine = now
      let rule = epoch.rule.rawValue + String(repeating: " ", count: max(0, 8 - epoch.rule.rawValue.count))
      printToStandardError(
        "\(rule)  seed \(epoch.seed)  epoch \(epoch.epoch)/\(epoch.epochs)  "
          + "loss \(NumberText.significant(epoch.trainLoss, digits: 4))  "
          + "test accuracy \(NumberText.fixed(100 * epoch.testAccuracy, places: 1)) %")
    }

    private func clearBar() {
      guard isBarVisible else { return }
      printToStandardError("\r\u{1B}[K", terminator: "")
      isBarVisible = false
    }

    private func terminalWidth() -> Int {
      var size = winsize()
      guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
      return Int(size.ws_col)
    }

    /// `2:05`, or `1:02:05` from an hour on.
    private static func duration(_ seconds: Double) -> String {
      let whole = Int(min(seconds.rounded(), 1e8))
      func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
      let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
      return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
    }
  }
#endif
