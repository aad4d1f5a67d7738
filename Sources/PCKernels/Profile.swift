/// When each call of a run took place, and what it had to do: see `Executable.profile(_:)`.
public struct Profile: Sendable {
  /// A call of a kernel, as often as it was made.
  public struct Call: Sendable, Hashable {
    /// The section of the program that it belongs to.
    public var section: String
    /// The vertex that it serves; empty for what serves all.
    public var vertex: String
    /// The primitive, and for a call that only prepares or finishes another's work, which part of it.
    public var operation: String
    /// Multiply-adds of matrix and convolution work in one repetition, for the whole batch; 0 for everything else.
    public var multiplyAdds: Int
    /// Bytes of the operands and results in one repetition, for the whole batch; 0 where a call only prepares or finishes.
    public var byteCount: Int
    /// How often the run made it, on each tile.
    public var repetitions: Int

    /// A call; made once, of no work, until stated.
    public init(
      section: String = "", vertex: String = "", operation: String = "", multiplyAdds: Int = 0, byteCount: Int = 0,
      repetitions: Int = 1
    ) {
      self.section = section
      self.vertex = vertex
      self.operation = operation
      self.multiplyAdds = multiplyAdds
      self.byteCount = byteCount
      self.repetitions = repetitions
    }
  }

  /// One thread in one call.
  public struct Event: Sendable, Hashable {
    /// Position in `calls`.
    public var call: Int
    /// The thread, from 0.
    public var thread: Int
    /// The tile of the batch that it worked on, or the first of several; nil where all threads shared the call.
    public var tile: Int?
    /// Seconds since the run began.
    public var start: Double
    /// How long it took.
    public var seconds: Double

    /// An event; `start` and `seconds` in seconds.
    public init(call: Int, thread: Int, tile: Int?, start: Double, seconds: Double) {
      self.call = call
      self.thread = thread
      self.tile = tile
      self.start = start
      self.seconds = seconds
    }
  }

  /// All calls that the run made, in the order of the plan.
  public var calls: [Call] = []
  /// Thread by thread, in the order in which they took place.
  public var events: [Event] = []
  /// Threads that took part.
  public var threads: Int
  /// Seconds of the whole run.
  public var seconds: Double
  /// Events that found no room.
  public var omitted = 0

  /// A run without calls yet.
  public init(threads: Int, seconds: Double) {
    self.threads = threads
    self.seconds = seconds
  }

  /// Seconds that all threads together spent in each call, by its position in `calls`.
  public var threadSeconds: [Double] {
    events.reduce(into: Array(repeating: 0, count: calls.count)) { $0[$1.call] += $1.seconds }
  }

  /// This run, and another that followed it.
  public func followed(by next: Profile) -> Profile {
    var both = self
    both.calls += next.calls
    both.events += next.events.map { event in
      var event = event
      event.call += calls.count
      event.start += seconds
      return event
    }
    both.threads = max(threads, next.threads)
    both.seconds += next.seconds
    both.omitted += next.omitted
    return both
  }
}
